"""Three nodes of PySyncObj, with a journal, driven in the process of the one that leads.

Its journal is a file that is mapped into memory and never synced: what it acknowledges outlives kill -9, and not a
power cut. Everything else is as it comes.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from bench.loads import WARM_UP_S, Done, Load
from bench.plan import Needed, Report
from bench.processes import together
from tests.system.daemons import free_ports

NODES = 3
READY_WITHIN_S = 30.0

PYSYNCOBJ = Needed(
    "pysyncobj", lambda: "" if find_spec("pysyncobj") else "pysyncobj is not installed (bench/peers/install.sh)"
)


def measure(report: Report, load: Load) -> None:
    """A fresh cluster, and one load of it."""
    with tempfile.TemporaryDirectory() as folder:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(NODES)]
        stop = str(Path(folder, "stop"))
        arguments = [(addresses, number, folder, stop, load) for number in range(NODES)]
        done = together(_node, arguments, load.seconds + WARM_UP_S + READY_WITHIN_S)
    leading = [one for one in done if one is not None]
    assert len(leading) == 1, f"{len(leading)} nodes led"
    report.rate(load.name, leading[0].count, load.seconds, leading[0].took_s)


def _node(
    addresses: list[str], number: int, folder: str, stop: str, load: Load, begin: Callable[[], Any]
) -> Done | None:
    """One node; the one that leads makes the load, and the others wait for its end."""
    from pysyncobj import SyncObj, SyncObjConf, replicated  # noqa: PLC0415 (a peer that may be absent)

    class Log(SyncObj):  # type: ignore[misc]
        def __init__(self) -> None:
            others = [each for each in addresses if each != addresses[number]]
            super().__init__(addresses[number], others, SyncObjConf(journalFile=f"{folder}/journal{number}"))
            self.values: list[bytes] = []

        @replicated  # type: ignore[untyped-decorator]
        def append(self, value: bytes) -> None:
            self.values.append(value)

    log = Log()
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while not (log.isReady() and log._getLeader() is not None):
            if time.monotonic() > deadline:
                raise TimeoutError("no leader")
            time.sleep(0.05)
        begin()
        time.sleep(0.5)  # who leads when all have one
        if log._isLeader():
            value = bytes(load.value_bytes)
            _window(log, value, load.window, WARM_UP_S)
            done = _window(log, value, load.window, load.seconds)
            Path(stop).touch()
            return done
        while not Path(stop).exists() and time.monotonic() < deadline + load.seconds + WARM_UP_S:
            time.sleep(0.05)
        return None
    finally:
        log.destroy()


def _window(log: Any, value: bytes, window: int, seconds: float) -> Done:
    """Keep so many under way: what was answered calls the next one, in the node's own thread."""
    took: list[float] = []
    done, over, clock = count(), threading.Event(), time.monotonic
    until = clock() + seconds
    under_way = [window]

    def start() -> None:
        sent = clock()

        def answered(_: object, error: int) -> None:
            now = clock()
            if error == 0 and now < until:
                took.append(now - sent)
                next(done)
            if now < until:
                start()
            else:
                under_way[0] -= 1
                if under_way[0] == 0:
                    over.set()

        log.append(value, callback=answered)

    for _ in range(window):
        start()
    over.wait(seconds + READY_WITHIN_S)
    return Done(next(done), took)
