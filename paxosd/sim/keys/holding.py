"""What a simulated client holds by a key, as both faces of a client hold it: the key is guarded, the checker knows."""

from __future__ import annotations

from paxosd.client.clock import Clocks
from paxosd.client.driving import GUARDED_AFTER_S, KeyGuard, watch_of
from paxosd.client.errors import HoldLost
from paxosd.client.leases import HeldLease, KeyHold
from paxosd.core.types import Revision
from paxosd.recipes.line import TakenTurn
from paxosd.sim.check.turns import HeldTurn, HeldTurns
from paxosd.sim.keys.courses import SimCourses

MANY = 10**6


class Holding:
    """One thing that is held. `line`: what it is one of, of which so many may be held at once as there is `room`."""

    def __init__(
        self,
        client: str,
        clocks: Clocks,
        courses: SimCourses,
        lease: HeldLease,
        line: bytes,
        key: TakenTurn,
        alone: bool = True,
        room: int = MANY,
    ) -> None:
        hold = KeyHold(lease)
        watch = watch_of(key.key, b"", key.fence + 1, previous=False)
        self._courses = courses
        self._guard = KeyGuard(watch, clocks.now() + GUARDED_AFTER_S)
        self.turn = HeldTurn(client, line, room, alone, key.key, key.fence, hold, clocks.lease_now)
        courses.engine.guard(hold, self._guard)

    def begin(self, turns: HeldTurns, looked_at: Revision) -> None:
        """Its holder is told so, after a look at this revision."""
        turns.take(self.turn, looked_at)

    @property
    def is_believed(self) -> bool:
        """Whether its holder, if it asked now, would be told that it has it."""
        return self.turn.is_believed

    def require(self) -> None:
        """Raise `HoldLost` if it is not held any more, as far as its holder knows."""
        if not self.is_believed:
            raise HoldLost(f"{self.turn.key!r} is not held any more")

    def let_go(self) -> None:
        """Its holder wants it no more, and guards it no more."""
        self.turn.given_back = True
        self._guard.watch.closed = True
        self._courses.engine.session.attend(self._guard.watch)
