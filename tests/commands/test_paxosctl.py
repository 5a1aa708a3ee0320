"""`paxosctl`: what it asks of a client, what it prints where, its exit codes; and all of it against real replicas."""

from __future__ import annotations

import errno
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paxosd import (
    ClientClosed,
    ConfigurationError,
    Entry,
    NeverApplied,
    NodeStatus,
    NoLongerKnown,
    NoQuorum,
    NoSpace,
    Overloaded,
    ProposeTimeout,
    ReadTimeout,
    Receipt,
    SessionExpired,
    StatusReport,
    TooLarge,
    Unavailable,
    WasApplied,
    WrongCluster,
    WrongHistory,
    __version__,
)
from paxosd.client.arguments import command_name
from paxosd.commands.paxosctl import command, connect
from paxosd.core.types import NO_BALLOT, Ballot
from paxosd.process.exits import Exit
from tests.help_text import unexplained
from tests.system.daemons import REPLICAS, DaemonCluster

B3 = Ballot(3, "p1")
ENTRIES = [Entry(1, 2, b"hello"), Entry(2, 2, b"\x1b[2Jred"), Entry(3, 7, b"\xff\x00")]
NODES = (
    NodeStatus("p1", "proposer", True, 12, True, B3, 9, 0, 0),
    NodeStatus("a1", "acceptor", False, 61_000, False, B3, 7, 0, 0),
    NodeStatus("a2", "acceptor", False, -1, False, NO_BALLOT, 0, 0, 0),
    NodeStatus("l1", "learner", True, 3, False, B3, 9, 9, 4),
    NodeStatus("l2", "learner", False, 1500, False, B3, 8, 6, 3),
)
REPORT = StatusReport(1, "demo", "l1", "p1", B3, 9, 9, 4, NODES)
NOBODY_LEADS = StatusReport(1, "demo", "l1", "", NO_BALLOT, 9, 9, 4, NODES)


class Played:
    """A client that answers what the test says, and remembers what it was asked."""

    def __init__(self, answer: Any = None) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.options: Any = None
        self._answer = answer

    def __call__(self, options: Any) -> Any:
        self.options = options
        return self

    def __enter__(self) -> Played:
        return self

    def __exit__(self, *_: object) -> None: ...

    def _tell(self, *asked: Any) -> Any:
        self.asked.append(asked)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    def propose(self, value: bytes, timeout: float) -> Any:
        return self._tell("propose", value, timeout)

    def outcome(self, session: str, seq: int, timeout: float) -> Any:
        return self._tell("outcome", *command_name(session, seq), timeout)

    def log(self, start: int, follow: bool, timeout: float, linearizable: bool) -> Any:
        return iter(self._tell("log", start, follow, timeout, linearizable))

    def status(self, timeout: float) -> Any:
        return self._tell("status", timeout)


def main(arguments: list[str], connected: Any = connect) -> int:
    return command(arguments, connected)


def run(client: Played, *arguments: str) -> int:
    return main(["--endpoints", "l1:7100", *arguments], client)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAXOSCTL_CONFIG", "PAXOSCTL_ENDPOINTS", "PAXOSCTL_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


# ---- outcome -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "code", "line", "fields"),
    [
        (
            WasApplied(Receipt(4, 7, b"\x01")),
            Exit.OK,
            r"applied: revision 4, slot 7; its machine said \x01",
            {"outcome": "applied", "revision": 4, "slot": 7, "result": "\x01"},
        ),
        (NeverApplied(), Exit.ERROR, "not applied, and it never will be", {"outcome": "not_applied"}),
        (NoLongerKnown("who knows"), Exit.UNKNOWN, "unknown: who knows", {"outcome": "unknown", "why": "who knows"}),
    ],
)
def test_what_became_of_a_command_is_printed_and_is_the_exit_code(
    found: object, code: int, line: str, fields: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    client = Played(found)

    assert run(client, "outcome", "ab" * 16, "12", "--timeout", "2") == code
    assert client.asked == [("outcome", b"\xab" * 16, 12, 2.0)]
    assert capsys.readouterr().out == f"{line}\n"
    assert run(client, "outcome", "ab" * 16, "12", "-w", "json") == code
    assert json.loads(capsys.readouterr().out) == fields


def test_a_name_that_no_command_has_is_a_mistake_in_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Played(), "outcome", "abc", "12") == Exit.USAGE
    assert "nothing was sent" in capsys.readouterr().err
    with pytest.raises(SystemExit) as error:
        run(Played(), "outcome", "ab" * 16, "0")
    assert error.value.code == Exit.USAGE


