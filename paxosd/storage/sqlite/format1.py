"""Files of records of format 1, which paxosd 0.2.0 wrote: read to be made anew in the format of this version.

Laws:
1. A file is looked at as 0.2.0 looked at it: one that is damaged, or lacks commits that were acknowledged, is refused,
   and nothing in it is changed.
2. Every row is checked before it is taken over. Votes and chosen values stand in the same rows in both formats.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from paxosd.core.records import Promised, Record, Round, Told
from paxosd.core.types import Ballot
from paxosd.storage.base import StorageError
from paxosd.storage.files import sync_file
from paxosd.storage.sqlite import acknowledged
from paxosd.storage.sqlite.file import (
    FORMAT,
    connect,
    connect_for_writing,
    errors,
    looked_at,
    require_acknowledged,
    require_sound,
    set_pragma,
)
from paxosd.storage.sqlite.rows import SCHEMA, Commits, Damaged, FileOwner, learned_of, read_state, state_rows, vote_of

NUMBER = 1
SCHEMA_1 = (
    "CREATE TABLE state (name TEXT, copy INTEGER, round INTEGER NOT NULL, proposer TEXT NOT NULL, "
    "checksum INTEGER NOT NULL, PRIMARY KEY (name, copy)) WITHOUT ROWID",
    *(table for table in SCHEMA if table.startswith(("CREATE TABLE votes", "CREATE TABLE learned"))),
)

TOLD_EVERY_ROWS = 1000
"""After how many rows progress is told."""

_SYNC_OFF = 0


@contextmanager
def open_format_1(path: Path) -> Iterator[sqlite3.Connection]:
    """A whole file of format 1 without a journal, open for reading; raises a `StorageError`."""
    with errors(path, "upgraded"):
        with looked_at(path, NUMBER, SCHEMA_1) as db:
            _, commits = _read_state(db)
        require_acknowledged(commits, acknowledged.read(path.with_name(path.name + "-acknowledged")))
        connect_for_writing(path).close()  # closing it leaves no journal behind
        if path.with_name(path.name + "-wal").exists():
            raise StorageError(f"{path} is in use: its journal stays; end the process that reads it")
        with closing(connect(path)) as db:
            yield db


def copy_anew(
    old: sqlite3.Connection, draft: Path, owner: FileOwner, more: Iterable[Record], progress: Callable[[int, int], None]
) -> None:
    """Write all that a file of format 1 holds, and these records, into a new file of this version's format, durably.

    `progress` is told how many rows are done, and of how many. Raises a `StorageError`; what is there then is no file.
    """
    with errors(draft, "written"), closing(connect(draft)) as new:
        new.execute("PRAGMA journal_mode = off")  # it is a draft: nobody wants half of it back
        new.execute(f"PRAGMA synchronous = {_SYNC_OFF}")
        new.executescript(f"BEGIN IMMEDIATE; {';'.join(SCHEMA)}; PRAGMA user_version = {FORMAT};")
        state, commits = _read_state(old)
        for record in (*state, *more, Commits(commits), owner):
            new.executemany("INSERT INTO state VALUES (?, ?, ?, ?)", state_rows(record))
        votes, values = _count(old, "votes"), _count(old, "learned")
        done = _copy(old, new, "votes", vote_of, lambda rows: progress(rows, votes + values))
        done += _copy(old, new, "learned", learned_of, lambda rows: progress(votes + rows, votes + values))
        if done != votes + values:
            raise Damaged(f"{done} rows could be read, of {votes + values}")
        new.execute("COMMIT")
        set_pragma(new, "journal_mode", "wal", "wal")  # not at its first opening, which may be cut off and only looks
    sync_file(draft)
    with errors(draft, "read"), closing(connect(draft)) as new:  # closing it leaves no journal behind
        require_sound(new)
        read_state(new)


def _count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _copy(
    old: sqlite3.Connection,
    new: sqlite3.Connection,
    table: str,
    check: Callable[[Any], object],
    progress: Callable[[int], None],
) -> int:
    """Copy a table whose rows are the same in both formats; returns how many there are."""
    done = 0
    for row in old.execute(f"SELECT * FROM {table} ORDER BY slot"):
        check(row)
        new.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        done += 1
        if done % TOLD_EVERY_ROWS == 0:
            progress(done)
    progress(done)
    return done


# ---- state, as it stood in format 1 ----------------------------------------------------------

_ROUND, _PROMISED, _TOLD, _COMMITS = "round", "promised", "told", "commits"


def _read_state(db: sqlite3.Connection) -> tuple[list[Record], int]:
    """The records without a key and the count of commits; raises `Damaged` if both copies of something are."""
    found: dict[str, Ballot] = {}
    copies: Counter[str] = Counter()
    damaged = 0
    for row in db.execute("SELECT name, copy, round, proposer, checksum FROM state"):
        name, copy, number, proposer, checksum = row
        said = zlib.crc32(f"{name}:{copy}:{number}:{proposer}".encode())
        if tuple(map(type, row)) == (str, int, int, str, int) and checksum == said:
            found[name] = Ballot(number, proposer)
            copies[name] += 1
        else:
            damaged += 1
    if damaged != sum(count == 1 for count in copies.values()):
        raise Damaged("both copies of a promise, a round or a count are damaged")
    if unknown := found.keys() - {_ROUND, _PROMISED, _TOLD, _COMMITS}:
        raise Damaged(f"it holds {sorted(unknown)!r:.80}, which format 1 has not")
    records: list[Record] = []
    if _ROUND in found:
        records.append(Round(found[_ROUND].round))
    if _PROMISED in found:
        records.append(Promised(found[_PROMISED]))
    if _TOLD in found:
        records.append(Told(found[_TOLD].round))
    return records, found[_COMMITS].round if _COMMITS in found else 0
