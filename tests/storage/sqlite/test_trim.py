"""Rows below a floor are deleted by and by, and their place in the file is used again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from paxosd.core.records import Floor, Promised, Voted
from paxosd.core.types import Ballot, Slot
from paxosd.storage.sqlite import trim
from paxosd.storage.sqlite.store import SQLiteStore
from paxosd.storage.sqlite.trim import BYTES_PER_COMMIT, ROWS_PER_COMMIT, Trimmer

B = Ballot(1, "p1")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("CREATE TABLE votes (slot INTEGER PRIMARY KEY, value BLOB NOT NULL)")
        yield db


def fill(db: sqlite3.Connection, rows: int, size: int = 10) -> None:
    db.executemany("INSERT INTO votes VALUES (?, zeroblob(?))", [(slot, size) for slot in range(1, rows + 1)])


def left(db: sqlite3.Connection) -> list[Slot]:
    return [slot for (slot,) in db.execute("SELECT slot FROM votes ORDER BY slot")]


def trimmer(db: sqlite3.Connection, floor: Slot) -> Trimmer:
    return Trimmer(db, "votes", "slot", "value", floor)


def test_one_step_deletes_so_many_rows_from_the_lowest_on(db: sqlite3.Connection) -> None:
    fill(db, 3 * ROWS_PER_COMMIT)
    votes = trimmer(db, 2 * ROWS_PER_COMMIT + 10)
    lowest = []
    for _ in range(5):
        votes.trim()
        lowest.append(left(db)[0])

    assert lowest == [ROWS_PER_COMMIT + 1, 2 * ROWS_PER_COMMIT + 1, *[2 * ROWS_PER_COMMIT + 10] * 3]


def test_one_step_deletes_so_many_bytes_and_one_row_at_least(db: sqlite3.Connection) -> None:
    fill(db, 10, BYTES_PER_COMMIT // 2)
    fill_one_large = "UPDATE votes SET value = zeroblob(?) WHERE slot = 3"
    db.execute(fill_one_large, (2 * BYTES_PER_COMMIT,))
    votes = trimmer(db, 6)
    lowest = []
    for _ in range(4):
        votes.trim()
        lowest.append(left(db)[0])

    assert lowest == [3, 4, 6, 6]


def test_what_had_to_stay_for_a_while_goes_later_though_the_floor_did_not_rise(db: sqlite3.Connection) -> None:
    fill(db, 20)
    trimming = trimmer(db, 11)
    trimming.trim(stop=5)
    assert (left(db)[0], trimming.is_done) == (5, False)
    trimming.trim()

    assert (left(db)[0], trimming.is_done) == (11, True)


def test_what_an_earlier_life_left_is_deleted_by_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trim, "ROWS_PER_COMMIT", 3)
    path = tmp_path / "records.sqlite3"
    store = SQLiteStore(path)
    store.commit([Promised(B), *(Voted(slot, B, b"v") for slot in range(1, 20))])
    store.commit([Floor(11)])
    store.close()
    again = SQLiteStore(path)
    for slot in range(20, 24):
        again.commit([Voted(slot, B, b"v")])
    again.close()

    with closing(sqlite3.connect(path)) as db:
        assert left(db)[0] == 11


def test_a_file_whose_floor_rises_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    store = SQLiteStore(path)
    store.commit([Promised(B)])
    sizes = []
    for slot in range(1, 4001):
        store.commit([Voted(slot, B, bytes(5000)), *([Floor(slot - 100)] if slot > 100 else [])])
        if slot % 1000 == 0:
            store.close()  # moves the journal into the file
            store = SQLiteStore(path)
            sizes.append(path.stat().st_size)
    store.close()

    assert max(sizes) < 2 * 100 * 5000 + (1 << 20)


def test_what_is_deleted_is_not_written_once_more(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    with closing(SQLiteStore(path)) as store:
        store.commit([Promised(B), *(Voted(slot, B, bytes(100_000)) for slot in range(1, 20))])
        journal = path.with_name(path.name + "-wal")
        before = journal.stat().st_size
        store.commit([Floor(20)])

        assert journal.stat().st_size - before < 100_000
