"""What a simulated caller works with who uses recipes: it has one under way, and no more."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from paxosd.client.clock import Clocks
from paxosd.client.leases import HeldLease
from paxosd.core.types import Revision, SessionId
from paxosd.recipes.line import OwnKey, TakenTurn
from paxosd.recipes.steps import Steps
from paxosd.sim.check.attempts import Attempt, Attempts
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.keys.courses import Going, MayGoOn, SimCourses
from paxosd.sim.keys.holding import Holding
from paxosd.sim.plan import Plan


def nothing(*what: Any) -> None:
    """What to do then."""


class Hand:
    """Of one caller. `ghost`: what is known of its history; `lease` gives that of all that the client holds, or none
    yet; `session` gives the id of the client's session."""

    def __init__(
        self,
        client: str,
        plan: Plan,
        random: Random,
        clocks: Clocks,
        courses: SimCourses,
        ghost: Callable[[], Ghost],
        lease: Callable[[], HeldLease | None],
    ) -> None:
        self.client = client
        self.random = random
        self.lease = lease
        self.going: Going | None = None
        self.troubled = True  # faults still come
        self.session: Callable[[], SessionId] = bytes
        self._count = 0
        self._plan = plan
        self._clocks = clocks
        self._courses = courses
        self._ghost = ghost

    def go(
        self,
        attempt: Attempt,
        steps: Steps[Any],
        lease: HeldLease | None,
        then: Callable[[Any], None],
        failed: Callable[[Exception], None] = nothing,
        waits: bool = False,
        hurried: bool = False,
        may_go_on: MayGoOn | None = None,
        aside: bool = False,
    ) -> None:
        """Go through a recipe. Who `waits` does so for a while, or, where no faults come any more, for ever. `aside`:
        beside the one that is under way."""

        def done(result: Any) -> None:
            self._end(aside)
            then(result)

        def in_vain(error: Exception) -> None:
            self._end(aside)
            failed(error)

        until = None
        if waits and self.troubled:
            until = self._clocks.now() + self.random.choice((2.0, 10.0, 30.0)) * self._plan.election_s
        going = self._courses.start(
            steps, lease, lambda result, at: done(result), in_vain, until, hurried, may_go_on, waits, attempt
        )
        if not going.course.is_over and not aside:
            self.going = going

    def _end(self, aside: bool) -> None:
        if not aside:
            self.going = None

    def leave(self) -> None:
        """Want no more what is under way."""
        if self.going is not None:
            going, self.going = self.going, None
            self._courses.cancel(going)

    def hold(self, lease: HeldLease, line: bytes, key: TakenTurn, alone: bool, looked_at: Revision = 0) -> Holding:
        """Have something by this key, which it has just made, or has seen when it `looked_at` it."""
        holding = Holding(self.client, self._clocks, self._courses, lease, line, key, alone)
        turns = self._ghost().turns
        assert turns is not None
        holding.begin(turns, max(key.fence, looked_at))
        return holding

    # ---- what is known ----

    def attempt(self, what: str, by: int = 0, lock: TakenTurn | None = None) -> Attempt:
        """One that begins now."""
        return self.attempts.begin(Attempt(self.client, what, self.session, by, lock))

    @property
    def attempts(self) -> Attempts:
        """All of the history."""
        attempts = self._ghost().attempts
        assert attempts is not None
        return attempts

    # ---- chance ----

    def draw(self) -> str:
        """A name that nobody else has."""
        return self.random.randbytes(8).hex()

    def own_key(self, prefix: bytes, lease: HeldLease) -> OwnKey:
        """A key of its own."""
        return OwnKey(prefix + self.draw().encode(), b"", lease.id)

    def value(self) -> bytes:
        """One that nobody else puts."""
        self._count += 1
        return b"%s-%d" % (self.client.encode(), self._count)
