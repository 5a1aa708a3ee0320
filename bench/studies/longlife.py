"""What a long life costs: `python -m bench.studies.longlife [--values 10000000] [--keep 100000] [--window 1000]`.

Three replicas keep the last `--keep` entries of the log while one client proposes `--values` values, with `--window`
of them under way. Memory and disk of every replica are looked at five times a second. One replica is killed with
SIGKILL and started again three times: when there is hardly any history, after a tenth of the values, and after all of
them. Each row of the table has what was asked, and is of the replica that did worst.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

from bench.studies.cluster import show
from paxosd import Client
from tests.system.daemons import REPLICAS, Daemon, DaemonCluster

SPARE_MB = 64
LOOK_EVERY_S = 0.2
NEVER_S = 24 * 3600.0
Done = tuple[int, float]
"""How many values were acknowledged, and in how many seconds."""


@dataclass
class Seen:
    """The most that one replica had, and how much it wrote, in bytes."""

    memory: int = 0
    disk: int = 0
    written: int = 0
    memories: list[int] = field(default_factory=list)

    def look(self, daemon: Daemon, folder: Path) -> None:
        """Look at the process and at its data directory."""
        held = resident(daemon)
        self.memories.append(held)
        self.memory = max(self.memory, held)
        self.disk = max(self.disk, sum(_size(path) for path in folder.rglob("*")))


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found is not None
    return int(found[1])


def _size(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:  # a file that is gone meanwhile
        return 0


def resident(daemon: Daemon) -> int:
    """How many bytes of memory this process has."""
    return _number(Path(f"/proc/{daemon.process.pid}/status").read_text(), r"VmRSS:\s+(\d+) kB") * 1024


def written(daemon: Daemon) -> int:
    """How many bytes this process had written to the disk so far."""
    return _number(Path(f"/proc/{daemon.process.pid}/io").read_text(), r"\nwrite_bytes: (\d+)")


def load(config: str, values: int, window: int, value_bytes: int, results: multiprocessing.Queue[Done]) -> None:
    """The client's process."""
    value = bytes(value_bytes)
    with Client.from_config(config, timeout=60) as client:
        client.propose(b"warm-up")
        began, under_way = time.monotonic(), deque(client.propose_async(value) for _ in range(min(window, values)))
        for _ in range(values - len(under_way)):
            under_way.popleft().result(60)
            under_way.append(client.propose_async(value))
        for future in under_way:
            future.result(60)
        results.put((values, time.monotonic() - began))


def restart_s(cluster: DaemonCluster, node: str) -> tuple[float, str]:
    """How long a replica takes from its start until it is ready after SIGKILL, and what it says of how far it is."""
    cluster.kill(node)
    cluster.daemons[node].end()
    began = time.monotonic()
    cluster.start(node)
    took = time.monotonic() - began
    ready = re.search(r"ready node=.*", cluster.daemons[node].written())
    assert ready is not None
    return took, ready[0]


def measure(chosen: argparse.Namespace) -> list[dict[str, object]]:
    """One run on a fresh cluster."""
    extra = f"log: {{keep_entries: {chosen.keep}}}" if chosen.keep else ""
    starts: list[tuple[float, str]] = []
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), REPLICAS, extra) as cluster:
        leader = cluster.leader()
        follower = next(node for node in cluster.daemons if node != leader)
        seen = {node: Seen() for node in cluster.daemons}
        for values in (0, chosen.values // 10, chosen.values - chosen.values // 10):
            if values:
                before = {node: written(daemon) for node, daemon in cluster.daemons.items()}
                seconds += _run(chosen, cluster, seen, values)[1]
                for node, daemon in cluster.daemons.items():
                    seen[node].written += written(daemon) - before[node]
            starts.append(restart_s(cluster, follower))
    memory = max(seen.values(), key=lambda one: one.memory)
    half = memory.memories[len(memory.memories) // 2 :]
    kept = min(chosen.keep or chosen.values, chosen.values) * chosen.value_bytes
    disk = max(one.disk for one in seen.values())
    amplified = max(one.written for one in seen.values()) / (chosen.values * chosen.value_bytes)
    flaw = " !" if any("catches_up" in said for _, said in starts) else ""
    return [
        _row("values", f"{chosen.values} of {chosen.value_bytes} B, {chosen.keep or 'all'} kept", ""),
        _row("values/s, one client", round(chosen.values / seconds), "0.95x of before"),
        _row("start of a replica after kill -9, s", round(starts[2][0], 2), "3" + flaw),
        _row("  after a tenth of the values, s", round(starts[1][0], 2), "flat"),
        _row("  after the birth, s", round(starts[0][0], 2), "flat"),
        _row("memory of a replica at most, MB", round(memory.memory / 1e6), "150"),
        _row("  growth in the second half, MB", round((half[-1] - half[0]) / 1e6), ""),
        _row("disk of a replica at most, MB", round(disk / 1e6), f"{round(3 * kept / 1e6 + SPARE_MB)}"),
        _row("bytes written for each byte of value", round(amplified, 1), "5"),
    ]


def _run(chosen: argparse.Namespace, cluster: DaemonCluster, seen: dict[str, Seen], values: int) -> Done:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[Done] = context.Queue()
    arguments = (str(cluster.config), values, chosen.window, chosen.value_bytes, results)
    client = context.Process(target=load, args=arguments)
    client.start()
    until = time.monotonic() + chosen.seconds
    while time.monotonic() < until and client.is_alive() | (not results.empty()):
        for node, one in seen.items():
            one.look(cluster.daemons[node], cluster.folder / node)
        try:
            done = results.get(timeout=LOOK_EVERY_S)
        except Empty:
            continue
        client.join()
        return done
    client.terminate()
    raise SystemExit(f"the client did not finish within {chosen.seconds:.0f} s, or failed")


def _row(what: str, measured: object, asked: str) -> dict[str, object]:
    return {"what": what, "measured": measured, "asked": asked}


def main() -> None:
    parser = argparse.ArgumentParser(description="What a long life costs a cluster of three replicas.")
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--keep", type=int, default=100_000, help="entries of the log that are kept; 0: all")
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=NEVER_S, help="give up after so long")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    show("long life", measure(chosen), chosen.json)


if __name__ == "__main__":
    main()
