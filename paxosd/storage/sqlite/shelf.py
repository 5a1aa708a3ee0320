"""What an SQLite store has of snapshots: one to tell (`snapshot.py`), one that comes in (`incoming.py`), and rubbish.

What a commit takes up is out of reach of the records behind it: nothing of it is dropped any more.

Rubbish are the rows of the kept state that count no more, or never came to count: a few are removed with each commit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paxosd.core.plausible import SLOT_MAX
from paxosd.core.records import OfSnapshot, SnapshotBytes, SnapshotDropped, SnapshotInstalled, SnapshotStep
from paxosd.core.snapshots import PINNED_BYTES_MAX, IncomingSnapshot, Snapshot, Stage
from paxosd.core.types import Slot
from paxosd.storage.base import StorageError
from paxosd.storage.sqlite import kept
from paxosd.storage.sqlite.incoming import Incoming
from paxosd.storage.sqlite.rows import KeptAt
from paxosd.storage.sqlite.snapshot import Copied


class SQLiteShelf:
    """Beside the store at `path`, which is open as `db`. All methods raise `OSError`, `StorageError` or
    `sqlite3.Error`."""

    def __init__(self, path: Path, db: sqlite3.Connection, at: KeptAt) -> None:
        self._path = path
        self._db = db
        self._journal = threading.Lock()  # of who moves it
        self._made = 0
        self._pinned: Slot = SLOT_MAX  # what was learned from here on is needed by those who are told
        self._pinned_bytes = 0  # about how much was written since
        self._told: Copied | None = None
        self._making: Copied | None = None
        for leftover in path.parent.glob(f"{path.name}-snapshot-*"):
            leftover.unlink()
        self._taken_up: Incoming | None = None  # by the commit that is under way
        self._incoming = Incoming.find(path)
        if self._incoming is not None and self._incoming.snapshot.slot <= at.slot:
            self._incoming.remove()  # it was installed, or is of no use
            self._incoming = None
        self._rubbish = [side for side in kept.sides(db) if side != at.side]

    # ---- telling ----

    def offered(self) -> Snapshot | None:
        making = self._making
        if making is not None and not making.is_being_made:
            self._making = None
            if making.snapshot is not None:
                self._discard(self._told)
                self._told = making
                self._pin(making.snapshot.slot)
        return None if self._told is None else self._told.snapshot

    @property
    def pinned(self) -> Slot:
        """What was learned from this slot on is not trimmed yet."""
        return self._pinned

    def _pin(self, slot: Slot) -> None:
        self._pinned, self._pinned_bytes = slot, 0

    def note_written(self, size: int) -> None:
        """So many bytes of values were written: at some point those who are told so slowly have to begin anew."""
        self._pinned_bytes += size
        if self._pinned_bytes > PINNED_BYTES_MAX:
            self._pinned = SLOT_MAX

    def offer(self, slot: Slot) -> None:
        """Make one; the kept state is that of `slot` now."""
        if self._making is None:
            self._made += 1
            if self._told is None:
                self._pin(slot)
            copy = self._path.with_name(f"{self._path.name}-snapshot-{self._made}")
            self._making = Copied(self._path, copy, self._journal)

    @contextmanager
    def journal_is_free(self) -> Iterator[bool]:
        """Whether nobody moves the journal now, and nobody does until the block ends. Raises what went wrong where
        somebody tried to."""
        for copied in (self._told, self._making):
            if copied is not None and copied.journal_failure is not None:
                raise copied.journal_failure
        is_free = self._journal.acquire(blocking=False)
        try:
            yield is_free
        finally:
            if is_free:
                self._journal.release()

    def part(self, offset: int, bytes_max: int) -> bytes:
        if self._told is None:
            raise StorageError(f"{self._path}: there is no snapshot to tell")
        return self._told.part(offset, bytes_max)

    def withdraw(self) -> None:
        self._discard(self._told)
        self._discard(self._making)
        self._told = self._making = None
        self._pin(SLOT_MAX)

    @staticmethod
    def _discard(copied: Copied | None) -> None:
        if copied is not None:
            copied.discard()

    # ---- taking ----

    def incoming(self) -> IncomingSnapshot | None:
        return None if self._incoming is None else self._incoming.state

    def put(self, record: OfSnapshot) -> KeptAt | None:
        """Do what the record says, within a transaction; returns what is kept from its end on, if that changes."""
        incoming = self._incoming
        if isinstance(record, SnapshotBytes) and record.offset == 0:
            if incoming is not None:
                self._drop(incoming)
            snapshot = Snapshot(record.snapshot, record.slot, record.size, record.digest)
            incoming = self._incoming = Incoming.begin(self._path, snapshot)
        if incoming is None or incoming.snapshot.id != record.snapshot:
            return None
        match record:
            case SnapshotBytes(offset=offset, data=data):
                incoming.append(offset, data)
            case SnapshotStep():
                incoming.step(self._db)
            case SnapshotDropped():
                self._drop(incoming)
            case SnapshotInstalled(slot=slot):
                if incoming.state.stage is not Stage.READY:
                    raise StorageError(f"{self._path}: a snapshot is installed that is not ready")
                self._taken_up, self._incoming = incoming, None
                return KeptAt(slot, incoming.side, incoming.first)
        return None

    def _drop(self, incoming: Incoming) -> None:
        incoming.remove()
        self._incoming = None
        if incoming.side:
            self._rubbish.append(incoming.side)

    def installed(self, before: KeptAt) -> None:
        """The commit that took up what came in is durable: another side counted before."""
        if self._taken_up is not None:
            self._taken_up.remove()
            self._taken_up = None
        self._rubbish.append(before.side)

    # ---- rubbish ----

    def tidy(self) -> None:
        """Remove some rows that do not count, within a transaction."""
        if self._rubbish and not kept.remove(self._db, self._rubbish[0]):
            self._rubbish.pop(0)

    def close(self) -> None:
        """What is told is gone; what came in is left to a later life. Safe to call twice."""
        for copied in (self._told, self._making):
            if copied is not None:
                copied.close()
        self._told = self._making = None
        for incoming in (self._taken_up, self._incoming):
            if incoming is not None:
                incoming.close()
