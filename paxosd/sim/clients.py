"""Simulated clients: the production session and codec, a thinking time, and a memory of what they were told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from paxosd.client.calls import Command, Question
from paxosd.client.errors import PaxosError, WrongCluster, WrongHistory
from paxosd.client.gateways import Gateways
from paxosd.client.reception import receive
from paxosd.client.watches import WatchCalls
from paxosd.client.watching import WatchingSession
from paxosd.core.messages import LogPage, ReadLog
from paxosd.core.options import CLIENT_FRAME_BYTES
from paxosd.core.types import HistoryId, NodeId, Revision
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.check.invariants import Order, ensure
from paxosd.sim.plan import Plan
from paxosd.sim.watchers import SimWatchers
from paxosd.wire.frames import CLIENT_MESSAGES_MAX, Codec

SMALLEST_WAIT_S = 0.001
UNDER_WAY_MAX = 16
"""How many calls a client has under way at most."""
MANY_READS = 0.25
"""Where more of all calls than so many read, a call that reads does not propose."""
REQUEST_BITS = 32
"""How many requests a client numbers, beside its own number."""
WAIT_MS_MAX = 500
EDGE_BYTES = 40
"""How much longer or shorter than `edge_bytes` a command is that shall be about so long."""


@dataclass(slots=True)
class SimCall:
    """One call of a client, as it would be seen from outside. `outcome` is empty while it is under way. `seen_before`:
    the highest revision that anybody had been told, of each history that the call may come to."""

    client: str
    name: str
    value: bytes
    invoked_s: float
    seen_before: Mapping[Ghost, Revision]
    pending: Command | Question
    outcome: str = ""
    revision: Revision = 0
    ended_s: float = 0.0


class SimClient:
    """One client, the only one with this number. `ghosts_of` gives what is known of its history, of every history while
    that is not known. `send` hands a frame for a gateway to the network, `wake` asks for
    `step` at a time."""

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
    ) -> None:
        self.name = name
        self.operations: list[SimCall] = []
        self.under_way: list[SimCall] = []
        self.working = True
        self._plan = plan
        self._random = random
        self._ghosts_of = ghosts_of
        self._send = send
        self._wake = wake
        gateways = [f"tcp://{node}:7100" for node, role in plan.roles.items() if role in ("learner", "replica")]
        random.shuffle(gateways)
        self._gateways = gateways
        self._is_pinned = plan.pinned and number % 2 == 1
        self._digest = digest
        self.watchers = SimWatchers(name, plan)
        self._be_new()
        self._next_call_s = 0.0
        self._is_troubled = True  # faults still come
        self._count = 0
        self._requests = number << REQUEST_BITS
        self._seen: Revision = 0  # the latest revision that it saw itself
        self.timeout_s = plan.timeout_s

    def _be_new(self) -> None:
        """As a new client, which knows nothing yet."""
        gateways = self._gateways[:1] if self._is_pinned else self._gateways
        bytes_max = self._plan.credit_bytes
        self._session = WatchingSession(gateways, self._random, watches=WatchCalls(bytes_max, bytes_max))
        self.watchers.begin(self._session)
        self._codec = Codec(self._digest, self.name, self._random.getrandbits(62), 16 * 1024 * 1024)

    @property
    def ghosts(self) -> Sequence[Ghost]:
        """What its calls may come to."""
        found = self._ghosts_of(self._codec.history)
        ensure(bool(found), "1 agreement", f"{self.name} was told of a history that is not born")
        return found

    @property
    def gateway(self) -> NodeId:
        return self._session.gateway.removeprefix("tcp://").partition(":")[0]

    def unpin(self) -> None:
        """From now on it knows every gateway; the one that it knew comes first."""
        self._is_pinned = self._is_troubled = False
        self._session.gateways = Gateways(self._gateways)

    # ---- the loop of a client ----

    def step(self, now: float) -> None:
        """Call, send, take up what is done, and say when to be woken."""
        if self.working and now >= self._next_call_s:
            self._call(now)
        self.watchers.step(self.ghosts[-1].order, calm=not self._is_troubled)
        try:
            messages = self._session.poll(now)
        except WrongHistory as error:
            self._end(error, now)
            messages = []
        if messages:
            gateway = self.gateway
            for frame in self._codec.frames(
                [self._codec.pack(message) for message in messages], CLIENT_FRAME_BYTES, CLIENT_MESSAGES_MAX
            ):
                self._send(self.name, gateway, frame)
        self._settle(now)
        times = [self._next_call_s] if self.working else []
        if (deadline := self._session.next_deadline()) is not None:
            ensure(deadline > now, "busy", f"{self.name} has nothing to do, and does not sleep")
            times.append(deadline)
        if times:
            self._wake(max(min(times), now + SMALLEST_WAIT_S))

    def arrive(self, gateway: NodeId, frame: bytes, now: float) -> bool:
        """A frame from a gateway; False if the connection it came on was given up."""
        if gateway != self.gateway:
            return False
        try:
            receive(frame, self._session.gateway, self._codec, self._session, now)
        except (WrongCluster, WrongHistory) as error:
            self._end(error, now)
        self.step(now)
        return True

    def _end(self, error: WrongCluster | WrongHistory, now: float) -> None:
        """The client's history is gone: whoever called is told, and goes on with a new client."""
        self._session.close(type(error), str(error))
        self._settle(now)
        self._be_new()

    # ---- calls ----

    def _call(self, now: float) -> None:
        self._next_call_s = now + self._random.uniform(0.5, 1.5) * self._plan.think_s
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
                self.ask(now, ReadLog(0, known, False, self._seen, 0))
            case _:
                self.ask(now, ReadLog(0, known, True, 0, 0))

    def propose(self, now: float) -> SimCall:
        """Propose a value that nobody proposed before; `step` sends it."""
        self._count += 1
        padding = b"#" + b"x" * self._padding()
        value = b"%s-%d%s" % (self.name.encode(), self._count, padding)
        for ghost in self.ghosts:
            ghost.safety.submitted.add(value)
        command = Command(value, now + self.timeout_s)
        self._session.propose(command)
        return self._begin("propose", value, command, now)

    def _padding(self) -> int:
        edge = self._plan.edge_bytes
        if edge and self._random.random() < 0.5:
            return max(0, edge + self._random.randint(-EDGE_BYTES, EDGE_BYTES))
        return self._random.randrange(self._plan.command_bytes)

    def ask(self, now: float, read: ReadLog) -> SimCall:
        """Read the log, under a request number of our own; `step` sends it."""
        self._requests += 1
        numbered = replace(read, request=self._requests)
        question = Question(numbered, now + self.timeout_s)
        self._session.ask(question)
        for ghost in self.ghosts:
            ghost.answers.asked(numbered, now)
        return self._begin("read", b"", question, now)

    def _begin(self, name: str, value: bytes, pending: Command | Question, now: float) -> SimCall:
        seen_before = {ghost: ghost.answers.seen for ghost in self.ghosts}
        operation = SimCall(self.name, name, value, now, seen_before, pending)
        self.operations.append(operation)
        self.under_way.append(operation)
        return operation

    # ---- results ----

    def _settle(self, now: float) -> None:
        done = [operation for operation in self.under_way if operation.pending.done]
        if done:
            self.under_way = [operation for operation in self.under_way if not operation.pending.done]
            for operation in done:
                self._conclude(operation, now)

    def _conclude(self, operation: SimCall, now: float) -> None:
        operation.ended_s = now
        pending = operation.pending
        if isinstance(pending, Command) and pending.receipt is not None:
            operation.outcome, operation.revision = "acked", pending.receipt.revision
            (ghost,) = self.ghosts  # whoever has a result knows of which history
            ghost.answers.acked(operation.value, operation.revision, operation.seen_before[ghost])
            self._seen = max(self._seen, operation.revision)
        elif isinstance(pending, Question) and isinstance(pending.answer, LogPage):
            operation.outcome, operation.revision = "acked", pending.answer.last
            self.ghosts[-1].answers.told(pending.answer, now)
            self._seen = max(self._seen, operation.revision)
        else:
            error = pending.error
            assert isinstance(error, PaxosError)
            operation.outcome = error.outcome
        late = now - operation.invoked_s > self.timeout_s * 1.1 + 0.1
        ensure(not late, "timeout", f"a call of {self.name} took {now - operation.invoked_s:.3f} s")


def check_ends(operations: Sequence[SimCall], order: Order, certain: bool) -> None:
    """What was called not applied is not in the log. `certain`: no frame came twice, or nobody can be that sure."""
    present = set(order.log)
    for operation in operations:
        if operation.name == "propose" and operation.outcome == "not_applied" and certain:
            ensure(
                operation.value not in present, "not applied", f"{operation.value[:20]!r} is in the log all the same"
            )
