"""How fast a learner that is behind asks for page after page.

To take a page is work: it is decoded, written, synced and applied. At full speed that takes a core, and half of the
disk, from those that serve clients beside it. So a learner rests between two pages, for as long as the work took,
times `REST`. It does so only while the watermark moves, for otherwise nobody is served to whom it would leave the
time; and only while it comes closer to the watermark, for it has to arrive. Few slots are asked for at once.
"""

from __future__ import annotations

from paxosd.core.types import FIRST_SLOT, Instant, NodeId, Slot

REST = 2.0
"""How long it rests, for each second of work."""
MANY_SLOTS = 64
"""Who misses fewer is nearly there."""


class Pace:
    """Of one learner, from page to page."""

    def __init__(self) -> None:
        self._watermark: Slot = FIRST_SLOT
        self._missing = 0
        self._came_at: Instant = 0.0
        self._rests_until: Instant | None = None
        self.teller: NodeId = ""  # who told the page, and is asked for the next one

    def page_came(self, teller: NodeId, next_slot: Slot, watermark: Slot, now: Instant) -> bool:
        """A page was handed on up to this slot. Whether a rest is due before the next one is asked for."""
        missing, moved = watermark - next_slot, watermark > self._watermark
        comes_closer = missing < self._missing
        self._watermark, self._missing = watermark, missing
        self.teller, self._came_at, self._rests_until = teller, now, None
        return moved and comes_closer and missing > MANY_SLOTS

    def rests_until(self, now: Instant) -> Instant:
        """Asked first in the turn after the page was written and applied: until when it rests."""
        if self._rests_until is None:
            self._rests_until = now + REST * (now - self._came_at)
        return self._rests_until
