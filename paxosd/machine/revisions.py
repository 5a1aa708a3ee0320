"""Which slots hold which revisions: an index that stands on the learner's disk, but for what was applied just now."""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from typing import NamedTuple

from paxosd.core.history import History
from paxosd.core.types import Revision, RevisionRow, Slot

_ABOUT = Struct(">QQQI")


class About(NamedTuple):
    """What is remembered of a slot that has revisions, beside the first one.

    `log_time_ms`: its log time. `bytes_before`: how many bytes all commands before it have that got revisions.
    `entries_before`: how many of these are of the machine `log`.
    `expired`: how many of its revisions, from the first on, are those of what ran out.
    `skipped`: how many of each batch's commands, from the first on, got none; empty if none was skipped.
    """

    log_time_ms: int
    bytes_before: int
    entries_before: int
    expired: int
    skipped: tuple[int, ...]

    def pack(self) -> bytes:
        """As bytes of a row."""
        head = _ABOUT.pack(*self[:-1])
        return head + Struct(f">{len(self.skipped)}I").pack(*self.skipped)

    @staticmethod
    def unpack(content: bytes) -> About:
        """What `pack` made."""
        log_time_ms, bytes_before, entries_before, expired = _ABOUT.unpack_from(content)
        count = (len(content) - _ABOUT.size) // 4
        skipped = Struct(f">{count}I").unpack_from(content, _ABOUT.size)
        return About(log_time_ms, bytes_before, entries_before, expired, skipped)


class Revisions:
    """The rows in `history`, and above them those that are not written yet."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._fresh: list[RevisionRow] = []

    def add(self, first: Revision, slot: Slot, about: About) -> None:
        """The revisions from `first` on, up to the next slot that has any, stand in this slot."""
        self._fresh.append(RevisionRow(first, slot, about.pack()))

    def rows_from(self, revision: Revision, rows_max: int) -> list[RevisionRow]:
        """The row of the slot that holds this revision, which was given, and those after it."""
        fresh = self._fresh
        if fresh and revision >= fresh[0].first:
            begin = bisect_right(fresh, revision, key=lambda row: row.first) - 1
            return fresh[begin : begin + rows_max]
        stored = list(self._history.revisions(revision, rows_max))
        return stored + fresh[: rows_max - len(stored)]

    @property
    def changed_rows(self) -> int:
        """How many rows `changes` would tell."""
        return len(self._fresh)

    def changes(self) -> list[RevisionRow]:
        """The rows that were not written yet; they count as written from now on."""
        fresh, self._fresh = self._fresh, []
        return fresh
