"""How fast a learner that is behind asks for page after page.

To take a page is work: it is decoded, written, synced and applied. At full speed that takes processors and disks from
those that serve clients beside it. So a learner rests between two pages, for as long as the work took, times `REST`.
`docs/performance.md` has what that gains, and where it gains nothing.

Laws:
1. It arrives. A page and its rest take no longer than the log needs to grow by half a page; a learner that is not twice
   as fast as the log grows does not rest at all. So with rests it comes closer at least as fast as the log grows, and
   else as fast as it can.
2. It rests only while the watermark moves, for otherwise nobody is served to whom it would leave the time.
3. No rest is longer than `REST_S_MAX`: what seems to be work may be a process or a disk that stood still.
"""

from __future__ import annotations

from typing import NamedTuple

from paxosd.core.types import FIRST_SLOT, Instant, NodeId, Slot

REST = 1.0
"""How long it rests, for each second of work."""
REST_S_MAX = 1.0
MANY_SLOTS = 64
"""Who misses fewer is nearly there: few slots are asked for at once."""


class _Page(NamedTuple):
    """That came: when, up to which slot, and what the watermark was then."""

    at: Instant
    next_slot: Slot
    watermark: Slot


class Pace:
    """Of one learner, from page to page."""

    def __init__(self) -> None:
        self._page = _Page(0.0, FIRST_SLOT, FIRST_SLOT)
        self._rest_s_max = 0.0  # after this page
        self._rested_s = 0.0  # before it
        self._rests_until: Instant | None = None
        self.teller: NodeId = ""  # who told the page, and is asked for the next one

    def page_came(self, teller: NodeId, next_slot: Slot, watermark: Slot, now: Instant) -> bool:
        """A page was handed on up to this slot. Whether a rest is due before the next one is asked for."""
        before, self._page = self._page, _Page(now, next_slot, watermark)
        self.teller = teller
        self._rest_s_max = min(REST_S_MAX, self._time_left(before))
        self._rested_s, self._rests_until = 0.0, None
        return self._rest_s_max > 0 and watermark - next_slot > MANY_SLOTS

    def _time_left(self, before: _Page) -> float:
        """How much of the time in which the log grows by half a page the page itself leaves (law 1)."""
        took_s = self._page.at - before.at
        grown, told = self._page.watermark - before.watermark, self._page.next_slot - before.next_slot
        if grown <= 0:
            return 0.0
        return told / 2 * took_s / grown - (took_s - self._rested_s)

    def rests_until(self, now: Instant) -> Instant:
        """Asked first in the turn after the page was written and applied: until when it rests."""
        if self._rests_until is None:
            self._rested_s = min(REST * (now - self._page.at), self._rest_s_max)
            self._rests_until = now + self._rested_s
        return self._rests_until
