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
from paxosd.core.types import SessionId
from paxosd.machine.kv.requests import Command as KeyCommand
from paxosd.machine.kv.requests import Delete, Grant, Put
from paxosd.machine.kv.requests import Question as KeyQuestion
from paxosd.machine.kv.results import Granted, RangeFound, decode_result
from paxosd.sim.calls import SimCall, SimCalls, ignore
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.check.turns import HeldTurns
from paxosd.sim.keys.courses import SimCourses
from paxosd.sim.keys.drawing import KeyDraw
from paxosd.sim.keys.hand import Hand
from paxosd.sim.keys.reentrant import ReentrantTaker, SharedLock
from paxosd.sim.keys.turns import TurnTaker
from paxosd.sim.keys.users import RecipeUser
from paxosd.sim.plan import Plan

LEASES_MAX = 3
"""How many leases a client has at most, besides that of its turns."""
UNDER_WAY_MAX = 24
LOOKS = 0.25
"""How often a client that only looks does so when it is its turn to call."""
MEDDLES, MEDDLES_IN_PEACE = 0.03, 0.1
"""How many calls remove a key that somebody else made to wait for a turn; afterwards, when no faults come any more."""


class KeyCaller:
    """Of one client. `ghost`: what is known of its history. `only_looks`: it changes nothing, has nothing, and looks
    seldom, so that most of what it has seen its watches told."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        calls: SimCalls,
        clocks: Clocks,
        ghost: Callable[[], Ghost],
        only_looks: bool = False,
    ) -> None:
        self._plan = plan
        self._only_looks = only_looks
        self._calls = calls
        self._clocks = clocks
        self._ghost = ghost
        self._random = Random(f"keys-{plan.seed}-{name}")
        self._draw = KeyDraw(name, self._random)
        self._engine: Engine | None = None
        self._name = name
        self._courses = SimCourses(calls, clocks)
        self._lease: HeldLease | None = None  # that of all turns
        self._is_granting = False
        self._working = True
        self._is_closed, self._is_troubled = False, True
        own = [Random(f"turns-{plan.seed}-{name}-{number}") for number in range(0 if only_looks else plan.turns)]
        self.takers = [
            TurnTaker(name, plan, random, clocks, self._courses, self._turns, self._lease_of_turns) for random in own
        ]
        self._session: Callable[[], SessionId] = bytes
        hand = self.hand(Random(f"recipes-{plan.seed}-{name}"))
        self.user = RecipeUser(plan, hand) if plan.recipes and not only_looks else None
        shared = [Random(f"reentrant-{plan.seed}-{name}-{number}") for number in range(plan.reentrant)]
        self.sharers = [ReentrantTaker(plan, self.hand(random)) for random in shared]

    def begin(self, engine: Engine, session: Callable[[], SessionId]) -> None:
        """The client has a new session; whatever it held is not its own any more."""
        self._engine, self._session = engine, session
        self._courses.begin(engine)
        self._lease, self._is_granting = None, False
        for taker in self.takers:
            taker.begin()
        if self.user is not None:
            self.user.begin(session)
        lock = SharedLock("re-entrant")
        for number, sharer in enumerate(self.sharers, 1):
            sharer.begin(lock, f"caller {number} of {self._name}", session)

    def hand(self, random: Random) -> Hand:
        """What one more caller works with, in this life of the client."""
        hand = Hand(self._name, self._plan, random, self._clocks, self._courses, self._ghost, self._lease_of_turns)
        hand.session = self._session
        return hand

    def _turns(self) -> HeldTurns:
        turns = self._ghost().turns
        assert turns is not None
        return turns

    def _lease_of_turns(self) -> HeldLease | None:
        """The one that is held; if there is none, one is asked for."""
        lease = self._lease
        if lease is not None and not lease.is_lost(self._clocks.lease_now()) and not lease.is_over:
            return lease
        self._lease = None
        if not self._is_granting:
            self._is_granting = True
            self.grant(self._clocks.now(), self._granted)
        return None

    def _granted(self, lease: HeldLease | None) -> None:
        self._is_granting = False
        if lease is not None:
            self._lease = lease
            self.engine.upkeep.add(lease)

    @property
    def engine(self) -> Engine:
        """What moves the client."""
        assert self._engine is not None
        return self._engine

    # ---- calls ----

    def call(self, now: float) -> bool:
        """Make some calls, if it is the turn of keys."""
        plan, random = self._plan, self._random
        if self._only_looks:
            if random.random() < LOOKS:
                self.ask(self._draw.question(len(self._ghost().order.log), 0), SESSION, now)
            return True
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
        if self._plan.turns and random.random() < (MEDDLES if self._is_troubled else MEDDLES_IN_PEACE):
            key = self._turns().anybodys_key(random)
            if key is not None:
                return self.command(Delete(key), now)
        held = self.engine.upkeep.holds
        kind = random.randrange(20)
        if kind == 0 and len(held) < LEASES_MAX:
            return self.grant(now, self._keep)
        held = [lease for lease in held if lease is not self._lease]
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

    def _keep(self, lease: HeldLease | None) -> None:
        if lease is not None:
            self.engine.upkeep.add(lease)

    def grant(self, now: float, then: Callable[[HeldLease | None], None]) -> None:
        """A new lease; none, where that came to nothing as far as is known."""
        ttl_ms = round(1000 * self._plan.ttl_s * self._random.uniform(0.5, 1.5))
        asked_at, engine = self._clocks.lease_now(), self.engine

        def granted(call: SimCall, now: float) -> None:
            assert isinstance(call.pending, Command)
            if engine is not self._engine or self._is_closed:
                return  # nobody keeps it
            if call.pending.receipt is None:
                return then(None)
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

    def step(self, now: float, working: bool, troubled: bool) -> None:
        """What became due; faults still come where all is `troubled`."""
        self._courses.step(now)
        self._working, self._is_troubled = working, troubled
        if working:
            for taker in self.takers:
                taker.step(now, troubled)
            if self.user is not None:
                self.user.step(now, troubled)
            for sharer in self.sharers:
                sharer.step(now, troubled)

    def next_due(self) -> list[float]:
        """When `step` has something to do if nothing comes before."""
        due = self._courses.next_due()
        if self._working:
            due += [taker.at for taker in self.takers]
            due += [self.user.at] if self.user is not None else []
            due += [sharer.at for sharer in self.sharers]
        return due

    def close(self) -> None:
        """It wants nothing any more, and gives back what it has."""
        self._is_closed = True
        for lease in self.engine.upkeep.holds:
            self.engine.upkeep.give_up(lease)

    def check_waiting(self, now: float, patience_s: float) -> None:
        """All that are to get on have got on."""
        replay = self._ghost().replay
        if replay is not None:
            self._courses.check_waiting(replay.keys.now, now, patience_s)

    def check_leases(self) -> None:
        """More is known of what the keys must come to: whoever thinks that it has a lease has it."""
        turns = self._ghost().turns
        if turns is None:
            return
        for lease in self.engine.upkeep.holds:
            turns.check_lease(self._name, lease, self._clocks.lease_now())
