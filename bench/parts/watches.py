"""Watches and leases: events to many watchers, what idle ones cost, and how soon it is over with a dead holder."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.clusters import THREE, cluster, memory_mb
from bench.loads import TIMEOUT_S, WARM_UP_S, Done, in_window
from bench.plan import Options, Report, Subject
from bench.processes import together
from paxosd import AsyncClient, Client
from tests.system.daemons import REPLICAS, DaemonCluster

PART = "watches"
LEASES = "leases"
EXPIRY = "longest of all holders killed: until the next one has the lock, less the TTL"
WATCHED = b"watched"
WRITES_UNDER_WAY = 100
TTL_S = 2.0
SETTLED_AFTER_S = 2.0
HOLDER = """
import sys, time
from paxosd import Client
with Client.from_config(sys.argv[1]) as client:
    client.lock("job", ttl=float(sys.argv[2])).acquire()
    print("held", flush=True)
    time.sleep(60)
"""


def delivered(watchers: int) -> str:
    """The load in which one key is watched by so many."""
    return f"events to {watchers:,} watchers of one key"


def idle(watchers: int) -> str:
    """The load in which so many keys are watched, and nothing happens to them."""
    return f"gateway with {watchers:,} idle watchers, more than without"


def _events(options: Options, report: Report) -> None:
    """One program has all watchers, another one puts; what is handed to the watchers' callers counts."""
    with cluster(REPLICAS) as ours:
        work = [
            ("watch", str(ours.config), options.seconds, options.watchers),
            ("write", str(ours.config), options.seconds),
        ]
        done = max(together(_process, work, options.seconds + 30), key=lambda one: one.count)
        report.rate(delivered(options.watchers), done.count, options.seconds)


def _process(role: str, *arguments: Any) -> Done:
    return asyncio.run(_watch(*arguments)) if role == "watch" else _write(*arguments)


async def _watch(config: str, seconds: float, watchers: int, begin: Callable[[], Any]) -> Done:
    counts = [0] * watchers
    client = AsyncClient.from_config(config, timeout=TIMEOUT_S)

    async def watch(number: int) -> None:
        async with await client.watch(WATCHED, start=start) as watcher:
            async for changed in watcher:
                counts[number] += len(changed.events)

    start = (await client.put(WATCHED, b"")).revision + 1
    tasks = [asyncio.create_task(watch(number)) for number in range(watchers)]
    await client.put(WATCHED, b"")
    while not all(counts):
        await asyncio.sleep(0.01)
    await asyncio.to_thread(begin)
    await asyncio.sleep(WARM_UP_S)
    before, begun = sum(counts), time.monotonic()
    await asyncio.sleep(seconds)
    done, took = sum(counts) - before, time.monotonic() - begun
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()
    return Done(round(done * seconds / took), [])


def _write(config: str, seconds: float, begin: Callable[[], Any]) -> Done:
    with Client.from_config(config, timeout=TIMEOUT_S) as client:
        begin()
        in_window(lambda: client.put_async(WATCHED, bytes(100)), WRITES_UNDER_WAY, seconds + 2 * WARM_UP_S)
    return Done(0, [])


def _idle(options: Options, report: Report) -> None:
    with cluster(REPLICAS) as ours:
        gateway = next(iter(ours.gateways))
        pid = ours.daemons[gateway].process.pid
        before, after = asyncio.run(_memory(ours.gateways[gateway], options.idle_watchers, pid))
        report.figure(idle(options.idle_watchers), "MB", after - before)


async def _memory(gateway: str, watchers: int, pid: int) -> tuple[float, float]:
    client = AsyncClient([gateway], timeout=TIMEOUT_S)
    start = (await client.put(WATCHED, b"")).revision + 1
    await asyncio.sleep(SETTLED_AFTER_S)
    before = memory_mb(pid)["all"]
    all_of_them = [await client.watch(b"idle/%06d" % number, start=start) for number in range(watchers)]
    for number in (0, watchers - 1):  # who was told something is registered
        await client.put(b"idle/%06d" % number, b"")
        if await all_of_them[number].next(TIMEOUT_S) is None:
            raise TimeoutError(f"watcher {number} was told nothing")
    await asyncio.sleep(SETTLED_AFTER_S)
    after = memory_mb(pid)["all"]
    await client.close()
    return before, after


def _expiry(options: Options, report: Report) -> None:
    """A holder is killed; who waits for the lock has it so long after."""
    late = []
    with cluster(REPLICAS) as ours, ours.client(timeout=TIMEOUT_S) as client:
        for _ in range(options.holders):
            late.append(_killed_holder(ours, client) - TTL_S)
    report.figure(EXPIRY, "s", max(late))


def _killed_holder(ours: DaemonCluster, client: Client) -> float:
    command = [sys.executable, "-c", HOLDER, str(ours.config), str(TTL_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != "held\n":
                raise ChildProcessError("the holder did not get the lock")
        finally:
            holder.kill()
            killed = time.monotonic()
    with client.lock("job", ttl=TTL_S):
        return time.monotonic() - killed


def watches(options: Options) -> list[Subject]:
    """Busy ones, and idle ones."""
    return [
        Subject(PART, THREE, 10 + options.seconds, _events, rounds=2),
        Subject(PART, f"{THREE}, idle", 20, _idle, rounds=1),
    ]


def leases(options: Options) -> list[Subject]:
    """Holders that die."""
    return [Subject(LEASES, THREE, 6 + options.holders * (TTL_S + 2), _expiry, rounds=1)]
