"""Loads as users of the client library make them: each client is a process of its own, with so much under way.

Laws:
1. Only what is acknowledged counts, and only what is acknowledged within the seconds of the load.
2. All clients of a load warm up first, and begin together.
3. Changes go through `Client`, which has calls that do not wait. Reads have none there: they, and loads of both, go
   through `AsyncClient`, with a task for each that is under way.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from bench.plan import Report
from bench.processes import together
from paxosd import AsyncClient, Client

WARM_UP_S = 0.7
KEYS = 10_000
"""How many keys are read, and changed in a load of both."""
WRITES_OF_MIXED = 10
"""One of so many calls is a write."""
TIMEOUT_S = 60.0
LOAD_S = 1.5
"""What a load takes beside its seconds, about: a process starts, and warms up."""


@dataclass(frozen=True)
class Load:
    """`kind`: propose, put, get, or mixed (nine gets, one put). `window`: how much each client has under way."""

    kind: str
    window: int = 1
    seconds: float = 2.0
    value_bytes: int = 100
    clients: int = 1

    @property
    def name(self) -> str:
        """What the table says of it."""
        size = "" if self.value_bytes == 100 else f", {size_name(self.value_bytes)}"
        clients = "" if self.clients == 1 else f"{self.clients} clients, each "
        return f"{self.kind}{size}, {clients}{self.window:,} in flight"


def size_name(value_bytes: int) -> str:
    """As people write it."""
    return f"{value_bytes / 1000:g} KB" if value_bytes >= 1000 else f"{value_bytes} B"


@dataclass(frozen=True)
class Done:
    """How many were acknowledged in the seconds of the load, and how long each of some took."""

    count: int
    took_s: list[float]


def ends(windows: Sequence[int]) -> list[int]:
    """The least and the most."""
    return sorted({min(windows), max(windows)})


def key(number: int) -> bytes:
    """The same keys for whoever is measured."""
    return b"key/%010d" % number


def measure(report: Report, config: Path, load: Load) -> None:
    """Let the clients of a load do it, and report what came of it."""
    work = mixed if load.kind in ("get", "mixed") else pipelined
    arguments = [(str(config), load, number) for number in range(load.clients)]
    done = together(work, arguments, load.seconds + WARM_UP_S)
    took = [each for one in done for each in one.took_s]
    report.rate(load.name, sum(one.count for one in done), load.seconds, took)


def pipelined(config: str, load: Load, number: int, begin: Callable[[], Any]) -> Done:
    """One client of a load of changes."""
    value = bytes(load.value_bytes)
    keys = count(number * 100_000_000 + KEYS)
    with Client.from_config(config, timeout=TIMEOUT_S) as client:

        def call() -> Any:
            return client.propose(value) if load.kind == "propose" else client.put(key(next(keys)), value)

        def start() -> Any:
            return client.propose_async(value) if load.kind == "propose" else client.put_async(key(next(keys)), value)

        def loaded(seconds: float) -> Done:
            return one_by_one(call, seconds) if load.window == 1 else in_window(start, load.window, seconds)

        loaded(WARM_UP_S)
        begin()
        return loaded(load.seconds)


def one_by_one(call: Callable[[], Any], seconds: float) -> Done:
    """One call after the other."""
    took: list[float] = []
    clock = time.monotonic
    until = clock() + seconds
    while (sent := clock()) < until:
        call()
        took.append(clock() - sent)
    return Done(len(took), took)


def in_window(start: Callable[[], Any], window: int, seconds: float) -> Done:
    """Keep a window of futures full for so long; then wait for those that are under way."""
    took: list[float] = []
    done, every = 0, 1 if window < 100 else 20
    clock = time.monotonic
    until = clock() + seconds
    under_way = deque((clock(), start()) for _ in range(window))
    while (now := clock()) < until:
        sent, future = under_way.popleft()
        future.result(TIMEOUT_S)
        now = clock()
        if now < until:
            done += 1
        if done % every == 0:
            took.append(now - sent)
        under_way.append((now, start()))
    for _, future in under_way:
        future.result(TIMEOUT_S)
    return Done(done, took)


def mixed(config: str, load: Load, number: int, begin: Callable[[], Any]) -> Done:
    """One client of a load with reads."""
    return asyncio.run(_mixed(config, load, number, begin))


async def _mixed(config: str, load: Load, number: int, begin: Callable[[], Any]) -> Done:
    client = AsyncClient.from_config(config, timeout=TIMEOUT_S)
    try:
        await _tasks(client, replace(load, seconds=WARM_UP_S))
        begin()
        return await _tasks(client, load)
    finally:
        await client.close()


async def _tasks(client: AsyncClient, load: Load) -> Done:
    took: list[float] = []
    numbers = count(1)
    value = bytes(load.value_bytes)
    is_mixed = load.kind == "mixed"
    clock = time.monotonic
    until = clock() + load.seconds

    async def work() -> None:
        while (sent := clock()) < until:
            number = next(numbers)
            if is_mixed and number % WRITES_OF_MIXED == 0:
                await client.put(key(number % KEYS), value)
            else:
                await client.get(key(number * 7919 % KEYS))
            now = clock()
            if now < until:
                took.append(now - sent)

    await asyncio.gather(*(work() for _ in range(load.window)))
    return Done(len(took), took)


def fill(config: Path | str, keys: int, value_bytes: int, window: int = 1000) -> None:
    """Put so many keys, in this process."""
    value = bytes(value_bytes)
    with Client.from_config(config, timeout=TIMEOUT_S) as client:
        under_way: deque[Any] = deque()
        for number in range(keys):
            under_way.append(client.put_async(key(number), value))
            if len(under_way) >= window:
                under_way.popleft().result(TIMEOUT_S)
        while under_way:
            under_way.popleft().result(TIMEOUT_S)
