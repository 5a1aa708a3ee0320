"""Real daemons of a cluster that keeps little of its log: a learner that comes back without its disk has all again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paxosd import Client
from tests.system.daemons import REPLICAS, ROLES, Daemon, DaemonCluster

VALUES = 600
KEPT = 50
LAYOUTS = [pytest.param(ROLES, "l2", id="roles"), pytest.param(REPLICAS, "r3", id="replicas")]


def propose(client: Client, count: int, name: str) -> None:
    """One after the other: each value has a slot of its own."""
    for number in range(count):
        client.propose(f"{name} {number}".encode(), timeout=20)


def log_of(cluster: DaemonCluster, gateway: str) -> list[tuple[int, bytes]]:
    with cluster.client([gateway], timeout=30) as client:
        return [(entry.revision, entry.value) for entry in client.log()]


@pytest.mark.parametrize(("roles", "late"), LAYOUTS)
def test_n13_a_learner_whose_disk_was_lost_takes_the_state_of_another_one_also_if_it_is_killed_meanwhile(
    tmp_path: Path, roles: dict[str, str], late: str
) -> None:
    with DaemonCluster(tmp_path, roles, f"log: {{keep_entries: {KEPT}}}") as cluster, cluster.client() as client:
        propose(client, VALUES, "before,")
        cluster.kill(late)
        shutil.rmtree(tmp_path / late)
        for acceptor in cluster.having("acceptor", "replica"):  # they keep votes for the slow, but of this life only
            if acceptor != late:
                cluster.kill(acceptor)
                cluster.start(acceptor)
        propose(client, 300, "without it,")
        for seen in (r"snapshot\.asked", "leader.heard", "leader.heard"):
            daemon = Daemon(late, roles[late], cluster.config, tmp_path / late, tmp_path / f"{late}.log")
            cluster.daemons[late] = daemon
            daemon.await_logged(seen)
            cluster.kill(late)
        cluster.start(late)
        propose(client, 100, "after it,")
        last = client.propose(b"the last", timeout=20).revision
        others = [gateway for gateway in cluster.gateways if gateway != late]
        logs = [log_of(cluster, gateway) for gateway in (late, *others)]

    assert all(log == logs[0] for log in logs)
    assert logs[0][-1] == (last, b"the last")
    assert last == VALUES + 300 + 100 + 1
    assert "snapshot.installed" in (tmp_path / f"{late}.log").read_text()
    assert not list((tmp_path / late).glob("*incoming*"))
