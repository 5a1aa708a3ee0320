"""What a cluster says that cannot go on, or cannot begin, by itself: status, errors and logs name the cause and the way
out."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from paxosd import NoQuorum
from paxosd.storage.directory import STORE_NAME
from tests.system.daemons import REPLICAS, ROLES, DaemonCluster

SAID_WITHIN_S = 30.0


def ctl(cluster: DaemonCluster, *arguments: str) -> tuple[int, str]:
    """The exit code of a command, and all that it printed."""
    command = [sys.executable, "-m", "paxosd.commands.paxosctl", "--config", str(cluster.config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def await_said(cluster: DaemonCluster, words: str, *arguments: str) -> tuple[int, str]:
    """The same, of the first time that it prints these words; what it says grows with what nodes have heard."""
    deadline = time.monotonic() + SAID_WITHIN_S
    while True:
        code, said = ctl(cluster, *arguments)
        if words in said:
            return code, said
        assert time.monotonic() < deadline, f"{arguments} never said {words!r}; at last it said\n{said}"


def filled(cluster: DaemonCluster) -> None:
    """It is born and has some values, and ends."""
    with cluster, cluster.client(timeout=30) as client:
        for number in range(5):
            client.propose(b"value-%d" % number)
        for gateway in cluster.gateways:  # each has learned all of them by then
            with cluster.client([gateway], timeout=30) as one:
                assert len(list(one.log())) == 5


@pytest.mark.parametrize(("roles", "lost"), [(ROLES, ("a1", "a2")), (REPLICAS, ("r1", "r2"))])
def test_a_lost_majority_of_disks_is_told_as_that_with_the_way_out(
    roles: dict[str, str], lost: tuple[str, ...], tmp_path: Path
) -> None:
    cluster = DaemonCluster(tmp_path, roles)
    filled(cluster)
    for node in lost:
        shutil.rmtree(tmp_path / node)
    words = f"2 of 3 disks that vote are new or went back ({', '.join(lost)}): nothing happens by itself"
    with cluster:
        code, status = await_said(cluster, words, "status")
        assert code == 5
        assert "paxosd rescue --plan" in status
        assert "paxosctl backup --stale" in status
        assert "look at the nodes that are not reachable" not in status
        code, said = await_said(cluster, words, "propose", "v", "--timeout", "3")
        assert code == 4
        assert said.startswith("paxosctl: not applied: ")
        assert "paxosd rescue --plan" in said
        with cluster.client(timeout=3) as client, pytest.raises(NoQuorum, match="2 of 3 disks that vote are new"):
            list(client.log())
        logs = "".join(daemon.written() for daemon in cluster.daemons.values())

    assert f"WARNING disk.quorum_lost what={words}" in logs


def test_one_lost_disk_and_one_node_that_is_away_are_told_apart(tmp_path: Path) -> None:
    cluster = DaemonCluster(tmp_path, ROLES)
    filled(cluster)
    shutil.rmtree(tmp_path / "a1")
    with cluster:
        pass  # a2 is ended before anybody could admit a1: it is not started below
    cluster.roles.pop("a2")
    shutil.rmtree(tmp_path / "a1")
    with cluster:
        code, said = await_said(cluster, "the disk of a1 is new or went back", "status")

    assert code == 5
    assert "bring back a2 with the directory that it had" in said


def test_who_waits_for_a_birth_is_told_for_whom_and_what_to_do(tmp_path: Path) -> None:
    cluster = DaemonCluster(tmp_path, ROLES)
    cluster.roles.pop("a3")
    with cluster:
        code, said = await_said(cluster, "a3 is not", "status")
        assert code == 5
        assert "the cluster is not born yet" in said
        assert "look at the nodes that are not reachable" not in said
        code, said = await_said(cluster, "a3 is not", "propose", "v", "--timeout", "3")
        assert code == 4
        assert "not applied: the cluster is not born yet" in said
        assert "--birth-without a3" in said
        code, said = await_said(cluster, "a3 is not", "log", "--timeout", "3")
        assert (code, "--birth-without a3" in said) == (4, True)


def start_late(cluster: DaemonCluster, node: str) -> None:
    """A node that was left out when the cluster was started."""
    cluster.roles[node] = ROLES[node]
    cluster.start(node)


def test_a_cluster_that_heard_of_an_old_directory_is_born_once_that_directory_is_gone(tmp_path: Path) -> None:
    cluster = DaemonCluster(tmp_path, ROLES)
    filled(cluster)
    for node in ROLES:
        if node != "l1":
            shutil.rmtree(tmp_path / node)
    cluster.roles.pop("l2")  # it would take the log from l1
    with cluster:
        for node in ("a1", "a2", "a3"):
            cluster.daemons[node].await_logged(r"WARNING history\.heard_of .* l1 has a directory of one")
        code, said = await_said(cluster, "l1 has a directory of one", "status")
        assert code == 5
        assert "start l1 with an empty one" in said
        cluster.daemons["l1"].end(signal.SIGTERM)
        shutil.rmtree(tmp_path / "l1")
        start_late(cluster, "l2")
        cluster.start("l1")
        with cluster.client(timeout=30) as client:
            client.propose(b"later")
            found = [entry.value for entry in client.log()]

    assert found == [b"later"]


def test_nothing_is_forgotten_of_an_old_history_while_a_node_is_away(tmp_path: Path) -> None:
    cluster = DaemonCluster(tmp_path, ROLES)
    filled(cluster)
    for node in ROLES:
        if node != "l1":
            shutil.rmtree(tmp_path / node)
    cluster.roles.pop("l2")  # it would take the log from l1
    with cluster:
        cluster.daemons["a1"].await_logged(r"history\.heard_of")
        cluster.daemons["l1"].end(signal.SIGTERM)
        start_late(cluster, "l2")
        _, said = await_said(cluster, "none speaks of it: start l1", "status")
        assert "history not born yet" in said
        cluster.start("l1")  # with what it has, which is all there is
        with cluster.client(["l1"], timeout=30) as client:
            assert [entry.value for entry in client.log(linearizable=False)] == [b"value-%d" % n for n in range(5)]
        logs = "".join(daemon.written() for daemon in cluster.daemons.values())

    assert "history.forgotten" not in logs


def test_what_only_lost_learners_had_is_told_with_the_way_out_and_one_of_them_is_enough(tmp_path: Path) -> None:
    cluster = DaemonCluster(tmp_path, ROLES, "limits: {window_slots: 1}")
    learners = ("l1", "l2")
    with cluster:
        with cluster.client(timeout=30) as client:
            for number in range(20):
                client.propose(b"value-%d" % number)
        await_floors(cluster)
    for node in learners:
        (tmp_path / node).rename(tmp_path / f"{node}-lost")
    words = "acceptors let go of it, and no learner that is heard has it"
    with cluster:
        code, said = await_said(cluster, words, "status")
        assert (code, "paxosd rescue --plan" in said) == (5, True)
        code, said = await_said(
            cluster, "gets no further at the moment: `paxosctl status` says", "propose", "v", "--timeout", "3"
        )
        assert code == 4
        cluster.kill("l1")
        shutil.rmtree(tmp_path / "l1")
        (tmp_path / "l1-lost").rename(tmp_path / "l1")
        cluster.start("l1")
        with cluster.client(["l2"], timeout=30) as client:
            client.propose(b"later")
            assert len(list(client.log())) == 21
        logs = cluster.daemons["l2"].written()

    assert re.search(rf"WARNING log\.gone what=.*{words}", logs)


def await_floors(cluster: DaemonCluster) -> None:
    """Until all acceptors have let go of the first votes."""
    deadline = time.monotonic() + SAID_WITHIN_S
    for node in ("a1", "a2", "a3"):
        records = f"file:{cluster.folder / node / STORE_NAME}?mode=ro"
        while True:
            with closing(sqlite3.connect(records, uri=True)) as db:
                if db.execute("SELECT min(slot) FROM votes").fetchone()[0] > 1:
                    break
            assert time.monotonic() < deadline, f"{node} keeps all its votes"
            time.sleep(0.2)
