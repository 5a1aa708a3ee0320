"""How many durable values a second, pipelined: `python -m bench.throughput [--layout replicas] [--seconds 10]`.

Each client keeps a window of values under way for the given time; only acknowledged values count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections import deque
from pathlib import Path

from bench.cluster import LAYOUTS, show, summary_ms
from paxosd import Client
from tests.system.daemons import DaemonCluster

Result = tuple[int, list[float]]
"""How many values one client had acknowledged, and some of their latencies in seconds."""


def load(config: str, seconds: float, window: int, value_bytes: int, results: multiprocessing.Queue[Result]) -> None:
    """One client process: propose for `seconds`, with `window` values under way; puts (count, every 50th latency)."""
    value = bytes(value_bytes)
    latencies: list[float] = []
    done = 0
    with Client.from_config(config, timeout=30) as client:
        client.propose(b"warm-up")
        under_way = deque((time.monotonic(), client.propose_async(value)) for _ in range(window))
        end = time.monotonic() + seconds
        while under_way:
            sent_at, future = under_way.popleft()
            future.result(30)
            now = time.monotonic()
            done += 1
            if done % 50 == 0:
                latencies.append(now - sent_at)
            if now < end:
                under_way.append((now, client.propose_async(value)))
    results.put((done, latencies))


def measure(layout: str, clients: int, seconds: float, window: int, value_bytes: int) -> dict[str, object]:
    """One run on a fresh cluster."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), LAYOUTS[layout]) as cluster:
        cluster.leader()
        results: multiprocessing.Queue[Result] = context.Queue()
        arguments = (str(cluster.config), seconds, window, value_bytes, results)
        processes = [context.Process(target=load, args=arguments) for _ in range(clients)]
        for process in processes:
            process.start()
        gathered = [results.get(timeout=seconds + 60) for _ in processes]
        for process in processes:
            process.join()
    done = sum(count for count, _ in gathered)
    latencies = [latency for _, some in gathered for latency in some]
    row: dict[str, object] = {"layout": layout, "clients": clients, "window": window, "value_bytes": value_bytes}
    return row | {"values": done, "values_per_s": round(done / seconds), **summary_ms(latencies)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layout", choices=LAYOUTS, action="append")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = [
        measure(layout, chosen.clients, chosen.seconds, chosen.window, chosen.value_bytes)
        for layout in chosen.layout or LAYOUTS
    ]
    show("throughput", rows, chosen.json)


if __name__ == "__main__":
    main()