# ---- propose -------------------------------------------------------------------------------------


def test_a_value_is_proposed_and_its_place_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    client = Played(Receipt(4, 7))

    assert run(client, "propose", "hällo", "--timeout", "2") == 0
    assert client.asked == [("propose", "hällo".encode(), 2.0)]
    assert capsys.readouterr().out == "revision 4, slot 7\n"
    assert run(client, "propose", "v", "-w", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"revision": 4, "slot": 7}


def test_a_value_from_stdin_is_taken_to_the_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\x00\xff line\n")))
    client = Played(Receipt(1, 1))
    run(client, "propose", "-")

    assert client.asked == [("propose", b"\x00\xff line\n", 5.0)]


class EndlessBytes(io.RawIOBase):
    """A stdin without an end, as that of `yes | paxosctl propose -`; it counts what is read."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        self.taken += len(room)
        assert self.taken < 16 << 20, "read on and on"
        return len(room)


@pytest.mark.parametrize("cluster_of", [(), ("--config", "config/cluster.yaml")], ids=["addresses", "file"])
def test_of_a_stdin_without_an_end_no_more_is_read_than_the_cluster_takes(
    cluster_of: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = EndlessBytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(endless)))
    client = Played()

    assert main([*(cluster_of or ("--endpoints", "l1:7100")), "propose", "-"], client) == 1
    assert endless.taken <= 2 << 20
    assert client.asked == []
    assert re.search(r"not applied: .* 1048577 bytes or more, .*takes 1048576", capsys.readouterr().err)


# ---- log -----------------------------------------------------------------------------------------


def test_a_log_is_printed_with_nothing_in_it_that_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    client = Played(ENTRIES)

    assert run(client, "log", "--start", "1") == 0
    assert [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()] == [
        ["REVISION", "SLOT", "VALUE"],
        ["1", "2", "hello"],
        ["2", "2", "\\x1b[2Jred"],
        ["3", "7", "\\xff\\x00"],
    ]


def test_a_log_in_json_is_one_object_a_line_and_bytes_that_are_no_text_are_in_base64(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(Played(ENTRIES), "log", "-w", "json")

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"revision": 1, "slot": 2, "value": "hello"},
        {"revision": 2, "slot": 2, "value": "\x1b[2Jred"},
        {"revision": 3, "slot": 7, "value_b64": "/wA="},
    ]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ((), (None, False, 5.0, True)),
        (("--start", "9"), (9, False, 5.0, True)),
        (("--follow",), (None, True, 5.0, True)),
        (("--stale", "--timeout", "0.5"), (None, False, 0.5, False)),
        (("--stale", "--follow"), (None, True, 5.0, False)),
    ],
)
def test_a_log_is_asked_for_as_the_flags_say(arguments: tuple[str, ...], asked: tuple[Any, ...]) -> None:
    client = Played([])
    run(client, "log", *arguments)

    assert client.asked == [("log", *asked)]


# ---- status --------------------------------------------------------------------------------------


def test_a_status_shows_every_node_with_its_role_and_since_when_it_is_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(Played(REPORT), "status") == 0
    head, columns, *rows = capsys.readouterr().out.splitlines()

    assert head == "cluster demo, leader p1, ballot 3.p1, watermark 9, revision 4, history not born yet, seen from l1"
    assert columns.split() == [
        "NODE",
        "ROLE",
        "STATE",
        "LEADS",
        "BALLOT",
        "APPLIED",
        "LAG",
        "REVISION",
        "DISK",
        "VOTES",
    ]
    assert [re.split(r"  +", row) for row in rows] == [
        ["p1", "proposer", "reachable", "yes", "3.p1", "-", "-", "-", "-", "-"],
        ["a1", "acceptor", "silent for 1 min", "-", "3.p1", "-", "-", "-", "-", "-"],
        ["a2", "acceptor", "never heard", "-", "-", "-", "-", "-", "-", "-"],
        ["l1", "learner", "reachable", "-", "3.p1", "9", "0", "4", "-", "-"],
        ["l2", "learner", "silent for 1.5 s", "-", "3.p1", "6", "3", "3", "-", "-"],
    ]


def test_a_status_in_json_has_the_same_and_null_where_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Played(REPORT), "status", "-w", "json") == 0
    told = json.loads(capsys.readouterr().out)
    nodes = {node["node"]: node for node in told.pop("nodes")}

    assert told == {
        "cluster": "demo",
        "gateway": "l1",
        "leader": "p1",
        "ballot": "3.p1",
        "watermark": 9,
        "applied": 9,
        "revision": 4,
        "refuses_commands": False,
        "history": None,
        "birth_waits_for": None,
        "why_nobody_leads": None,
    }
    assert nodes["l2"] == {
        "node": "l2",
        "role": "learner",
        "reachable": False,
        "silent_ms": 1500,
        "leading": False,
        "ballot": "3.p1",
        "watermark": 8,
        "applied": 6,
        "lag": 3,
        "revision": 3,
        "catches_up": False,
        "slots_per_s": 0,
        "space": "unknown",
        "data_bytes": None,
        "room_bytes": None,
        "history": None,
        "disk": None,
        "votes": None,
        "alarm": None,
    }
    assert (nodes["a2"]["silent_ms"], nodes["a2"]["ballot"], nodes["a2"]["applied"]) == (None, None, None)


def test_a_status_without_a_leader_is_printed_all_the_same_and_is_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Played(NOBODY_LEADS), "status") == 5
    told = capsys.readouterr()
    assert told.out.startswith("cluster demo, leader none, ballot none, watermark 9,")
    assert "l1 hears no leader: commands fail until a proposer reaches a quorum" in told.err
    assert run(Played(replace(NOBODY_LEADS, why="the cluster is not born yet")), "status") == 5
    assert capsys.readouterr().err == "paxosctl: l1 hears no leader: the cluster is not born yet\n"
    assert run(Played(NOBODY_LEADS), "status", "-w", "json") == 5
    found = json.loads(capsys.readouterr().out)

    assert (found["leader"], found["ballot"], len(found["nodes"])) == (None, None, 5)


def test_o09_a_disk_that_is_nearly_full_is_an_alarm_and_code_5_only_if_commands_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    p1, a1, *others = REPORT.nodes
    low = replace(a1, space=2, data_bytes=3 << 20, room_bytes=0)
    served = replace(REPORT, nodes=(p1, low, *others))
    refused = replace(REPORT, nodes=(replace(p1, space=1, refuses=True), low, *others))
    assert run(Played(served), "status") == 0
    told = capsys.readouterr()
    assert "a1 (nearly full, 3.0 MiB); commands are taken" in told.err
    assert "nearly full, 3.0 MiB" in told.out
    assert run(Played(refused), "status") == 5
    assert "the leader refuses commands (NoSpace)" in capsys.readouterr().err
    assert run(Played(refused), "status", "-w", "json") == 5
    found = json.loads(capsys.readouterr().out)

    assert found["refuses_commands"]
    assert [node["space"] for node in found["nodes"]] == ["enough", "low", "unknown", "unknown", "unknown"]
    assert found["nodes"][1]["data_bytes"] == 3 << 20


def test_o09_where_nobody_leads_a_nearly_full_disk_is_no_reason_to_say_that_commands_are_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    p1, a1, *others = NOBODY_LEADS.nodes
    assert run(Played(replace(NOBODY_LEADS, nodes=(p1, replace(a1, space=3), *others))), "status") == 5
    told = capsys.readouterr().err

    assert "nobody leads, so no commands are taken" in told
    assert "for others have room" not in told


def test_a_node_that_needs_somebody_is_an_alarm_told_once_and_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    alarmed = tuple(replace(node, alarm="disks went back") for node in REPORT.nodes[:2])
    report = replace(NOBODY_LEADS, nodes=(*alarmed, *REPORT.nodes[2:]))
    assert run(Played(report), "status") == 5
    told = capsys.readouterr().err
    assert told.count("ALARM: p1: disks went back") == 1
    assert "not reachable" not in told
    assert run(Played(replace(REPORT, nodes=report.nodes)), "status", "-w", "json") == 5

    assert json.loads(capsys.readouterr().out)["nodes"][0]["alarm"] == "disks went back"


@pytest.mark.parametrize("standing", ["guest", "copying", "copies slot 3 of 9"])
def test_a_new_disk_that_does_not_vote_yet_is_told_before_somebody_replaces_the_next_one(
    standing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    p1, a1, *others = REPORT.nodes
    report = replace(REPORT, nodes=(p1, replace(a1, reachable=True, standing=standing), *others))
    assert run(Played(report), "status") == 0
    told = capsys.readouterr().err
    voter = replace(a1, reachable=True, standing="voter")
    assert run(Played(replace(report, nodes=(p1, voter, *others))), "status") == 0

    assert "the disk of a1 is new, and will vote by and by: until VOTES says yes, replace no other disk" in told
    assert capsys.readouterr().err == ""


# ---- exit codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoQuorum("not applied: nobody leads"), 4),
        (NoSpace("not applied: disks are nearly full"), 6),
        (Unavailable("not applied: no gateway"), 4),
        (Overloaded("not applied: later"), 4),
        (ProposeTimeout("unknown: read the log"), 4),
        (SessionExpired("unknown: read the log"), 4),
        (ReadTimeout("not answered"), 4),
        (ClientClosed("closed"), 4),
        (TooLarge("not applied: 11 bytes"), 1),
        (ConfigurationError("no file"), 7),
        (WrongCluster("not applied: compare the files"), 7),
        (WrongHistory("not answered; make a new client"), 11),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, Exception) else str(case),
)
@pytest.mark.parametrize("command", [("propose", "v"), ("log",), ("status",)], ids=lambda command: command[0])
def test_an_error_is_told_on_stderr_in_its_own_words_with_a_code_of_its_kind(
    command: tuple[str, ...], error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Played(error), *command) == code
    told = capsys.readouterr()
    assert told.err == f"paxosctl: {error}\n"
    assert told.out in ("", "REVISION      SLOT  VALUE\n")


def test_a_value_that_cannot_be_read_is_code_2_and_nothing_is_proposed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: int) -> bytes:
        raise IsADirectoryError(errno.EISDIR, "Is a directory")

    client = Played()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read=refuse)))

    assert run(client, "propose", "-") == 2
    assert client.asked == []
    assert "the value could not be read from stdin: Is a directory" in capsys.readouterr().err


# ---- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "required: COMMAND"),
        (("reign",), "invalid choice: 'reign'"),
        (("propose",), "required: VALUE"),
        (("propose", "a", "b"), "unrecognized arguments: b"),
        (("propose", "v", "--timeout", "0"), "'0' is not a number of seconds above 0"),
        (("propose", "v", "--timeout", "-1"), "'-1' is not a number of seconds above 0"),
        (("propose", "v", "--timeout", "nan"), "'nan' is not a number of seconds above 0"),
        (("propose", "v", "--timeout", "inf"), "'inf' is not a number of seconds above 0"),
        (("propose", "v", "--timeout", "soon"), "'soon' is not a number of seconds above 0"),
        (
            ("propose", "v", "--timeout", "9999999"),
            "'9999999' is not a number of seconds above 0, such as 2.5, and at most 1e+06",
        ),
        (("log", "--start", "0"), "'0' is not a revision: they count 1, 2, 3"),
        (("log", "--start", "first"), "'first' is not a revision"),
        (("log", "--start", "1.5"), "'1.5' is not a revision"),
        (("status", "-w", "xml"), "invalid choice: 'xml'"),
        (("status", "--config", "c.yaml"), "both name a cluster: give one of them"),
    ],
)
def test_a_wrong_command_line_is_code_2_and_says_what_is_right(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(Played(), *arguments)

    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "soon"])
def test_a_wrong_timeout_in_the_environment_is_named(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAXOSCTL_TIMEOUT", text)
    with pytest.raises(SystemExit):
        run(Played(), "status")

    assert f"PAXOSCTL_TIMEOUT: '{text}' is not a number of seconds above 0" in capsys.readouterr().err


def test_flags_stand_before_or_after_the_command_and_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAXOSCTL_ENDPOINTS", "env:1")
    monkeypatch.setenv("PAXOSCTL_TIMEOUT", "9")
    client = Played(REPORT)
    main(["status"], client)
    assert (client.options.endpoints, client.options.timeout) == ("env:1", 9.0)
    for arguments in (["--endpoints", "l1:1", "--timeout", "2", "status"], ["status", "--endpoints", "l1:1"]):
        main(arguments, client)
        assert client.options.endpoints == "l1:1"

    assert client.asked == [("status", 9.0), ("status", 2.0), ("status", 9.0)]


def test_without_any_cluster_it_says_how_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["status"])

    assert ended.value.code == 2
    assert "which cluster?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--endpoints", "nowhere"), ("--endpoints", ","), ("--config", "no.yaml")])
def test_a_cluster_that_cannot_be_is_code_7(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main([*arguments, "status"]) == 7
    assert capsys.readouterr().err.startswith("paxosctl: ")


def test_help_begins_with_examples_and_tells_of_stale_reads_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["log", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
    told = capsys.readouterr().out

    assert told.index("examples:") < told.index("positional arguments:")
    assert "Exit codes: 0 ok" in told
    with pytest.raises(SystemExit):
        main(["--help"])
    codes = re.findall(r"(?:^|, |: )(\d+) [a-zA-Z]", " ".join(capsys.readouterr().out.split("Exit codes")[1].split()))
    assert {int(code) for code in codes} == set(Exit) - {Exit.NETWORK, Exit.BROKEN}
    assert re.search(r"--stale\s+what the node at hand has: needs no quorum", told)


@pytest.mark.parametrize("command", ["propose", "log", "status", "backup", "archive"])
def test_the_help_of_every_command_begins_with_examples_and_explains_every_flag(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = capsys.readouterr().out

    assert f"  paxosctl {command}" in told[told.index("examples:") :]
    assert unexplained(told) == []


def test_the_version_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert (ended.value.code, capsys.readouterr().out) == (0, f"paxosctl {__version__}\n")


# ---- with real replicas --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonCluster]:
    with DaemonCluster(tmp_path_factory.mktemp("ctl"), REPLICAS) as running:
        running.leader()
        yield running


@pytest.fixture
def ctl(cluster: DaemonCluster, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command on the cluster: its code, and what it wrote to stdout and stderr."""

    def ask(*arguments: str) -> tuple[int, str, str]:
        code = main(["--config", str(cluster.config), *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return ask


Ctl = Callable[..., tuple[int, str, str]]


def test_what_was_proposed_from_a_shell_is_read_from_a_shell(ctl: Ctl) -> None:
    receipts = [json.loads(ctl("propose", value, "-w", "json")[1]) for value in ("one", "two")]
    code, out, err = ctl("log", "-w", "json", "--start", str(receipts[0]["revision"]))

    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == [
        receipts[0] | {"value": "one"},
        receipts[1] | {"value": "two"},
    ]


def test_a_log_that_is_followed_goes_on_as_values_come(ctl: Ctl, cluster: DaemonCluster) -> None:
    follow = [
        sys.executable,
        "-m",
        "paxosd.commands.paxosctl",
        "--config",
        str(cluster.config),
        "log",
        "--follow",
        "-w",
        "json",
    ]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        ctl("propose", "while it is followed")
        for line in following.stdout:
            if json.loads(line)["value"] == "while it is followed":
                break
        following.stdout.close()  # as `head` does
        ctl("propose", "too much")

        assert following.wait(10) == 0


def test_a_value_over_the_limit_is_code_1_with_both_numbers(ctl: Ctl, cluster: DaemonCluster) -> None:
    propose = [sys.executable, "-m", "paxosd.commands.paxosctl", "--config", str(cluster.config), "propose", "-"]
    told = subprocess.run(propose, input=bytes((1 << 20) + 1), capture_output=True)

    assert told.returncode == 1
    assert re.search(r"not applied: .*1048577 bytes.*takes 1048576", told.stderr.decode())


def test_a_status_tells_of_dead_nodes_in_about_a_second_and_works_without_a_leader(
    ctl: Ctl, cluster: DaemonCluster
) -> None:
    def status() -> tuple[int, dict[str, Any]]:
        code, out, _ = ctl("status", "-w", "json")
        return code, json.loads(out)

    ctl("propose", "before")
    first, second = (node for node in REPLICAS if node != cluster.leader())
    cluster.kill(first)
    killed_at = time.monotonic()
    while any(node["reachable"] for node in status()[1]["nodes"] if node["node"] == first):
        assert time.monotonic() - killed_at < 3.0
    assert status()[0] == 0
    cluster.kill(second)
    while status()[0] == 0:
        assert time.monotonic() - killed_at < 10.0
    code, report = status()
    proposed, _, why = ctl("propose", "v", "--timeout", "3")
    read, _, why_not_read = ctl("log", "--timeout", "3")
    stale, out, _ = ctl("log", "--stale", "-w", "json")

    assert (code, report["leader"]) == (5, None)
    rows = {node["node"]: node for node in report["nodes"]}
    assert rows[first]["reachable"] is False
    assert rows[first]["silent_ms"] is None or rows[first]["silent_ms"] > 500
    assert (proposed, read, stale) == (4, 4, 0)
    assert "not applied: nobody leads" in why
    assert "paxosctl log --stale" in why_not_read
    assert json.loads(out.splitlines()[-1])["value"] == "before"


def test_a_cluster_of_which_no_gateway_has_caught_up_yet_is_not_well(capsys: pytest.CaptureFixture[str]) -> None:
    far = replace(NODES[3], applied=2000, per_s=400)
    report = replace(REPORT, watermark=10_000, nodes=(*NODES[:3], far))

    assert run(Played(report), "status") == 5
    shown = capsys.readouterr()
    assert "catches up, 400 slots/s" in shown.out
    assert "no gateway serves commands yet: l1 catches up, slot 2000 of 10000, 400 a second, 20 s more" in shown.err


def test_one_gateway_that_catches_up_is_shown_while_another_one_serves(capsys: pytest.CaptureFixture[str]) -> None:
    far = replace(NODES[4], applied=2000, per_s=400, reachable=True)
    report = replace(REPORT, watermark=10_000, nodes=(*NODES[:3], replace(NODES[3], applied=10_000), far))

    assert run(Played(report), "status") == 0
    assert "catches up, 400 slots/s" in capsys.readouterr().out
