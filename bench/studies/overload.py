"""What a cluster does with more than it can take: `python -m bench.studies.overload [--layout replicas] [--times 10]`.

The same wire clients are used twice on one cluster. First with few batches under way: what then gets through is the
peak. Then as an open loop (`wire.py`) that offers `--times` as much, however slowly it is answered. Meanwhile one
client of the library proposes value after value; it tells how long calm takes to come back.

The load is made on the same processors, so at the peak more of them is left for the daemons than beyond it. Therefore
goodput is told twice: in a second, and for each second of processor time that the daemons had.

`--library` measures instead what callers of the client library see: `--clients` processes at full speed, each with
`--window` values under way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import statistics
import tempfile
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.book import percentile
from bench.studies.cluster import LAYOUTS, show
from bench.studies.wire import Generators, Shape, Tally
from paxosd import Client, PaxosError
from paxosd.config import load as load_config
from tests.system.daemons import DaemonCluster

CALM_BEFORE_S = 3.0
CALM_AFTER_S = 5.0
NORMAL_AFTER_S = 2.0


class Probe(threading.Thread):
    """Proposes value after value; keeps when each ended, how long it took, and its error."""

    def __init__(self, config: Path) -> None:
        super().__init__()
        self.calls: list[tuple[float, float, str]] = []
        self._config = config
        self._over = threading.Event()

    def run(self) -> None:
        with Client.from_config(self._config, timeout=5) as client:
            while not self._over.wait(0.02):
                started, error = time.monotonic(), ""
                try:
                    client.propose(b"probe")
                except PaxosError as failure:
                    error = type(failure).__name__
                self.calls.append((time.monotonic(), time.monotonic() - started, error))

    def stop(self) -> None:
        self._over.set()
        self.join()

    def between(self, since: float, until: float) -> list[float]:
        return [took for ended, took, _ in self.calls if since <= ended < until]


def resident_mb(cluster: DaemonCluster) -> int:
    """The most memory that any daemon had so far."""
    peaks = []
    for daemon in cluster.daemons.values():
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        peaks.append(int(found[1]) // 1024)
    return max(peaks)


def cpu_s(cluster: DaemonCluster) -> float:
    """The processor time that all daemons had so far."""
    ticks = 0
    for daemon in cluster.daemons.values():
        fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # of the user and of the kernel
    return ticks / os.sysconf("SC_CLK_TCK")


def ms(latencies: list[float], share: float) -> str:
    return f"{percentile(sorted(latencies), share) * 1000:.1f}" if latencies else ""


@dataclass(frozen=True)
class Phase:
    """What came of so many seconds of load; `daemons_cpu_s`: the processor time of all daemons in them."""

    seconds: float
    tally: Tally
    daemons_cpu_s: float

    @property
    def rate(self) -> float:
        """Batches applied in a second."""
        return self.tally.applied / self.seconds

    @property
    def per_cpu_s(self) -> float:
        """Batches applied for a second of the daemons' processor time, however much of it the machine left them."""
        return self.tally.applied / self.daemons_cpu_s


def run_phase(cluster: DaemonCluster, load: Generators, seconds: float, rate: float = 0) -> Phase:
    before = cpu_s(cluster)
    return Phase(seconds, load.offer(seconds, rate), cpu_s(cluster) - before)


def measure_wire(layout: str, chosen: argparse.Namespace) -> dict[str, object]:
    """One run on a fresh cluster."""
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), LAYOUTS[layout]) as cluster:
        leader, gateways = cluster.leader(), cluster.gateways
        urls = [gateways[leader]] if leader in gateways else list(gateways.values())
        shape = Shape(chosen.batch, chosen.value_bytes)
        with Generators(urls, load_config(cluster.config).digest, chosen.processes, shape) as load:
            peak = run_phase(cluster, load, chosen.peak_seconds)
            elected = len(cluster.elections())
            probe = Probe(cluster.config)
            probe.start()
            time.sleep(CALM_BEFORE_S)
            started = time.monotonic()
            overload = run_phase(cluster, load, chosen.seconds, chosen.times * peak.rate)
            time.sleep(CALM_AFTER_S)
            probe.stop()
        return {
            "layout": layout,
            "batch": chosen.batch,
            **_of_load(peak, overload, chosen.batch),
            "elections": len(cluster.elections()) - elected,
            **_of_probe(probe, started, started + chosen.seconds),
            "resident_mb": resident_mb(cluster),
        }


