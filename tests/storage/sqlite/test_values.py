"""A value that is voted for and chosen stands in the file once, and both the vote and the log tell it whole."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from paxosd.core.records import Floor, Kept, Learned, Record, Synced, Told, Voted
from paxosd.core.types import Ballot, Slot, Vote
from paxosd.storage.base import Corrupt, Store
from paxosd.storage.memory import MemoryStore
from paxosd.storage.sqlite.rows import learned_row
from paxosd.storage.sqlite.store import SQLiteStore
from paxosd.storage.sqlite.values import SHARED_FROM_BYTES, put_all_learned
from tests.storage.contract import HIGH, LOW, MANY

LARGE = bytes(range(256)) * 64
OTHER = LARGE[::-1]
assert len(LARGE) >= SHARED_FROM_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """One that has learned something, as a replica has."""
    with closing(SQLiteStore(path)) as store:
        store.commit([Learned(1, b"first")])
        yield store


def reopened(store: SQLiteStore, path: Path) -> SQLiteStore:
    store.close()
    return SQLiteStore(path)


def pointing(store: SQLiteStore) -> list[Slot]:
    return [slot for (slot,) in store._db.execute("SELECT slot FROM votes WHERE value = 0 ORDER BY slot")]


def journal(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


# ---- once ------------------------------------------------------------------------------------


def test_a_value_that_was_voted_for_is_learned_without_being_written_again(store: SQLiteStore, path: Path) -> None:
    value = os.urandom(200_000)
    store.commit([Voted(2, LOW, value)])
    before = journal(path)
    store.commit([Learned(2, value)])

    assert journal(path) - before < 10_000
    assert list(store.votes(2, 3, MANY)) == [Vote(2, LOW, value)]
    assert list(store.learned(1, 3, MANY)) == [(1, b"first"), (2, value)]


def test_what_was_voted_for_alone_is_not_told_as_chosen(store: SQLiteStore, path: Path) -> None:
    store.commit([Voted(2, LOW, LARGE), Voted(3, LOW, LARGE)])

    with closing(reopened(store, path)) as again:
        assert (list(again.learned(1, 100, MANY)), again.learned_stop()) == ([(1, b"first")], 2)
        assert list(again.votes(1, 100, MANY)) == [Vote(2, LOW, LARGE), Vote(3, LOW, LARGE)]


def test_a_vote_keeps_its_own_value_when_another_one_is_chosen_in_its_slot(store: SQLiteStore, path: Path) -> None:
    store.commit([Voted(2, LOW, LARGE)])
    store.commit([Learned(2, OTHER)])

    with closing(reopened(store, path)) as again:
        assert list(again.votes(1, 100, MANY)) == [Vote(2, LOW, LARGE)]
        assert list(again.learned(2, 100, MANY)) == [(2, OTHER)]


def test_a_later_vote_for_another_value_leaves_what_was_learned_as_it_is(store: SQLiteStore, path: Path) -> None:
    store.commit([Voted(2, LOW, LARGE)])
    store.commit([Learned(2, LARGE), Voted(2, HIGH, OTHER)])

    with closing(reopened(store, path)) as again:
        assert list(again.votes(1, 100, MANY)) == [Vote(2, HIGH, OTHER)]
        assert list(again.learned(2, 100, MANY)) == [(2, LARGE)]


@pytest.mark.parametrize("told", [LARGE, OTHER])
def test_the_values_of_a_snapshot_leave_votes_as_they_are_and_are_left_by_them(
    store: SQLiteStore, path: Path, told: bytes
) -> None:
    store.commit([Voted(2, LOW, LARGE), Voted(3, LOW, LARGE)])
    put_all_learned(store._db, [learned_row(Learned(slot, told)) for slot in (2, 3, 4)])
    store.commit([Voted(3, HIGH, LARGE), Voted(4, HIGH, LARGE), Kept(5, ())])

    with closing(reopened(store, path)) as again:
        assert list(again.votes(1, 9, MANY)) == [
            Vote(2, LOW, LARGE), Vote(3, HIGH, LARGE), Vote(4, HIGH, LARGE)
        ]  # fmt: skip
        assert list(again.learned(2, 9, MANY)) == [(2, told), (3, told), (4, told)]


def test_small_values_stand_with_their_votes(store: SQLiteStore) -> None:
    store.commit([Voted(2, LOW, LARGE[: SHARED_FROM_BYTES - 1]), Voted(3, LOW, LARGE)])

    assert pointing(store) == [3]


def test_an_acceptor_alone_has_its_values_with_its_votes(path: Path) -> None:
    with closing(SQLiteStore(path)) as store:
        store.commit([Voted(2, LOW, LARGE)])

        assert pointing(store) == []


# ---- what goes -------------------------------------------------------------------------------


def test_a_value_that_the_log_lets_go_of_stays_for_its_vote(store: SQLiteStore, path: Path) -> None:
    store.commit([record for slot in range(2, 9) for record in (Voted(slot, LOW, LARGE), Learned(slot, LARGE))])
    store.commit([Kept(9, (), (), (), 7)])
    store.commit([Told(1)])

    assert [slot for slot, _ in store.learned(1, 100, MANY)] == [7, 8]
    with closing(reopened(store, path)) as again:
        assert [vote.slot for vote in again.votes(1, 100, MANY)] == list(range(2, 9))
        again.commit([Floor(6)])
        again.commit([Told(1)])
        left = again._db.execute("SELECT slot FROM learned ORDER BY slot").fetchall()
        assert left == [(6,), (7,), (8,)]


def test_a_value_that_was_never_learned_goes_with_its_vote(store: SQLiteStore) -> None:
    store.commit([Voted(slot, LOW, LARGE) for slot in range(2, 60)])
    store.commit([Floor(50)])
    for _ in range(4):
        store.commit([Told(1)])

    assert store._db.execute("SELECT slot FROM learned ORDER BY slot").fetchall() == [
        (1,), *((slot,) for slot in range(50, 60))
    ]  # fmt: skip


# ---- what is missing -------------------------------------------------------------------------


def damaged(store: SQLiteStore, path: Path, statement: str) -> SQLiteStore:
    store.close()
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(statement).rowcount > 0
    return SQLiteStore(path)


def test_a_vote_whose_value_is_gone_is_damaged(store: SQLiteStore, path: Path) -> None:
    store.commit([Voted(2, LOW, LARGE)])

    with closing(damaged(store, path, "DELETE FROM learned WHERE slot = 2")) as again:
        with pytest.raises(Corrupt, match="the vote in slot 2 is damaged"):
            again.votes(1, 100, MANY)
        with pytest.raises(Corrupt, match="the vote in slot 2 is damaged"):
            again.records()


@pytest.mark.parametrize("gone", [3, 5, 8])
@pytest.mark.parametrize("first", [1, 3, 5, 7])
def test_a_chosen_value_that_is_gone_is_missed_when_it_is_read(
    store: SQLiteStore, path: Path, gone: Slot, first: Slot
) -> None:
    store.commit([Learned(slot, b"v") for slot in range(2, 9)])
    store.commit([Kept(9, ())])

    with closing(damaged(store, path, f"DELETE FROM learned WHERE slot = {gone}")) as again:
        if first <= gone:
            with pytest.raises(Corrupt, match=f"the chosen value in slot {gone} is gone"):
                again.learned(first, 9, MANY)
        else:
            again.learned(first, gone, MANY)


def test_the_end_of_what_was_synced_is_missed_at_the_start(store: SQLiteStore, path: Path) -> None:
    store.commit([Learned(2, b"v"), Learned(3, b"v"), Synced(4)])

    with pytest.raises(Corrupt, match="the chosen value in slot 3 is gone"):
        damaged(store, path, "DELETE FROM learned WHERE slot = 3")


# ---- anything at all -------------------------------------------------------------------------


class Life:
    """Turns of a replica: votes, among them later ones for other values, what is chosen, and what goes."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._stop = self._kept = self._floor = self._first = 1
        self._round = 1

    def turn(self) -> list[Record]:
        draw = self._draw
        records: list[Record] = []
        for _ in range(draw.randrange(1, 4)):
            slot = draw.randrange(self._floor, self._stop + 6)
            self._round += draw.random() < 0.3
            records.append(Voted(slot, Ballot(self._round, "p1"), self._value(slot)))
        while draw.random() < 0.6:
            records.append(Learned(self._stop, self._value(self._stop)))
            self._stop += 1
        draw.shuffle(records)
        if draw.random() < 0.3 and self._stop > self._kept:
            self._kept = draw.randrange(self._kept, self._stop)
            self._first = draw.randrange(self._first, self._kept + 1)
            records.append(Kept(self._kept, (), (), (), self._first))
        if draw.random() < 0.3:
            self._floor = draw.randrange(self._floor, self._stop + 2)
            records.append(Floor(self._floor))
        return records

    def _value(self, slot: Slot) -> bytes:
        return b"%d %d " % (slot, self._draw.randrange(2)) * self._draw.choice((1, 2000))


def told(store: Store) -> object:
    return (
        list(store.votes(1, 1 << 60, MANY)),
        [row for row in store.learned(1, 1 << 60, MANY) if row[0] < store.learned_stop()],
        (store.learned_start(), store.learned_stop(), store.kept_slot()),
        sorted(map(repr, store.records())),
    )


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_in_whatever_order_the_file_tells_what_memory_tells(seed: int, path: Path) -> None:
    life, memory, file = Life(seed), MemoryStore(), SQLiteStore(path)
    for number in range(120):
        records = life.turn()
        memory.commit(records)
        file.commit(records)
        if number % 10 == 9:
            file = reopened(file, path)
        assert told(file) == told(memory)
    file.close()
