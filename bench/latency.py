"""How long one durable value takes, one at a time: `python -m bench.latency [--layout replicas] [--values 2000]`."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.cluster import LAYOUTS, show, summary_ms
from tests.system.daemons import DaemonCluster

WARM_UP = 2500
"""Values before the first that counts: a journal grows until it is some MiB long, and what grows is slower to sync."""


def measure(layout: str, values: int, value_bytes: int) -> dict[str, object]:
    """One client, one value after the other, on a fresh cluster."""
    durations: list[float] = []
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), LAYOUTS[layout]) as cluster:
        cluster.leader()
        with cluster.client() as client:
            for _ in range(WARM_UP):
                client.propose(b"warm-up")
            for _ in range(values):
                started = time.monotonic()
                client.propose(bytes(value_bytes))
                durations.append(time.monotonic() - started)
    return {"layout": layout, "values": values, "values_per_s": round(values / sum(durations)), **summary_ms(durations)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layout", choices=LAYOUTS, action="append")
    parser.add_argument("--values", type=int, default=2000)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = [measure(layout, chosen.values, chosen.value_bytes) for layout in chosen.layout or LAYOUTS]
    show("latency", rows, chosen.json)


if __name__ == "__main__":
    main()
