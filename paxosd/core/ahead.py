"""Chosen values that a learner holds above a gap, until the gap is filled."""

from __future__ import annotations

from paxosd.core.types import Slot

SLOTS_AHEAD_MAX = 1024
"""How far above a gap chosen values are held; what is further ahead is asked for again later."""
BYTES_AHEAD_MAX = 32 * 1024 * 1024
"""How much they may hold: twice what is in flight at a leader, unless its limits say otherwise."""


class Ahead:
    """The values by slot, within the bounds above."""

    def __init__(self) -> None:
        self._values: dict[Slot, bytes] = {}
        self._bytes = 0

    def __contains__(self, slot: Slot) -> bool:
        return slot in self._values

    def may_hold(self, gap: Slot, slot: Slot, value: bytes) -> bool:
        """Whether a value in this slot is kept until the gap is filled."""
        return slot < gap + SLOTS_AHEAD_MAX and self._bytes + len(value) <= BYTES_AHEAD_MAX

    def add(self, slot: Slot, value: bytes) -> None:
        """Hold this value."""
        self._values[slot] = value
        self._bytes += len(value)

    def pop(self, slot: Slot) -> bytes | None:
        """The value in this slot, which is held no longer; None: none is."""
        value = self._values.pop(slot, None)
        self._bytes -= 0 if value is None else len(value)
        return value

    def drop_below(self, stop: Slot) -> None:
        """Values below this slot are of no use any more."""
        for slot in [slot for slot in self._values if slot < stop]:
            self.pop(slot)
