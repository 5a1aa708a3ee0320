"""How old the state is that a gateway answers from, as far as the gateway itself can prove it.

A round of the leader tells how far one must have applied to have all that was acknowledged when the round began. So
once that is applied, the state is one of a moment after the beginning of the round, on this gateway's own clock; a
heartbeat that was long on its way proves nothing.
"""

from __future__ import annotations

from collections import deque

from paxosd.core.types import Age, Instant, Slot

ROUNDS_MAX = 64
"""How many rounds are remembered that are not applied yet."""
TOLD_EVERY_S = 1.0
"""How often a round is asked for only because somebody is told how old an answer is."""


class Freshness:
    """Of one gateway."""

    def __init__(self) -> None:
        self._begun_at: Instant = 0.0  # the latest round
        self._confirmed: deque[tuple[Slot, Instant]] = deque()  # what must be applied, and of when that is
        self._of: Instant | None = None  # the state is one of this moment or a later one
        self._told_at: Instant | None = None  # when somebody was told an age last

    def round_begins(self, now: Instant) -> None:
        """The leader is asked; who was told an age has what he needs."""
        self._begun_at = now
        self._told_at = None

    def confirm(self, applied: Slot) -> None:
        """The leader answered the latest round."""
        if len(self._confirmed) == ROUNDS_MAX:
            self._confirmed.pop()
        self._confirmed.append((applied, self._begun_at))

    def age_ms(self, next_slot: Slot, now: Instant) -> Age:
        """How old the state is at most, where every slot below `next_slot` is applied; -1: that is not known."""
        while self._confirmed and self._confirmed[0][0] <= next_slot:
            self._of = self._confirmed.popleft()[1]
        return -1 if self._of is None else int(max(0.0, now - self._of) * 1000) + 1

    def told(self, now: Instant) -> None:
        """Somebody was told an age: it should be known better by the next time."""
        self._told_at = now

    def wants_round(self, now: Instant) -> bool:
        """Whether a round is to be asked for, though nobody waits for one."""
        return self._told_at is not None and now - self._begun_at >= TOLD_EVERY_S
