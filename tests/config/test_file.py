"""The membership file: everything that is wrong with it, at once, each with its line; and what a right one means."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from paxosd.config import Config, ConfigError, load, parse, queue_cluster
from paxosd.core.membership import Role
from paxosd.core.options import Limits, Retention, Timing
from paxosd.core.quorum import Quorum

FOLDER = Path(__file__).parents[2] / "config"

GOOD = """\
cluster: demo
nodes:
  p1: {role: proposer, address: "p1:7000"}
  a1: {role: acceptor, address: "a1:7000"}
  a2: {role: acceptor, address: "a2:7000"}
  a3: {role: acceptor, address: "a3:7000"}
  l1: {role: learner, address: "l1:7000", client: "l1:7100"}
quorum: majority
timing: {heartbeat: 100ms, election: 500ms}
limits: {value_bytes: 1MiB}
storage: {engine: sqlite}
"""


def good(text: str = GOOD, **env: str) -> Config:
    return parse(text, "f.yaml", env)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        good(text)
    return list(caught.value.problems)


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, f"{old!r} stands {GOOD.count(old)} times"
    return GOOD.replace(old, new)


# ---- what is wrong ---------------------------------------------------------------------------

WRONG: dict[str, tuple[str, int, str]] = {
    "a misspelt key": (changed("quorum:", "quorom:"), 8, "did you mean 'quorum'"),
    "an unknown key": (GOOD + "xyzzy: blue\n", 12, "known are"),
    "an unknown key of a node": (changed('client: "l1', 'cliant: "l1'), 7, "did you mean 'client'"),
    "a misspelt role": (changed("role: proposer", "role: proposr"), 3, "did you mean 'proposer'"),
    "no role": (changed("{role: proposer, ", "{"), 3, "nodes.p1.role: is missing"),
    "no cluster": (changed("cluster: demo\n", ""), 1, "cluster: is missing"),
    "no nodes": ("cluster: demo\n", 1, "nodes: is missing"),
    "no address": (changed(', address: "p1:7000"', ""), 3, "nodes.p1.address: is missing"),
    "a port that is too high": (changed("p1:7000", "p1:70000"), 3, "a port from 1 to 65535"),
    "a port of zero": (changed("p1:7000", "p1:0"), 3, "a port from 1 to 65535"),
    "no port": (changed('"p1:7000"', "p1"), 3, "is not host:port"),
    "no host": (changed("p1:7000", ":7000"), 3, "is not host:port"),
    "a url for an address": (changed("p1:7000", "tcp://p1:7000"), 3, "host"),
    "the same address twice": (changed("a2:7000", "a1:7000"), 5, "is used by nodes.a1.address already"),
    "an id that is a word of yaml": (changed("  p1: {role", "  no: {role"), 3, "means something else"),
    "an id that is a number": (changed("  p1: {role", "  12: {role"), 3, "means something else"),
    "an id with capitals": (changed("  p1: {role", "  P1: {role"), 3, "is not an id"),
    "an id twice": (changed("  a2: {role", "  a1: {role"), 5, "stands in line 4 already"),
    "a key twice": (GOOD + "cluster: other\n", 12, "stands in line 1 already"),
    "a client of an acceptor": (
        changed('address: "a1:7000"', 'address: "a1:7000", client: "a1:7100"'), 4, "serves no clients",
    ),
    "a weight of a learner": (changed("{role: learner,", "{role: learner, weight: 2,"), 7, "has no vote"),
    "a weight of zero": (changed('"a1:7000"', '"a1:7000", weight: 0'), 4, "too small"),
    "a weight in octal": (changed('"a1:7000"', '"a1:7000", weight: 017'), 4, "without leading zeros"),
    "a node that is a text": (changed('{role: proposer, address: "p1:7000"}', "proposer"), 3, "must be a mapping"),
    "no proposer": (changed('  p1: {role: proposer, address: "p1:7000"}\n', ""), 2, "there is no proposer"),
    "no learner": (
        changed('  l1: {role: learner, address: "l1:7000", client: "l1:7100"}\n', ""), 2, "there is no learner",
    ),
    "no client address": (changed(', client: "l1:7100"', ""), 2, "no learner or replica has a client address"),
    "quorums that need not meet": (
        changed("majority", "{prepare: 2, accept: 1}"), 8, "two values could be chosen for one slot",
    ),
    "a quorum that is too large": (changed("majority", "{prepare: 4, accept: 3}"), 8, "is not between 1 and 3"),
    "a quorum without accept": (changed("majority", "{prepare: 2}"), 8, "quorum.accept: is missing"),
    "a quorum that is a word": (changed("majority", "most"), 8, "must be majority, or sizes"),
    "a duration without a unit": (changed("100ms", "100"), 9, "write the unit"),
    "a duration in base 60": (changed("500ms", "1:30"), 9, "is not a duration"),
    "an election that is too short": (changed("500ms", "200ms"), 9, "at least 3 times heartbeat"),
    "a size that is none": (changed("1MiB", "large"), 10, "is not a size"),
    "a value that does not fit a frame": (changed("1MiB", "12MiB"), 10, "must fit a frame"),
    "an age without a unit": (GOOD + "log: {keep_age: 7}\n", 12, "write the unit, such as 90s"),
    "an age that is no time": (GOOD + "log: {keep_age: 0s}\n", 12, "is not between 1s and 3660d"),
    "a log that is kept for no entry": (GOOD + "log: {keep_entries: 0}\n", 12, "too small"),
    "a machine that nobody knows": (GOOD + "machines: {cfg: k}\n", 12, "machines.cfg: 'k' is neither log nor kv nor a"),
    "a machine that is a path": (GOOD + "machines:\n  log: log\n  bank: bank.py\n", 14, "such as mypackage.bank:Bank"),
    "a machine with a wrong name": (GOOD + "machines: {Bank: kv}\n", 12, "'Bank' is no name of a machine"),
    "a machine with the name of the ledger": (GOOD + "machines: {ledger: kv}\n", 12, "means something else"),
    "a log that is another machine": (GOOD + "machines: {log: kv}\n", 12, "the log has the name log"),
    "a second log": (GOOD + "machines: {more: log}\n", 12, "the log has the name log"),
    "a machine without a kind": (GOOD + "machines: {bank: }\n", 12, "machines.bank"),
    "too many machines": (GOOD + f"machines: {{{', '.join(f'm{n}: kv' for n in range(16))}}}\n", 12, "at most 16"),
    "an unknown bound of the log": (GOOD + "log: {keep_days: 7}\n", 12, "keep_days"),
    "an unknown engine": (changed("engine: sqlite", "engine: sqlight"), 11, "did you mean 'sqlite'"),
    "an unknown transport": (GOOD + "transport: carrier-pigeon\n", 12, "none of zeromq, queue"),
    "a list for a mapping": (changed("{engine: sqlite}", "[sqlite]"), 11, "must be a mapping"),
    "a mapping for a value": (changed("cluster: demo", "cluster: {a: b}"), 1, "not a mapping"),
    "a list at the top": ("- a\n- b\n", 1, "is empty or not a mapping"),
    "nothing": ("", 1, "is empty or not a mapping"),
    "a tab": (changed("  a1: {role", "\ta1: {role"), 4, "not YAML"),
    "a bracket that is left open": (changed('"a3:7000"}', '"a3:7000"'), 7, "not YAML"),
    "an anchor": (changed("{role: proposer", "&x {role: proposer"), 3, "anchors and aliases"),
    "a tag": (changed("cluster: demo", "cluster: !!python/name:os.system demo"), 1, "tag"),
    "a character that none can see": (changed("cluster: demo", "cluster: de\x07mo"), 1, "is not allowed"),
    "an address that says where to listen": (changed("p1:7000", "*:7000"), 3, "not where to reach the node"),
    "an address of all interfaces": (changed("p1:7000", "0.0.0.0:7000"), 3, "not where to reach the node"),
    "an ipv6 address without brackets": (changed("p1:7000", "fe80::1:7000"), 3, "stands in brackets"),
    "brackets without an ipv6 address": (changed("p1:7000", "[p1]:7000"), 3, "no IPv6 address in its brackets"),
    "a host with a blank": (changed("p1:7000", "p 1:7000"), 3, "no host name or IP address"),
    "the same address in capitals": (changed("a2:7000", "A1:7000"), 5, "nodes.a2.address: A1:7000 is used by"),
    "one port for nodes and clients": (changed("l1:7100", "l2:7000"), 7, "need a port each"),
    "one port for nodes and clients behind it": (
        changed('client: "l1:7100"', 'client: "l1:7100", client_listen: "*:7000", listen: "10.0.0.3:7000"'),
        7, "need a port each",
    ),
    "a client_listen of an acceptor": (
        changed('address: "a1:7000"', 'address: "a1:7000", client_listen: "*:7100"'), 4, "serves no clients",
    ),
    "a client_listen without client": (
        changed('client: "l1:7100"', 'client_listen: "*:7100"'), 7, "of no use without client",
    ),
    "a node that is a list": (changed('{role: proposer, address: "p1:7000"}', "[proposer]"), 3, "must be a mapping"),
    "a role that is a list": (changed("role: proposer", "role: [proposer]"), 3, "must be one value, not a list"),
    "a weight that is too high": (changed('"a1:7000"', '"a1:7000", weight: 1001'), 4, "not between 1 and 1000"),
    "a weight of half": (changed('"a1:7000"', '"a1:7000", weight: 0.5'), 4, "not a whole number"),
    "a weight below zero": (changed('"a1:7000"', '"a1:7000", weight: -4'), 4, "-4 is too small; at least 1"),
    "no nodes at all": ("cluster: demo\nnodes: {}\n", 2, "there is no acceptor"),
    "too many nodes": (
        changed("quorum:", "".join(f'  x{n}: {{role: acceptor, address: "x{n}:1"}}\n' for n in range(95)) + "quorum:"),
        2, "there are 100; at most 99",
    ),
    "a frame that is too small": (changed("value_bytes: 1MiB", "frame_bytes: 1"), 10, "at least 327680"),
    "a command that does not fit a frame": (
        changed("value_bytes: 1MiB", "command_bytes: 16MiB"), 10, "limits.command_bytes: 16777216 must fit a frame",
    ),
    "a page that does not fit a frame": (
        changed("value_bytes: 1MiB", "page_bytes: 9MiB"), 10, "limits.page_bytes: 9437184 must fit a frame",
    ),
    "room for less than one command": (
        changed("value_bytes: 1MiB", "pending_bytes: 1000"), 10,
        "limits.pending_bytes: 1000 must take the largest command: at least 1048576 with this command_bytes",
    ),
    "room for less than one command of the default": (
        changed("value_bytes: 1MiB", "command_bytes: 4MiB, pending_bytes: 2MiB"), 10, "limits.pending_bytes: 2097152",
    ),
    "a window of zero": (changed("value_bytes: 1MiB", "window_slots: 0"), 10, "limits.window_slots: 0 is too small"),
    "a size of zero": (changed("1MiB", "0MiB"), 10, "not between 1 and 1 TiB"),
    "a size in digits of another script": (changed("1MiB", "١MiB"), 10, "is not a size"),
    "a duration of nothing": (changed("100ms", "0ms"), 9, "not between 1ms and 60m"),
    "a duration of days": (changed("500ms", "90m"), 9, "not between 1ms and 60m"),
    "a retry that is longer than an election": (
        changed("election: 500ms", "election: 500ms, retry: 600ms"), 9, "retry (0.6 s) must not exceed election",
    ),
    "a directory that is no path": (changed("{engine: sqlite}", "{dir: ''}"), 11, "storage.dir: is not a path"),
    "two documents": (GOOD + "---\ncluster: other\n", 12, "not YAML"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "complaint"), WRONG.values(), ids=WRONG)
def test_m20_what_is_wrong_is_named_with_its_line(text: str, line: int, complaint: str) -> None:
    found = problems(text)

    assert any(complaint in problem for problem in found), found
    matching = next(problem for problem in found if complaint in problem)
    assert matching.startswith(f"f.yaml:{line}: ")


def test_all_errors_come_at_once_in_the_order_of_their_lines() -> None:
    text = GOOD.replace("role: proposer", "role: proposr").replace("a2:7000", "a2").replace("100ms", "100")
    found = problems(text)

    assert [re.match(r"f.yaml:(\d+):", problem)[1] for problem in found] == ["3", "5", "9"]  # type: ignore[index]
    with pytest.raises(ConfigError, match=r"3 errors\. Nothing was started\."):
        good(text)


def test_errors_of_every_part_come_together() -> None:
    text = """\
