"""A snapshot to tell: a copy of the kept state in a file of its own, made by a thread while the store is at work.

Laws:
1. The copy is of one read transaction on a connection of its own: it is the state at one slot, whole. Nobody waits for
   it: what is written meanwhile stands in the journal, which cannot be moved away for so long; so it is made in one go,
   at the speed of the disk, and told from its file afterwards, however slowly.
2. Rows are copied by SQLite alone, without the interpreter, a few at a time, and little of it is unsynced at any
   moment; and the thread itself moves the journal that has become long meanwhile: so neither the loop nor its commits
   wait for a flood of work.
3. The file is of this process only. One that is there at the start is of an earlier life, and is removed.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

from paxosd.core.snapshots import Snapshot
from paxosd.core.types import Slot
from paxosd.storage.base import StorageError
from paxosd.storage.files import OURS
from paxosd.storage.sqlite import kept
from paxosd.storage.sqlite.file import found_no_room, set_pragma
from paxosd.storage.sqlite.rows import Damaged, KeptAt, read_state

log = logging.getLogger("paxosd")

FORMAT = 1
SCHEMA = (
    "CREATE TABLE copy.about (format INTEGER NOT NULL, slot INTEGER NOT NULL, first INTEGER NOT NULL)",
    "CREATE TABLE copy.learned (slot INTEGER PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE copy.revisions (first_revision INTEGER PRIMARY KEY, slot INTEGER NOT NULL, skipped BLOB NOT NULL, "
    "checksum INTEGER NOT NULL)",
    "CREATE TABLE copy.kept (machine TEXT, key BLOB, content BLOB NOT NULL, checksum INTEGER NOT NULL, "
    "PRIMARY KEY (machine, key)) WITHOUT ROWID",
)

DIGEST_BYTES = 16
ID_BYTES = 16
ROWS_AT_ONCE = 256
"""How many rows one statement copies at most, and of large ones fewer: between two of them it is looked whether to
stop, and it is synced."""
SYNC_EVERY_BYTES = 256 * 1024
"""After how many bytes it waits for the disk: commits wait behind what was written before them and is not synced. With
8 MiB here the longest commit of others took 60 to 100 ms instead of 20, and the copy was no faster."""
HASHED_AT_ONCE_BYTES = 1024 * 1024
NICENESS = 10
"""How far its thread gives way to all others of this machine."""
ENDS_WITHIN_S = 2.0
"""How long a store that is closed waits for it."""


class Copied:
    """A snapshot that is being made, or was. `store` is the file of records, `path` where the copy goes; who holds
    `journal` may move the journal of the store."""

    def __init__(self, store: Path, path: Path, journal: threading.Lock) -> None:
        self.snapshot: Snapshot | None = None  # once it is made
        self.failed = False
        self.journal_failure: Exception | None = None
        self._store = store
        self._path = path
        self._journal = journal
        self._stops = threading.Event()
        self._file: int | None = None
        self._thread = threading.Thread(target=self._run, name="paxosd-snapshot", daemon=True)
        self._thread.start()

    @property
    def is_being_made(self) -> bool:
        return self.snapshot is None and not self.failed

    def part(self, offset: int, bytes_max: int) -> bytes:
        """Some bytes of one that is made; raises `OSError`."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        return os.pread(self._file, bytes_max, offset)

    def discard(self) -> None:
        """Forget it, made or not, without waiting; safe to call twice."""
        self._stops.set()
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if not self._thread.is_alive():
            remove_aside(self._path)

    def close(self) -> None:
        """The same, and its thread has ended."""
        self.discard()
        self._thread.join(ENDS_WITHIN_S)
        self._path.unlink(missing_ok=True)

    # ---- the thread ----

    def _run(self) -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
            slot = self._copy()
            self._move_journal()
            made = None if self._stops.is_set() else Snapshot(secrets.token_bytes(ID_BYTES), slot, *self._measure())
        except (OSError, sqlite3.Error, Damaged) as error:
            log.warning("no snapshot could be made for another learner: %s; it is tried again when one asks", error)
            made = None
        if made is None or self._stops.is_set():
            self.failed = True
            self._path.unlink(missing_ok=True)
        else:
            self.snapshot = made

    def _copy(self) -> Slot:
        os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, OURS))
        main = f"{self._store.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(main, uri=True, isolation_level=None, timeout=0)) as db:
            db.execute("ATTACH ? AS copy", (str(self._path),))
            db.execute("PRAGMA copy.journal_mode = OFF")
            db.execute("PRAGMA copy.synchronous = OFF")
            db.execute("PRAGMA copy.cache_size = -4096")
            db.execute("BEGIN")
            state, _ = read_state(db)
            at: KeptAt = state.get(KeptAt, kept.NOTHING)
            for table in SCHEMA:
                db.execute(table)
            db.execute("INSERT INTO copy.about VALUES (?, ?, ?)", (FORMAT, at.slot, at.first))
            synced = _Synced(self._path)
            for statement, values in _statements(at):
                rows_max, before = 1, _bytes_of_copy(db)
                while not self._stops.is_set() and db.execute(statement, (*values, rows_max)).rowcount > 0:
                    synced.now_and_then()
                    grown, before = _bytes_of_copy(db) - before, _bytes_of_copy(db)
                    rows_max = max(1, min(ROWS_AT_ONCE, 2 * rows_max, rows_max * SYNC_EVERY_BYTES // max(1, grown)))
            db.execute("COMMIT")
            synced.close()
        return at.slot

    def _move_journal(self) -> None:
        """As far as it is written by now. The store ends where that fails, as if it had moved the journal itself. Where
        there was no room it does so next, and has a ballast."""
        if self._stops.is_set():
            return
        try:
            with self._journal, closing(sqlite3.connect(self._store, isolation_level=None, timeout=0)) as db:
                set_pragma(db, "synchronous", "FULL", 2)
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except (sqlite3.Error, StorageError) as error:
            if not found_no_room(error):
                self.journal_failure = error

    def _measure(self) -> tuple[int, bytes]:
        digest = blake2b(digest_size=DIGEST_BYTES)
        return hash_file(self._path, digest.update, self._stops.is_set), digest.digest()


def _statements(at: KeptAt) -> list[tuple[str, tuple[object, ...]]]:
    """Each copies the next rows, until there are none: of what was learned, of the revisions, and of the state."""
    low, high = kept.side_range(at.side)
    after = "(SELECT max({0}) FROM copy.{1})"
    learned, revision = after.format("slot", "learned"), after.format("first_revision", "revisions")
    last = "SELECT machine, key FROM copy.kept ORDER BY machine DESC, key DESC LIMIT 1"
    return [
        (
            f"INSERT INTO copy.learned SELECT * FROM main.learned WHERE slot > ifnull({learned}, ? - 1) AND slot < ? "
            f"ORDER BY slot LIMIT ?",
            (at.first, at.slot),
        ),
        (
            f"INSERT INTO copy.revisions SELECT * FROM main.revisions WHERE first_revision > ifnull({revision}, 0) "
            f"AND slot < ? ORDER BY first_revision LIMIT ?",
            (at.slot,),
        ),
        (
            f"INSERT INTO copy.kept SELECT * FROM main.kept WHERE (machine, key) > (SELECT ?, x'' WHERE NOT EXISTS "
            f"({last}) UNION ALL SELECT * FROM ({last})) AND machine < ? ORDER BY machine, key LIMIT ?",
            (low, high),
        ),
    ]


def _bytes_of_copy(db: sqlite3.Connection) -> int:
    pages = db.execute("PRAGMA copy.page_count").fetchone()[0]
    return int(pages * db.execute("PRAGMA copy.page_size").fetchone()[0])


class _Synced:
    """Has a growing file synced now and then."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._size = 0

    def now_and_then(self) -> None:
        size = os.fstat(self._file).st_size
        if size - self._size >= SYNC_EVERY_BYTES:
            os.fdatasync(self._file)
            self._size = size

    def close(self) -> None:
        os.fdatasync(self._file)
        os.close(self._file)


def remove_aside(path: Path) -> None:
    """Delete a file without waiting: a large one takes long. What is still there at the next start is removed then."""
    threading.Thread(target=path.unlink, args=(True,), name="paxosd-remove", daemon=True).start()


def hash_file(path: Path, update: Callable[[bytes], None], stops: Callable[[], bool]) -> int:
    """Give all bytes of a file to `update`; how many they are. Raises `OSError`."""
    size = 0
    with path.open("rb", buffering=0) as file:
        while not stops() and (data := file.read(HASHED_AT_ONCE_BYTES)):
            update(data)
            size += len(data)
    return size
