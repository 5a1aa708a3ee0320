"""What a cluster does with more than it can take: `python -m bench.overload [--layout replicas] [--times 10]`.

The same wire clients are used twice on one cluster. First with few batches under way: what then gets through is the
peak. Then as an open loop that offers `--times` as much, however slowly it is answered, with a session for each batch
that waits. Meanwhile one client of the library proposes value after value; it tells how long calm takes to come back.

`--library` measures instead what callers of the client library see: `--clients` processes at full speed, each with
`--window` values under way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import secrets
import statistics
import tempfile
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from bench.cluster import LAYOUTS, percentile, show
from paxosd import Client, PaxosError
from paxosd.config import load as load_config
from paxosd.core.messages import Applied, OpenSession, Propose, Refused, SessionOpened
from paxosd.core.types import SESSION_BYTES, SessionId
from paxosd.core.values import encode_body
from paxosd.wire.frames import Codec
from tests.system.daemons import DaemonCluster

SESSIONS = 400
"""How many batches of one process may wait for their answer; an open loop that finds none free says so."""
SESSIONS_PER_CONNECTION = 8
"""As many as a gateway gives to one connection at once."""
PEAK_UNDER_WAY = 100
"""How many batches of one process are under way while the peak is measured."""
UNANSWERED_AFTER_S = 5.0
CALM_BEFORE_S = 3.0
CALM_AFTER_S = 5.0
NORMAL_AFTER_S = 2.0


@dataclass
class Tally:
    """What one process saw. Latencies are in seconds."""

    offered: int = 0
    withheld: int = 0
    applied: int = 0
    unanswered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    applied_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.offered += other.offered
        self.withheld += other.withheld
        self.applied += other.applied
        self.unanswered += other.unanswered
        self.refused += other.refused
        self.applied_s += other.applied_s
        self.refused_s += other.refused_s


class Sessions:
    """Many sessions over many connections, each with one batch under way at most."""

    def __init__(self, url: str, digest: bytes, name: str, batch: int, value_bytes: int) -> None:
        self._codec = Codec(digest, name, 1, 1 << 24)
        self._poller = zmq.Poller()
        self._sockets = [self._connect(url) for _ in range(SESSIONS // SESSIONS_PER_CONNECTION)]
        self._socket_of: dict[SessionId, zmq.Socket[bytes]] = {}
        self._batch = batch
        self._body = encode_body([bytes(value_bytes)] * batch)
        self._next_seq: dict[SessionId, int] = {}
        self._attempt = 0
        self.free: deque[SessionId] = deque()
        self.waiting: dict[SessionId, float] = {}
        self.tally = Tally()

    def _connect(self, url: str) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.SNDHWM, 0)
        socket.connect(url)
        self._poller.register(socket, zmq.POLLIN)
        return socket

    def open(self) -> None:
        """Open all sessions; what a gateway refuses is asked for again."""
        while len(self.free) < SESSIONS:
            for socket in self._sockets:
                for _ in range(SESSIONS_PER_CONNECTION - sum(known is socket for known in self._socket_of.values())):
                    self._attempt += 1
                    self._send(socket, OpenSession(secrets.token_bytes(SESSION_BYTES), self._attempt))
            until = time.monotonic() + 1
            while time.monotonic() < until and len(self.free) < SESSIONS:
                self.take(0.05)

    def propose(self, now: float) -> None:
        session = self.free.popleft()
        self._attempt += 1
        first = self._next_seq[session]
        self._send(self._socket_of[session], Propose(session, self._attempt, first, first, self._batch, self._body))
        self.waiting[session] = now
        self.tally.offered += 1

    def _send(self, socket: zmq.Socket[bytes], message: OpenSession | Propose) -> None:
        socket.send(self._codec.frames([self._codec.pack(message)])[0])

    def take(self, wait_s: float) -> None:
        """Take what has come, after waiting so long for the first of it."""
        for socket, _ in self._poller.poll(int(wait_s * 1000)):
            now = time.monotonic()
            while True:
                try:
                    frame = socket.recv(zmq.DONTWAIT)
                except zmq.Again:
                    break
                for message in self._codec.from_gateway(frame).messages:
                    if isinstance(message, SessionOpened):
                        self._socket_of[message.session] = socket
                    self._take(message, now)

    def _take(self, message: object, now: float) -> None:
        tally = self.tally
        match message:
            case SessionOpened(_, session):
                self._next_seq[session] = 1
                self.free.append(session)
            case Applied(session, first_seq, count):
                self._next_seq[session] = max(self._next_seq[session], first_seq + count)
                if session in self.waiting:
                    tally.applied += 1
                    tally.applied_s.append(now - self.waiting.pop(session))
                    self.free.append(session)
            case Refused(session, reason=reason) if session in self.waiting:
                tally.refused[reason.name] += 1
                tally.refused_s.append(now - self.waiting.pop(session))
                self.free.append(session)

    def give_up(self, before: float) -> None:
        """Count what was not answered; its sessions are not used again, for their next number is not known."""
        for session in [session for session, sent_at in self.waiting.items() if sent_at < before]:
            del self.waiting[session]
            self.tally.unanswered += 1


def wire_load(
    url: str, digest: bytes, number: int, shape: tuple[int, int], phases: Any, results: multiprocessing.Queue[Tally]
) -> None:
    """One process. `phases` gives (seconds, batches a second; 0: as fast as they are answered), then None."""
    sessions = Sessions(url, digest, f"load-{number}", *shape)
    sessions.open()
    results.put(Tally())
    while (phase := phases.get()) is not None:
        seconds, rate = phase
        sessions.tally = Tally()
        started = time.monotonic()
        arrivals = 0
        while (now := time.monotonic()) < started + seconds:
            if rate:
                due = int((now - started) * rate) - arrivals
                arrivals += due
            else:
                due = PEAK_UNDER_WAY - len(sessions.waiting)
            for _ in range(min(due, len(sessions.free))):
                sessions.propose(now)
            sessions.tally.withheld += max(0, due - len(sessions.free)) if rate else 0
            sessions.take(0.001)
        deadline = time.monotonic() + UNANSWERED_AFTER_S
        while sessions.waiting and time.monotonic() < deadline:
            sessions.take(0.01)
        sessions.give_up(deadline)
        results.put(sessions.tally)


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


def ms(latencies: list[float], share: float) -> str:
    return f"{percentile(sorted(latencies), share) * 1000:.1f}" if latencies else ""


def measure_wire(layout: str, chosen: argparse.Namespace) -> dict[str, object]:
    """One run on a fresh cluster."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[Tally] = context.Queue()
    with tempfile.TemporaryDirectory() as folder, DaemonCluster(Path(folder), LAYOUTS[layout]) as cluster:
        leader = cluster.leader()
        gateways = cluster.gateways
        urls = [gateways[leader]] if leader in gateways else list(gateways.values())
        digest = load_config(cluster.config).digest
        phases = [context.Queue() for _ in range(chosen.processes)]
        shape = (chosen.batch, chosen.value_bytes)
        processes = [
            context.Process(target=wire_load, args=(urls[i % len(urls)], digest, i, shape, phases[i], results))
            for i in range(chosen.processes)
        ]
        for process in processes:
            process.start()
        for _ in processes:
            results.get(timeout=60)

        def phase(seconds: float, rate: float) -> Tally:
            for queue in phases:
                queue.put((seconds, rate))
            total = Tally()
            for _ in processes:
                total.add(results.get(timeout=seconds + 60))
            return total

        peak = phase(chosen.peak_seconds, 0)
        peak_rate = peak.applied / chosen.peak_seconds
        elected = len(cluster.elections())
        probe = Probe(cluster.config)
        started = time.monotonic()
        probe.start()
        time.sleep(CALM_BEFORE_S)
        load_started = time.monotonic()
        tally = phase(chosen.seconds, chosen.times * peak_rate / chosen.processes)
        load_ended = load_started + chosen.seconds
        time.sleep(CALM_AFTER_S)
        probe.stop()
        for queue in phases:
            queue.put(None)
        for process in processes:
            process.join()
        elections, resident = len(cluster.elections()) - elected, resident_mb(cluster)
    before = probe.between(started, load_started)
    after = probe.between(load_ended + NORMAL_AFTER_S, float("inf"))
    goodput = tally.applied / chosen.seconds
    return {
        "layout": layout,
        "peak": round(peak_rate * chosen.batch),
        "offered": round((tally.offered + tally.withheld) / chosen.seconds * chosen.batch),
        "withheld_%": round(100 * tally.withheld / max(1, tally.offered + tally.withheld)),
        "goodput": round(goodput * chosen.batch),
        "of_peak_%": round(100 * goodput / peak_rate),
        "applied_p50_ms": ms(tally.applied_s, 0.5),
        "applied_p99_ms": ms(tally.applied_s, 0.99),
        "reject_p50_ms": ms(tally.refused_s, 0.5),
        "reject_p99_ms": ms(tally.refused_s, 0.99),
        "refused": dict(tally.refused),
        "unanswered": tally.unanswered,
        "elections": elections,
        "probe_before_ms": round(statistics.median(before) * 1000, 1),
        "probe_after_2s_ms": f"{ms(after, 0.5)} (max {ms(after, 1.0)})",
        "probe_errors": dict(Counter(error for _, _, error in probe.calls if error)),
        "resident_mb": resident,
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
