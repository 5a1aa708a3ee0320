"""The kept state and the index of revisions in an SQLite file.

The rows of the kept state stand under a number, its side: those of another state can stand beside it under another one
until a commit of the record `KeptAt` makes that the one that counts.

Law: a row does not leave what is read without being seen, if just its key was damaged. It still stands between the same
two rows, and SQLite does not notice that it is out of order. So the rows of an owner are read from the first one that a
search finds to the first one of somebody else, and that one is looked at, too, and so is the one before the first: a
search that was led astray by one row ends right behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

from paxosd.core.records import Kept
from paxosd.core.types import FIRST_SLOT, Revision, RevisionRow, Slot
from paxosd.storage.sqlite import rows
from paxosd.storage.sqlite.rows import KeptAt

NOTHING = KeptAt(FIRST_SLOT, 0, FIRST_SLOT)

REMOVED_ROWS = 512
"""How many rows of another side one commit removes."""


def write(db: sqlite3.Connection, kept: Kept, side: int) -> None:
    """Within a transaction: delete, and then put. That this is the state of its slot is the caller's to write."""
    deleted = [(column(side, owner), key) for owner, key in kept.delete]
    db.executemany("DELETE FROM kept WHERE machine = ? AND key = ?", deleted)
    put = [rows.kept_row(column(side, owner), key, content) for owner, key, content in kept.put]
    db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", put)
    revisions = [rows.revision_row(*row) for row in kept.revisions]
    db.executemany("INSERT OR REPLACE INTO revisions VALUES (?, ?, ?, ?)", revisions)


def read(db: sqlite3.Connection, side: int, owner: str) -> Iterator[tuple[bytes, bytes]]:
    """All rows of an owner, in the order of their keys; raises `Damaged`."""
    wanted = column(side, owner)
    for row in db.execute("SELECT * FROM kept WHERE machine < ? ORDER BY machine DESC, key DESC LIMIT 1", (wanted,)):
        rows.kept_of(row)
    with closing(db.execute("SELECT * FROM kept WHERE machine >= ? ORDER BY machine, key", (wanted,))) as found:
        for row in found:
            machine, key, content = rows.kept_of(row)
            if machine != wanted:
                break
            yield key, content


def revisions(db: sqlite3.Connection, revision: Revision, rows_max: int, slot: Slot) -> Sequence[RevisionRow]:
    """The row of the slot that holds this revision, and those after it, below the kept `slot`: what stands above is of
    a snapshot that does not count, or not yet. Raises `Damaged`."""
    first = "(SELECT max(first_revision) FROM revisions WHERE first_revision <= :revision AND slot < :slot)"
    begin = f"first_revision >= ifnull({first}, :revision) AND slot < :slot"
    query = f"SELECT * FROM revisions WHERE {begin} ORDER BY first_revision LIMIT :rows"
    with closing(
        db.execute(query, {"revision": revision, "rows": rows_max + 1, "slot": slot})
    ) as found:  # one more: see the law
        page = [RevisionRow(*rows.revision_of(row)) for row in found]
    return page[:rows_max] if page and page[0].first <= revision else []


def first_revision(db: sqlite3.Connection) -> Revision:
    """That of the first row which is there; 1: there is none."""
    return int(db.execute("SELECT min(first_revision) FROM revisions").fetchone()[0] or 1)


# ---- sides -----------------------------------------------------------------------------------


def column(side: int, owner: str) -> str:
    """What stands in the column `machine`."""
    return f"{side}:{owner}"


def owner_of(machine: str) -> str:
    """The owner in that column, whatever the side."""
    return machine.partition(":")[2]


def side_range(side: int) -> tuple[str, str]:
    """What stands in that column for this side is not below the first, and below the second."""
    return f"{side}:", f"{side};"


def sides(db: sqlite3.Connection) -> list[int]:
    """Every side that has rows; raises `Damaged`."""
    found: list[int] = []
    after = ""
    while (
        machine := db.execute("SELECT min(machine) FROM kept WHERE machine >= ?", (after,)).fetchone()[0]
    ) is not None:
        number = machine.partition(":")[0]
        if not number.isascii() or not number.isdigit():
            raise rows.Damaged(f"a row of the kept state belongs to {machine!r}")
        found.append(int(number))
        after = side_range(int(number))[1]
    return found


def remove(db: sqlite3.Connection, side: int) -> bool:
    """Within a transaction: remove some rows of this side; whether there are more."""
    some = "SELECT machine, key FROM kept WHERE machine >= ? AND machine < ? LIMIT ?"
    gone = db.execute(f"DELETE FROM kept WHERE (machine, key) IN ({some})", (*side_range(side), REMOVED_ROWS))
    return gone.rowcount == REMOVED_ROWS
