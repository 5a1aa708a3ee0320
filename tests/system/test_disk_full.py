"""Real daemons on a disk that fills up: refused in time, read all the while, started again, and nothing lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paxosd import Client, NodeStatus, NoSpace, PaxosError
from paxosd.core.space import Space
from paxosd.process.exits import Exit
from paxosd.storage.ballast import BALLAST_NAME
from tests.system.daemons import REPLICAS, DaemonCluster
from tests.system.tiny_disk import TinyDisk, tiny_disk

MIB = 1 << 20
ONE = {"r1": "replica"}
WITHIN_S = 20.0


@contextmanager
def cluster_on(
    folder: Path, roles: dict[str, str], size_bytes: int = 96 * MIB
) -> Iterator[tuple[DaemonCluster, TinyDisk]]:
    """A cluster whose r1 has its directory on a small disk."""
    with tiny_disk(folder, size_bytes) as disk:
        (disk.path / "r1").mkdir()
        (folder / "r1").symlink_to(disk.place / "r1")
        with DaemonCluster(folder, roles, entering={"r1": disk.entering}) as cluster:
            yield cluster, disk


def row(client: Client, node: str = "r1") -> NodeStatus:
    return next(row for row in client.status().nodes if row.node == node)


def await_that(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)


def is_full(disk: TinyDisk, client: Client) -> bool:
    """Whether it says so, once what its journal gave back is filled, too."""
    disk.fill()
    return row(client).space == Space.FULL


def proposed(client: Client, value: bytes) -> bool:
    """Whether it was taken; a leader may just hand over."""
    try:
        client.propose(value, timeout=2)
    except PaxosError as error:
        assert error.outcome == "not_applied" or not isinstance(error, NoSpace)
        return False
    return True


def values(client: Client) -> list[bytes]:
    return [entry.value for entry in client.log(timeout=WITHIN_S)]


def test_o09_writes_are_refused_before_the_disk_is_full_and_reads_go_on_and_writes_come_back_by_themselves(
    tmp_path: Path,
) -> None:
    with cluster_on(tmp_path, ONE) as (cluster, disk), cluster.client(timeout=WITHIN_S) as client:
        disk.fill(leave_bytes=56 * MIB)
        acknowledged = []
        with pytest.raises(NoSpace, match="make room") as refused:
            for number in range(10_000):
                value = b"%d " % number + bytes(50_000)
                client.propose(value, timeout=2)
                acknowledged.append(value)
        left = disk.free_bytes
        while_short = values(client)
        told = row(client)
        disk.empty()
        await_that(lambda: proposed(client, b"after"), "writes are taken again")

        assert refused.value.outcome == "not_applied"
        assert len(acknowledged) > 10
        assert left > MIB
        assert while_short == acknowledged
        assert told.refuses
        assert told.space in (Space.LOW, Space.FULL)
        assert values(client) == [*acknowledged, b"after"]
        assert cluster.daemons["r1"].process.poll() is None
        assert "space.commands_refused" in cluster.daemons["r1"].written()


def test_o09_a_disk_that_somebody_else_fills_in_a_moment_ends_no_node_that_has_a_ballast(tmp_path: Path) -> None:
    with cluster_on(tmp_path, ONE) as (cluster, disk), cluster.client(timeout=WITHIN_S) as client:
        await_that((disk.path / "r1" / BALLAST_NAME).exists, "there is a ballast")
        acknowledged = [b"first"]  # no more, for a journal that was moved once needs no room
        client.propose(b"first")
        disk.fill()  # a second may pass before the node looks at it, and the next value comes at once
        with pytest.raises(NoSpace):
            for number in range(100_000):
                value = b"%d " % number + bytes(1000)
                client.propose(value, timeout=2)
                acknowledged.append(value)
        lives, told, while_full = cluster.daemons["r1"].process.poll() is None, row(client), values(client)
        disk.empty()
        await_that(lambda: proposed(client, b"after"), "writes are taken again")

        assert lives
        assert told.space == Space.FULL
        assert while_full == acknowledged
        assert values(client) == [*acknowledged, b"after"]


def test_o09_under_full_load_the_disk_does_not_run_full_either_and_no_outcome_is_told_wrongly(tmp_path: Path) -> None:
    with cluster_on(tmp_path, ONE, size_bytes=160 * MIB) as (cluster, disk), cluster.client(timeout=WITHIN_S) as client:
        disk.fill(leave_bytes=100 * MIB)
        acknowledged, refused = set(), set()
        futures = {}
        for number in range(1500):
            value = b"%d " % number + bytes(60_000)
            futures[value] = client.propose_async(value, timeout=6)
        for value, future in futures.items():
            try:
                future.result()
                acknowledged.add(value)
            except PaxosError as error:
                assert error.outcome == "not_applied" or not isinstance(error, NoSpace)
                refused |= {value} if error.outcome == "not_applied" else set()
        lives, found = cluster.daemons["r1"].process.poll() is None, values(client)

        assert lives
        assert len(acknowledged) > 10
        assert refused
        assert acknowledged <= set(found)
        assert not refused & set(found)


def test_d03_a_node_that_was_killed_on_a_full_disk_starts_on_it_serves_reads_and_says_what_is_wrong(
    tmp_path: Path,
) -> None:
    with cluster_on(tmp_path, ONE) as (cluster, disk), cluster.client(timeout=WITHIN_S) as client:
        kept = [b"%d" % number for number in range(200)]
        for value in kept:
            client.propose(value)
        await_that((disk.path / "r1" / BALLAST_NAME).exists, "there is a ballast")
        cluster.kill("r1")
        disk.fill()
        assert disk.free_bytes == 0
        cluster.start("r1")
        read = values(client)
        with pytest.raises(NoSpace):
            client.propose(b"refused", timeout=2)
        told = row(client)
        disk.empty()
        await_that(lambda: proposed(client, b"after"), "writes are taken again")

        assert read == kept
        assert values(client) == [*kept, b"after"]
        assert told.space in (Space.LOW, Space.FULL)  # what its journal held is free by now
        assert told.refuses
        assert "its ballast is given up" in cluster.daemons["r1"].written()


def test_d03_without_even_a_ballast_it_ends_with_a_clear_error_and_starts_again_once_there_is_room(
    tmp_path: Path,
) -> None:
    with cluster_on(tmp_path, ONE) as (cluster, disk):
        kept = [b"%d" % number + bytes(5000) for number in range(400)]
        with cluster.client() as client:
            for future in [client.propose_async(value) for value in kept]:
                future.result()
        cluster.kill("r1")
        (disk.path / "r1" / BALLAST_NAME).unlink(missing_ok=True)
        disk.fill()
        with pytest.raises(AssertionError, match="make room"):
            cluster.start("r1")
        ended = cluster.daemons["r1"].process.wait(WITHIN_S)
        disk.empty()
        cluster.start("r1")
        with cluster.client() as client:
            assert (ended, values(client)) == (Exit.STORAGE, kept)


def test_one_full_disk_of_three_stops_nothing_and_its_node_catches_up_when_there_is_room(tmp_path: Path) -> None:
    with cluster_on(tmp_path, REPLICAS) as (cluster, disk), cluster.client(timeout=WITHIN_S) as client:
        client.propose(b"before")
        await_that(lambda: is_full(disk, client), "it says that its disk is full")
        await_that(lambda: proposed(client, b"while full"), "writes go on")
        for number in range(200):
            client.propose(b"%d" % number + bytes(50_000))
        behind, others = row(client), [row(client, node) for node in ("r2", "r3")]
        lives = cluster.daemons["r1"].process.poll() is None
        disk.empty()
        await_that(lambda: row(client).applied >= others[0].applied, "it catches up")

        assert lives
        assert behind.applied < others[0].applied
        assert [other.space for other in others] == [Space.ENOUGH, Space.ENOUGH]
        assert not behind.leading


@pytest.mark.slow
def test_d03_killed_again_and_again_while_the_disk_fills_up_it_always_starts_again_and_loses_nothing(
    tmp_path: Path,
) -> None:
    with cluster_on(tmp_path, ONE, size_bytes=96 * MIB) as (cluster, disk):
        acknowledged: list[bytes] = []
        for life in range(12):
            with cluster.client(timeout=WITHIN_S) as client:
                disk.fill(leave_bytes=(life % 6) * 4 * MIB)
                for number in range(40):
                    value = b"%d.%d " % (life, number) + bytes(100_000)
                    if not proposed(client, value):
                        break
                    acknowledged.append(value)
                daemon = cluster.daemons["r1"]
                daemon.send(signal.SIGKILL)
                daemon.process.wait(WITHIN_S)
            disk.fill(leave_bytes=(life % 3) * MIB)
            try:
                cluster.start("r1")
            except AssertionError as error:
                assert "make room" in str(error)
                disk.empty()
                cluster.start("r1")
            disk.empty()
        with cluster.client(timeout=WITHIN_S) as client:
            found = values(client)

        assert [value for value in found if value in set(acknowledged)] == acknowledged
        shutil.rmtree(disk.path / "r1")


def test_o09_the_alarm_shows_in_status_in_health_and_in_exit_codes(tmp_path: Path) -> None:
    def said(program: str, *arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", f"paxosd.commands.{program}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    roles = {"p1": "proposer", "a1": "acceptor", "l1": "learner"}
    with DaemonCluster(tmp_path, roles, extra="storage: {reserve: 1024GiB}") as cluster, cluster.client() as client:
        if row(client, "a1").space == Space.ENOUGH:
            pytest.skip("this disk has a terabyte free")
        await_that(lambda: row(client, "p1").refuses, "the leader refuses commands")
        config = ("--config", str(cluster.config))
        status = said("paxosctl", *config, "status")
        proposed = said("paxosctl", *config, "--timeout", "5", "propose", "hello")  # time to find who leads, too
        read = said("paxosctl", *config, "log")
        health = said("paxosd", "health", "--data-dir", str(tmp_path / "a1"))

    assert status[0] == Exit.UNHEALTHY
    assert "ALARM: disks are nearly full" in status[1]
    assert (proposed[0], "not applied" in proposed[1]) == (Exit.NO_SPACE, True), proposed[1]
    assert read[0] == Exit.OK
    assert (health[0], "the disk is" in health[1]) == (Exit.OK, True)
