"""Real daemons of a cluster that keeps little of its log: a learner that comes back without its disk has all again."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from paxosd import Client
from paxosd.core.floor import SYNC_EVERY_S
from paxosd.core.types import FIRST_SLOT
from tests.system.daemons import REPLICAS, ROLES, Daemon, DaemonCluster

VALUES = 200
KEPT = 50
MANY_KEPT = 25_000
LAYOUTS = [pytest.param(ROLES, "l2", id="roles"), pytest.param(REPLICAS, "r3", id="replicas")]


def propose(client: Client, name: str, until: Callable[[], bool]) -> int:
    """One after the other, each value with a slot of its own, and `VALUES` at least; returns how many."""
    for number in itertools.count():
        if number >= VALUES and until():
            return number
        client.propose(f"{name} {number}".encode(), timeout=20)
    raise AssertionError


def lets_go_of_votes(data_dir: Path) -> bool:
    """Whether this acceptor has no vote any more for what was chosen right after the birth."""
    with closing(sqlite3.connect(f"file:{data_dir}/records.sqlite3?mode=ro", uri=True, timeout=10)) as db:
        return bool(db.execute("SELECT min(slot) FROM votes").fetchone()[0] > FIRST_SLOT + 1)


def log_of(cluster: DaemonCluster, gateway: str) -> list[tuple[int, bytes]]:
    with cluster.client([gateway], timeout=30) as client:
        return [(entry.revision, entry.value) for entry in client.log()]


@pytest.mark.parametrize(("roles", "late"), LAYOUTS)
def test_n13_a_learner_whose_disk_was_lost_takes_the_state_of_another_one_also_if_it_is_killed_meanwhile(
    tmp_path: Path, roles: dict[str, str], late: str
) -> None:
    with DaemonCluster(tmp_path, roles, f"log: {{keep_entries: {KEPT}}}") as cluster, cluster.client() as client:
        all_have_told = time.monotonic() + 2 * SYNC_EVERY_S  # how far their state is durable: the floor rests on it
        count = propose(client, "before,", until=lambda: time.monotonic() > all_have_told)
        cluster.kill(late)
        shutil.rmtree(tmp_path / late)
        acceptors = [node for node in cluster.having("acceptor", "replica") if node != late]
        for acceptor in acceptors:  # they keep votes for the slow, but of this life only
            cluster.kill(acceptor)
            cluster.start(acceptor)
        count += propose(client, "without it,", until=lambda: all(lets_go_of_votes(tmp_path / a) for a in acceptors))
        for seen in (r"snapshot\.asked", "leader.heard", "leader.heard"):
            daemon = Daemon(late, roles[late], cluster.config, tmp_path / late, tmp_path / f"{late}.log")
            cluster.daemons[late] = daemon
            daemon.await_logged(seen)
            cluster.kill(late)
        cluster.start(late)
        count += propose(client, "after it,", until=lambda: True)
        last = client.propose(b"the last", timeout=20).revision
        others = [gateway for gateway in cluster.gateways if gateway != late]
        logs = [log_of(cluster, gateway) for gateway in (late, *others)]

    assert all(log == logs[0] for log in logs)
    assert logs[0][-1] == (last, b"the last")
    assert last == count + 1
    assert "snapshot.installed" in (tmp_path / f"{late}.log").read_text()
    assert not list((tmp_path / late).glob("*incoming*"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_n21_while_a_snapshot_of_many_megabytes_is_told_and_taken_nobody_else_is_elected(tmp_path: Path) -> None:
    with (
        DaemonCluster(tmp_path, REPLICAS, f"log: {{keep_entries: {MANY_KEPT}}}") as cluster,
        cluster.client() as client,
    ):
        propose_many(client, MANY_KEPT + 2000)
        leader = cluster.leader()
        late = next(node for node in cluster.gateways if node != leader)
        cluster.kill(late)
        shutil.rmtree(tmp_path / late)
        elected = count_elected(tmp_path, cluster)
        cluster.start(late)
        daemon, waited_s = cluster.daemons[late], 0.0
        while "snapshot.installed" not in (tmp_path / f"{late}.log").read_text():
            began = time.monotonic()
            client.propose(b"meanwhile", timeout=20)
            waited_s = max(waited_s, time.monotonic() - began)
            assert daemon.process.poll() is None
        last = client.propose(b"the last", timeout=20).revision
        with cluster.client([late], timeout=60) as reader:
            end = next(iter(reader.log(start=last)))

        assert (end.revision, end.value) == (last, b"the last")
        assert cluster.leader() == leader
        assert count_elected(tmp_path, cluster) == elected
    print(f"the slowest of the commands meanwhile took {waited_s:.3f} s")


def propose_many(client: Client, count: int) -> None:
    """Values of 4 KiB, a hundred at a time."""
    for first in range(0, count, 100):
        futures = [client.propose_async(b"%d " % number + bytes(4096)) for number in range(first, first + 100)]
        for future in futures:
            future.result(timeout=60)


def count_elected(folder: Path, cluster: DaemonCluster) -> int:
    return sum((folder / f"{node}.log").read_text().count("leader.elected") for node in cluster.gateways)
