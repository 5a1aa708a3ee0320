"""Simulated clients: the production session, and what it is promised, checked from outside."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from paxosd.client.calls import Command, Question
from paxosd.client.clock import Clocks
from paxosd.client.engine import Engine
from paxosd.client.errors import WrongCluster, WrongHistory
from paxosd.client.gateways import Gateways
from paxosd.client.watches import WatchCalls
from paxosd.client.watching import WatchingSession
from paxosd.core.messages import ReadLog
from paxosd.core.types import HistoryId, NodeId, SessionId
from paxosd.sim.calls import SimCall, SimCalls
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.check.invariants import ensure
from paxosd.sim.keys.caller import KeyCaller
from paxosd.sim.plan import Plan
from paxosd.sim.watchers import SimWatchers
from paxosd.wire.frames import Codec

SMALLEST_WAIT_S = 0.001
UNDER_WAY_MAX = 16
"""How many calls a client has under way at most."""
MANY_READS = 0.25
"""Where more of all calls than so many read, a call that reads does not propose."""
WAIT_MS_MAX = 500
EDGE_BYTES = 40
"""How much longer or shorter than `edge_bytes` a command is that shall be about so long."""


class SimLink:
    """A client's end of the simulated network."""

    troubles: Mapping[str, str] = {}

    def __init__(self, send: Callable[[NodeId, bytes], None]) -> None:
        self._send = send

    def send(self, gateway: str, frame: bytes) -> None:
        self._send(_node(gateway), frame)

    def leave(self, gateway: str) -> None:
        """There is one way to each gateway."""

    def receive(self, timeout_s: float | None) -> Sequence[bytes]:
        return ()

    def wake(self) -> None:
        """Nobody waits."""

    def close(self) -> None:
        """Nothing is open."""


class SimSession(WatchingSession):
    """The production session, and somebody who hears of every command that it takes."""

    heard: Callable[[Command], None]

    def own_id(self) -> SessionId:
        """In which its commands have their numbers."""
        return self._outbox.session

    def propose(self, *commands: Command) -> None:
        for command in commands:
            self.heard(command)
        super().propose(*commands)


