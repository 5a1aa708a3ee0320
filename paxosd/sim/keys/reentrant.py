"""What simulated callers do with a lock that they take again while they have it, by a script or by chance."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from paxosd.client.errors import HoldLost
from paxosd.client.leases import HeldLease
from paxosd.core.types import Instant, SessionId
from paxosd.machine.kv.requests import Put
from paxosd.recipes import election
from paxosd.recipes.line import OwnKey, TakenTurn, WaitingLine, give_back, take_turn
from paxosd.recipes.names import span
from paxosd.recipes.reentry import Reentry
from paxosd.recipes.steps import Span, do_if, made_at
from paxosd.sim.check.attempts import Attempt
from paxosd.sim.check.invariants import Violation
from paxosd.sim.check.reentrant import LAW, LockEntries
from paxosd.sim.check.turns import GUARDED
from paxosd.sim.keys.hand import Hand, nothing
from paxosd.sim.keys.holding import Holding
from paxosd.sim.keys.turns import has_its_turn
from paxosd.sim.plan import Plan

TIMES_MAX = 4
"""How often one takes the lock at most, before it gives it back."""
STEPS_T_E = 1.0
"""How long a caller does nothing in between, in election timeouts, in the mean."""


class OneTurn:
    """Turns of one line, which one caller has alone. `value`: what others shall read in its key."""

    def __init__(self, hand: Hand, line: Span, value: bytes = b"") -> None:
        self._hand = hand
        self._line = WaitingLine(line)
        self._value = value
        self.held: Holding | None = None

    def want(self, then: Callable[[Holding], None] = nothing) -> None:
        """Wait for it, for as long as it takes, if there is a lease."""
        hand, lease = self._hand, self._hand.lease()
        if lease is None:
            return
        own = OwnKey(self._line.span.key + hand.draw().encode(), self._value, lease.id)
        attempt = hand.attempt("want a turn")
        taken, may = partial(self._on_taken, attempt, lease, then), partial(has_its_turn, self._line, own.key)
        hand.go(attempt, take_turn(self._line, own, patient=True), lease, taken, waits=True, may_go_on=may)

    def _on_taken(
        self, attempt: Attempt, lease: HeldLease, then: Callable[[Holding], None], turn: TakenTurn | None
    ) -> None:
        assert turn is not None
        looked_at = attempt.looks[-1] if attempt.looks else turn.fence
        self.held = self._hand.hold(lease, self._line.span.key, turn, True, looked_at)
        then(self.held)

    def proclaim(self, value: bytes) -> None:
        """Say something else, where the line is an election."""
        assert self.held is not None
        turn, lease = self.held.turn, self.held.turn.hold.lease
        steps = election.proclaim(TakenTurn(turn.key, turn.fence), value)
        self._hand.go(self._hand.attempt("proclaim"), steps, lease, nothing)

    def write(self, held: Holding) -> None:
        """Write its fence, under the condition that it holds."""
        turn = held.turn
        steps = do_if((made_at(turn.key, turn.fence),), Put(GUARDED + turn.line, b"%d" % turn.fence))
        self._hand.go(self._hand.attempt("write"), steps, turn.hold.lease, nothing, hurried=True)

    def give_back(self, held: Holding) -> None:
        """It is over."""
        held.let_go()
        steps, lease = give_back(held.turn.key), held.turn.hold.lease
        self._hand.go(self._hand.attempt("give a turn back"), steps, lease, nothing, hurried=True)


class SharedLock:
    """One object of a client: a lock that whoever has it may take again, and what the checker knows of it."""

    def __init__(self, name: str) -> None:
        self.line = span("lock", name)
        self.reentry: Reentry[Holding] = Reentry()
        self.entries = LockEntries()


class ReentrantUse:
    """What one caller does with it, as a thread or a task does with the lock of both faces (`client/aio/locks.py`)."""

    def __init__(self, hand: Hand, lock: SharedLock, caller: str) -> None:
        self._lock = lock
        self._caller = caller
        self._hand = hand
        self._turn = OneTurn(hand, lock.line)
        self.lost = 0
        """How often it was told that it has lost the lock."""

    @property
    def times(self) -> int:
        """How often it came in and did not go out."""
        return self._lock.entries.times(self._caller)

    def enter(self) -> None:
        """Wait for the lock, or take it again."""
        try:
            held = self._lock.reentry.again(self._caller)
        except HoldLost:
            self._lock.entries.told_lost(self._caller)
            self.lost += 1
            self._hand.attempts.marks.hit("lost lock not taken again")
            return
        if held is None:
            self._turn.want(self._on_taken)
        else:
            self._lock.entries.came_in(self._caller, held.turn)
            self._hand.attempts.marks.hit("lock taken again")

    def write(self) -> None:
        """Write what the lock is about, whether it has it or not."""
        assert self._turn.held is not None
        self._turn.write(self._turn.held)

    def _on_taken(self, held: Holding) -> None:
        self._lock.reentry.first(self._caller, held)
        self._lock.entries.came_in(self._caller, held.turn)

    def leave(self) -> None:
        """Go out once, and give the lock back if that was the last time."""
        try:
            held = self._lock.reentry.out(self._caller)
        except RuntimeError as error:
            raise Violation(LAW, f"{self._caller} is inside, and cannot go out: {error}") from error
        self._lock.entries.went_out(self._caller, None if held is None else held.turn)
        if held is not None:
            self._turn.give_back(held)


class ReentrantTaker:
    """One of the callers of a client who share a lock: it takes it, takes it again, writes, and gives it back."""

    def __init__(self, plan: Plan, hand: Hand) -> None:
        self._plan = plan
        self._hand = hand
        self.at: Instant = 0.0  # when it does something next

    def begin(self, lock: SharedLock, caller: str, session: Callable[[], SessionId]) -> None:
        """As a new one, of a client with this session."""
        self._hand.going, self._hand.session = None, session
        self._use = ReentrantUse(self._hand, lock, caller)
        self.at = 0.0

    def step(self, now: Instant, troubled: bool) -> None:
        """Do what is due."""
        if now < self.at:
            return
        hand, use = self._hand, self._use
        hand.troubled = troubled
        self.at = now + hand.random.expovariate(1.0) * STEPS_T_E * self._plan.election_s
        kind = hand.random.randrange(8)
        if hand.going is not None:
            if kind == 0:
                hand.leave()
        elif not use.times or (kind < 3 and use.times < TIMES_MAX):
            use.enter()
        elif kind < 6:
            use.leave()
        else:
            use.write()
