"""Whole clusters of paxosd 0.2.0, upgraded by the command, and started: all that was acknowledged is read again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from paxosd import Client, PaxosError
from paxosd.core.decrees import Birth, decree_of
from paxosd.core.voters import Voters
from paxosd.local.cluster import LocalCluster, local_config
from paxosd.local.directory import CLAIM_NAME
from paxosd.storage.directory import STORE_NAME
from paxosd.storage.sqlite.store import SQLiteStore
from paxosd.storage.upgrade import ASIDE_NAME, Upgrade
from tests.golden.old import CLUSTERS, NODES, read_then, role_of, unpack
from tests.system.daemons import DaemonCluster


def paxosd(*arguments: str) -> tuple[int, str, str]:
    """The exit code, and what was said on stdout and stderr."""
    done = subprocess.run([sys.executable, "-m", "paxosd", *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def daemons(tmp_path: Path) -> DaemonCluster:
    """The cluster of roles over ZeroMQ, not started."""
    unpack("roles", tmp_path)
    cluster = DaemonCluster(tmp_path, {node: role_of(node) for name, node in NODES if name == "roles"})
    cluster.config.write_text(cluster.config.read_text().replace("cluster: test", f"cluster: {CLUSTERS['roles']}"))
    return cluster


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """The directory of the local cluster."""
    return unpack("replicas", tmp_path / "data")


def upgrade(cluster: DaemonCluster, node: str) -> tuple[int, str, str]:
    where = ("--data-dir", str(cluster.folder / node))
    return paxosd("upgrade", "--config", str(cluster.config), "--id", node, *where)


def test_u05_daemons_go_on_after_the_upgrade_with_all_that_was_read(daemons: DaemonCluster) -> None:
    for node in daemons.roles:
        code, said, _ = upgrade(daemons, node)
        assert (code, "upgraded" in said, "next: upgrade every other node" in said) == (0, True, True)
    with daemons, daemons.client(timeout=30) as client:
        client.propose(b"after the upgrade")
        found = list(client.log())

    assert found[:-1] == read_then("roles")
    assert found[-1].value == b"after the upgrade"


def test_the_procedure_that_is_written_down_does_it(daemons: DaemonCluster) -> None:
    text = (Path(__file__).parents[2] / "docs" / "upgrade.md").read_text()
    lines = re.findall(r"^    (.*)$", text, re.MULTILINE)
    script = "\n".join(lines[: lines.index("done") + 1])
    data = daemons.folder / "paxosd-data"
    data.mkdir()
    for node in daemons.roles:
        (daemons.folder / node).rename(data / node)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-ec", script], cwd=daemons.folder, env=env, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout.count(": upgraded\n")) == (0, len(daemons.roles)), done.stderr


def test_u05_a_local_cluster_goes_on_after_the_upgrade_with_all_that_was_read(local: Path) -> None:
    code, said, _ = paxosd("upgrade", "--data-dir", str(local))
    assert (code, f"paxosd local --data-dir {local}" in said) == (0, True)
    with LocalCluster(local_config(None, None, None, 3), local) as cluster, cluster.client(timeout=30) as client:
        client.propose(b"after the upgrade")
        found = list(client.log())

    assert found[:-1] == read_then("replicas")
    assert found[-1].value == b"after the upgrade"


@pytest.mark.parametrize("change", [{"window_slots_max": 32}, {"of_an_earlier_version": 7}])
def test_a_local_cluster_with_the_limits_of_another_version_goes_on_too(change: dict[str, int], local: Path) -> None:
    claim = json.loads((local / CLAIM_NAME).read_text())
    claim[5] |= change
    (local / CLAIM_NAME).write_text(json.dumps(claim) + "\n")
    assert paxosd("upgrade", "--data-dir", str(local))[0] == 0
    with LocalCluster(local_config(None, None, None, 3), local) as cluster, cluster.client(timeout=30) as client:
        client.propose(b"after the upgrade")
        found = list(client.log())

    assert found[:-1] == read_then("replicas")


def test_an_upgraded_cluster_is_born_behind_its_log_and_says_what_it_continues(local: Path) -> None:
    paxosd("upgrade", "--data-dir", str(local))
    with LocalCluster(local_config(None, None, None, 3), local) as cluster, cluster.client(timeout=30) as client:
        client.propose(b"after the upgrade")
    voters, births = set(), set()
    for node in ("r1", "r2", "r3"):
        with closing(SQLiteStore(local / node / STORE_NAME)) as store:
            voters |= {record for record in store.records() if isinstance(record, Voters)}
            births |= {decree for vote in store.votes(1, 1 << 40, 1 << 40) if (decree := decree_of(vote.value))}
    (known,), (birth,) = voters, births

    assert isinstance(birth, Birth)
    assert (birth.continues, birth.history) == (b"format 1", known.history)
    assert known.birth > read_then("replicas")[-1].slot
    assert {voter.node for voter in known.named} == {"r1", "r2", "r3"}
    for node in ("r1", "r2", "r3"):
        assert json.loads((local / node / "identity.json").read_text())["history"] == known.history.hex()


def test_an_upgraded_cluster_is_not_born_while_one_of_its_acceptors_is_blank(daemons: DaemonCluster) -> None:
    """The blank one may have promised and voted for what the others do not know of."""
    for node in daemons.roles:
        upgrade(daemons, node)
    aside = daemons.folder / "aside"
    (daemons.folder / "a1").rename(aside)
    with daemons:
        with daemons.client(timeout=3) as client, pytest.raises(PaxosError):
            client.propose(b"nobody may acknowledge this")
        daemons.kill("a1")
        shutil.rmtree(daemons.folder / "a1")
        aside.rename(daemons.folder / "a1")
        daemons.start("a1")
        with daemons.client(timeout=30) as client:
            client.propose(b"after the upgrade")
            found = [entry for entry in client.log() if entry.value != b"nobody may acknowledge this"]

    assert found[:-1] == read_then("roles")


# ---- refused, with the way -------------------------------------------------------------------


def test_u05_a_daemon_says_how_its_directory_of_0_2_0_is_upgraded(daemons: DaemonCluster) -> None:
    where = daemons.folder / "a1"
    code, _, said = paxosd(
        "--role", "acceptor", "--id", "a1", "--config", str(daemons.config), "--data-dir", str(where)
    )

    assert code == 8
    assert (
        f"stop every node of the cluster, and run for each: paxosd upgrade --config FILE --id ID --data-dir {where}"
        in said
    )


def test_u05_a_local_cluster_says_how_its_directory_of_0_2_0_is_upgraded(local: Path) -> None:
    code, _, said = paxosd("local", "--replicas", "3", "--data-dir", str(local))

    assert (code, f"run `paxosd upgrade --data-dir {local}` first" in said) == (7, True)


def test_a_local_cluster_of_other_nodes_is_refused_after_the_upgrade_too(local: Path) -> None:
    paxosd("upgrade", "--data-dir", str(local))
    code, _, said = paxosd("local", "--replicas", "5", "--data-dir", str(local))

    assert (code, "holds a cluster of other nodes or quorums" in said) == (7, True)


def test_d13_no_node_of_a_local_cluster_is_upgraded_while_one_of_them_is_in_use(local: Path) -> None:
    before = {path: path.read_bytes() for path in local.rglob(STORE_NAME)}
    with Upgrade(local / "r3"):
        code, _, said = paxosd("upgrade", "--data-dir", str(local))

    assert (code, "is in use by process" in said) == (8, True)
    assert {path: path.read_bytes() for path in before} == before


def test_a_node_that_is_upgraded_already_is_said_to_be(daemons: DaemonCluster) -> None:
    said = [upgrade(daemons, "p1") for _ in range(2)]

    assert [code for code, *_ in said] == [0, 0]
    assert "is of this format already; nothing was done" in said[1][1]


@pytest.mark.parametrize(("arguments", "code", "reason"), [
    (["--id", "a1"], 2, "--config and --id belong together"),
    ([], 2, "name a node with --config and --id"),
    (["--config", "FILE", "--id", "a9"], 7, "there is no node 'a9'"),
    (["--config", "nowhere.yaml", "--id", "a1"], 7, "cannot be read"),
    (["--config", "FILE", "--id", "a1", "--data-dir", "DIR/a2"], 8, "belongs to acceptor a2 of cluster golden"),
    (["--config", "FILE", "--id", "a1", "--data-dir", "DIR"], 8, "is no data directory"),
    (["--data-dir", "DIR/a1"], 8, "is no directory of a `paxosd local`"),
])  # fmt: skip
def test_what_cannot_be_upgraded_is_refused_with_the_reason(
    arguments: list[str], code: int, reason: str, daemons: DaemonCluster
) -> None:
    given = [text.replace("FILE", str(daemons.config)).replace("DIR", str(daemons.folder)) for text in arguments]
    found, _, said = paxosd("upgrade", *given)

    assert (found, reason in said) == (code, True), said


def test_an_upgrade_finds_the_directory_where_the_membership_file_says(daemons: DaemonCluster) -> None:
    with daemons.config.open("a") as file:
        file.write("storage: {dir: .}\n")
    code, said, _ = paxosd("upgrade", "--config", str(daemons.config), "--id", "a1")

    assert (code, str(daemons.folder / "a1") in said) == (0, True)


@pytest.fixture
def cut_off(daemons: DaemonCluster) -> Iterator[DaemonCluster]:
    """An acceptor of which the old file stands aside still."""
    upgrade(daemons, "a1")
    (daemons.folder / "a1" / ASIDE_NAME).write_bytes(b"")
    yield daemons


def test_c11_a_daemon_does_not_run_on_an_upgrade_that_was_cut_off(cut_off: DaemonCluster) -> None:
    where = str(cut_off.folder / "a1")
    given = ("--role", "acceptor", "--id", "a1", "--config", str(cut_off.config), "--data-dir", where)
    code, _, said = paxosd(*given)

    assert (code, "an upgrade was cut off; go on with it: paxosd upgrade" in said) == (8, True)
    assert (upgrade(cut_off, "a1")[0], (Path(where) / ASIDE_NAME).exists()) == (0, False)


def test_a_client_of_this_version_reads_with_its_own_session(local: Path) -> None:
    """Sessions of 0.2.0 lived in processes that speak another wire version: whoever connects now begins one anew."""
    paxosd("upgrade", "--data-dir", str(local))
    with LocalCluster(local_config(None, None, None, 3), local) as cluster:
        clients: list[Client] = [cluster.client(timeout=30) for _ in range(3)]
        receipts = [client.propose(b"of client %d" % number) for number, client in enumerate(clients)]
        found = {entry.revision: entry.value for entry in clients[0].log()}
        for client in clients:
            client.close()

    assert [found[receipt.revision] for receipt in receipts] == [b"of client 0", b"of client 1", b"of client 2"]
    assert len(found) == len(read_then("replicas")) + 3