class SimClient:
    """One client, the only one with this number. `ghosts_of` gives what is known of its history, of every history while
    that is not known. `send` hands a frame for a gateway to the network, `wake` asks for `step` at a time, `time` is
    that of the world."""

    def __init__(
        self,
        name: str,
        number: int,
        plan: Plan,
        random: Random,
        digest: bytes,
        ghosts_of: Callable[[HistoryId], Sequence[Ghost]],
        send: Callable[[str, NodeId, bytes], None],
        wake: Callable[[float], None],
        time: Callable[[], float],
    ) -> None:
        self.name = name
        self.working = True
        self.paused_until = 0.0
        self._plan = plan
        self._random = random
        self._ghosts_of = ghosts_of
        self._link = SimLink(lambda gateway, frame: send(name, gateway, frame))
        self._wake = wake
        gateways = [f"tcp://{node}:7100" for node, role in plan.roles.items() if role in ("learner", "replica")]
        random.shuffle(gateways)
        self._gateways = gateways
        self._is_pinned = plan.pinned and number % 2 == 1
        self._digest = digest
        self._came_in_pause: deque[tuple[NodeId, bytes]] = deque()
        self._calls = SimCalls(name, number, plan.timeout_s, lambda: self.ghosts)
        own = Random(f"client-{plan.seed}-{name}")
        rate, offset = 1.0 + own.uniform(-1.0, 1.0) * plan.drift, own.uniform(0.0, 1e5)
        self._clocks = Clocks(time, lambda: offset + rate * time())
        only_looks = number % 2 == 0 and number // 2 <= plan.lookers  # those of odd numbers may be pinned
        self.watchers = SimWatchers(name, plan, only_looks)
        self.keys = KeyCaller(name, plan, self._calls, self._clocks, lambda: self.ghosts[-1], only_looks)
        self._be_new()
        self._next_call_s = 0.0
        self._is_troubled = True  # faults still come
        self._count = 0

    def _be_new(self) -> None:
        """As a new client, which knows nothing yet."""
        self._calls.seen = 0
        gateways = self._gateways[:1] if self._is_pinned else self._gateways
        bytes_max = self._plan.credit_bytes
        self._session = SimSession(gateways, self._random, watches=WatchCalls(bytes_max, bytes_max))
        self._session.heard = self._calls.proposed
        self.watchers.begin(self._session)
        self._codec = Codec(self._digest, self.name, self._random.getrandbits(62), 16 * 1024 * 1024)
        self._engine = Engine(self._session, self._codec, self._link, lambda connection: None, self._clocks)
        self.keys.begin(self._engine, self._session.own_id)

    @property
    def operations(self) -> list[SimCall]:
        """All its calls, one after the other."""
        return self._calls.all

    @property
    def under_way(self) -> list[SimCall]:
        """Those that are not over."""
        return self._calls.under_way

    @property
    def ghosts(self) -> Sequence[Ghost]:
        """What its calls may come to."""
        found = self._ghosts_of(self._codec.history)
        ensure(bool(found), "1 agreement", f"{self.name} was told of a history that is not born")
        return found

    @property
    def gateway(self) -> NodeId:
        return _node(self._session.gateway)

    @property
    def timeout_s(self) -> float:
        """How long its calls take at most."""
        return self._calls.timeout_s

    @timeout_s.setter
    def timeout_s(self, timeout_s: float) -> None:
        self._calls.timeout_s = timeout_s

    def pause(self, until: float) -> None:
        """It stands still until then; from the healing of the world on it runs."""
        self.paused_until = max(self.paused_until, until) if self._is_troubled else until
        self._calls.woke_at = self.paused_until
        self._wake(self.paused_until)

    def unpin(self) -> None:
        """From now on it knows every gateway; the one that it knew comes first."""
        self._is_pinned = self._is_troubled = False
        self._session.gateways = Gateways(self._gateways)

    # ---- the loop of a client ----

    def step(self, now: float) -> None:
        """Call, send, take up what is done, and say when to be woken."""
        if now < self.paused_until:
            return self._wake(self.paused_until)
        while self._came_in_pause:
            self._take(*self._came_in_pause.popleft())
        if self.working and now >= self._next_call_s:
            self._call(now)
        self.watchers.step(self.ghosts[-1], calm=not self._is_troubled)
        self._calls.seen = max(self._calls.seen, self.watchers.seen)
        self.keys.step(now, self.working, self._is_troubled)
        try:
            self._engine.prepare()
        except WrongHistory as error:
            self._end(error)
        deadline = self._engine.send()
        self._calls.settle(now)
        times = [self._next_call_s] if self.working else []
        times += self.keys.next_due()
        if deadline is not None:
            ensure(deadline > now, "busy", f"{self.name} has nothing to do, and does not sleep")
            times.append(deadline)
        if times:
            self._wake(max(min(times), now + SMALLEST_WAIT_S))
        return None

    def arrive(self, gateway: NodeId, frame: bytes, now: float) -> bool:
        """A frame from a gateway; False if the connection it came on was given up."""
        if now < self.paused_until:
            self._came_in_pause.append((gateway, frame))
            return True
        if gateway != self.gateway:
            return False
        self._take(gateway, frame)
        self.step(now)
        return True

    def _take(self, gateway: NodeId, frame: bytes) -> None:
        if gateway == self.gateway:
            try:
                self._engine.receive([frame])
            except (WrongCluster, WrongHistory) as error:
                self._end(error)

    def _end(self, error: WrongCluster | WrongHistory) -> None:
        """The client's history is gone: whoever called is told, and goes on with a new client."""
        self._engine.close(error)
        self._calls.settle(self._clocks.now())
        self._be_new()

    def rest(self) -> None:
        """It calls nobody any more, and gives back what it has; what it watches it goes on to watch."""
        self.working = False
        self.keys.close()
        self._wake(self._clocks.now())

    def die(self, now: float) -> None:
        """The process of the client ends at any point, and another one begins."""
        self._calls.abandon()
        self._came_in_pause.clear()
        self.paused_until = now
        self._be_new()
        self.step(now)

    # ---- calls ----

    def _call(self, now: float) -> None:
        self._next_call_s = now + self._random.uniform(0.5, 1.5) * self._plan.think_s
        if self.keys.call(now):
            return
        if self._random.random() < self._plan.reads:
            self._read(now)
            if self._plan.reads > MANY_READS:
                return
        for _ in range(self._random.choice((1, 1, 1, 2, 5))):
            if len(self.under_way) < UNDER_WAY_MAX:
                self.propose(now)

    def _read(self, now: float) -> None:
        """Most of the time the end of the log; now and then what is not there yet, or only what this gateway has."""
        random = self._random
        if len(self.under_way) >= UNDER_WAY_MAX:
            return
        seen = self.ghosts[-1].answers.seen
        known = max(1, seen - random.randrange(10))
        match random.randrange(8):
            case 0:
                self.ask(now, ReadLog(0, max(1, seen + random.randrange(3)), True, 0, random.randrange(WAIT_MS_MAX)))
            case 1:
                self.ask(now, ReadLog(0, known, False, self._calls.seen, 0))
            case _:
                self.ask(now, ReadLog(0, known, True, 0, 0))

    def propose(self, now: float) -> SimCall:
        """Propose a value that nobody proposed before; `step` sends it."""
        self._count += 1
        padding = b"#" + b"x" * self._padding()
        value = b"%s-%d%s" % (self.name.encode(), self._count, padding)
        command = Command(value, now + self.timeout_s)
        self._session.propose(command)
        return self._calls.begin("propose", command, now)

    def _padding(self) -> int:
        edge = self._plan.edge_bytes
        if edge and self._random.random() < 0.5:
            return max(0, edge + self._random.randint(-EDGE_BYTES, EDGE_BYTES))
        return self._random.randrange(self._plan.command_bytes)

    def ask(self, now: float, read: ReadLog) -> SimCall:
        """Read the log, under a request number of our own; `step` sends it."""
        question = Question(replace(read, request=self._calls.next_request()), now + self.timeout_s)
        self._session.ask(question)
        return self._calls.begin("read", question, now)


def _node(gateway: str) -> NodeId:
    return gateway.removeprefix("tcp://").partition(":")[0]
