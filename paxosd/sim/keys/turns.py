"""What a simulated client does with locks, elections and semaphores: it waits for turns, has them for a while, writes
with its fence, and gives them back, or does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from paxosd.client.clock import Clocks
from paxosd.client.leases import HeldLease
from paxosd.core.types import Instant, Revision
from paxosd.machine.kv.requests import Put
from paxosd.recipes import election
from paxosd.recipes.line import OwnKey, TakenTurn, WaitingLine, give_back, take_turn, with_room
from paxosd.recipes.names import span
from paxosd.recipes.steps import do_if, made_at
from paxosd.sim.check.turns import GUARDED, HeldTurn, HeldTurns
from paxosd.sim.keys.courses import Going, SimCourses
from paxosd.sim.keys.holding import MANY, Holding
from paxosd.sim.keys.model import Keys
from paxosd.sim.plan import Plan

ROOM = 2


class WantedTurn(NamedTuple):
    """Something that can be wanted: in which line one waits, and what its own keys begin with."""

    name: bytes
    line: WaitingLine
    prefix: bytes
    alone: bool


_LOCKS = tuple(span("lock", name) for name in ("a", "b"))
_LEAD, _SEMAPHORE = span("election", "e"), span("semaphore", "s")
_BOTH, _READ, _WRITE = span("rwlock", "r"), span("rwlock", "r", "read"), span("rwlock", "r", "write")
KINDS = (
    *(WantedTurn(lock.key, WaitingLine(lock), lock.key, True) for lock in _LOCKS),
    WantedTurn(_LEAD.key, WaitingLine(_LEAD), _LEAD.key, True),
    WantedTurn(_SEMAPHORE.key, WaitingLine(_SEMAPHORE, ROOM), _SEMAPHORE.key, False),
    WantedTurn(_BOTH.key, WaitingLine(_WRITE), _READ.key, False),
    WantedTurn(_BOTH.key, WaitingLine(_BOTH), _WRITE.key, True),
)
SITS = 0.25
"""How many of those that have a turn when the faults are over keep it: who waits behind them hears of its own key."""


class TurnTaker:
    """One caller of a client, who does one thing after the other. `lease` gives the lease of the client's turns, or
    none yet."""

    def __init__(
        self,
        client: str,
        plan: Plan,
        random: Random,
        clocks: Clocks,
        courses: SimCourses,
        turns: Callable[[], HeldTurns],
        lease: Callable[[], HeldLease | None],
    ) -> None:
        self._client = client
        self._plan = plan
        self._random = random
        self._clocks = clocks
        self._courses = courses
        self._turns = turns
        self._lease = lease
        self.begin()

    def begin(self) -> None:
        """As a new one."""
        self.at: Instant = 0.0  # when it does something next
        self.going: Going | None = None
        self.own: OwnKey | None = None
        self.kind = KINDS[0]
        self.held: Holding | None = None
        self._sits = False

    @property
    def waits(self) -> bool:
        """Whether it sleeps until it is its turn."""
        return self.held is None and self.going is not None and self.going.change is not None

    def step(self, now: Instant, troubled: bool) -> None:
        """Do what is due. Where no faults come any more, it waits for as long as it takes."""
        if now < self.at:
            return
        self.at = now + self._random.expovariate(1.0) * self._plan.election_s
        if self.held is not None:
            self._hold(self.held.turn, troubled)
        elif self.going is None:
            self._want(now, troubled)
        elif self._random.random() < 0.05:
            going, self.going = self.going, None
            self._courses.cancel(going)

    # ---- waiting ----

    def _want(self, now: Instant, troubled: bool) -> None:
        lease = self._lease()
        if lease is None:
            return
        random = self._random
        self.kind = kind = random.choice(KINDS)
        value = with_room(kind.line.room, b"") if kind.line.room > 1 else b""
        self.own = OwnKey(kind.prefix + random.randbytes(8).hex().encode(), value, lease.id)
        patient = random.random() < 0.8
        until = now + random.choice((2.0, 10.0, 30.0)) * self._plan.election_s if troubled else None
        steps = take_turn(kind.line, self.own, patient)
        going = self._courses.start(
            steps,
            lease,
            lambda taken, at: self._taken(lease, taken, at),
            lambda error: self._over(),
            until,
            may_go_on=partial(has_its_turn, kind.line, self.own.key),
        )
        if not going.course.is_over:
            self.going = going

    def _taken(self, lease: HeldLease, taken: TakenTurn | None, looked_at: Revision) -> None:
        self.going = None
        if taken is None:
            return
        kind = self.kind
        room = kind.line.room if not kind.alone and kind.line.room > 1 else MANY
        self._sits = self._random.random() < SITS
        self.held = Holding(self._client, self._clocks, self._courses, lease, kind.name, taken, kind.alone, room)
        self.held.begin(self._turns(), looked_at)

    def _over(self) -> None:
        self.going = None

    # ---- having it ----

    def _hold(self, turn: HeldTurn, troubled: bool) -> None:
        kind = self._random.randrange(4)
        lease = turn.hold.lease
        if not turn.is_believed:
            if kind and turn.alone:  # it does not look whether it has it, and stood still maybe
                self._write(turn)
            return self._give_back(turn)
        if kind == 0 and not (self._sits and not troubled):
            return self._give_back(turn)
        if kind == 1 and turn.line == _LEAD.key:
            self._courses.start(election.proclaim(TakenTurn(turn.key, turn.fence), b"%d" % turn.fence), lease)
        elif turn.alone:
            self._write(turn)
        return None

    def _write(self, turn: HeldTurn) -> None:
        """Under the condition that it holds, whether it thinks so or not."""
        put = Put(GUARDED + turn.line, b"%d" % turn.fence)
        self._courses.start(do_if((made_at(turn.key, turn.fence),), put), turn.hold.lease, hurried=True)

    def _give_back(self, turn: HeldTurn) -> None:
        assert self.held is not None
        self.held.let_go()
        self.held = None
        self._courses.start(give_back(turn.key), turn.hold.lease, hurried=True)


def has_its_turn(line: WaitingLine, own: bytes, keys: Keys) -> bool:
    """Whether nobody is ahead who would have to go first; or the own key is gone, and it never will be its turn."""
    made = keys.get(own)
    if made is None:
        return True
    ahead = [
        key
        for key, kv in keys.items()
        if line.span.key <= key < line.span.end and kv.create_revision < made.create_revision
    ]
    return len(ahead) < line.room
