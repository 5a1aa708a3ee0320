"""The kept state and the index of revisions in an SQLite file.

The rows of the kept state stand under a number, its side: those of another state can stand beside it under another one
until a commit of the record `KeptAt` makes that the one that counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

from paxosd.core.records import Kept
from paxosd.core.types import FIRST_SLOT, Revision, RevisionRow
from paxosd.storage.sqlite import rows
from paxosd.storage.sqlite.rows import KeptAt

NOTHING = KeptAt(FIRST_SLOT, 0, FIRST_SLOT)


def write(db: sqlite3.Connection, kept: Kept, side: int) -> None:
    """Within a transaction: delete, and then put. That this is the state of its slot is the caller's to write."""
    deleted = [(_column(side, owner), key) for owner, key in kept.delete]
    db.executemany("DELETE FROM kept WHERE machine = ? AND key = ?", deleted)
    put = [rows.kept_row(_column(side, owner), key, content) for owner, key, content in kept.put]
    db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", put)
    revisions = [rows.revision_row(*row) for row in kept.revisions]
    db.executemany("INSERT OR REPLACE INTO revisions VALUES (?, ?, ?, ?)", revisions)


def read(db: sqlite3.Connection, side: int, owner: str) -> Iterator[tuple[bytes, bytes]]:
    """All rows of an owner, in the order of their keys; raises `Damaged`."""
    with closing(db.execute("SELECT * FROM kept WHERE machine = ? ORDER BY key", (_column(side, owner),))) as found:
        for row in found:
            _, key, content = rows.kept_of(row)
            yield key, content


def revisions(db: sqlite3.Connection, revision: Revision, rows_max: int) -> Sequence[RevisionRow]:
    """The row of the slot that holds this revision, and those after it; raises `Damaged`."""
    first = "(SELECT max(first_revision) FROM revisions WHERE first_revision <= ?)"
    query = f"SELECT * FROM revisions WHERE first_revision >= {first} ORDER BY first_revision LIMIT ?"
    with closing(db.execute(query, (revision, rows_max))) as found:
        return [RevisionRow(*rows.revision_of(row)) for row in found]


def _column(side: int, owner: str) -> str:
    return f"{side}:{owner}"
