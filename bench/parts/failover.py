"""How long nobody is served when the leader is killed, and how long a cluster takes to serve again when all were."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from functools import partial
from itertools import pairwise
from typing import Any

from bench.clusters import APART, LAYOUTS, THREE, cluster
from bench.plan import Options, Report, Subject
from paxosd import Client, PaxosError
from tests.system.daemons import DaemonCluster

FAILOVER, RECOVERY = "failover", "recovery"
GAP, GAP_WORST = "longest gap, leader killed under load: median of all kills", "longest gap, leader killed: worst"
ELECTIONS = "elections that nobody was killed for"
AGAIN = "all killed, until the first value is acknowledged"
WINDOW = 100
CALM_S = 1.0
AFTER_S = 3.0
LATE_AFTER_S = 30.0


class Acknowledgements(threading.Thread):
    """A client that keeps a window full, and when each value was acknowledged."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self.at: list[float] = []
        self._client = client
        self._over = threading.Event()

    def run(self) -> None:
        under_way = deque(self._start() for _ in range(WINDOW))
        while not self._over.is_set():
            under_way.popleft().result()
            self.at.append(time.monotonic())
            under_way.append(self._start())
        for future in under_way:
            future.result()

    def _start(self) -> Any:
        return self._client.propose_async(b"value", timeout=LATE_AFTER_S)

    def longest_gap(self, since: float) -> float:
        """Between two acknowledgements that followed each other, the later of them after this."""
        return max(later - earlier for earlier, later in pairwise(self.at[:]) if later > since)

    def stop(self) -> None:
        self._over.set()
        self.join(LATE_AFTER_S)


def _failover(layout: str, options: Options, report: Report) -> None:
    """The same cluster all the time: who was killed is started again, and stands by when the next one is killed."""
    gaps = []
    with cluster(LAYOUTS[layout]) as ours, ours.client(timeout=LATE_AFTER_S) as client:
        thread = Acknowledgements(client)
        thread.start()
        elected = len(ours.elections())
        for _ in range(options.kills):
            time.sleep(CALM_S)
            gaps.append(_kill(ours, thread))
        thread.stop()
        idle = len(ours.elections()) - elected - options.kills
    report.figure(GAP, "s", statistics.median(gaps))
    report.figure(GAP_WORST, "s", max(gaps))
    report.figure(ELECTIONS, f"in {options.kills} kills", max(0, idle))


def _kill(ours: DaemonCluster, thread: Acknowledgements) -> float:
    leader = ours.leader()
    killed = time.monotonic()
    ours.kill(leader)
    time.sleep(AFTER_S)
    while thread.is_alive() and thread.at[-1] < killed + AFTER_S / 2:
        time.sleep(0.1)  # nobody leads yet
    gap = thread.longest_gap(killed)
    ours.daemons[leader].end()
    ours.start(leader)
    return gap


def _recovery(options: Options, report: Report) -> None:
    """Everything that `log` ever took is kept, so this is the longest history that so many values make."""
    with cluster(LAYOUTS[THREE]) as ours:
        for values in (0, options.history):
            _propose(ours, values)
            ours.kill(*ours.roles)
            begun = time.monotonic()
            ours.start(*ours.roles)
            started = time.monotonic()
            _first_acknowledged(ours)
            load = f"{AGAIN}, {values:,} values in the log"
            report.figure(load, "s", time.monotonic() - begun)
            report.figure(load, "s of it until all are ready", started - begun)


def _propose(ours: DaemonCluster, values: int) -> None:
    with ours.client(timeout=LATE_AFTER_S) as client:
        under_way: deque[Any] = deque()
        for _ in range(values):
            under_way.append(client.propose_async(bytes(100)))
            if len(under_way) >= 1000:
                under_way.popleft().result()
        while under_way:
            under_way.popleft().result()


def _first_acknowledged(ours: DaemonCluster) -> None:
    with ours.client(timeout=1.0) as client:
        for _ in range(60):
            try:
                client.propose(b"again")
                return
            except PaxosError:
                continue
    raise TimeoutError("nothing was acknowledged for a minute")


def failover(options: Options) -> list[Subject]:
    """Of three replicas."""
    return [_failover_of(THREE, options)]


def failover_apart(options: Options) -> list[Subject]:
    """Of separate roles."""
    return [_failover_of(APART, options)]


def _failover_of(layout: str, options: Options) -> Subject:
    seconds = 5 + options.kills * (CALM_S + AFTER_S + 1.5)
    return Subject(FAILOVER, layout, seconds, partial(_failover, layout), rounds=1)


def recovery(options: Options) -> list[Subject]:
    """Of three replicas."""
    return [Subject(RECOVERY, THREE, 15 + options.history / 20_000, _recovery, rounds=1)]