def _of_load(peak: Phase, overload: Phase, batch: int) -> dict[str, object]:
    tally = overload.tally
    offered = tally.offered + tally.withheld
    cpu = overload.daemons_cpu_s + tally.cpu_s
    return {
        "peak": round(peak.rate * batch),
        "offered": round(offered / overload.seconds * batch),
        "withheld_%": round(100 * tally.withheld / max(1, offered)),
        "goodput": round(overload.rate * batch),
        "of_peak_%": round(100 * overload.rate / peak.rate),
        "of_peak_per_cpu_%": round(100 * overload.per_cpu_s / peak.per_cpu_s),
        "load_cpu_%": round(100 * tally.cpu_s / cpu),
        "cores": round(cpu / overload.seconds, 2),
        "applied_p50_ms": ms(tally.applied_s, 0.5),
        "applied_p99_ms": ms(tally.applied_s, 0.99),
        "reject_p50_ms": ms(tally.refused_s, 0.5),
        "reject_p99_ms": ms(tally.refused_s, 0.99),
        "refused": dict(tally.refused),
        "unanswered": tally.unanswered,
    }


def _of_probe(probe: Probe, load_started: float, load_ended: float) -> dict[str, object]:
    before = probe.between(0.0, load_started)
    after = probe.between(load_ended + NORMAL_AFTER_S, float("inf"))
    return {
        "probe_before_ms": round(statistics.median(before) * 1000, 1),
        "probe_after_2s_ms": f"{ms(after, 0.5)} (max {ms(after, 1.0)})",
        "probe_errors": dict(Counter(error for _, _, error in probe.calls if error)),
    }


def library_load(
    config: str, seconds: float, window: int, value_bytes: int, results: multiprocessing.Queue[Any]
) -> None:
    """One client at full speed; puts what became of its calls, and how long some of those that succeeded took."""
    outcomes: Counter[str] = Counter()
    latencies: list[float] = []
    with Client.from_config(config, timeout=5) as client:
        under_way: deque[tuple[float, Any]] = deque()
        end = time.monotonic() + seconds
        while under_way or time.monotonic() < end:
            while len(under_way) < window and (now := time.monotonic()) < end:
                try:
                    under_way.append((now, client.propose_async(bytes(value_bytes))))
                except PaxosError as error:
                    outcomes[f"{type(error).__name__} at once"] += 1
            started, future = under_way.popleft()
            failure = future.exception()
            outcomes[type(failure).__name__ if failure else "acked"] += 1
            if not failure and outcomes["acked"] % 50 == 0:
                latencies.append(time.monotonic() - started)
    results.put((outcomes, latencies))


def measure_library(layout: str, chosen: argparse.Namespace) -> dict[str, object]:
    """One run on a fresh cluster."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), LAYOUTS[layout]) as cluster:
        cluster.leader()
        elected = len(cluster.elections())
        results: multiprocessing.Queue[Any] = context.Queue()
        arguments = (str(cluster.config), chosen.seconds, chosen.window, chosen.value_bytes, results)
        processes = [context.Process(target=library_load, args=arguments) for _ in range(chosen.clients)]
        for process in processes:
            process.start()
        outcomes: Counter[str] = Counter()
        latencies: list[float] = []
        for _ in processes:
            some, took = results.get(timeout=chosen.seconds + 90)
            outcomes += some
            latencies += took
        for process in processes:
            process.join()
        elections, resident = len(cluster.elections()) - elected, resident_mb(cluster)
    acked = outcomes.pop("acked", 0)
    return {
        "layout": layout,
        "clients": chosen.clients,
        "window": chosen.window,
        "values_per_s": round(acked / chosen.seconds),
        "p50_ms": ms(latencies, 0.5),
        "p99_ms": ms(latencies, 0.99),
        "errors": dict(outcomes),
        "errors_%": round(100 * outcomes.total() / max(1, acked + outcomes.total()), 2),
        "elections": elections,
        "resident_mb": resident,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", choices=LAYOUTS, action="append")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--peak-seconds", type=float, default=8.0)
    parser.add_argument("--times", type=float, default=10.0, help="how many times the peak is offered")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=100, help="values in one Propose, which is one frame")
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--library", action="store_true")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    measure = measure_library if chosen.library else measure_wire
    rows = [measure(layout, chosen) for layout in chosen.layout or LAYOUTS]
    show("overload", rows, chosen.json)


if __name__ == "__main__":
    main()
