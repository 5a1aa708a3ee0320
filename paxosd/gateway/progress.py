"""How far a gateway's node is behind what is known to be chosen, how fast it catches up, and when that is told.

Laws:
1. What is known to be chosen is what stands on the node's own disk, and the word of the latest leader, nobody else's.
2. A few slots behind is how every learner is under load; it counts as behind from `BEHIND_SLOTS` on, or if it stands
   at one slot for `STANDS_S`, whatever it lacks.
"""

from __future__ import annotations

from paxosd.core.options import BEHIND_SLOTS
from paxosd.core.types import NO_LAG, Instant, Lag, Slot

MEASURED_S = 1.0
"""Over how long the speed is measured."""
STANDS_S = 5.0
"""After so long it is no longer a matter of a moment that the next slot is missing."""
TOLD_EVERY_S = 5.0
"""How often it is told that a node still catches up."""


class Speed:
    """How many slots are applied in a second, measured over a second at least."""

    def __init__(self) -> None:
        self.per_s = 0
        self._from: tuple[Instant, Slot] | None = None

    def note(self, applied: Slot, now: Instant) -> None:
        """Every slot below is applied by now."""
        if self._from is None:
            self._from = now, applied
        since, before = self._from
        if now - since >= MEASURED_S:
            self.per_s = max(0, int((applied - before) / (now - since)))
            self._from = now, applied


class Progress:
    """The lag of one node."""

    def __init__(self) -> None:
        self.lag: Lag = NO_LAG
        self._speed = Speed()
        self._stands: tuple[Slot, Instant] | None = None  # at which slot, since when; None: nothing is missing
        self._told_at: Instant | None = None  # None: it was not behind when it was last told

    def note(self, applied: Slot, chosen: Slot, now: Instant) -> str:
        """Every slot below `applied` is applied, and below `chosen` chosen. Returns the name of what is to be told."""
        self._speed.note(applied, now)
        behind = chosen - applied >= BEHIND_SLOTS or self._stands_still(applied, chosen, now)
        self.lag = Lag(applied, chosen, self._speed.per_s) if behind else NO_LAG
        if behind and (self._told_at is None or now - self._told_at >= TOLD_EVERY_S):
            self._told_at = now
            return "learner.catches_up"
        if not behind and self._told_at is not None:
            self._told_at = None
            return "learner.caught_up"
        return ""

    def _stands_still(self, applied: Slot, chosen: Slot, now: Instant) -> bool:
        if applied >= chosen:
            self._stands = None
        elif self._stands is None or self._stands[0] != applied:
            self._stands = applied, now
        return self._stands is not None and now - self._stands[1] >= STANDS_S
