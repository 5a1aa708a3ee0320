"""The longest gap without an acknowledged value when the leader is killed: `python -m bench.failover [--runs 5]`.

One client proposes value after value with a window of 100; the leader gets SIGKILL in the middle.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

from bench.cluster import LAYOUTS, show
from paxosd import Client
from tests.system.daemons import DaemonCluster

WINDOW = 100
BEFORE_S = 2.0
AFTER_S = 4.0


def acknowledge_times(client: Client, stop: threading.Event, times: list[float]) -> None:
    under_way = deque(client.propose_async(b"value", timeout=30) for _ in range(WINDOW))
    while not stop.is_set():
        under_way.popleft().result(30)
        times.append(time.monotonic())
        under_way.append(client.propose_async(b"value", timeout=30))
    for future in under_way:
        future.result(30)


def longest_gap_s(layout: str) -> float:
    times: list[float] = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), LAYOUTS[layout]) as cluster:
        leader = cluster.leader()
        with cluster.client(timeout=30) as client:
            thread = threading.Thread(target=acknowledge_times, args=(client, stop, times))
            thread.start()
            time.sleep(BEFORE_S)
            cluster.kill(leader)
            time.sleep(AFTER_S)
            stop.set()
            thread.join()
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layout", choices=LAYOUTS, action="append")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows: list[dict[str, object]] = []
    for layout in chosen.layout or LAYOUTS:
        gaps = sorted(longest_gap_s(layout) for _ in range(chosen.runs))
        rows.append({"layout": layout, "runs": len(gaps), "min_s": round(gaps[0], 3),
                     "median_s": round(gaps[len(gaps) // 2], 3), "max_s": round(gaps[-1], 3)})  # fmt: skip
    show("failover", rows, chosen.json)


if __name__ == "__main__":
    main()
