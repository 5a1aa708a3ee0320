"""Records in SQLite: one file, one connection, one transaction per turn.

Laws:
1. `synchronous=FULL` in WAL mode: a commit returns after the WAL is synced. Every pragma is read back.
2. After a failed commit nothing is committed any more: what the kernel kept of it is unknown.
3. Every row carries a checksum over all that it says. A row that does not fit raises `Corrupt`.
4. The promise and the round are kept twice, so that one damaged row does not end an acceptor.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from paxosd.core.history import ROW_BYTES
from paxosd.core.records import Learned, Promised, Record, Round, Told, Voted
from paxosd.core.types import FIRST_SLOT, Ballot, Slot, Vote
from paxosd.storage.base import Corrupt, ForeignDirectory, InUse, StorageError

FORMAT = 1
CHECKPOINT_PAGES = 4096
"""After how many pages of WAL they are moved into the main file: 16 MiB."""

_SCHEMA = """
CREATE TABLE state (name TEXT, copy INTEGER, round INTEGER NOT NULL, proposer TEXT NOT NULL, checksum INTEGER NOT NULL,
                    PRIMARY KEY (name, copy)) WITHOUT ROWID;
CREATE TABLE votes (slot INTEGER PRIMARY KEY, round INTEGER NOT NULL, proposer TEXT NOT NULL, value BLOB NOT NULL,
                    checksum INTEGER NOT NULL);
CREATE TABLE learned (slot INTEGER PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL);
"""


def _checksum(what: str, number: int, ballot: Ballot, value: bytes = b"") -> int:
    return zlib.crc32(value, zlib.crc32(f"{what}:{number}:{ballot.round}:{ballot.proposer}".encode()))


_NO_BALLOT = Ballot(0, "")


class SQLiteStore:
    """The records of one node in the SQLite file at `path`.

    `durable=False` commits without waiting for the disk: for a pure learner, whose records a quorum can tell
    again. Raises `Corrupt`, `ForeignDirectory`, `InUse` or `StorageError`.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._failed: str | None = None
        with self._errors("opened"):
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            self._set_up(durable)
            self._learned_stop = self._find_learned_stop()
        except StorageError:
            self._db.close()
            raise

    # ---- opening ----

    def _set_up(self, durable: bool) -> None:
        with self._errors("opened"):
            self._pragma("locking_mode", "exclusive", "exclusive")
            self._pragma("journal_mode", "wal", "wal")
            self._pragma("synchronous", "FULL" if durable else "NORMAL", 2 if durable else 1)
            self._pragma("wal_autocheckpoint", str(CHECKPOINT_PAGES), CHECKPOINT_PAGES)
            # What we are about to read may so far be in the page cache only; a checkpoint syncs it.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if found == 0:
                self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
            elif found > FORMAT:
                raise ForeignDirectory(
                    f"{self._path} has format {found}, and this version of paxosd knows up to {FORMAT}; "
                    f"nothing was touched; start the version that wrote it, or a newer one"
                )

    def _pragma(self, name: str, value: str, expected: object) -> None:
        self._db.execute(f"PRAGMA {name} = {value}").fetchall()
        got = self._db.execute(f"PRAGMA {name}").fetchone()[0]
        if got != expected:
            raise StorageError(f"{self._path}: SQLite did not take {name} = {value} (it says {got}); use another build")

    def _find_learned_stop(self) -> Slot:
        """The end of the contiguous run from slot 1, by halving: slots below are dense exactly if their count fits."""
        with self._errors("read"):
            highest = self._db.execute("SELECT max(slot) FROM learned").fetchone()[0] or 0
            low, high = FIRST_SLOT, int(highest) + 1
            while low < high:
                middle = (low + high + 1) // 2
                query = "SELECT count(*) FROM learned WHERE slot >= ? AND slot < ?"
                count = self._db.execute(query, (low, middle)).fetchone()[0]
                low, high = (middle, high) if count == middle - low else (low, middle - 1)
            return low

    # ---- reading ----

    def records(self) -> Sequence[Record]:
        kept: list[Record] = []
        watermark = FIRST_SLOT
        if (round_number := self._state("round")) is not None:
            kept.append(Round(round_number.round))
        if (promised := self._state("promised")) is not None:
            kept.append(Promised(promised))
        if (told := self._state("told")) is not None:
            watermark = told.round
            kept.append(Told(watermark))
        with self._errors("read"):
            query = "SELECT slot, round, proposer, value, checksum FROM votes WHERE slot >= ? ORDER BY slot"
            rows = self._db.execute(query, (watermark,)).fetchall()
        return kept + [Voted(vote.slot, vote.ballot, vote.value) for vote in map(self._vote, rows)]

    def _state(self, name: str) -> Ballot | None:
        """The state of this name from either copy that is whole."""
        with self._errors("read"):
            query = "SELECT round, proposer, checksum FROM state WHERE name = ? ORDER BY copy"
            rows = self._db.execute(query, (name,)).fetchall()
        if not rows:
            return None
        for number, proposer, checksum in rows:
            ballot = Ballot(number, proposer)
            if checksum == _checksum(name, 0, ballot):
                return ballot
        raise Corrupt(f"{self._path}: both copies of the {name} row are damaged; {_DAMAGED}")

    def votes(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[Vote]:
        query = "SELECT slot, round, proposer, value, checksum FROM votes WHERE slot >= ? AND slot < ? ORDER BY slot"
        return [self._vote(row) for row in self._page(query, first, stop, bytes_max, value_at=3)]

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        query = "SELECT slot, value, checksum FROM learned WHERE slot >= ? AND slot < ? ORDER BY slot"
        rows = self._page(query, first, stop, bytes_max, value_at=1)
        return [self._learned(slot, value, checksum) for slot, value, checksum in rows]

    def learned_stop(self) -> Slot:
        return self._learned_stop

    def _page(self, query: str, first: Slot, stop: Slot, bytes_max: int, value_at: int) -> list[tuple]:  # type: ignore[type-arg]
        page: list[tuple] = []  # type: ignore[type-arg]
        with self._errors("read"):
            cursor = self._db.execute(query, (first, stop))
            for row in cursor:
                bytes_max -= len(row[value_at]) + ROW_BYTES
                if page and bytes_max < 0:
                    break
                page.append(row)
            cursor.close()
        return page

    def _vote(self, row: tuple[int, int, str, bytes, int]) -> Vote:
        slot, number, proposer, value, checksum = row
        ballot = Ballot(number, proposer)
        if checksum != _checksum("vote", slot, ballot, value):
            raise Corrupt(f"{self._path}: the vote in slot {slot} is damaged; {_DAMAGED}")
        return Vote(slot, ballot, value)

    def _learned(self, slot: Slot, value: bytes, checksum: int) -> tuple[Slot, bytes]:
        if checksum != _checksum("learned", slot, _NO_BALLOT, value):
            raise Corrupt(f"{self._path}: the chosen value in slot {slot} is damaged; {_DAMAGED}")
        return slot, value

    # ---- writing ----

    def commit(self, records: Sequence[Record]) -> None:
        if self._failed is not None:
            raise StorageError(f"{self._path}: an earlier commit failed ({self._failed}); restart the daemon")
        try:
            with self._errors("written"):
                self._write(records)
        except StorageError as error:
            self._failed = str(error)
            raise
        self._note_learned(records)

    def _write(self, records: Sequence[Record]) -> None:
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        for record in records:
            match record:
                case Voted(slot, ballot, value):
                    row = (slot, ballot.round, ballot.proposer, value, _checksum("vote", slot, ballot, value))
                    execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, ?)", row)
                case Learned(slot, value):
                    checksum = _checksum("learned", slot, _NO_BALLOT, value)
                    execute("INSERT OR REPLACE INTO learned VALUES (?, ?, ?)", (slot, value, checksum))
                case Promised(ballot):
                    self._write_state("promised", ballot)
                case Round(number):
                    self._write_state("round", Ballot(number, ""))
                case Told(watermark):
                    self._write_state("told", Ballot(watermark, ""))
        execute("COMMIT")

    def _write_state(self, name: str, ballot: Ballot) -> None:
        checksum = _checksum(name, 0, ballot)
        rows = [(name, copy, ballot.round, ballot.proposer, checksum) for copy in (1, 2)]
        self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)", rows)

    def _note_learned(self, records: Sequence[Record]) -> None:
        fresh = {record.slot for record in records if isinstance(record, Learned)}
        while self._learned_stop in fresh:
            self._learned_stop += 1

    def close(self) -> None:
        self._db.close()

    # ---- errors ----

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explained(self._path, what, error) from error
        except UnicodeDecodeError as error:
            raise Corrupt(f"{self._path} could not be {what}: {error}; {_DAMAGED}") from error


