"""Records in SQLite: one file, one connection, one transaction per turn.

Laws:
1. A commit of anything that must not be lost returns after the journal (the WAL) is synced: `synchronous=FULL`. One
   that may be lost as a whole does not wait (`NORMAL`); the next one that waits makes it durable too.
2. After a failed commit nothing is committed any more: what the kernel kept of it is unknown. A write that found no
   room is another matter: nothing was kept of it. It gets the room of the ballast, once, and is made again. And a
   journal that finds no room in the file of records is moved later.
3. Durable commits are counted, inside and beside the file (see `acknowledged.py`).
4. Rows that are damaged or missing are seen (see `rows.py` and `file.py`).
5. Which history the records are of stands in their directory, too, once a commit said so. Records that know of none,
   in a directory that does, are an older copy.
6. A commit of nothing but learned values is held back until the next one, or until somebody reads what it says: it may
   be lost, so nobody waits for it, and together they cost one transaction.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from paxosd.core.plausible import SLOT_MAX, believed_watermark
from paxosd.core.records import (
    MAY_BE_LOST,
    Floor,
    Forgotten,
    Kept,
    Learned,
    OfSnapshot,
    Record,
    SnapshotBytes,
    SnapshotDropped,
    SnapshotInstalled,
    SnapshotStep,
    Synced,
    Told,
    Voted,
)
from paxosd.core.snapshots import IncomingSnapshot, Snapshot
from paxosd.core.types import FIRST_SLOT, NO_HISTORY, Revision, RevisionRow, Slot, Vote
from paxosd.core.voters import NO_VOTERS, Voters
from paxosd.storage.ballast import Ballast
from paxosd.storage.base import Corrupt, Label, StorageError
from paxosd.storage.sqlite import acknowledged, kept, rows
from paxosd.storage.sqlite.file import checkpoint, errors, found_no_room, open_file, set_pragma
from paxosd.storage.sqlite.rows import KeptAt
from paxosd.storage.sqlite.shelf import SQLiteShelf
from paxosd.storage.sqlite.trim import Trimmer
from paxosd.storage.sqlite.values import StoredValues

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""After about how many bytes the journal is moved into the main file: the loop waits for that. With 16 MiB a replica
writes 2 % less, and the longest commit takes twice as long."""

CHECKPOINT_SHORT_BYTES = 1024 * 1024
"""The same while there is little room on the disk."""

STEPS_PER_CHECKPOINT = 8
"""The rows of a snapshot are many and without order: after so many steps the journal is moved."""

COMMIT_BYTES = 16 * 1024
"""About how much a commit writes besides its values."""

HELD_BACK_BYTES_MAX = 1024 * 1024
HELD_BACK_ROWS_MAX = 128
"""How much is held back at most. One commit may delete twice as many rows (`trim.py`), so that deleting keeps up."""


