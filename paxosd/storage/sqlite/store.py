"""Records in SQLite: one file, one connection, one transaction per turn.

Laws:
1. A commit of anything that must not be lost returns after the journal (the WAL) is synced: `synchronous=FULL`. One
   that may be lost as a whole does not wait (`NORMAL`); the next one that waits makes it durable too.
2. After a failed commit nothing is committed any more: what the kernel kept of it is unknown.
3. Durable commits are counted, inside and beside the file (see `acknowledged.py`).
4. Rows that are damaged or missing are seen (see `rows.py` and `file.py`).
5. Which history the records are of stands in their directory, too, once a commit said so. Records that know of none,
   in a directory that does, are an older copy.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

from paxosd.core.history import ROW_BYTES
from paxosd.core.plausible import SLOT_MAX, believed_watermark
from paxosd.core.records import (
    MAY_BE_LOST,
    Floor,
    Kept,
    Learned,
    Record,
    SnapshotBytes,
    SnapshotDropped,
    SnapshotInstalled,
    SnapshotStep,
    Told,
    Voted,
)
from paxosd.core.snapshots import IncomingSnapshot, Snapshot
from paxosd.core.types import FIRST_SLOT, NO_HISTORY, HistoryId, Revision, RevisionRow, Slot, Vote
from paxosd.core.voters import NO_VOTERS, Voters
from paxosd.storage.base import Corrupt, Label, StorageError
from paxosd.storage.sqlite import acknowledged, kept, rows
from paxosd.storage.sqlite.file import checkpoint, errors, open_file, set_pragma
from paxosd.storage.sqlite.rows import KeptAt
from paxosd.storage.sqlite.shelf import SQLiteShelf
from paxosd.storage.sqlite.trim import Trimmer

T = TypeVar("T", Vote, tuple[Slot, bytes])

CHECKPOINT_BYTES = 16 * 1024 * 1024
"""After about how many bytes the journal is moved into the main file."""

CHECKPOINT_SHORT_BYTES = 1024 * 1024
"""The same while there is little room on the disk."""

AHEAD_MAX = 4096
"""How many values above a gap are counted on at the start; others there may be learned once more."""

STEPS_PER_CHECKPOINT = 8
"""The rows of a snapshot are many and without order: after so many steps the journal is moved."""

COMMIT_BYTES = 16 * 1024
"""About how much a commit writes besides its values."""


class SQLiteStore:
    """The records of one node in the SQLite file at `path`, with their count in `path` + "-acknowledged".

    `label` says whose they must be; without one, as a tool has none, they may be anybody's.
    Raises `Corrupt`, `ForeignDirectory`, `InUse` or `StorageError`.
    """

    def __init__(self, path: Path, label: Label | None = None) -> None:
        self._path = path
        self._label = label
        self._failed: str | None = None
        self._waits = True
        self._installs: KeptAt | None = None  # with the commit that is under way
        self._written_bytes = 0
        self._saves_room = False
        beside = path.with_name(path.name + "-acknowledged")
        with ExitStack() as unless_opened:
            with errors(path, "opened"):
                self._acknowledged = acknowledged.Acknowledged(beside)
                unless_opened.callback(self._acknowledged.close)
                self._db = open_file(path, acknowledged.read(beside), label)
                unless_opened.callback(self._db.close)
            state = self._take_stock()
            if label is not None:
                self._hold_against(label, state.get(Voters, NO_VOTERS).history)
            unless_opened.pop_all()

    def _take_stock(self) -> rows.State:
        with errors(self._path, "opened"):
            state, damaged = rows.read_state(self._db)
            if damaged:
                self._mend(state)
            self._commits = state[rows.Commits].count if rows.Commits in state else 0
            self._acknowledged.write(self._commits)
            self._kept: KeptAt = state.get(KeptAt, kept.NOTHING)
            floor = state[Floor].slot if Floor in state else FIRST_SLOT
            self._votes = Trimmer(self._db, "votes", "slot", "value", floor)
            self._learned = Trimmer(self._db, "learned", "slot", "value", self._kept.first)
            self._revisions = Trimmer(self._db, "revisions", "first_revision", "skipped", 0)
            self._learned_stop = self._find_learned_stop()
            query = "SELECT slot FROM learned WHERE slot > ? ORDER BY slot LIMIT ?"
            ahead = self._db.execute(query, (self._learned_stop, AHEAD_MAX))
            self._learned_ahead = {slot for (slot,) in ahead}
            self._shelf = SQLiteShelf(self._path, self._db, self._kept)
        return state

    def _hold_against(self, label: Label, history: HistoryId) -> None:
        """Law 5: the directory follows what was committed just before a crash."""
        if history == NO_HISTORY != label.history:
            raise Corrupt(
                f"{self._path} knows of no history, and its directory is of {label.history.hex()}: an older copy "
                f"of it was put back; put the whole directory back as it was, or start with an empty one"
            )
        if history != NO_HISTORY:
            label.keep_history(history)

    def _mend(self, state: rows.State) -> None:
        """Write both copies of everything anew, where one copy of something was damaged."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM state")
        for record in state.values():
            self._write_state(record)
        self._db.execute("COMMIT")

    def _find_learned_stop(self) -> Slot:
        """The end of the contiguous run from the kept slot on, by halving: it is dense exactly if its count fits. All
        below was learned before it was kept."""
        highest = self._db.execute("SELECT max(slot) FROM learned").fetchone()[0] or 0
        low, high = self._kept.slot, max(self._kept.slot, highest + 1)
        while low < high:
            middle = (low + high + 1) // 2
            query = "SELECT count(*) FROM learned WHERE slot >= ? AND slot < ?"
            count = self._db.execute(query, (low, middle)).fetchone()[0]
            low, high = (middle, high) if count == middle - low else (low, middle - 1)
        return low

    @property
    def commits(self) -> int:
        return self._commits

    # ---- room on the disk (see `storage/space.py`) ----

    def reusable_bytes(self) -> int:
        with errors(self._path, "read"):
            pages = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            size = self._db.execute("PRAGMA page_size").fetchone()[0]
        return int(pages * size)

    def unmoved_bytes(self) -> int:
        return self._written_bytes + self._written_bytes // 4

    def save_room(self, saves: bool) -> None:
        self._saves_room = saves

    # ---- reading ----

    def records(self) -> Sequence[Record]:
        with errors(self._path, "read"):
            state, _ = rows.read_state(self._db)
        watermark = FIRST_SLOT
        if Told in state:
            watermark = believed_watermark(state[Told].watermark, self._last_vote())
            state[Told] = Told(watermark)
        latest: list[Record] = [record for kind, record in state.items() if kind not in rows.STORES_OWN]
        return latest + [Voted(*vote) for vote in self._page("votes", rows.vote_of, watermark, SLOT_MAX + 1, None)]

    def _last_vote(self) -> Slot:
        with errors(self._path, "read"):
            found = self._db.execute("SELECT max(slot) FROM votes WHERE slot <= ?", (SLOT_MAX,)).fetchone()
        return int(found[0] or 0)

    def votes(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[Vote]:
        return self._page("votes", rows.vote_of, max(first, self._votes.floor), stop, bytes_max)

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        return self._page("learned", rows.learned_of, max(first, self._kept.first), stop, bytes_max)

    def learned_stop(self) -> Slot:
        return self._learned_stop

    def learned_start(self) -> Slot:
        return self._kept.first

    def kept_slot(self) -> Slot:
        return self._kept.slot

    def kept_rows(self, owner: str) -> Iterator[tuple[bytes, bytes]]:
        with errors(self._path, "read"):
            yield from kept.read(self._db, self._kept.side, owner)

    def revisions(self, revision: Revision, rows_max: int) -> Sequence[RevisionRow]:
        with errors(self._path, "read"):
            return kept.revisions(self._db, revision, rows_max, self._kept.slot)

    def _page(
        self, table: str, read: Callable[[Any], T], first: Slot, stop: Slot, bytes_max: int | None
    ) -> Sequence[T]:
        """The rows of [first, stop) that fit, and a look at one more on either side.

        A row of which just the slot was damaged still stands between the same two rows; so it cannot leave the
        page without being seen.
        """
        before = f"(SELECT max(slot) FROM {table} WHERE slot < :first)"
        query = f"SELECT * FROM {table} WHERE slot >= ifnull({before}, :first) ORDER BY slot"
        page: list[T] = []
        with errors(self._path, "read"), closing(self._db.execute(query, {"first": first})) as found:
            for row in map(read, found):
                slot, value = row[0], row[-1]
                if slot < first:
                    continue
                if bytes_max is not None:
                    bytes_max -= len(value) + ROW_BYTES
                if slot >= stop or (page and bytes_max is not None and bytes_max < 0):
                    break
                page.append(row)
        return page

    # ---- writing ----

    def commit(self, records: Sequence[Record]) -> None:
        if self._failed is not None:
            raise StorageError(f"{self._path}: an earlier commit failed ({self._failed}); restart the daemon")
        try:
            with errors(self._path, "written"):
                self._write(records, waits=not all(isinstance(record, MAY_BE_LOST) for record in records))
            self._tell_history(records)
        except StorageError as error:
            self._failed = str(error)
            self._leave_journal()
            raise
        if self._installs is not None:
            self._note_installed(self._installs)
        self._note_learned(records)

    def _tell_history(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Voters) and record.history != NO_HISTORY and self._label is not None:
                self._label.keep_history(record.history)

    def _note_installed(self, kept_at: KeptAt) -> None:
        with errors(self._path, "written"):
            self._shelf.installed(self._kept)
        self._installs, self._kept = None, kept_at
        self._learned.floor = kept_at.first
        self._learned_stop = max(self._learned_stop, kept_at.slot)
        self._learned_ahead = {slot for slot in self._learned_ahead if slot >= self._learned_stop}

    def _write(self, records: Sequence[Record], waits: bool) -> None:
        self._wait_for_disk(waits)
        self._db.execute("BEGIN IMMEDIATE")
        for record in records:
            self._put(record)
        for trimmer in (self._votes, self._learned, self._revisions):
            trimmer.trim()
        self._shelf.tidy()
        if waits:
            self._write_state(rows.Commits(self._commits + 1))
        self._db.execute("COMMIT")
        if waits:
            self._commits += 1
            self._acknowledged.write(self._commits)
        self._checkpoint_now_and_then(records)

    def _wait_for_disk(self, waits: bool) -> None:
        if waits != self._waits:
            set_pragma(self._db, "synchronous", *(("FULL", 2) if waits else ("NORMAL", 1)))
            self._waits = waits

    def _put(self, record: Record) -> None:
        match record:
            case Voted():
                self._db.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, ?)", rows.vote_row(record))
            case Learned():
                self._db.execute("INSERT OR REPLACE INTO learned VALUES (?, ?, ?)", rows.learned_row(record))
            case Kept():
                kept.write(self._db, record, self._kept.side)
                self._learned.floor = self._kept_at(record).first
                self._revisions.floor = record.first_revision
                self._write_state(self._kept_at(record))
            case SnapshotBytes() | SnapshotStep() | SnapshotInstalled() | SnapshotDropped():
                kept_at = self._shelf.put(record)
                if kept_at is not None:
                    self._write_state(kept_at)
                    self._installs = kept_at
            case _:
                if isinstance(record, Floor):
                    self._votes.floor = record.slot
                self._write_state(record)

    def _write_state(self, record: object) -> None:
        self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", rows.state_rows(record))

    def _checkpoint_now_and_then(self, records: Sequence[Record]) -> None:
        values = sum(_bytes_of(record) for record in records)
        self._shelf.note_written(values)
        self._written_bytes += values + COMMIT_BYTES
        if self._written_bytes >= (CHECKPOINT_SHORT_BYTES if self._saves_room else CHECKPOINT_BYTES):
            self._written_bytes = 0
            checkpoint(self._db, "PASSIVE")

    def _note_learned(self, records: Sequence[Record]) -> None:
        self._learned_ahead.update(record.slot for record in records if isinstance(record, Learned))
        for record in records:
            if isinstance(record, Kept):
                self._kept = self._kept_at(record)
        self._learned_stop = max(self._learned_stop, self._kept.slot)
        while self._learned_stop in self._learned_ahead:
            self._learned_ahead.remove(self._learned_stop)
            self._learned_stop += 1

    def _kept_at(self, record: Kept) -> KeptAt:
        return KeptAt(record.slot, self._kept.side, max(min(record.first, self._shelf.pinned), self._kept.first))

    # ---- snapshots ----

    def offered(self) -> Snapshot | None:
        return self._shelf.offered()

    def offer(self) -> None:
        with errors(self._path, "copied"):
            self._shelf.offer(self._kept.slot)

    def part(self, offset: int, bytes_max: int) -> bytes:
        with errors(self._path, "copied"):
            return self._shelf.part(offset, bytes_max)

    def withdraw(self) -> None:
        with errors(self._path, "copied"):
            self._shelf.withdraw()

    def incoming(self) -> IncomingSnapshot | None:
        return self._shelf.incoming()

    # ---- the end ----

    def _leave_journal(self) -> None:
        """Where Python can ask for it: closing will not move the journal, which would sync again what failed to."""
        if sys.version_info >= (3, 12):
            self._db.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)

    def close(self) -> None:
        self._shelf.close()
        self._db.close()
        self._acknowledged.close()


def _bytes_of(record: Record) -> int:
    """About how much a record adds to the journal."""
    match record:
        case Voted(_, _, value) | Learned(_, value):
            return len(value)
        case Kept(_, put, _, revisions):
            return sum(len(row.key) + len(row.content) for row in put) + 64 * len(revisions)
        case SnapshotStep():
            return CHECKPOINT_BYTES // STEPS_PER_CHECKPOINT
    return 0
