"""How much of the log is kept for readers: decided from the log alone, so all learners keep the same.

Laws:
1. Whole slots go, the oldest first, and never the last one. What the membership file says is kept at least; a slot goes
   as soon as one of its bounds is kept without it. Age is log time. Entries are those of the machine `log`, for readers
   read nothing else; bytes are those of the commands of all machines, which stand in the same slots and are kept with
   them. A slot without an entry takes none away: it goes as soon as so many commands of whatever machine are kept
   without it.
2. It is looked at every so many slots, and each time so many slots go at most: a turn does not stall, and a log that
   grows as fast as it can is outrun all the same. A bound that is lowered takes a while.
3. Where room is short, and so nothing is proposed, the log is wanted to go on until all has gone that may (`due_ms`):
   else nothing would ever make room, and log time would stand still.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from paxosd.core.options import Retention
from paxosd.core.types import FIRST_SLOT, Revision, Slot
from paxosd.machine.revisions import About, Revisions

LOOK_EVERY_SLOTS = 64
GOING_MAX = 256
"""How many slots may go each time."""


class LogEnd(NamedTuple):
    """Where the log ends: its latest revision, the bytes of all commands up to there, the entries, and its log time."""

    revision: Revision
    bytes: int
    entries: int
    log_time_ms: int


class _Row(NamedTuple):
    """A slot with revisions: the first of them, its log time, the bytes of all commands and the entries before it."""

    first: Revision
    slot: Slot
    log_time_ms: int
    bytes_before: int
    entries_before: int


class Retained:
    """Where what is kept of the log begins: at `revision`, in `slot`."""

    def __init__(
        self, bounds: Retention, revisions: Revisions, revision: Revision = 1, slot: Slot = FIRST_SLOT
    ) -> None:
        self.revision = revision
        self.slot = slot
        self._bounds = bounds
        self._revisions = revisions
        self._rows: deque[_Row] = deque()  # the next ones to go, and one more; read again where they end

    def look(self, slot: Slot, end: LogEnd) -> None:
        """This slot is applied, and the log ends like this: let go of what need not be kept."""
        if self._bounds.is_for_ever or slot % LOOK_EVERY_SLOTS:
            return
        for _ in range(GOING_MAX):
            if len(self._rows) < 2:
                self._read()
            if len(self._rows) < 2 or not self._may_go(self._rows[0], self._rows[1], end):
                return
            self._rows.popleft()
            self.revision, self.slot = self._rows[0].first, self._rows[0].slot

    def due_ms(self, end: LogEnd) -> int | None:
        """The log time that a look has to know, later than that of the end, so that something goes; None: nothing will
        by time alone. The log ends like this."""
        if self._bounds.is_for_ever:
            return None
        if len(self._rows) < 2:
            self._read()
        if len(self._rows) < 2:
            return None
        if self._may_go(self._rows[0], self._rows[1], end):
            return end.log_time_ms + 1
        age_ms = self._bounds.age_ms
        return None if age_ms is None else self._rows[1].log_time_ms + age_ms

    def _read(self) -> None:
        rows = self._revisions.rows_from(self.revision, GOING_MAX)
        self._rows = deque(_Row(first, slot, *About.unpack(about)[:3]) for first, slot, about in rows)

    def _may_go(self, row: _Row, following: _Row, end: LogEnd) -> bool:
        entries, size, age_ms = self._bounds.entries, self._bounds.bytes, self._bounds.age_ms
        has_entries = following.entries_before > row.entries_before
        left = end.entries - following.entries_before if has_entries else end.revision + 1 - following.first
        return (
            (entries is not None and left >= entries)
            or (size is not None and end.bytes - following.bytes_before >= size)
            or (age_ms is not None and end.log_time_ms - following.log_time_ms >= age_ms)
        )
