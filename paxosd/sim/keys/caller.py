"""What a simulated client does with keys: commands, reads of every kind, leases, and courses that want turns.

Laws:
1. Every answer is compared with what is chosen (`check/replay.py`).
2. What it draws, it draws from a `Random` of its own: the calls of clients without keys are what they were.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from paxosd.client import driving
from paxosd.client.calls import Command, Question
from paxosd.client.clock import Clocks
from paxosd.client.engine import Engine
from paxosd.client.leases import HeldLease
from paxosd.client.reads import LINEARIZABLE, LOCAL, SESSION, AtLeast, MaxAge, Read
from paxosd.core.messages import Answer
from paxosd.machine.kv.requests import Command as KeyCommand
from paxosd.machine.kv.requests import Grant, Put
from paxosd.machine.kv.requests import Question as KeyQuestion
from paxosd.machine.kv.results import Granted, RangeFound, decode_result
from paxosd.sim.calls import SimCall, SimCalls, ignore
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.keys.drawing import KeyDraw
from paxosd.sim.plan import Plan

LEASES_MAX = 3
"""How many leases a client has at most, besides that of its turns."""
UNDER_WAY_MAX = 24


class KeyCaller:
    """Of one client. `ghost`: what is known of its history."""

    def __init__(self, name: str, plan: Plan, calls: SimCalls, clocks: Clocks, ghost: Callable[[], Ghost]) -> None:
        self._plan = plan
        self._calls = calls
        self._clocks = clocks
        self._ghost = ghost
        self._random = Random(f"keys-{plan.seed}-{name}")
        self._draw = KeyDraw(name, self._random)
        self._engine: Engine | None = None

    def begin(self, engine: Engine) -> None:
        """The client has a new session; whatever it held is not its own any more."""
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """What moves the client."""
        assert self._engine is not None
        return self._engine

    # ---- calls ----

    def call(self, now: float) -> bool:
        """Make some calls, if it is the turn of keys."""
        plan, random = self._plan, self._random
        if not plan.keys or random.random() >= plan.keys:
            return False
        for _ in range(random.choice((1, 1, 2, 4))):
            if len(self._calls.under_way) < UNDER_WAY_MAX:
                self._call(now)
        return True

    def _call(self, now: float) -> None:
        random = self._random
        if random.random() < self._plan.reads:
            return self._look(now)
        held = self.engine.upkeep.holds
        kind = random.randrange(20)
        if kind == 0 and len(held) < LEASES_MAX:
            return self.grant(now, self.engine.upkeep.add)
        if kind == 1 and held:
            return self.engine.upkeep.give_up(random.choice(held))
        if kind < 5 and held:
            lease = random.choice(held)
            put = Put(self._draw.key(), self._draw.value(), lease.id, random.random() < 0.3)
            return self.command(put, now)
        return self.command(self._draw.command(self._ghost().order.log), now)

    def command(self, change: KeyCommand, now: float, then: Callable[[SimCall, float], None] = ignore) -> None:
        """Change keys, once."""
        command: Command = driving.command_of(change, now + self._calls.timeout_s)
        self.engine.take(command)
        self._calls.begin("keys", command, now, then)

    def grant(self, now: float, then: Callable[[HeldLease], None]) -> None:
        """A new lease, which is kept as soon as it is there."""
        ttl_ms = round(1000 * self._plan.ttl_s * self._random.uniform(0.5, 1.5))
        asked_at, engine = self._clocks.lease_now(), self.engine

        def granted(call: SimCall, now: float) -> None:
            assert isinstance(call.pending, Command)
            if call.pending.receipt is not None and engine is self._engine:
                result = decode_result(call.pending.receipt.result)
                assert isinstance(result, Granted)
                then(HeldLease(result.lease, result.ttl_ms, asked_at))

        self.command(Grant(ttl_ms), now, granted)

    def _look(self, now: float) -> None:
        held = self.engine.upkeep.holds
        lease = self._random.choice(held).id if held and self._random.random() < 0.2 else 0
        self.ask(self._draw.question(len(self._ghost().order.log), lease), self._dial(), now)

    def _dial(self) -> Read:
        """How new the answer must be."""
        random = self._random
        match random.randrange(10):
            case 0 | 1 | 2:
                return SESSION
            case 3:
                return LOCAL
            case 4:
                return AtLeast(max(0, self._ghost().answers.seen - random.randrange(3)))
            case 5 | 6:
                return MaxAge(random.choice((0.0, 0.1, 0.5, 2.0)) * self._plan.election_s)
            case _:
                return LINEARIZABLE

    def ask(self, asked: KeyQuestion, read: Read, now: float, then: Callable[[SimCall, float], None] = ignore) -> None:
        """Ask the keys something."""
        request, seen = self._calls.next_request(), self.engine.session.seen
        question: Question = driving.question_of(request, asked, now + self._calls.timeout_s, read, seen)
        self.engine.take(question)
        self._calls.begin("look", question, now, self._learning(then), needs_seen=read is SESSION)

    def _learning(self, then: Callable[[SimCall, float], None]) -> Callable[[SimCall, float], None]:
        """What was found is what later conditions are about."""

        def learn(call: SimCall, now: float) -> None:
            assert isinstance(call.pending, Question)
            answer = call.pending.answer
            if isinstance(answer, Answer) and not answer.refused:
                found = decode_result(answer.answer)
                if isinstance(found, RangeFound):
                    self._draw.saw(found)
            then(call, now)

        return learn

    # ---- time ----

    def step(self, now: float, working: bool) -> None:
        """What became due."""

    def next_due(self) -> list[float]:
        """When `step` has something to do if nothing comes before."""
        return []

    def on_chosen(self, now: float) -> None:
        """More is known of what the keys must come to: whoever thinks that it has a lease has it."""
