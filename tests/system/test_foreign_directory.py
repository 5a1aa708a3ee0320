"""A node has the directory of another history of its cluster: it is named, and no answer is wrong because of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paxosd import PaxosError, StatusReport
from tests.system.daemons import REPLICAS, DaemonCluster
from tests.system.test_lost_disks import await_said, ctl

OLD, NEW = [b"old-%d" % number for number in range(3)], [b"new-%d" % number for number in range(5)]


def filled(cluster: DaemonCluster, values: list[bytes]) -> bytes:
    """The cluster is born with these values, and ends; returns its history."""
    with cluster, cluster.client(timeout=30) as client:
        for value in values:
            client.propose(value)
        report: StatusReport = client.status()
    return report.history


def with_an_old_directory(folder: Path) -> tuple[DaemonCluster, str, str]:
    """r1 has the directory of the history before; both histories, as they are shown."""
    cluster = DaemonCluster(folder, REPLICAS)
    old = filled(cluster, OLD)
    (folder / "r1").rename(folder / "old")
    for node in ("r2", "r3"):
        shutil.rmtree(folder / node)
    new = filled(cluster, NEW)
    shutil.rmtree(folder / "r1")
    (folder / "old").rename(folder / "r1")
    return cluster, old.hex()[:8], new.hex()[:8]


def test_a_node_with_an_old_directory_is_named_and_gives_nothing_out_of_its_log(tmp_path: Path) -> None:
    cluster, old, new = with_an_old_directory(tmp_path)
    with cluster:
        code, said = await_said(cluster, f"ALARM: r1: r1 has a directory of history {old}", "status")
        assert code == 5
        assert "seen from r1" not in said
        assert f"r1    replica  of history {old}" in said
        assert f"the others are of {new}" in said
        with cluster.client(["r1"], timeout=3) as alone:
            for ask in (lambda: list(alone.log()), lambda: list(alone.log(linearizable=False)), alone.status):
                with pytest.raises(PaxosError, match=f"r1 has a directory of history {old}, and other nodes have"):
                    ask()
            with pytest.raises(PaxosError, match=f"not applied: r1 has a directory of history {old}"):
                alone.propose(b"v")
        for _ in range(3):  # r1 is the first gateway of the file
            code, said = ctl(cluster, "log", "--stale")
            assert (code, "old-" in said, said.count("new-")) == (0, False, 5)
        with cluster.client(timeout=30) as client:
            client.propose(b"later")
            assert [entry.value for entry in client.log()] == [*NEW, b"later"]


def test_the_majority_is_not_mistaken_for_the_stranger_while_its_leader_is_away(tmp_path: Path) -> None:
    cluster, old, _ = with_an_old_directory(tmp_path)
    with cluster:
        await_said(cluster, f"ALARM: r1: r1 has a directory of history {old}", "status")
        cluster.kill("r3")
        with cluster.client(["r2"], timeout=10) as client:
            report = client.status()

    assert {row.node: bool(row.alarm) for row in report.nodes} == {"r1": True, "r2": False, "r3": False}