class SQLiteStore:
    """The records of one node in the SQLite file at `path`, with their count in `path` + "-acknowledged".

    `label` says whose they must be; without one, as a tool has none, they may be anybody's. `ballast` is given up where
    a write finds no room (law 2).
    Raises `Corrupt`, `ForeignDirectory`, `InUse` or `StorageError`.
    """

    def __init__(self, path: Path, label: Label | None = None, ballast: Ballast | None = None) -> None:
        self.ballast = ballast
        self._path = path
        self._label = label
        self._failed: str | None = None
        self._waits = True
        self._installs: KeptAt | None = None  # with the commit that is under way
        self._written_bytes = 0
        self._saves_room = False
        self._held_back: list[Learned] = []  # law 6
        self._held_back_bytes = 0
        beside = path.with_name(path.name + "-acknowledged")
        with ExitStack() as unless_opened:
            with errors(path, "opened"):
                self._acknowledged = acknowledged.Acknowledged(beside)
                unless_opened.callback(self._acknowledged.close)
                self._db = open_file(path, acknowledged.read(beside), label)
                unless_opened.callback(self._db.close)
            state = self._take_stock()
            if label is not None:
                self._hold_against(label, state.get(Voters, NO_VOTERS))
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
            synced = state[Synced].slot if Synced in state else FIRST_SLOT
            self._values = StoredValues(self._db, floor, self._kept, synced)
            self._revisions = Trimmer(self._db, "revisions", "first_revision", "skipped", 0)
            self._shelf = SQLiteShelf(self._path, self._db, self._kept)
        return state

    def _hold_against(self, label: Label, voters: Voters) -> None:
        """Law 5: the directory follows what was committed just before a crash."""
        history = voters.history if voters.are_named else NO_HISTORY
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
                watermark = believed_watermark(state[Told].watermark, self._values.last_vote())
                state[Told] = Told(watermark)
            votes = self._values.votes(watermark, SLOT_MAX + 1, None)
        latest: list[Record] = [record for kind, record in state.items() if kind not in rows.STORES_OWN]
        return latest + [Voted(*vote) for vote in votes]

    def votes(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[Vote]:
        with errors(self._path, "read"):
            return self._values.votes(first, stop, bytes_max)

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        self._commit_held_back()
        with errors(self._path, "read"):
            return self._values.learned(first, stop, bytes_max)

    def learned_stop(self) -> Slot:
        return self._values.learned_stop

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

    def first_revision(self) -> Revision:
        """From which one on the rows of revisions are there."""
        with errors(self._path, "read"):
            return kept.first_revision(self._db)

    # ---- writing ----

    def commit(self, records: Sequence[Record]) -> None:
        if self._failed is not None:
            raise StorageError(f"{self._path}: an earlier commit failed ({self._failed}); restart the daemon")
        learned = [record for record in records if isinstance(record, Learned)]
        if len(learned) < len(records):
            self._commit(records)
        else:
            self._hold_back(learned)

    def _hold_back(self, learned: list[Learned]) -> None:
        self._held_back += learned
        self._held_back_bytes += sum(len(record.value) for record in learned)
        self._values.expect(learned)
        if self._held_back_bytes > HELD_BACK_BYTES_MAX or len(self._held_back) >= HELD_BACK_ROWS_MAX:
            self._commit(())

    def _commit_held_back(self) -> None:
        if self._held_back:
            self._commit(())

    def _commit(self, records: Sequence[Record]) -> None:
        """These, behind what was held back."""
        records = [*self._held_back, *records]
        self._held_back, self._held_back_bytes = [], 0
        try:
            with errors(self._path, "written"):
                self._write_in_room(records, waits=not all(isinstance(record, MAY_BE_LOST) for record in records))
            self._tell_history(records)
        except StorageError as error:
            self._failed = str(error)
            self._leave_journal()
            raise
        if self._installs is not None:
            self._note_installed(self._installs)
        self._note_kept(records)

    def _tell_history(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Voters) and record.are_named and self._label is not None:
                self._label.keep_history(record.history)

    def _note_installed(self, kept_at: KeptAt) -> None:
        with errors(self._path, "written"):
            self._shelf.installed(self._kept)
        self._installs, self._kept = None, kept_at
        self._values.let_go_of_learned(kept_at.first)

    def _write_in_room(self, records: Sequence[Record], waits: bool) -> None:
        try:
            self._write(records, waits)
        except sqlite3.Error as error:
            if self.ballast is None or not found_no_room(error) or not _may_be_put_again(records):
                raise
            if not self.ballast.give_up():
                raise
            if self._db.in_transaction:  # SQLite may have ended it, or not ("Response To Errors Within A Transaction")
                self._db.execute("ROLLBACK")
            self._write(records, waits)

    def _write(self, records: Sequence[Record], waits: bool) -> None:
        self._wait_for_disk(waits)
        self._db.execute("BEGIN IMMEDIATE")
        values_bytes = sum(self._put(record) for record in records)
        self._values.trim()
        self._revisions.trim()
        self._shelf.tidy()
        if waits:
            self._write_state(rows.Commits(self._commits + 1))
        self._db.execute("COMMIT")
        if waits:
            self._commits += 1
            self._acknowledged.write(self._commits)
        self._checkpoint_now_and_then(values_bytes)

    def _wait_for_disk(self, waits: bool) -> None:
        if waits != self._waits:
            set_pragma(self._db, "synchronous", *(("FULL", 2) if waits else ("NORMAL", 1)))
            self._waits = waits

    def _put(self, record: Record) -> int:
        """Returns about how many bytes of values that writes."""
        match record:
            case Voted() | Learned():
                return self._values.put(record)
            case Forgotten():
                self._values.forget_votes()
            case Kept():
                kept.write(self._db, record, self._kept.side)
                self._values.let_go_of_learned(self._kept_at(record).first)
                self._revisions.floor = record.first_revision
                self._write_state(self._kept_at(record))
            case SnapshotBytes() | SnapshotStep() | SnapshotInstalled() | SnapshotDropped():
                kept_at = self._shelf.put(record)
                if kept_at is not None:
                    self._write_state(kept_at)
                    self._installs = kept_at
            case _:
                if isinstance(record, Floor):
                    self._values.let_go_of_votes(record.slot)
                self._write_state(record)
        return _bytes_of(record)

    def _write_state(self, record: object) -> None:
        self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", rows.state_rows(record))

    def _checkpoint_now_and_then(self, values: int) -> None:
        self._shelf.note_written(values)
        self._written_bytes += values + COMMIT_BYTES
        if self._written_bytes >= (CHECKPOINT_SHORT_BYTES if self._saves_room else CHECKPOINT_BYTES):
            with self._shelf.journal_is_free() as is_free:
                if is_free and self._is_moved():
                    self._written_bytes = 0

    def _is_moved(self) -> bool:
        """Move the journal. Where the file has no room to grow it stays as it is, which loses nothing, and the next
        commit tries again."""
        try:
            checkpoint(self._db, "PASSIVE")
        except sqlite3.Error as error:
            if not found_no_room(error):
                raise
            if self.ballast is not None:
                self.ballast.give_up()
            return False
        return True

    def _note_kept(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Kept):
                self._kept = self._kept_at(record)
        self._values.committed(self._kept)

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
        if self._failed is None:
            with suppress(StorageError):  # what is held back may be lost
                self._commit_held_back()
        self._shelf.close()
        self._db.close()
        self._acknowledged.close()


def _may_be_put_again(records: Sequence[Record]) -> bool:
    """A step of a snapshot goes on where the last one ended, whether that counts or not."""
    return not any(isinstance(record, OfSnapshot) for record in records)


def _bytes_of(record: Record) -> int:
    """About how much a record other than of a value adds to the journal."""
    match record:
        case Kept(_, put, _, revisions):
            return sum(len(row.key) + len(row.content) for row in put) + 64 * len(revisions)
        case SnapshotStep():
            return CHECKPOINT_BYTES // STEPS_PER_CHECKPOINT
    return 0
