"""A snapshot that comes in: its bytes in a file of its own, checked, and its rows put beside those that stand.

    coming ──all bytes──> checking ──digest right──> putting ──all rows──> ready ──SnapshotInstalled──> (gone)
                              └────────anything wrong──────────> wrong ──SnapshotDropped──> (gone)

Laws:
1. What is told of the snapshot stands in the name of the file, and how far it came is its size: a later life goes on
   with it, and whatever a power cut left of it is found out by the digest.
2. No row is put before the digest of the whole file was right, and no row is put whose own checksum is wrong.
3. What was learned, and the index of revisions, is the same on every learner: these rows are put in place. Rows of the
   kept state are put under a side of their own, which counts only once a commit says so (see `kept.py`).
4. One step puts `ROWS_PER_STEP` rows, `BYTES_PER_STEP` bytes (or one row). The digest is computed by a thread.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any

from paxosd.core.snapshots import IncomingSnapshot, Snapshot, Stage
from paxosd.core.types import Slot
from paxosd.storage.files import OURS, require_own_file
from paxosd.storage.sqlite import kept, rows, values
from paxosd.storage.sqlite.snapshot import DIGEST_BYTES, ENDS_WITHIN_S, FORMAT, hash_file, remove_aside

log = logging.getLogger("paxosd")

ROWS_PER_STEP = 512
BYTES_PER_STEP = 256 * 1024
SYNC_EVERY_BYTES = 1024 * 1024
"""After how many bytes that came in they are synced, so that nobody waits for many at once."""
SPARE_BYTES = 64 * 1024 * 1024
"""How much room stays on the disk beside a snapshot and the rows that it becomes, or it is not taken."""

_INSERTS = {
    "revisions": "INSERT OR REPLACE INTO revisions VALUES (?, ?, ?, ?)",
    "kept": "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)",
}
_Row = tuple[str, tuple[Any, ...], int]
"""A table, a row of it, and how many bytes that takes."""


class Incoming:
    """One snapshot that comes in, into the file at `path`."""

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.side = 0  # where its rows are put
        self.first: Slot = 0  # from which slot on it has what was learned
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file: int | None = os.open(path, flags, OURS)
        self._received = os.fstat(self._file).st_size
        self._stage = Stage.COMING
        self._stops = threading.Event()
        self._checked: bool | None = None
        self._thread: threading.Thread | None = None
        self._rows: Iterator[_Row] | None = None
        self._look_whether_whole()

    @classmethod
    def begin(cls, store: Path, snapshot: Snapshot) -> Incoming:
        """A new one beside the file of records; raises `OSError`."""
        incoming = cls(_path_of(store, snapshot), snapshot)
        if shutil.disk_usage(store.parent).free < 2 * snapshot.size + SPARE_BYTES:
            incoming._be_wrong("there is no room for it on the disk")
        return incoming

    @classmethod
    def find(cls, store: Path) -> Incoming | None:
        """The one that an earlier life left; there is one at most. Raises `OSError`."""
        found: list[tuple[Path, Snapshot]] = []
        for path in sorted(store.parent.glob(_prefix(store) + "*")):
            require_own_file(path)
            snapshot = _named(path)
            if snapshot is None or found:
                path.unlink()
            else:
                found.append((path, snapshot))
        return cls(*found[0]) if found else None

    @property
    def state(self) -> IncomingSnapshot:
        """How far it is."""
        if self._stage is Stage.CHECKING and self._checked is not None:
            if self._checked:
                self._stage = Stage.PUTTING
            else:
                self._be_wrong("its digest is another one")
        return IncomingSnapshot(self.snapshot, self._received, self._stage)

    def append(self, offset: int, data: bytes) -> None:
        """Write these bytes if they are the next ones."""
        if self._stage is not Stage.COMING or offset != self._received or self._file is None:
            return
        try:
            os.pwrite(self._file, data, offset)
        except OSError as error:  # the disk is full: the state that stands is whole, and must not suffer
            return self._be_wrong(str(error))
        self._received += len(data)
        if self._received // SYNC_EVERY_BYTES > offset // SYNC_EVERY_BYTES:
            os.fdatasync(self._file)
        self._look_whether_whole()

    def step(self, db: sqlite3.Connection) -> None:
        """Put some more rows, within a transaction. What goes wrong there is no fault of it, and is raised."""
        if self.state.stage is not Stage.PUTTING:
            return
        if self._rows is None:
            self.side = max(kept.sides(db), default=0) + 1  # another one than any that stands, or stood till now
            self._rows = self._read()
        try:
            taken = self._take(self._rows)
        except (sqlite3.DatabaseError, rows.Damaged) as error:
            self._be_wrong(f"it is damaged: {error}")
        else:
            _put(db, taken)

    def remove(self) -> None:
        """Forget it, file and all. Raises `OSError`."""
        self.close()
        self._path.replace(gone := self._path.with_name(f"{self._path.name}-gone"))  # its name is free at once
        remove_aside(gone)

    def close(self) -> None:
        """Leave it to a later life; safe to call twice."""
        self._stops.set()
        if self._thread is not None:
            self._thread.join(ENDS_WITHIN_S)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ---- checking ----

    def _look_whether_whole(self) -> None:
        if self._received == self.snapshot.size:
            self._stage = Stage.CHECKING
            self._thread = threading.Thread(target=self._check, name="paxosd-incoming", daemon=True)
            self._thread.start()
        elif self._received > self.snapshot.size:
            self._be_wrong("it is longer than it should be")

    def _check(self) -> None:
        digest = blake2b(digest_size=DIGEST_BYTES)
        try:
            hash_file(self._path, digest.update, self._stops.is_set)
        except OSError as error:
            log.warning("a snapshot that came in could not be read: %s", error)
            self._checked = False
            return
        self._checked = digest.digest() == self.snapshot.digest

    def _be_wrong(self, why: str) -> None:
        log.warning("the snapshot %s of slot %d is not used: %s", self.snapshot.id.hex(), self.snapshot.slot, why)
        self._stage = Stage.WRONG

    # ---- putting ----

    def _read(self) -> Iterator[_Row]:
        """All rows as they are to stand here; raises `Damaged` or `sqlite3.Error`."""
        uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)) as db:
            about = db.execute("SELECT format, slot, first FROM about").fetchall()
            if len(about) != 1 or about[0][:2] != (FORMAT, self.snapshot.slot):
                raise rows.Damaged(f"it says of itself {about}")
            self.first = about[0][2]
            for row in db.execute("SELECT * FROM learned ORDER BY slot"):
                yield "learned", row, len(rows.learned_of(row)[1])
            for row in db.execute("SELECT * FROM revisions ORDER BY first_revision"):
                yield "revisions", row, len(rows.revision_of(row)[2])
            for row in db.execute("SELECT * FROM kept ORDER BY machine, key"):
                machine, key, content = rows.kept_of(row)
                put = rows.kept_row(kept.column(self.side, kept.owner_of(machine)), key, content)
                yield "kept", put, len(key) + len(content)

    def _take(self, found: Iterator[_Row]) -> list[_Row]:
        """The next rows to put."""
        taken: list[_Row] = []
        size = 0
        for row in found:
            taken.append(row)
            size += row[2]
            if size >= BYTES_PER_STEP or len(taken) == ROWS_PER_STEP:
                break
        else:
            self._stage = Stage.READY
        return taken


def _put(db: sqlite3.Connection, taken: list[_Row]) -> None:
    for table, of_table in groupby(taken, key=lambda row: row[0]):
        put = [row for _, row, _ in of_table]
        if table == "learned":
            values.put_all_learned(db, put)
        else:
            db.executemany(_INSERTS[table], put)


# ---- names of files ----------------------------------------------------------------------------


def _prefix(store: Path) -> str:
    return f"{store.name}-incoming-"


def _path_of(store: Path, snapshot: Snapshot) -> Path:
    told = f"{snapshot.id.hex()}-{snapshot.slot}-{snapshot.size}-{snapshot.digest.hex()}"
    return store.with_name(_prefix(store) + told)


def _named(path: Path) -> Snapshot | None:
    """What the name of a file says; None: it was to be removed, or is none of ours."""
    try:
        name, slot, size, digest = path.name.rpartition("-incoming-")[2].split("-")
        return Snapshot(bytes.fromhex(name), int(slot), int(size), bytes.fromhex(digest))
    except ValueError:
        return None
