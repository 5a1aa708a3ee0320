"""Deleting rows below a floor, a few at a time: each commit takes some along, so that none takes long.

SQLite puts the pages of deleted rows on a list and uses them again: the file does not shrink, and does not grow either.
"""

from __future__ import annotations

import sqlite3

ROWS_PER_COMMIT = 256
BYTES_PER_COMMIT = 4 * 1024 * 1024
"""How much one commit deletes at most: more than a turn writes, so that deleting keeps up; and one row at least."""


class Trimmer:
    """The rows of a table below `floor`: nobody reads them any more, and `trim` deletes them by and by."""

    def __init__(self, db: sqlite3.Connection, table: str, key: str, value: str, floor: int) -> None:
        self._db = db
        self._look = f"SELECT {key}, length({value}) FROM {table} WHERE {key} < ? ORDER BY {key} LIMIT ?"
        self._delete = f"DELETE FROM {table} WHERE {key} <= ?"
        self._floor = floor
        self.is_done = False
        """Whether `trim` has nothing to do until the floor rises."""

    @property
    def floor(self) -> int:
        return self._floor

    @floor.setter
    def floor(self, floor: int) -> None:
        self._floor, self.is_done = floor, False

    def trim(self, stop: int | None = None) -> None:
        """Delete some, of those below `stop` alone if that is lower; inside a transaction."""
        if self.is_done:
            return
        floor = self._floor if stop is None else min(self._floor, stop)
        left, last = BYTES_PER_COMMIT, None
        found = self._db.execute(self._look, (floor, ROWS_PER_COMMIT)).fetchall()
        for key, size in found:
            left -= size
            if left < 0 and last is not None:
                break
            last = key
        if last is not None:
            self._db.execute(self._delete, (last,))
        self.is_done = floor == self._floor and left >= 0 and len(found) < ROWS_PER_COMMIT
