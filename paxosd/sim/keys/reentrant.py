"""What simulated callers do by the word of a script: they want one turn and give it back, or enter a lock again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from paxosd.client.errors import HoldLost
from paxosd.client.leases import HeldLease
from paxosd.recipes import election
from paxosd.recipes.line import OwnKey, TakenTurn, WaitingLine, give_back, take_turn
from paxosd.recipes.names import span
from paxosd.recipes.reentry import Reentry
from paxosd.recipes.steps import Span
from paxosd.sim.check.attempts import Attempt
from paxosd.sim.check.invariants import Violation
from paxosd.sim.check.reentrant import LAW, LockEntries
from paxosd.sim.keys.hand import Hand, nothing
from paxosd.sim.keys.holding import Holding
from paxosd.sim.keys.turns import has_its_turn


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
            return
        if held is None:
            self._turn.want(self._on_taken)
        else:
            self._lock.entries.came_in(self._caller, held.turn)

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
