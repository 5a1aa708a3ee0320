"""A caller of a simulated client who uses queues, counters, barriers and parties: some of them in each plan, so that
those who use the same meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Protocol

from paxosd.core.types import Instant, SessionId
from paxosd.sim.keys.hand import Hand
from paxosd.sim.keys.meetings import BarrierUse, DoubleBarrierUse, LeaderUse, PartyUse
from paxosd.sim.keys.stock import CounterUse, QueueUse
from paxosd.sim.plan import Plan

STEPS_T_E = 1.0
"""How long a caller does nothing in between, in election timeouts, in the mean."""
LEAVES, HELPS = 0.05, 0.3
"""How often who waits then wants it no more; and how often it does so, or lets others get on."""


class Use(Protocol):
    """What is done with one recipe. `is_in_hand`: something is to be done with what it has."""

    @property
    def is_in_hand(self) -> bool: ...

    def step(self) -> None:
        """Begin something."""
        ...

    def meanwhile(self) -> None:
        """Do something while it waits that lets others get on, if there is such a thing."""
        ...


USES: Mapping[str, Callable[[Hand], Use]] = {
    "queue": partial(QueueUse, recipe="queue"),
    "priority-queue": partial(QueueUse, recipe="priority-queue"),
    "locking-queue": partial(QueueUse, recipe="locking-queue"),
    "counter": CounterUse,
    "barrier": BarrierUse,
    "double-barrier": DoubleBarrierUse,
    "party": PartyUse,
    "leader": LeaderUse,
}


def used_in(plan: Plan) -> list[str]:
    """What all callers of a plan use."""
    return Random(f"recipes-{plan.seed}").sample(sorted(USES), plan.recipes)


class RecipeUser:
    """One caller, who does one thing after the other."""

    def __init__(self, plan: Plan, hand: Hand) -> None:
        self._plan = plan
        self._hand = hand
        self._uses: list[Use] = []
        self.at: Instant = 0.0  # when it does something next

    def begin(self, session: Callable[[], SessionId]) -> None:
        """As a new one, of a client with this session."""
        self._hand.going, self._hand.session = None, session
        self._uses = [USES[name](self._hand) for name in used_in(self._plan)]
        self._use = self._uses[0]  # the latest
        self.at = 0.0

    def step(self, now: Instant, troubled: bool) -> None:
        """Do what is due."""
        if now < self.at:
            return
        hand = self._hand
        hand.troubled = troubled
        self.at = now + hand.random.expovariate(1.0) * STEPS_T_E * self._plan.election_s
        if hand.going is not None:
            return self._wait()
        in_hand = [use for use in self._uses if use.is_in_hand]
        self._use = hand.random.choice(in_hand or self._uses)
        return self._use.step()

    def _wait(self) -> None:
        drawn = self._hand.random.random()
        if drawn < LEAVES:
            self._hand.leave()
        elif drawn < HELPS:
            self._use.meanwhile()
