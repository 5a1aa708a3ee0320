"""An SQLite file of records: looked at before it is touched, opened as the store needs it, errors explained.

Laws:
1. A file that is damaged, newer, or lacks commits that were acknowledged is refused, and nothing in it is changed:
   SQLite would drop a damaged journal without a word. A file is made under another name, so one that is there is
   whole.
2. The structure of all tables but `learned` is checked at every opening, so that a row cannot be hidden by damage to
   what is around it. `learned` is as long as the log, and how long a start takes may not depend on that: there a row
   that is hidden is seen when it is read (`values.py`).
3. It says whose it is. One that belongs to another node or another directory is refused.
4. Every pragma is read back. What is found is synced before it is used: so far it may be in the page cache only.
5. What is deleted is let go of, and not overwritten: where SQLite is built to do that (as Debian's is), each value
   would be written to the journal and to the main file once more when it goes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from paxosd.storage.base import Corrupt, ForeignDirectory, InUse, Label, StorageError
from paxosd.storage.contents import UnknownContent
from paxosd.storage.files import explained, rename_durably
from paxosd.storage.sqlite.rows import SCHEMA, Commits, Damaged, FileOwner, read_state, state_rows

FORMAT = 2
EARLIER_FORMATS = (1,)
JOURNAL_BYTES = 16 * 1024 * 1024
"""How long the journal stays once it is moved: while a snapshot is copied it cannot be, and gets longer."""
CHECKED = ("sqlite_schema", "state", "votes", "revisions", "kept")


def open_file(path: Path, acknowledged: int, label: Label | None) -> sqlite3.Connection:
    """Open a file of records, or make one. `acknowledged`: at least so many commits must be in it. `label`: whose it
    is, or must be.

    Raises `Corrupt`, `ForeignDirectory`, `InUse` or `StorageError`.
    """
    with errors(path, "opened"):
        if not path.exists() and path.with_name(path.name + "-wal").exists():
            raise Damaged("it is gone, and its journal is still there")
        require_acknowledged(_look(path, label) if path.exists() else 0, acknowledged)
        if not path.exists():
            _make(path, FileOwner("", "") if label is None else FileOwner(label.node, label.directory))
        return connect_for_writing(path)


def require_acknowledged(commits: int, acknowledged: int) -> None:
    """Raises `Damaged` if commits are gone."""
    if commits < acknowledged:
        raise Damaged(f"it lacks {acknowledged - commits} of {acknowledged} acknowledged commits")


def connect_for_writing(path: Path) -> sqlite3.Connection:
    """Open a file that was looked at; its journal is moved into it. Raises `StorageError` or `sqlite3.Error`."""
    db = connect(path)
    try:
        set_pragma(db, "journal_mode", "wal", "wal")
        set_pragma(db, "synchronous", "FULL", 2)
        set_pragma(db, "secure_delete", "OFF", 0)  # law 5
        set_pragma(db, "wal_autocheckpoint", "0", 0)  # it would keep an error of the disk to itself
        set_pragma(db, "journal_size_limit", str(JOURNAL_BYTES), JOURNAL_BYTES)
        checkpoint(db, "TRUNCATE")
    except (sqlite3.Error, StorageError):
        db.close()
        raise
    return db


def _look(path: Path, label: Label | None) -> int:
    """How many commits are in the file."""
    with looked_at(path, FORMAT, SCHEMA) as db:
        state, _ = read_state(db)
        if FileOwner not in state:
            raise Damaged("it does not say whose it is")
        _require_ours(path, state[FileOwner], label)
        return state[Commits].count if Commits in state else 0


@contextmanager
def looked_at(path: Path, expected: int, schema: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """A file whose format and structure are right; it is only read, so that what is refused stays as it was."""
    path.open("r+b").close()  # SQLite would call a file that this user may not write a disk that failed
    if path.stat().st_size == 0:  # even one that only reads would take it for a fresh file, and delete its journal
        raise Damaged("it is empty")
    with closing(connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > FORMAT:
            raise ForeignDirectory(
                f"{path} has format {version}, and this version of paxosd knows up to {FORMAT}; nothing was touched; "
                f"start the version that wrote it, or a newer one"
            )
        if version in EARLIER_FORMATS and version != expected:
            raise ForeignDirectory(
                f"{path} has format {version}, of an earlier version of paxosd; nothing was touched; stop every node "
                f"of the cluster and run `paxosd upgrade` for each"
            )
        found = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema")]
        if version != expected or sorted(found) != sorted(schema):
            raise Damaged("its tables are not those of a store")
        if version == FORMAT:
            _require_sound_but_for_log(db)
        else:
            require_sound(db)
        yield db


def require_sound(db: sqlite3.Connection) -> None:
    """Raises `Damaged` if the structure of a file is not whole."""
    _require_ok(db.execute("PRAGMA quick_check(1)"))


def _require_sound_but_for_log(db: sqlite3.Connection) -> None:
    """Raises `Damaged` if the structure of what is checked at an opening is not whole (law 2)."""
    for table in CHECKED:
        _require_ok(db.execute(f"PRAGMA quick_check({table})"))


def _require_ok(found: Iterable[tuple[str]]) -> None:
    problems = [text for (text,) in found]
    if problems != ["ok"]:
        raise Damaged(" ".join(problems[0].split()))


def _require_ours(path: Path, owner: FileOwner, label: Label | None) -> None:
    if label is None or (owner.node, owner.directory) == (label.node, label.directory):
        return
    raise ForeignDirectory(
        f"{path} belongs to directory {owner.directory} of node {owner.node}, and the directory that it is in is "
        f"{label.directory} of node {label.node}: the file was swapped or copied; nothing was touched; put it back "
        f"where it came from, and the file of this directory here"
    )


def connect(database: str | Path, *, uri: bool = False) -> sqlite3.Connection:
    """A connection of any thread, without transactions of its own."""
    db = sqlite3.connect(database, uri=uri, isolation_level=None, timeout=0, check_same_thread=False)
    db.text_factory = lambda raw: raw.decode(errors="replace")  # a damaged text is found by its checksum
    return db


def _make(path: Path, owner: FileOwner) -> None:
    draft = path.with_name(path.name + "-draft")
    for leftover in path.parent.glob(draft.name + "*"):
        leftover.unlink()
    with closing(connect(draft)) as db:
        set_pragma(db, "journal_mode", "wal", "wal")
        set_pragma(db, "synchronous", "FULL", 2)
        db.executescript(f"BEGIN IMMEDIATE; {';'.join(SCHEMA)}; PRAGMA user_version = {FORMAT};")
        db.executemany("INSERT INTO state VALUES (?, ?, ?, ?)", state_rows(owner))
        db.execute("COMMIT")
        checkpoint(db, "TRUNCATE")
    rename_durably(draft, path)


def set_pragma(db: sqlite3.Connection, name: str, value: str, expected: object) -> None:
    """Set a pragma and make sure that it is taken; raises `StorageError` if it is not."""
    db.execute(f"PRAGMA {name} = {value}").fetchall()
    got = db.execute(f"PRAGMA {name}").fetchone()[0]
    if got != expected:
        raise StorageError(f"SQLite did not take {name} = {value} (it says {got}); use another build of it")


def checkpoint(db: sqlite3.Connection, mode: str) -> None:
    """Move the journal into the main file and sync both; raises `StorageError` or `sqlite3.Error`."""
    busy, _, _ = db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    if busy:
        raise InUse("the journal could not be moved into the main file: another process reads it")


# ---- errors ----------------------------------------------------------------------------------


@contextmanager
def errors(path: Path, what: str) -> Iterator[None]:
    """Turn what goes wrong with the file into a `StorageError` that names the cause and the fix."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, what, error) from error
    except OverflowError as error:  # a number of more than 64 bits, which no checked message holds
        raise StorageError(f"{path} could not be {what}: {error}; a number is too large for a row; {_OURS}") from error
    except (Damaged, UnicodeDecodeError) as error:  # the latter where SQLite quotes damaged text in an error
        raise Corrupt(f"{path} could not be {what}: {error}; {_DAMAGED}") from error
    except UnknownContent as error:
        raise ForeignDirectory(
            f"{path} holds {error}, which this version of paxosd does not know; nothing was touched; start the version "
            f"that wrote it, or a newer one"
        ) from error
    except OSError as error:
        raise StorageError(f"{error.filename or path} could not be {what}: {explained(error)}") from error


def found_no_room(error: Exception) -> bool:
    """Whether the disk took no more of a write. (One that is taken, and then cannot be synced, is `SQLITE_IOERR`.)"""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"


_OURS = "this is an error of paxosd itself: nothing was changed; report it with the log"
_DAMAGED = (
    "do not delete it: move the whole data directory away for inspection, and start this node with an empty one; an "
    "acceptor is then admitted as a new disk, as long as a quorum of the others is well"
)

_CAUSES: dict[str, tuple[type[StorageError], str]] = {
    "SQLITE_CORRUPT": (Corrupt, _DAMAGED),
    "SQLITE_NOTADB": (Corrupt, _DAMAGED),
    "SQLITE_ERROR": (Corrupt, _DAMAGED),
    "SQLITE_TOOBIG": (Corrupt, _DAMAGED),
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