cluster: Demo
nodes:
  p1: {role: proposer, address: "p1:7000", weight: 1}
  no: {role: acceptor, address: "p1:7000"}
  l1:
    role: learner
    adress: "l1:7000"
quorom: majority
quorum: {prepare: 1}
timing: {heartbeat: 1, retry: 2m}
limits: {sessions: 07}
storage: [sqlite]
"""
    with pytest.raises(ConfigError) as caught:
        good(text, PAXOSD_TIMING_PING="soon")
    places = [re.match(r"f\.yaml(:\d+)?: ([^:]+)", problem) for problem in caught.value.problems]

    assert [place and place[0] for place in places] == [
        "f.yaml: environment PAXOSD_TIMING_PING",
        "f.yaml:1: cluster",
        "f.yaml:2: nodes",
        "f.yaml:3: nodes.p1.weight",
        "f.yaml:4: nodes.no.address",
        "f.yaml:4: nodes.no",
        "f.yaml:5: nodes.l1.address",
        "f.yaml:7: nodes.l1.adress",
        "f.yaml:8: quorom",
        "f.yaml:9: quorum.accept",
        "f.yaml:10: timing.heartbeat",
        "f.yaml:10: timing",
        "f.yaml:11: limits.sessions",
        "f.yaml:12: storage",
    ]


def test_a_complaint_about_what_is_long_is_short_and_has_the_key_and_the_advice() -> None:
    (told,) = problems(changed("cluster: demo", f"cluster: {'9' * 50_000}"))

    assert len(told) < 1100
    assert "cluster: '999" in told
    assert told.endswith("use a-z, 0-9 and -, at most 63 characters")


def test_nothing_is_concluded_from_nodes_that_cannot_be_read() -> None:
    text = GOOD.replace("role: learner", "role: lerner").replace("majority", "{prepare: 2, accept: 2}")

    assert len(problems(text)) == 1


def test_m20_a_bomb_of_aliases_is_refused_before_it_is_expanded() -> None:
    levels = "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in ("ab", "bc", "cd"))
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + levels

    assert "anchors and aliases" in problems(bomb)[0]


def test_m20_deep_nesting_and_large_files_are_refused() -> None:
    assert "nested deeper" in problems("[" * 3000)[0] or "not YAML" in problems("[" * 3000)[0]
    assert "at most" in problems("#" * 10_000_000)[0]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("cluster: demo\nnodes: é".encode("latin-1"))
    for path, complaint in ((tmp_path / "missing.yaml", "missing.yaml: cannot be read: No such file or directory"),
                            (tmp_path, "cannot be read: Is a directory"),
                            (tmp_path / "latin.yaml", "latin.yaml:2: is not UTF-8 text"),
                            (Path("/dev/zero"), "this is no membership file")):  # fmt: skip
        with pytest.raises(ConfigError, match=complaint):
            load(path)


# ---- what a right one means ------------------------------------------------------------------


def test_a_good_file_gives_membership_quorum_and_addresses() -> None:
    config = good()

    assert config.membership.roles["l1"] is Role.LEARNER
    assert config.membership.quorum == Quorum.majority({"a1": 1, "a2": 1, "a3": 1})
    assert str(config.nodes["l1"].client) == "l1:7100"
    assert config.warnings == ()


def test_a_host_name_listens_on_all_interfaces_and_an_ip_address_on_itself() -> None:
    config = good(GOOD.replace("a1:7000", "127.0.0.7:7000").replace("a2:7000", "localhost:7002").replace(
        '"a3:7000"', '"a3:7000", listen: "10.0.0.3:9000"'))  # fmt: skip

    assert [str(config.nodes[node].listen) for node in ("p1", "a1", "a2", "a3")] == [
        "*:7000", "127.0.0.7:7000", "127.0.0.1:7002", "10.0.0.3:9000",
    ]  # fmt: skip


def test_an_even_number_of_acceptors_is_allowed_and_warned_of() -> None:
    config = good(changed('  a3: {role: acceptor, address: "a3:7000"}\n', ""))

    assert "2 acceptors survive no more losses than 1 would" in config.warnings[0]


def test_an_even_number_of_acceptors_with_weights_is_nobodys_matter() -> None:
    weighted = changed('  a3: {role: acceptor, address: "a3:7000"}\n', "").replace('"a1:7000"', '"a1:7000", weight: 2')

    assert good(weighted).warnings == ()


def test_an_election_of_exactly_three_heartbeats_is_long_enough() -> None:
    assert good(changed("heartbeat: 100ms, election: 500ms", "heartbeat: 200ms, election: 600ms")).warnings == ()


def test_weights_and_flexible_sizes_are_taken() -> None:
    config = good(changed('"a1:7000"', '"a1:7000", weight: 2').replace("majority", "{prepare: 3, accept: 2}"))

    assert config.membership.quorum == Quorum({"a1": 2, "a2": 1, "a3": 1}, 3, 2)


def test_ipv6_addresses_stand_in_brackets_and_are_compared_by_what_they_mean() -> None:
    config = good(changed("p1:7000", "[FE80::0:1]:7000"))

    assert str(config.nodes["p1"].address) == str(config.nodes["p1"].listen) == "[fe80::1]:7000"
    assert config.digest == good(changed("p1:7000", "[fe80::1]:7000")).digest


def test_a_client_address_behind_a_proxy_is_dialled_and_another_one_listened_on() -> None:
    config = good(changed('client: "l1:7100"', 'client: "proxy:80", client_listen: "10.0.0.3:7100"'))

    assert (str(config.nodes["l1"].client), str(config.nodes["l1"].client_listen)) == ("proxy:80", "10.0.0.3:7100")


def test_a_node_without_clients_listens_for_none() -> None:
    assert good().nodes["a1"].client_listen is None


def test_the_environment_goes_before_the_file_and_the_file_before_the_default() -> None:
    in_file = changed("{engine: sqlite}", "{engine: memory, dir: from-file}").replace("heartbeat: 100ms", "ping: 3s")
    env = {"PAXOSD_TIMING_PING": "5s", "PAXOSD_STORAGE_DIR": "from-env", "PAXOSD_STORAGE_ENGINE": "sqlite"}
    default, file, both = good(GOOD), good(in_file), good(in_file, **env)

    assert [config.timing.ping_s for config in (default, file, both)] == [1.0, 3.0, 5.0]
    assert [config.storage.dir for config in (default, file, both)] == [None, "from-file", "from-env"]
    assert [config.storage.engine for config in (default, file, both)] == ["sqlite", "memory", "sqlite"]


def test_a_wrong_environment_variable_is_named_and_is_at_no_line_of_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        good(PAXOSD_TIMING_RETRY="5")

    assert caught.value.problems == (
        "f.yaml: environment PAXOSD_TIMING_RETRY: '5' is not a duration; write the unit, such as 100ms, 1.5s or 2m",
    )


def test_what_the_environment_says_is_held_against_what_the_file_says() -> None:
    with pytest.raises(ConfigError, match=r"election \(0\.5 s\) must be at least 3 times heartbeat \(0\.3 s\)"):
        good(PAXOSD_TIMING_HEARTBEAT="300ms")


def test_the_log_is_kept_for_ever_unless_the_file_says_otherwise() -> None:
    text = GOOD + "log: {keep_entries: 100, keep_bytes: 2KiB, keep_age: 12h}\n"

    assert good().retention == Retention()
    assert good(text).retention == Retention(entries=100, bytes=2048, age_ms=12 * 3600 * 1000)
    assert good(text).digest != good().digest


def test_machines_are_log_and_kv_unless_the_file_says_otherwise() -> None:
    text = GOOD + "machines:\n  bank: mypackage.bank:Bank\n"
    config = good(text)

    assert {name: machine.kind for name, machine in good().machines.items()} == {"log": "log", "kv": "kv"}
    assert {name: machine.kind for name, machine in config.machines.items()} == {
        "log": "log",
        "bank": "mypackage.bank:Bank",
    }
    assert config.machines["bank"].place == "f.yaml:13"
    assert good(GOOD + "machines: {kv: kv, log: log}\n").digest == good().digest
    assert len({good().digest, config.digest, good(text + "  kv: kv\n").digest}) == 3


def test_u07_files_that_mean_the_same_have_one_digest() -> None:
    same = [
        "# a comment\n" + GOOD.replace('"', "").replace(": {", ":   {"),
        "\n".join([*GOOD.splitlines()[:2], *reversed(GOOD.splitlines()[2:7]), *GOOD.splitlines()[7:]]),
        changed('"a1:7000"', '"a1:7000", listen: "*:9", weight: 1'),
        GOOD + "transport: zeromq\n",
        changed("quorum: majority", "quorum: {prepare: 2, accept: 2}"),
        changed("timing: {heartbeat: 100ms, election: 500ms}", "timing: {heartbeat: 10ms}"),
        changed("storage: {engine: sqlite}", "storage: {engine: memory}"),
        changed("limits: {value_bytes: 1MiB}", "limits: {value_bytes: 1048576}"),
    ]

    assert {good(text).digest for text in same} == {good().digest}


@pytest.mark.parametrize(("old", "new"), [
    ("cluster: demo", "cluster: demp"),
    ("a1:7000", "a9:7000"),
    ('"a1:7000"', '"a1:7000", weight: 2'),
    ("quorum: majority", "quorum: {prepare: 3, accept: 1}"),
    ("value_bytes: 1MiB", "value_bytes: 2MiB"),
    ("l1:7100", "l1:7101"),
    ("role: proposer", "role: replica"),
])  # fmt: skip
def test_u07_files_that_mean_something_else_have_another_digest(old: str, new: str) -> None:
    assert good(changed(old, new)).digest != good().digest


def test_u07_whose_weight_it_is_and_each_size_of_a_quorum_matter() -> None:
    sizes = GOOD.replace("majority", "{prepare: 3, accept: 2}")
    files = [
        sizes.replace('"a1:7000"', '"a1:7000", weight: 2'),
        sizes.replace('"a2:7000"', '"a2:7000", weight: 2'),
        sizes,
        sizes.replace("accept: 2", "accept: 3"),
    ]

    assert len({good(text).digest for text in files}) == len(files)


# ---- the files that are shipped --------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_every_file_in_config_is_right_and_draws_no_warning(path: Path) -> None:
    assert load(path, {}).warnings == ()


def test_the_shipped_files_describe_the_clusters_that_they_are_named_for() -> None:
    def counted(name: str) -> dict[str, int]:
        roles = [role.value for role in load(FOLDER / name, {}).membership.roles.values()]
        return {role: roles.count(role) for role in roles}

    assert counted("cluster.yaml") == {"proposer": 2, "acceptor": 3, "learner": 2}
    assert counted("replicas.yaml") == {"replica": 3}
    assert counted("local.yaml") == counted("loopback.yaml") == counted("cluster.yaml")


def test_the_defaults_that_are_shown_in_the_file_are_the_defaults() -> None:
    text = (FOLDER / "cluster.yaml").read_text()
    shown = text[text.index("# timing:") :]
    config = parse(text[: text.index("# timing:")] + re.sub(r"(?m)^# ", "", shown), "shown", {})

    assert (config.timing, config.limits) == (Timing(), Limits())
    for options in (Timing, Limits):
        for field in fields(options):
            assert re.search(rf"(?m)^#   {re.sub('_(s|max)$', '', field.name)}: ", shown), field.name


def test_a_local_cluster_needs_no_addresses() -> None:
    config = queue_cluster(1, 3, 1)

    assert config.transport == "queue"
    assert config.membership.acceptors == ("a1", "a2", "a3")


# ---- room on the disk ------------------------------------------------------------------------


def test_o09_a_quota_and_a_reserve_are_each_nodes_own_and_the_environment_overrides_them() -> None:
    text = changed("{engine: sqlite}", "{quota: 10GiB, reserve: 0}")
    file, none = good(text).storage, good().storage
    env = good(text, PAXOSD_STORAGE_QUOTA="64MiB", PAXOSD_STORAGE_RESERVE="1GiB").storage

    assert (file.quota_bytes, file.reserve_bytes) == (10 << 30, 0)
    assert (none.quota_bytes, none.reserve_bytes) == (None, None)
    assert (env.quota_bytes, env.reserve_bytes) == (64 << 20, 1 << 30)
    assert good(text).digest == good().digest


def test_a_quota_in_which_no_journal_has_room_is_refused() -> None:
    assert problems(changed("{engine: sqlite}", "{quota: 63MiB}")) == [
        "f.yaml:11: storage.quota: 63MiB is too small; at least 64MiB, half of it for the journal"
    ]
