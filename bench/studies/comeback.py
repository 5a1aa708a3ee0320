"""What it costs when a node comes back: `python -m bench.studies.comeback [--snapshot-mb 500] [--behind-s 60]`.

Three replicas each time. A replica that lost its disk is started while nothing else happens, and its new disk is
admitted. One that lost its disk takes the state of another one, while one value after the other is proposed: the
longest that one of these took is more than the longest pause of any loop. One that was away while `--behind-s`
seconds of values were chosen catches up under the same load.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.book import percentile
from bench.studies.cluster import show
from bench.studies.longlife import resident
from paxosd import Client, Future
from tests.system.daemons import REPLICAS, Daemon, DaemonCluster

ADMISSIONS = 5
FILLED_WITH_BYTES = 20_000
WITHIN_S = 500.0
CAUGHT_UP_SLOTS = 128
"""Two windows: under load so many are always on their way."""
Row = dict[str, object]


def began(cluster: DaemonCluster, node: str) -> float:
    """Start a node; when it said that it is ready is nobody's wait. Returns when that was."""
    at = time.monotonic()
    data, log = cluster.folder / node, cluster.folder / f"{node}.log"
    cluster.daemons[node] = Daemon(node, REPLICAS[node], cluster.config, data, log)
    return at


def wipe(cluster: DaemonCluster, node: str) -> None:
    """Kill a node, and its disk is lost."""
    cluster.kill(node)
    shutil.rmtree(cluster.folder / node)


class Load:
    """A client with so many values under way, in a thread; how long each took, and when it was answered."""

    def __init__(self, cluster: DaemonCluster, gateways: list[str], window: int, value_bytes: int) -> None:
        self._answered_at = array("d")  # of millions of values: objects would slow the load down with time
        self._took = array("d")
        self._stops = threading.Event()
        self._client = cluster.client(gateways, timeout=60)
        arguments = window, bytes(value_bytes)
        self._thread = threading.Thread(target=self._run, args=arguments)

    def _run(self, window: int, value: bytes) -> None:
        under_way = deque((time.monotonic(), self._client.propose_async(value)) for _ in range(window))
        while under_way:
            at, future = under_way.popleft()
            future.result(60)
            now = time.monotonic()
            self._took.append(now - at)
            self._answered_at.append(now)
            if not self._stops.is_set():
                under_way.append((now, self._client.propose_async(value)))

    def per_s(self, since: float, until: float) -> float:
        """How many values were answered in a second."""
        first, stop = self._between(since, until)
        return (stop - first) / (until - since)

    def took(self, since: float, until: float) -> list[float]:
        """How long those took that were answered then, the shortest first."""
        first, stop = self._between(since, until)
        return sorted(self._took[first:stop])

    def _between(self, since: float, until: float) -> tuple[int, int]:
        return bisect_left(self._answered_at, since), bisect_left(self._answered_at, until)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stops.set()
        self._thread.join()
        self._client.close()


@contextmanager
def replicas(extra: str = "") -> Iterator[tuple[DaemonCluster, str, str]]:
    """A cluster, its leader and one that does not lead."""
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), REPLICAS, extra) as cluster:
        leader = cluster.leader()
        yield cluster, leader, next(node for node in REPLICAS if node != leader)


def admission() -> list[Row]:
    """From the start of the process with an empty directory until the leader says that its disk may vote."""
    took: list[float] = []
    of_them: list[float] = []
    with replicas() as (cluster, leader, late):
        for number in range(1, ADMISSIONS + 1):
            wipe(cluster, late)
            at = began(cluster, late)
            cluster.daemons[late].await_logged(r"ready node=")
            of_them.append(time.monotonic() - at)
            cluster.daemons[leader].await_logged(rf"(?s)(disk\.admitted node={late}.*){{{number}}}")
            took.append(time.monotonic() - at)
            cluster.daemons[late].await_logged(r"disk\.copied")
    took.sort()
    of_them.sort()
    middle = ADMISSIONS // 2
    return [
        _row(f"admission of a blank disk, s: median of {ADMISSIONS}, longest", _two(took[middle], took[-1]), "2"),
        _row("  of that, until the process is ready", _two(of_them[middle], of_them[-1]), ""),
    ]


