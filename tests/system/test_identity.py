"""Daemons with the file, the directory or the records of something else: refused, with both sides named."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from paxosd import PaxosError
from paxosd.storage.directory import IDENTITY_NAME, STORE_NAME
from tests.system.daemons import REPLICAS, Daemon, DaemonCluster


def ran(folder: Path, values: int = 5, prefix: bytes = b"value") -> DaemonCluster:
    """A cluster of replicas that was born, has some values, and is off."""
    folder.mkdir(exist_ok=True)
    cluster = DaemonCluster(folder, REPLICAS)
    with cluster:
        with cluster.client(timeout=30) as client:
            for number in range(values):
                client.propose(b"%s-%d" % (prefix, number))
        stop(cluster)
    return cluster


def stop(cluster: DaemonCluster) -> None:
    for daemon in cluster.daemons.values():
        daemon.send(signal.SIGTERM)
    assert [daemon.process.wait(10) for daemon in cluster.daemons.values()] == [0] * len(cluster.daemons)


def read(cluster: DaemonCluster) -> list[bytes]:
    """All values, of the cluster that is started for it."""
    with cluster:
        with cluster.client(timeout=30) as client:
            found = [entry.value for entry in client.log()]
        stop(cluster)
    return found


def refused(cluster: DaemonCluster, node: str) -> tuple[int, str]:
    """The exit code of a node that does not start, and what it said."""
    daemon = Daemon(node, cluster.roles[node], cluster.config, cluster.folder / node, cluster.folder / f"{node}.log")
    try:
        return daemon.process.wait(30), daemon.written()
    finally:
        daemon.end(signal.SIGKILL)


def identity(cluster: DaemonCluster, node: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((cluster.folder / node / IDENTITY_NAME).read_text())
    return found


MORE = '  r4: {role: replica, address: "127.0.0.1:9"}\n  r5: {role: replica, address: "127.0.0.1:10"}\n'
CHANGES = {
    "more acceptors": (r"\Z", MORE, "acceptor r4 is in the file and was not there at the birth"),
    "an acceptor less": (r"  r3: .*\n", "", "acceptor r3 was there at the birth and is not in the file"),
    "another weight": (
        r"(r1: \{)",
        r"\1weight: 2, ",
        "acceptor r1 has weight 1 since the birth, and weight 2 in the file",
    ),
    "other quorums": (
        r"\Z",
        "quorum: {prepare: 3, accept: 1}\n",
        "quorum.prepare is 2 since the birth, and 3 in the file",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_i04_a_file_with_other_voters_is_refused_with_the_difference_and_nothing_is_served(
    change: str, tmp_path: Path
) -> None:
    cluster = ran(tmp_path)
    whole = cluster.config.read_text()
    pattern, instead, difference = CHANGES[change]
    changed = re.sub(pattern, instead, whole, count=1)
    assert changed != whole
    cluster.config.write_text(changed)
    for node in ("r1", "r2"):
        code, said = refused(cluster, node)
        assert (code, difference in said, identity(cluster, node)["history"] in said) == (7, True, True), said
        assert "ready node=" not in said
    cluster.config.write_text(whole)

    assert read(cluster) == [b"value-%d" % number for number in range(5)]


def test_i07_records_that_were_swapped_between_two_nodes_are_refused_with_both_named(tmp_path: Path) -> None:
    cluster = ran(tmp_path)

    def swap() -> None:
        for name in (STORE_NAME, f"{STORE_NAME}-acknowledged"):
            (cluster.folder / "r1" / name).rename(cluster.folder / name)
            (cluster.folder / "r2" / name).rename(cluster.folder / "r1" / name)
            (cluster.folder / name).rename(cluster.folder / "r2" / name)

    swap()
    for node, other in (("r1", "r2"), ("r2", "r1")):
        code, said = refused(cluster, node)
        assert code == 8
        assert f"belongs to directory {identity(cluster, other)['directory']} of node {other}" in said
        assert f"{identity(cluster, node)['directory']} of node {node}" in said
    swap()

    assert read(cluster) == [b"value-%d" % number for number in range(5)]


def test_i07_an_older_copy_of_the_records_alone_is_refused_once_its_directory_has_a_history(tmp_path: Path) -> None:
    cluster = DaemonCluster(tmp_path, REPLICAS)
    with cluster:  # r3 is made while nobody can be born: one of three is not there
        cluster.kill(*REPLICAS)
    made = {file.name: file.read_bytes() for file in (tmp_path / "r3").glob(f"{STORE_NAME}*")}
    cluster = ran(tmp_path)
    for file in (tmp_path / "r3").glob(f"{STORE_NAME}*"):
        file.unlink()
    for name, data in made.items():
        (tmp_path / "r3" / name).write_bytes(data)
    code, said = refused(cluster, "r3")

    assert (code, "knows of no history" in said, identity(cluster, "r3")["history"] in said) == (8, True, True), said


def test_i03_a_directory_of_another_cluster_of_the_same_file_is_refused_with_both_histories(tmp_path: Path) -> None:
    cluster = ran(tmp_path, prefix=b"first")
    first = identity(cluster, "r1")["history"]
    (tmp_path / "r1").rename(tmp_path / "first-r1")
    for node in ("r2", "r3"):
        shutil.rmtree(tmp_path / node)
    with cluster, cluster.client(timeout=30) as client:
        for number in range(7):
            client.propose(b"second-%d" % number)
    second = identity(cluster, "r2")["history"]
    shutil.rmtree(tmp_path / "r1")
    (tmp_path / "first-r1").rename(tmp_path / "r1")
    with cluster:
        told = f"{first[:8]}.*{second[:8]}|{second[:8]}.*{first[:8]}"
        cluster.daemons["r1"].await_logged(told)
        with cluster.client(["r2", "r3"], timeout=30) as client:
            client.propose(b"later")
            found = [entry.value for entry in client.log()]
        with cluster.client(["r1"], timeout=2) as alone, pytest.raises(PaxosError):
            list(alone.log())

    assert first != second
    assert found == [*(b"second-%d" % number for number in range(7)), b"later"]


def test_i05_a_node_whose_records_are_damaged_comes_back_with_an_empty_directory_as_it_was_told(tmp_path: Path) -> None:
    cluster = ran(tmp_path)
    (tmp_path / "r3" / STORE_NAME).write_bytes(b"damage" * 1000)
    code, said = refused(cluster, "r3")
    assert (code, "move the whole data directory away" in said, "start this node with an empty one" in said) == (
        8,
        True,
        True,
    )
    (tmp_path / "r3").rename(tmp_path / "r3-damaged")
    with cluster:
        with cluster.client(timeout=30) as client:
            client.propose(b"with r3 admitted or not")
        await_logged(cluster, r"disk\.admitted node=r3")
        cluster.daemons["r3"].await_logged(r"disk\.copied")
        cluster.kill("r1")  # from here on nothing is chosen without the new disk
        with cluster.client(["r2", "r3"], timeout=30) as client:
            client.propose(b"with the vote of r3")
            found = [entry.value for entry in client.log()]

    assert found == [*(b"value-%d" % n for n in range(5)), b"with r3 admitted or not", b"with the vote of r3"]


def await_logged(cluster: DaemonCluster, pattern: str) -> None:
    """Return once any node has logged this."""
    deadline = time.monotonic() + 30
    while not any(re.search(pattern, daemon.written()) for daemon in cluster.daemons.values()):
        assert time.monotonic() < deadline, f"nobody logged {pattern}"
        time.sleep(0.02)
