"""The load of `bench.studies.overload`: processes that speak to gateways frame by frame, as fast as they are told.

An open loop never waits for answers: what it offers, it offers on time, with another session for each batch that waits.
"""

from __future__ import annotations

import multiprocessing
import secrets
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import zmq

from paxosd.core.messages import Applied, OpenSession, Propose, Refused, SessionOpened
from paxosd.core.types import SESSION_BYTES, SessionId
from paxosd.core.values import encode_body
from paxosd.wire.frames import Codec

SESSIONS = 400
"""How many batches of one process may wait for their answer; an open loop that finds none free says so."""
SESSIONS_PER_CONNECTION = 8
"""As many as a gateway gives to one connection at once."""
PEAK_UNDER_WAY = 100
"""How many batches of one process are under way while the peak is measured."""
UNANSWERED_AFTER_S = 5.0


@dataclass
class Tally:
    """What one process saw, or all of them. Times are in seconds; `cpu_s` is what making the load took."""

    cpu_s: float = 0.0
    offered: int = 0
    withheld: int = 0
    applied: int = 0
    unanswered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    applied_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.cpu_s += other.cpu_s
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


class Shape(NamedTuple):
    """Of what is proposed at once."""

    batch: int
    value_bytes: int


def generate(
    url: str, digest: bytes, number: int, shape: Shape, phases: Any, results: multiprocessing.Queue[Tally]
) -> None:
    """One process. `phases` gives (seconds, batches a second; 0: as fast as they are answered), then None."""
    sessions = Sessions(url, digest, f"load-{number}", *shape)
    sessions.open()
    results.put(Tally())
    while (phase := phases.get()) is not None:
        sessions.tally = Tally()
        cpu_s = time.process_time()
        _offer(sessions, *phase)
        _await_answers(sessions)
        sessions.tally.cpu_s = time.process_time() - cpu_s
        results.put(sessions.tally)


def _offer(sessions: Sessions, seconds: float, rate: float) -> None:
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


def _await_answers(sessions: Sessions) -> None:
    deadline = time.monotonic() + UNANSWERED_AFTER_S
    while sessions.waiting and time.monotonic() < deadline:
        sessions.take(0.01)
    sessions.give_up(deadline)


class Generators:
    """So many processes, each at one of these gateways; in the block they have their sessions."""

    def __init__(self, urls: Sequence[str], digest: bytes, count: int, shape: Shape) -> None:
        context = multiprocessing.get_context("spawn")
        self._results: multiprocessing.Queue[Tally] = context.Queue()
        self._phases = [context.Queue() for _ in range(count)]
        self._processes = [
            context.Process(target=generate, args=(urls[i % len(urls)], digest, i, shape, phases, self._results))
            for i, phases in enumerate(self._phases)
        ]

    def __enter__(self) -> Generators:
        for process in self._processes:
            process.start()
        for _ in self._processes:
            self._results.get(timeout=60)
        return self

    def offer(self, seconds: float, rate: float = 0) -> Tally:
        """Offer so many batches a second, all together; 0: as many as are answered."""
        for phases in self._phases:
            phases.put((seconds, rate / len(self._phases)))
        total = Tally()
        for _ in self._processes:
            total.add(self._results.get(timeout=seconds + 60))
        return total

    def __exit__(self, *_: object) -> None:
        for phases in self._phases:
            phases.put(None)
        for process in self._processes:
            process.join()
