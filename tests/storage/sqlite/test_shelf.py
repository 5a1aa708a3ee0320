"""Snapshots of the SQLite store: files beside it, made, checked and put while it is at work; killed at every step."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from paxosd.core.records import Kept, KeptRow, Learned, Promised, SnapshotBytes, SnapshotInstalled, SnapshotStep, Voted
from paxosd.core.snapshots import Stage
from paxosd.core.types import Ballot
from paxosd.storage.ballast import BALLAST_NAME, Ballast
from paxosd.storage.base import StorageError, Store
from paxosd.storage.sqlite import incoming as incoming_module
from paxosd.storage.sqlite import kept, shelf, snapshot
from paxosd.storage.sqlite.rows import KeptAt
from paxosd.storage.sqlite.store import SQLiteStore
from tests.storage.shelf_contract import END, ShelfContract, seen, state

WAITS_S = 60.0


class TestSQLiteShelf(ShelfContract):
    @pytest.fixture(autouse=True)
    def _in(self, tmp_path: Path) -> None:
        self._folder = tmp_path
        self._made = 0

    def make(self) -> SQLiteStore:
        self._made += 1
        folder = self._folder / str(self._made)
        folder.mkdir()
        return SQLiteStore(folder / "records.sqlite3")

    def reopen(self, store: Store) -> SQLiteStore:
        assert isinstance(store, SQLiteStore)
        store.close()
        return SQLiteStore(store._path)

    def settle(self, store: Store) -> None:
        assert isinstance(store, SQLiteStore)
        for busy in (store._shelf._making, store._shelf._incoming):
            if busy is not None and busy._thread is not None:
                busy._thread.join(WAITS_S)

    def files(self, store: Store) -> list[str]:
        assert isinstance(store, SQLiteStore)
        names = {path.name.removeprefix("records.sqlite3") for path in store._path.parent.iterdir()}
        return sorted(names - {"", "-wal", "-shm", "-acknowledged"})

    # ---- files ----

    def test_a_snapshot_that_is_told_is_a_file_and_goes_with_its_store(self, teller: Store) -> None:
        self.made(teller)
        assert self.files(teller) == ["-snapshot-1"]
        teller.close()
        assert self.files(teller) == []

    def test_a_file_that_a_killed_process_left_is_removed(self, teller: Store) -> None:
        assert isinstance(teller, SQLiteStore)
        left = teller._path.with_name("records.sqlite3-snapshot-7")
        left.write_bytes(b"half")
        gone = teller._path.with_name("records.sqlite3-incoming-1-2-3-4-gone")
        gone.write_bytes(b"half")

        assert self.files(self.reopen(teller)) == []

    def test_a_new_snapshot_is_made_while_the_old_one_is_told(self, teller: Store) -> None:
        old = self.made(teller)
        teller.commit([Learned(END, b"x"), Kept(END + 1, ())])
        teller.offer()
        assert teller.part(0, 10)
        self.settle(teller)
        new = teller.offered()
        assert new is not None
        assert (old.slot, new.slot) == (END, END + 1)

    def test_what_an_asker_needs_next_stays_within_bounds(self, teller: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shelf, "PINNED_BYTES_MAX", 10_000)
        self.made(teller)
        starts = []
        for end in range(END + 1, END + 5):
            teller.commit([Learned(end + 4, bytes(3000)), Kept(end, (), (), (), end, end)])
            starts.append(teller.learned_start())

        assert starts[:3] == [END] * 3
        assert starts[3] > END

    def test_one_that_cannot_be_made_is_told_and_can_be_tried_again(
        self, teller: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshot, "SCHEMA", ("CREATE TABLE nonsense",))
        teller.offer()
        self.settle(teller)
        assert teller.offered() is None
        monkeypatch.undo()

        assert self.made(teller).slot == END

    def test_the_journal_that_has_become_long_meanwhile_is_moved_beside_the_loop(
        self, teller: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert isinstance(teller, SQLiteStore)
        copied, goes_on = threading.Event(), threading.Event()
        statements = snapshot._statements

        def slowly(at: KeptAt) -> list[tuple[str, tuple[object, ...]]]:
            copied.set()
            goes_on.wait(WAITS_S)
            return statements(at)

        monkeypatch.setattr(snapshot, "_statements", slowly)
        teller.offer()
        assert copied.wait(WAITS_S)
        for slot in range(END, END + 9):  # more than is moved at once
            teller.commit([Voted(slot, Ballot(1, "p1"), bytes(1024 * 1024))])
        before = teller._path.stat().st_size
        goes_on.set()
        self.settle(teller)

        assert before < 1024 * 1024 < 9 * 1024 * 1024 < teller._path.stat().st_size

    def test_a_journal_that_cannot_be_moved_beside_the_loop_ends_the_store(
        self, teller: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert isinstance(teller, SQLiteStore)

        def fails(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(snapshot, "set_pragma", fails)
        teller.offer()
        self.settle(teller)
        with pytest.raises(StorageError, match="disk I/O error"):
            for slot in range(END, END + 9):
                teller.commit([Voted(slot, Ballot(1, "p1"), bytes(1024 * 1024))])

    def test_d03_a_journal_for_which_there_was_no_room_is_moved_by_the_loop_which_has_a_ballast(
        self, teller: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert isinstance(teller, SQLiteStore)
        teller.ballast = Ballast(teller._path.parent)
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorname = "SQLITE_FULL"

        def fails(*_: object) -> None:
            raise full

        monkeypatch.setattr(snapshot, "set_pragma", fails)
        teller.offer()
        self.settle(teller)
        for slot in range(END, END + 9):
            teller._path.with_name(BALLAST_NAME).write_bytes(b"x")
            teller.commit([Voted(slot, Ballot(1, "p1"), bytes(1024 * 1024))])

        assert teller._path.stat().st_size > 4 * 1024 * 1024

    def test_a_store_is_closed_while_one_is_being_made(self, teller: Store) -> None:
        teller.offer()
        teller.close()
        assert self.files(teller) == []

    def test_what_came_in_is_removed_once_it_is_taken_up(self, teller: Store, asker: Store) -> None:
        told = self.carry(teller, asker)
        assert [name[:10] for name in self.files(asker)] == ["-incoming-"]
        self.put(asker, told)
        asker.commit([SnapshotInstalled(told.id, told.slot)])
        again = self.reopen(asker)

        assert self.files(again) == []

    def test_a_snapshot_for_which_there_is_no_room_is_not_taken(
        self, teller: Store, asker: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(incoming_module, "SPARE_BYTES", 1 << 62)
        self.carry(teller, asker)
        incoming = asker.incoming()

        assert incoming is not None
        assert incoming.stage is Stage.WRONG

    def test_d03_a_step_that_finds_no_room_is_no_fault_of_the_snapshot_and_nothing_of_its_commit_is_there(
        self, teller: Store, asker: Store
    ) -> None:
        assert isinstance(asker, SQLiteStore)
        ballot = Ballot(1, "p1")
        teller.commit([Kept(END, (KeptRow("log", b"large", bytes(100_000)),))])
        told = self.carry(teller, asker)
        self.settle(asker)
        pages = asker._db.execute("PRAGMA page_count").fetchone()[0]
        asker._db.execute(f"PRAGMA max_page_count = {pages}")  # one vote fits, and not all rows of the step
        with pytest.raises(StorageError, match="make room on the disk"):
            asker.commit([Voted(5, ballot, b"v"), SnapshotStep(told.id), Voted(6, ballot, b"w")])
        incoming = asker.incoming()
        again = self.reopen(asker)

        assert incoming is not None
        assert incoming.stage is not Stage.WRONG
        assert list(again.votes(1, 10, 1 << 20)) == []

    def test_d03_a_step_that_found_no_room_is_not_made_again_for_it_would_pass_over_rows(
        self, teller: Store, asker: Store
    ) -> None:
        assert isinstance(asker, SQLiteStore)
        db = asker._db

        class Room(Ballast):
            def give_up(self) -> bool:
                db.execute("PRAGMA max_page_count = 1000000")
                return True

        teller.commit([Kept(END, (KeptRow("log", b"large", bytes(100_000)),))])
        told = self.carry(teller, asker)
        self.settle(asker)
        asker.ballast = Room(asker._path.parent)
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(StorageError, match="make room on the disk"):
            asker.commit([SnapshotStep(told.id)])
        again = self.reopen(asker)
        self.settle(again)

        assert self.put(again, told) is Stage.READY
        again.commit([SnapshotInstalled(told.id, told.slot)])
        assert seen(again) == seen(teller)

    # ---- rows ----

    def test_a_damaged_row_of_the_teller_is_found_and_nothing_is_taken_up(self, teller: Store, asker: Store) -> None:
        assert isinstance(teller, SQLiteStore)
        teller._db.execute("UPDATE kept SET content = x'00' WHERE key = x'303230'")
        old = seen(asker, 8)
        told = self.carry(teller, asker)

        assert self.put(asker, told) is Stage.WRONG
        assert seen(asker, 8) == old

    def test_a_step_puts_a_bounded_number_of_rows(
        self, teller: Store, asker: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert isinstance(asker, SQLiteStore)
        monkeypatch.setattr(incoming_module, "ROWS_PER_STEP", 7)
        told = self.carry(teller, asker)
        self.settle(asker)
        counts = []
        while (incoming := asker.incoming()) and incoming.stage is not Stage.READY:
            before = sum(
                asker._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("learned", "kept")
            )
            asker.commit([SnapshotStep(told.id)])
            after = sum(
                asker._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("learned", "kept")
            )
            counts.append(after - before)

        assert max(counts) <= 7
        assert len(counts) > 20

    def test_rows_that_never_came_to_count_are_removed_by_and_by(
        self, teller: Store, asker: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kept, "REMOVED_ROWS", 20)
        told = self.carry(teller, asker)
        self.put(asker, told)
        again = self.reopen(asker)  # killed before it was taken up; what came in is dropped, for the log was faster
        assert isinstance(again, SQLiteStore)
        sides = kept.sides(again._db)
        for slot in range(7, 20):
            again.commit([Voted(slot, Ballot(1, "p1"), b"value %d" % slot)])

        assert (sides, kept.sides(again._db)) == ([0, 1], [0])

    def test_the_index_tells_nothing_of_a_snapshot_that_does_not_count_yet(self, teller: Store, asker: Store) -> None:
        before = asker.revisions(1, 1000)
        told = self.carry(teller, asker)
        self.put(asker, told)

        assert asker.revisions(1, 1000) == before

    def test_a_vote_is_committed_while_rows_are_put(self, teller: Store, asker: Store) -> None:
        told = self.carry(teller, asker)
        self.settle(asker)
        ballot = Ballot(1, "p1")
        asker.commit([SnapshotStep(told.id), Promised(ballot), Voted(5, ballot, b"v")])
        self.put(asker, told)
        asker.commit([SnapshotInstalled(told.id, told.slot), Voted(6, ballot, b"w")])

        assert [vote.slot for vote in self.reopen(asker).votes(1, 10, 1 << 20)] == [5, 6]


def test_c12_a_learner_that_is_killed_at_any_step_has_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    with closing(SQLiteStore(tmp_path / "teller.sqlite3")) as store:
        store.commit(state())
    command = [sys.executable, "-m", "tests.storage.sqlite.taking", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    slots = [int(line) for line in done.stdout.split()]

    assert (done.returncode, done.stderr) == (0, "")
    assert slots == sorted(slots)
    assert set(slots) == {5, END}
    assert slots.count(5) > 20


def test_kept_rows_of_any_size_are_put(tmp_path: Path) -> None:
    with closing(SQLiteStore(tmp_path / "a.sqlite3")) as teller, closing(SQLiteStore(tmp_path / "b.sqlite3")) as asker:
        rows = tuple(KeptRow("log", b"%d" % size, bytes(size)) for size in (0, 1, 300_000, 2_000_000, 5))
        teller.commit([Learned(1, b""), Kept(2, rows)])
        teller.offer()
        assert teller._shelf._making is not None
        teller._shelf._making._thread.join(WAITS_S)
        told = teller.offered()
        assert told is not None
        for offset in range(0, told.size, 1 << 20):
            data = teller.part(offset, 1 << 20)
            asker.commit([SnapshotBytes(told.id, told.slot, told.size, told.digest, offset, data)])
        assert asker._shelf._incoming is not None
        assert asker._shelf._incoming._thread is not None
        asker._shelf._incoming._thread.join(WAITS_S)
        while (incoming := asker.incoming()) and incoming.stage is Stage.PUTTING:
            asker.commit([SnapshotStep(told.id)])
        asker.commit([SnapshotInstalled(told.id, told.slot)])

        assert sorted(asker.kept_rows("log")) == sorted((row.key, row.content) for row in rows)