def snapshot(megabytes: int) -> list[Row]:
    """A follower that lost its disk takes all that another one has, while one value after the other is proposed."""
    with replicas(f"log: {{keep_bytes: {megabytes * 1_000_000}}}") as (cluster, _, late):
        with cluster.client(timeout=60) as client:
            fill(client, megabytes + megabytes // 10)  # some has to be gone, or value after value is asked for
        others = [node for node in REPLICAS if node != late]
        with Load(cluster, others, 1, 100) as load:
            time.sleep(10)
            wipe(cluster, late)
            time.sleep(5)  # two of three go on
            since = time.monotonic()
            time.sleep(10)
            at = began(cluster, late)
            cluster.daemons[late].await_logged(r"snapshot\.installed", WITHIN_S)
            until = time.monotonic()
    quiet, meanwhile = load.took(since, at), load.took(at, until)
    return [
        _row(f"a snapshot of {megabytes} MB is made, sent and taken, s", round(until - at, 1), ""),
        _row("  longest for one value before, ms", round(quiet[-1] * 1e3), ""),
        _row("  longest for one value meanwhile, ms", round(meanwhile[-1] * 1e3), "50"),
        _row("  99.9 % of the values meanwhile within, ms", round(percentile(meanwhile, 0.999) * 1e3), ""),
    ]


def fill(client: Client, megabytes: int) -> None:
    """So much of the log, in a few large slots."""
    value, futures = bytes(FILLED_WITH_BYTES), deque[Future]()
    for _ in range(megabytes * 1_000_000 // FILLED_WITH_BYTES):
        futures.append(client.propose_async(value))
        if len(futures) > 100:
            futures.popleft().result(60)
    while futures:
        futures.popleft().result(60)


def behind(seconds: float) -> list[Row]:
    """A follower is away for so long and comes back, under a load that goes on."""
    with replicas() as (cluster, leader, late):
        others = [node for node in REPLICAS if node != late]
        with Load(cluster, others, 1000, 100) as load:
            time.sleep(5)
            since = time.monotonic()
            time.sleep(10)
            killed = time.monotonic()
            cluster.kill(late)
            time.sleep(seconds)
            before, most = resident(cluster.daemons[leader]), 0
            with cluster.client(others, timeout=60) as client:
                slots = lag(client, late)
                at = began(cluster, late)
                while lag(client, late) > CAUGHT_UP_SLOTS and time.monotonic() < at + WITHIN_S:
                    most = max(most, resident(cluster.daemons[leader]))
                    time.sleep(0.2)
            until = time.monotonic()
            time.sleep(10)
            end = time.monotonic()
    before_it, after_it = load.per_s(since, killed), load.per_s(until, end)
    together, alone, meanwhile = (before_it + after_it) / 2, load.per_s(killed, at), load.per_s(at, until)
    return [
        _row(f"a replica {slots} slots behind catches up under load, s", round(until - at, 1), ""),
        _row("  values/s of three before and after", _two_whole(before_it, after_it), ""),
        _row("  of the two that are left, and meanwhile", _two_whole(alone, meanwhile), ""),
        _row("  change from the mean of three, %", round(100 * (meanwhile / together - 1)), "-20"),
        _row("  memory of the leader, more than before, MB", round((most - before) / 1e6), "64"),
    ]


def lag(client: Client, node: str) -> int:
    """How many slots that are chosen this node has not applied, as far as others know."""
    status = client.status()
    return status.watermark - next(row.applied for row in status.nodes if row.node == node)


def _two(one: float, other: float) -> str:
    return f"{one:.2f}, {other:.2f}"


def _two_whole(one: float, other: float) -> str:
    return f"{one:.0f}, {other:.0f}"


def _row(what: str, measured: object, asked: str) -> Row:
    return {"what": what, "measured": measured, "asked": asked}


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs when a node comes back.")
    parser.add_argument("--snapshot-mb", type=int, default=500)
    parser.add_argument("--behind-s", type=float, default=60.0)
    parser.add_argument("--only", choices=("admission", "snapshot", "behind"), action="append")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    parts: dict[str, Callable[[], list[Row]]] = {
        "admission": admission,
        "snapshot": lambda: snapshot(chosen.snapshot_mb),
        "behind": lambda: behind(chosen.behind_s),
    }
    rows = [row for name, part in parts.items() if name in (chosen.only or parts) for row in part()]
    show("a node comes back", rows, chosen.json)


if __name__ == "__main__":
    main()
