"""What is held, with real daemons, of which some are killed or stopped: nobody is told "yours" beside another one."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from paxosd import AsyncClient, HoldLost
from paxosd.client.errors import PaxosError
from paxosd.kv import Put, compare
from tests.system.daemons import REPLICAS, ROLES, DaemonCluster

TTL_S = 2.0

HOLDER = """
import sys
from paxosd import Client, PaxosError
from paxosd.kv import Put, compare
with Client.from_config(sys.argv[1]) as client:
    held = client.lock("job", ttl=float(sys.argv[2])).acquire()
    print(held.fence, flush=True)
    for line in sys.stdin:  # each line: write what was asked, if nobody with a higher fence wrote
        fence = b"%020d" % held.fence
        writing = [Put(b"fence", fence), Put(b"data", line.encode())]
        done = client.txn([compare("fence", "value", ">", fence)], [], writing)
        print("written" if not done.succeeded else "refused", "lost" if held.lost.is_set() else "held", flush=True)
"""


@contextmanager
def holder(cluster: DaemonCluster) -> Iterator[subprocess.Popen[str]]:
    """A program that holds the lock, and writes with its fence."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(cluster.config), str(TTL_S)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    return line_of(process)


@pytest.mark.parametrize("roles", [pytest.param(ROLES, id="roles"), pytest.param(REPLICAS, id="replicas")])
def test_the_lock_of_a_holder_that_was_killed_goes_to_the_next_one_with_a_higher_fence(
    tmp_path: Path, roles: dict[str, str]
) -> None:
    with DaemonCluster(tmp_path, roles) as cluster, cluster.client() as client, holder(cluster) as process:
        fence = int(line_of(process))
        process.kill()
        with client.lock("job").acquire(timeout=60) as held:
            assert held.fence > fence
        assert client.get_range(prefix="lock/").items == ()


def test_the_late_write_of_a_holder_that_stood_still_is_refused_and_it_knows(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, REPLICAS) as cluster, cluster.client() as client, holder(cluster) as process:
        fence = int(line_of(process))
        assert tell(process, "early") == "written held"
        process.send_signal(signal.SIGSTOP)
        with client.lock("job").acquire(timeout=60) as held:
            assert held.fence > fence
            own = b"%020d" % held.fence
            client.txn([compare("fence", "value", "<", own)], [Put(b"fence", own), Put(b"data", b"ours")])
            process.send_signal(signal.SIGCONT)

            assert tell(process, "late") == "refused lost"
        found = client.get("data")
        assert found is not None
        assert found.value == b"ours"


def test_a_holder_keeps_its_lock_while_the_leader_and_its_gateway_are_killed(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, REPLICAS) as cluster, cluster.client() as client:
        with client.lock("job", ttl=30) as held:
            for node in ("r1", "r2", "r3"):  # each of them in turn: the leader and the gateway are among them
                cluster.kill(node)
                client.put("while it is away", b"", timeout=60)
                cluster.start(node)
                cluster.daemons[node].await_logged("ready")
            assert held.is_held
            with cluster.client() as other:
                assert other.lock("job").try_acquire() is None
        with cluster.client() as other:
            assert other.lock("job").acquire(timeout=30).fence > held.fence


def test_one_at_a_time_has_it_whatever_is_killed(tmp_path: Path) -> None:
    """Each holder adds one to a number in two steps that nothing protects but the lock and its fence."""
    with DaemonCluster(tmp_path, REPLICAS) as cluster:
        ended: list[int] = []

        def work() -> None:
            with cluster.client() as client:
                for _ in range(10):
                    while True:
                        try:
                            with client.lock("job", ttl=20).acquire(timeout=60):
                                found = client.get("number", timeout=30)
                                number = int(found.value) if found else 0
                                client.put("number", b"%d" % (number + 1), timeout=30)
                                ended.append(number)
                                break
                        except PaxosError as error:
                            assert error.outcome == "not_applied" or isinstance(error, HoldLost)

        with ThreadPoolExecutor(4) as pool:
            working = [pool.submit(work) for _ in range(4)]
            for node in ("r1", "r2", "r3"):
                cluster.kill(node)
                time.sleep(1.0)  # fewer votes, and a leader is lost
                cluster.start(node)
                cluster.daemons[node].await_logged("ready")
            for each in working:
                each.result()

        assert ended == list(range(40))


def test_tasks_of_one_loop_wait_for_what_other_processes_hold(tmp_path: Path) -> None:
    async def wait_and_cancel(process: subprocess.Popen[str]) -> None:
        async with AsyncClient.from_config(str(cluster.config)) as client:
            waiting = [asyncio.create_task(client.lock("job").acquire()) for _ in range(20)]
            while len((await client.get_range(prefix="lock/")).items) < 21:
                await asyncio.sleep(0.01)
            for task in waiting[::2]:
                task.cancel()
            process.kill()
            fences = []
            for done in asyncio.as_completed(waiting[1::2]):
                held = await done
                fences.append(held.fence)
                await held.release()
            assert fences == sorted(fences)
            while (await client.get_range(prefix="lock/")).items:
                await asyncio.sleep(0.01)

    with DaemonCluster(tmp_path, REPLICAS) as cluster, holder(cluster) as process:
        line_of(process)
        asyncio.run(wait_and_cancel(process))


def test_a_client_that_is_closed_gives_back_what_it_holds_at_once(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, REPLICAS) as cluster, cluster.client() as client:
        other = cluster.client()
        other.lock("job", ttl=3600).acquire()
        other.close()

        with client.lock("job").acquire(timeout=30):
            pass
