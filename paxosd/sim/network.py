"""The simulated network: every directed link may lose, hold back, repeat, reorder or replay what it carries.

Laws:
1. It carries bytes, never objects.
2. Nothing is lost silently: what was sent was delivered, or dropped for a named reason, or is in flight.
3. Between two nodes a frame may come twice, minutes later too. Between a client and a gateway it may not: that is
   one TCP connection, and it ends when either end does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from random import Random
from typing import TypeAlias

from paxosd.core.types import ClientAddress, NodeId
from paxosd.sim.plan import Plan
from paxosd.transport.base import Connection, Inbound

Name: TypeAlias = str
"""A node or a client."""

Deliver: TypeAlias = Callable[[Name, Name, bytes], None]
"""Called with sender, receiver and frame when a frame arrives."""

Sieve: TypeAlias = Callable[[Name, Name, bytes], bytes | None]
"""What a script lets through of a frame from sender to receiver; None: nothing."""

Schedule: TypeAlias = Callable[[float, Callable[..., None], tuple[object, ...]], None]

INBOX_FRAMES_MAX = 1000
FOREVER = float("inf")
CALM_DELAY_S = 0.001


class Network:
    """All links. Faults set until when a link is cut or clogged; `calm` ends loss, repetition and long delays."""

    def __init__(self, plan: Plan, random: Random, schedule: Schedule, deliver: Deliver) -> None:
        self.sent = 0
        self.delivered = 0
        self.dropped: Counter[str] = Counter()
        self.in_flight = 0
        self.sieve: Sieve | None = None
        self._random = random
        self._schedule = schedule
        self._deliver = deliver
        self._delay_s, self._jitter_s = plan.delay_s, plan.jitter_s
        self._loss, self._repeat, self._replay_s = plan.loss, plan.repeat, plan.replay_s
        self._late, self._late_s = plan.late, plan.late_s
        self._cut_until: dict[tuple[Name, Name], float] = {}
        self._clogged_until: dict[tuple[Name, Name], float] = {}
        self._lossy_until, self._lossy = 0.0, 0.0
        self._lagging: dict[Name, tuple[float, float]] = {}  # by how much, until when
        self._scattered: dict[Name, tuple[float, float]] = {}

    # ---- faults ----

    def cut(self, source: Name, target: Name, until: float) -> None:
        """Drop all that is sent from here to there."""
        self._cut_until[source, target] = max(until, self._cut_until.get((source, target), 0.0))

    def clog(self, source: Name, target: Name, until: float) -> None:
        """Hold back all that is sent from here to there, and let it through then."""
        self._clogged_until[source, target] = until

    def lose(self, share: float, until: float) -> None:
        """Lose this share of all frames."""
        self._lossy, self._lossy_until = share, until

    def lag(self, target: Name, by_s: float, until: float) -> None:
        """All that nodes send to this one comes so much later, in order."""
        self._lagging[target] = by_s, until

    def scatter(self, target: Name, by_s: float, until: float) -> None:
        """Half of all that nodes send to this one comes up to so much later, each frame by itself."""
        self._scattered[target] = by_s, until

    def mend(self, kept: Callable[[Name, Name], bool]) -> None:
        """End every cut and clog but those that shall be kept, which stay for good; no more bad luck."""
        for link in [*self._cut_until, *self._clogged_until]:
            if not kept(*link):
                self._cut_until.pop(link, None)
                self._clogged_until.pop(link, None)
        self._loss = self._repeat = self._late = self._lossy_until = 0.0
        self._jitter_s = min(self._jitter_s, CALM_DELAY_S)
        self._lagging.clear()
        self._scattered.clear()

    # ---- frames ----

    def send(self, source: Name, target: Name, frame: bytes, at: float, client: bool = False) -> None:
        """Put a frame on its way at this time; `client`: one end of the link is a client."""
        random = self._random
        self.sent += 1
        if self.sieve is not None:
            passed = self.sieve(source, target, frame)
            if passed is None:
                self.dropped["kept by the script"] += 1
                return
            frame = passed
        loss = self._loss if at >= self._lossy_until else self._lossy
        if self._cut_until and at < self._cut_until.get((source, target), 0.0):
            self.dropped["cut"] += 1
        elif loss and random.random() < loss:
            self.dropped["lost"] += 1
        else:
            arrives = at + self._delay_s + random.random() ** 3 * self._jitter_s
            if not client:
                arrives += self._lateness(target, at)
            if self._clogged_until:
                arrives = max(arrives, self._clogged_until.get((source, target), 0.0))
            self._carry(source, target, frame, arrives)
            if self._repeat and not client and random.random() < self._repeat:
                self.sent += 1
                self._carry(source, target, frame, arrives + random.random() * self._replay_s)

    def _lateness(self, target: Name, at: float) -> float:
        """How much longer than usual a frame between nodes takes."""
        random, late_s = self._random, 0.0
        if self._late and random.random() < self._late:
            late_s = random.random() * self._late_s
        if self._lagging and at < (lagging := self._lagging.get(target, (0.0, 0.0)))[1]:
            late_s += lagging[0]
        if self._scattered and at < (scattered := self._scattered.get(target, (0.0, 0.0)))[1] and random.random() < 0.5:
            late_s += random.random() * scattered[0]
        return late_s

    def _carry(self, source: Name, target: Name, frame: bytes, arrives: float) -> None:
        self.in_flight += 1
        self._schedule(arrives, self._arrive, (source, target, frame))

    def _arrive(self, source: Name, target: Name, frame: bytes) -> None:
        self.in_flight -= 1
        self._deliver(source, target, frame)

    def check(self) -> str | None:
        """What is wrong with the books; None if every frame is accounted for (law 2)."""
        known = self.delivered + sum(self.dropped.values()) + self.in_flight
        return None if known == self.sent else f"{self.sent} frames were sent and {known} are accounted for"


class SimTransport:
    """A node's end; keeps `transport/base.py`. `moment` gives the time inside the turn that sends."""

    def __init__(
        self, node_id: NodeId, network: Network, moment: Callable[[], float], before_send: Callable[[], None]
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self.idle_s = 0.0
        self._node_id = node_id
        self._network = network
        self._moment = moment
        self._before_send = before_send
        self._from_peers: deque[Inbound] = deque()
        self._from_clients: deque[Inbound] = deque()

    def arrive(self, client: ClientAddress | None, frame: bytes) -> bool:
        """Queue a frame for the next turn; False if the queue is full and it is dropped."""
        queue = self._from_peers if client is None else self._from_clients
        if len(queue) >= INBOX_FRAMES_MAX:
            return False
        queue.append(Inbound(client, frame, client))
        return True

    @property
    def has_frames(self) -> bool:
        return bool(self._from_peers or self._from_clients)

    def send(self, target: NodeId, frame: bytes) -> None:
        self._before_send()
        self._network.send(self._node_id, target, frame, self._moment())

    def reply(self, client: ClientAddress, frame: bytes) -> None:
        self._before_send()
        self._network.send(self._node_id, client.decode(), frame, self._moment(), client=True)

    def wait(self, timeout_s: float | None) -> None:
        """Only notes how long the driver would wait; the world wakes the node then, or when a frame comes."""
        self.idle_s = FOREVER if timeout_s is None else timeout_s

    def drain(self, frames_max: int) -> Iterator[Inbound]:
        for queue in (self._from_peers, self._from_clients):
            for _ in range(frames_max):
                if not queue:
                    break
                yield queue.popleft()

    def vouch(self, connection: Connection) -> None:
        """The simulator bounds no connections."""

    def hang_up(self, connection: Connection) -> None:
        """What this client has sent is gone with its connection."""
        kept = [inbound for inbound in self._from_clients if inbound.connection != connection]
        self._from_clients.clear()
        self._from_clients.extend(kept)

    def wake(self) -> None:
        self.idle_s = 0.0

    def close(self) -> None:
        self._from_peers.clear()
        self._from_clients.clear()
