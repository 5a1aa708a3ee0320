"""Votes and chosen values in an SQLite file. A value that was voted for and is chosen then stands there once.

Laws:
1. Where a store learns, the value of a large vote is put into `learned`, marked as not learned, and the row of the vote
   points there. Learning that value changes the mark, and no more than the page that it stands in.
2. A vote tells its own value at all times. Before another value is put into its slot of `learned`, its own is copied
   into its row; and a row of `learned` goes only when all votes up to its slot have gone.
3. What was learned is told without a gap from where it is kept. A row that is missing there is `Damaged`, and so is the
   end of what was synced: nothing else looks at the structure of this table, which is as long as the log.
4. What is marked as not learned is never told as chosen, and goes with the vote that pointed there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any, TypeVar

from paxosd.core.history import ROW_BYTES
from paxosd.core.plausible import SLOT_MAX
from paxosd.core.records import Learned, Voted
from paxosd.core.types import FIRST_SLOT, Slot, Vote
from paxosd.storage.sqlite import rows
from paxosd.storage.sqlite.rows import Damaged, KeptAt, LearnedRow
from paxosd.storage.sqlite.trim import Trimmer

T = TypeVar("T", Vote, tuple[Slot, bytes])

SHARED_FROM_BYTES = 4096
"""From which size on the value of a vote stands in `learned`: a smaller one is written sooner than a second page."""

AHEAD_MAX = 4096
"""How many values above a gap are counted on at the start; others there may be learned once more."""

UNLEARNED_PER_COMMIT = 16
"""How many values that were never learned, and for which nobody votes any more, one commit deletes."""

MARK_BYTES = 4096
"""About how much is written where a value is learned that stands there."""

_VOTES = (
    "SELECT votes.slot, round, proposer, CASE votes.value WHEN 0 THEN learned.value ELSE votes.value END, "
    "votes.checksum FROM votes LEFT JOIN learned ON learned.slot = votes.slot"
)
_LEARNED = "SELECT slot, value, checksum FROM learned"
_PUT_VOTE = "INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, ?)"
_PUT_LEARNED = (  # of a row that is updated SQLite writes those pages that differ; one that is replaced is written anew
    "INSERT INTO learned VALUES (?, ?, ?) "
    "ON CONFLICT (slot) DO UPDATE SET value = excluded.value, checksum = excluded.checksum"
)
_OWN_VALUE = (
    "UPDATE votes SET value = (SELECT value FROM learned WHERE slot = :slot) WHERE slot = :slot AND value = 0 "
    "AND (SELECT value FROM learned WHERE slot = :slot) <> :value"
)
_UNLEARNED = "SELECT slot FROM learned WHERE slot >= ? AND slot < ? AND checksum < 0 ORDER BY slot LIMIT ?"


class StoredValues:
    """The votes from `floor` on, and what was learned; of that, all below `synced` must be there.

    Raises `Damaged` or `sqlite3.Error`, and so do all methods.
    """

    def __init__(self, db: sqlite3.Connection, floor: Slot, at: KeptAt, synced: Slot) -> None:
        self._db = db
        self._first = at.first
        self._votes = Trimmer(db, "votes", "slot", "value", floor)
        self._learned = Trimmer(db, "learned", "slot", "value", at.first)
        self._has_unlearned = True  # of slots without a vote, maybe
        self.learned_stop = _find_learned_stop(db, at.slot)
        if self.learned_stop < synced:
            raise Damaged(f"the chosen value in slot {self.learned_stop} is gone; it was synced up to slot {synced}")
        ahead = db.execute(
            "SELECT slot FROM learned WHERE slot > ? AND checksum >= 0 ORDER BY slot LIMIT ?",
            (self.learned_stop, AHEAD_MAX),
        )
        self._ahead = {slot for (slot,) in ahead}
        self._learns = bool(self._ahead) or self.learned_stop > FIRST_SLOT

    # ---- reading ----

    def last_vote(self) -> Slot:
        """The highest slot with a vote that can be; 0: there is none."""
        found = self._db.execute("SELECT max(slot) FROM votes WHERE slot <= ?", (SLOT_MAX,)).fetchone()
        return int(found[0] or 0)

    def votes(self, first: Slot, stop: Slot, bytes_max: int | None) -> Sequence[Vote]:
        """The votes of [first, stop) that fit."""
        page, _ = self._page("votes", _VOTES, rows.vote_of, max(first, self._votes.floor), stop, bytes_max)
        return page

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        """What was learned of [first, stop), as much as fits."""
        first = max(first, self._first)
        page, is_all = self._page("learned", _LEARNED, rows.chosen_of, first, stop, bytes_max)
        expected, end = first, min(stop, self.learned_stop)
        for slot, _ in page:
            if slot > expected < end:
                break
            expected = slot + 1
        else:
            end = end if is_all else expected
        if expected < end:
            raise Damaged(f"the chosen value in slot {expected} is gone")
        return page

    def _page(
        self, table: str, query: str, read: Callable[[Any], T | None], first: Slot, stop: Slot, bytes_max: int | None
    ) -> tuple[list[T], bool]:
        """The rows of [first, stop) that fit, whether these are all, and a look at one more on either side.

        A row of which just the slot was damaged still stands between the same two rows; so it cannot leave the
        page without being seen.
        """
        before = f"(SELECT max(slot) FROM {table} WHERE slot < :first)"
        query = f"{query} WHERE {table}.slot >= ifnull({before}, :first) ORDER BY {table}.slot"
        page: list[T] = []
        with closing(self._db.execute(query, {"first": first})) as found:
            for row in map(read, found):
                if row is None or row[0] < first:
                    continue
                if bytes_max is not None:
                    bytes_max -= len(row[-1]) + ROW_BYTES
                if row[0] >= stop:
                    break
                if page and bytes_max is not None and bytes_max < 0:
                    return page, False
                page.append(row)
        return page, True

    # ---- writing, within a transaction ----

    def put(self, record: Voted | Learned) -> int:
        """Returns about how many bytes that writes."""
        if isinstance(record, Voted):
            return self._put_vote(record)
        self._learns = True
        stood = put_learned(self._db, rows.learned_row(record))
        self._note_learned(record.slot)
        return MARK_BYTES if stood else len(record.value)

    def _put_vote(self, vote: Voted) -> int:
        if self._may_point(vote):
            self._db.execute(_PUT_LEARNED, rows.unlearned_row(vote))
            self._db.execute(_PUT_VOTE, rows.pointing_row(vote))
        else:
            self._db.execute(_PUT_VOTE, rows.vote_row(vote))
        return len(vote.value)

    def _may_point(self, vote: Voted) -> bool:
        """Nothing is put where something was learned, also by a snapshot that does not count yet."""
        if not self._learns or len(vote.value) < SHARED_FROM_BYTES or vote.slot < self.learned_stop:
            return False
        found = self._db.execute("SELECT checksum FROM learned WHERE slot = ?", (vote.slot,)).fetchone()
        return found is None or found[0] < 0

    def forget_votes(self) -> None:
        """All votes are gone with this commit; what was learned stays."""
        self._db.execute("DELETE FROM votes")
        self._has_unlearned = True

    def expect(self, learned: Iterable[Learned]) -> None:
        """These count from now on; they are put before anything is read."""
        for record in learned:
            self._note_learned(record.slot)
        self._count_on()

    def _note_learned(self, slot: Slot) -> None:
        if slot >= self.learned_stop:
            self._ahead.add(slot)

    def let_go_of_votes(self, floor: Slot) -> None:
        """Votes below are told no more, and are deleted by and by."""
        self._votes.floor = floor
        self._has_unlearned = True

    def let_go_of_learned(self, first: Slot) -> None:
        """The same for what was learned below: told until `committed` says so."""
        self._learned.floor = first

    def trim(self) -> None:
        """Delete some of what may go."""
        self._votes.trim()
        if self._learned.is_done and not self._has_unlearned:
            return
        found = self._db.execute("SELECT min(slot) FROM votes").fetchone()[0]
        first_vote = SLOT_MAX if found is None else found
        self._learned.trim(first_vote)
        if self._has_unlearned and first_vote > self.learned_stop:
            some = _UNLEARNED, (self.learned_stop, first_vote, UNLEARNED_PER_COMMIT)
            gone = self._db.execute(*some).fetchall()
            self._db.executemany("DELETE FROM learned WHERE slot = ?", gone)
            self._has_unlearned = len(gone) == UNLEARNED_PER_COMMIT

    # ---- after the commit ----

    def committed(self, at: KeptAt) -> None:
        """What was put is there, and this is kept."""
        self._first = at.first
        if at.slot > self.learned_stop:
            self.learned_stop = at.slot
            self._ahead = {slot for slot in self._ahead if slot >= at.slot}
        self._count_on()

    def _count_on(self) -> None:
        while self.learned_stop in self._ahead:
            self._ahead.remove(self.learned_stop)
            self.learned_stop += 1


def put_learned(db: sqlite3.Connection, row: LearnedRow) -> bool:
    """Put a chosen value, within a transaction; whether a value stood there (law 2)."""
    slot, value, _ = row
    stood = db.execute("SELECT 1 FROM learned WHERE slot = ?", (slot,)).fetchone() is not None
    if stood:
        db.execute(_OWN_VALUE, {"slot": slot, "value": value})
    db.execute(_PUT_LEARNED, row)
    return stood


def put_all_learned(db: sqlite3.Connection, found: Iterable[LearnedRow]) -> None:
    """The same for many."""
    for row in found:
        put_learned(db, row)


def _find_learned_stop(db: sqlite3.Connection, kept: Slot) -> Slot:
    """The end of the contiguous run from the kept slot on, by halving: it is dense exactly if its count fits. All
    below was learned before it was kept."""
    highest = db.execute("SELECT max(slot) FROM learned").fetchone()[0] or 0
    low, high = kept, max(kept, highest + 1)
    while low < high:
        middle = (low + high + 1) // 2
        query = "SELECT count(*) FROM learned WHERE slot >= ? AND slot < ? AND checksum >= 0"
        count = db.execute(query, (low, middle)).fetchone()[0]
        low, high = (middle, high) if count == middle - low else (low, middle - 1)
    return low