_DAMAGED = (
    "do not delete it: move the whole data directory away for inspection, and keep this node off, or it would vote as "
    "if it had promised nothing"
)

_CAUSES: dict[str, tuple[type[StorageError], str]] = {
    "SQLITE_CORRUPT": (Corrupt, _DAMAGED),
    "SQLITE_NOTADB": (Corrupt, _DAMAGED),
    "SQLITE_FULL": (
        StorageError,
        "make room on the disk and start the daemon again; nothing that was acknowledged is lost",
    ),
    "SQLITE_IOERR": (
        StorageError,
        "the disk failed; look at the kernel's log, and start the daemon again when it is well",
    ),
    "SQLITE_READONLY": (StorageError, "make the directory and its file system writable for this user and start again"),
    "SQLITE_CANTOPEN": (StorageError, "check that the directory exists and that this user may write to it"),
    "SQLITE_BUSY": (InUse, "another process has it open; stop that one first"),
    "SQLITE_LOCKED": (InUse, "another process has it open; stop that one first"),
}


def _explained(path: Path, what: str, error: sqlite3.Error) -> StorageError:
    name = getattr(error, "sqlite_errorname", "") or "SQLite error"
    primary = "_".join(name.split("_")[:2])
    kind, advice = _CAUSES.get(primary, (StorageError, "see the text of SQLite; the daemon ends rather than guess"))
    return kind(f"{path} could not be {what}: {error} ({name}); {advice}")
