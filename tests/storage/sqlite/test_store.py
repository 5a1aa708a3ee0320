"""The SQLite store: the contract, and what disks do to files."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from paxosd.core.records import Kept, Learned, Promised, Record, Round, Told, Voted
from paxosd.storage.base import Corrupt, ForeignDirectory, InUse, StorageError
from paxosd.storage.sqlite import store as sqlite
from paxosd.storage.sqlite.file import JOURNAL_BYTES, set_pragma
from paxosd.storage.sqlite.store import SQLiteStore
from tests.storage.contract import LOW, MANY, StoreContract

COMMITTING = Path(__file__).with_name("committing.py")


class TestSQLiteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _in(self, tmp_path: Path) -> None:
        self._path = tmp_path / "records.sqlite3"

    def reopen(self) -> SQLiteStore:
        return SQLiteStore(self._path)


def filled(path: Path, slots: int = 20) -> SQLiteStore:
    """A store with one commit per slot, still open."""
    store = SQLiteStore(path)
    store.commit([Round(1), Promised(LOW)])
    for slot in range(1, slots + 1):
        store.commit([Voted(slot, LOW, b"vote %d" % slot), Learned(slot, b"value %d" % slot)])
    return store


def leave_as_after_a_kill(store: SQLiteStore, path: Path, target: Path) -> Path:
    """Copy the files of an open store: the journal is not moved into the main file."""
    target.mkdir()
    for file in path.parent.glob(path.name + "*"):
        shutil.copy(file, target / file.name)
    store.close()
    return target / path.name


def slots_of(store: SQLiteStore) -> list[int]:
    return [vote.slot for vote in store.votes(1, 1000, MANY)]


# ---- one at a time ---------------------------------------------------------------------------


def test_d13_a_second_opener_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    first = filled(tmp_path / "x.sqlite3")

    with pytest.raises(InUse):
        SQLiteStore(tmp_path / "x.sqlite3")

    first.close()
    SQLiteStore(tmp_path / "x.sqlite3").close()


# ---- what is held back -----------------------------------------------------------------------


def written_slots(path: Path) -> list[int]:
    """The learned values that stand in the file, as another program sees it."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return [slot for (slot,) in db.execute("SELECT slot FROM learned ORDER BY slot")]


def test_values_that_were_only_learned_are_written_with_the_next_commit(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    with closing(SQLiteStore(path)) as store:
        store.commit([Learned(1, b"one")])
        store.commit([Learned(2, b"two")])
        held_back = written_slots(path)
        store.commit([Voted(3, LOW, b"three")])

        assert (held_back, written_slots(path)) == ([], [1, 2])


def test_what_is_held_back_counts_and_is_read_like_all_that_was_learned(tmp_path: Path) -> None:
    with closing(SQLiteStore(tmp_path / "x.sqlite3")) as store:
        store.commit([Learned(2, b"two")])
        above_a_gap = store.learned_stop()
        store.commit([Learned(1, b"one")])

        assert (above_a_gap, store.learned_stop()) == (1, 3)
        assert list(store.learned(1, 3, MANY)) == [(1, b"one"), (2, b"two")]


@pytest.mark.parametrize("size", [0, 100_000], ids=["rows", "bytes"])
def test_no_more_is_held_back_than_fits_the_bounds(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.sqlite3"
    rows_max = min(sqlite.HELD_BACK_ROWS_MAX, sqlite.HELD_BACK_BYTES_MAX // size + 1 if size else MANY)
    with closing(SQLiteStore(path)) as store:
        for slot in range(1, rows_max):
            store.commit([Learned(slot, bytes(size))])
        held_back = written_slots(path)
        store.commit([Learned(rows_max, bytes(size))])

        assert (held_back, written_slots(path)) == ([], list(range(1, rows_max + 1)))


def test_what_is_held_back_is_written_when_the_store_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    store = SQLiteStore(path)
    store.commit([Learned(1, b"one")])
    store.close()

    assert written_slots(path) == [1]


# ---- power and kills -------------------------------------------------------------------------


def test_c02_sigkill_at_any_instant_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    for life in range(4):
        path = tmp_path / f"{life}.sqlite3"
        process = subprocess.Popen([sys.executable, str(COMMITTING), str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(30 + 20 * life)]
        process.kill()
        acknowledged = int([*lines, *process.stdout.readlines()][-1])
        process.wait()
        process.stdout.close()
        with closing(SQLiteStore(path)) as store:
            assert slots_of(store)[:acknowledged] == list(range(1, acknowledged + 1))
            assert len(slots_of(store)) <= acknowledged + 1


def test_d05_a_journal_torn_at_any_byte_of_its_last_commit_loses_that_commit_or_is_refused(tmp_path: Path) -> None:
    """Without the count beside it: a torn commit was never acknowledged. Everything before it is untouched."""
    path = tmp_path / "a" / "x.sqlite3"
    path.parent.mkdir()
    store = filled(path, 5)
    wal = path.with_name(path.name + "-wal")
    before = wal.stat().st_size
    store.commit([Voted(6, LOW, bytes(1000))])
    image = leave_as_after_a_kill(store, path, tmp_path / "image")
    whole = image.with_name(image.name + "-wal").read_bytes()

    for end in [*range(before, len(whole), 97), len(whole) - 1]:
        target = tmp_path / f"torn{end}"
        shutil.copytree(image.parent, target)
        (target / wal.name).write_bytes(whole[:end])
        (target / f"{path.name}-acknowledged").unlink()
        with closing(SQLiteStore(target / path.name)) as torn:
            assert slots_of(torn) == [1, 2, 3, 4, 5]


def test_d07_a_journal_that_lost_an_acknowledged_commit_is_corrupt_and_not_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.sqlite3"
    path.parent.mkdir()
    image = leave_as_after_a_kill(filled(path), path, tmp_path / "image")
    wal = image.with_name(image.name + "-wal")
    wal.write_bytes(wal.read_bytes()[:-5000])
    left = {file.name: file.read_bytes() for file in image.parent.iterdir()}

    with pytest.raises(Corrupt, match=r"lacks .* acknowledged commits"):
        SQLiteStore(image)

    assert {name: (image.parent / name).read_bytes() for name in left if not name.endswith("-shm")} == {
        name: data for name, data in left.items() if not name.endswith("-shm")
    }


def test_d06_flipped_bits_anywhere_are_found_or_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.sqlite3"
    path.parent.mkdir()
    store = filled(path, 40)
    truth: dict[str, object] = {
        "votes": list(store.votes(1, 100, MANY)),
        "learned": list(store.learned(1, 100, MANY)),
        "records": store.records(),
    }
    store.close()  # everything is in the main file
    image = path.read_bytes()
    draw = random.Random(6)
    refused = 0
    for number in range(150):
        target = tmp_path / f"flip{number}" / path.name
        shutil.copytree(path.parent, target.parent)
        damaged = bytearray(image)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        target.write_bytes(damaged)
        try:
            with closing(SQLiteStore(target)) as flipped:
                found: dict[str, object] = {
                    "votes": list(flipped.votes(1, 100, MANY)),
                    "learned": list(flipped.learned(1, 100, MANY)),
                    "records": flipped.records(),
                }
                assert found == truth
        except StorageError:
            refused += 1
    assert refused > 10


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(statement).rowcount > 0


def test_d08_one_damaged_copy_of_the_promise_is_mended_from_the_other(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    for what in ("content = x'91'", "content = 'text'", "copy = 'x' || copy", "checksum = 0", "name = 'told'"):
        for copy in (1, 2):
            damage(path, f"UPDATE state SET {what} WHERE name = 'promised' AND copy = {copy}")
            with closing(SQLiteStore(path)) as store:
                assert Promised(LOW) in store.records()


def test_d08_two_damaged_copies_of_the_promise_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    damage(path, "UPDATE state SET content = x'91' WHERE name = 'promised'")

    with pytest.raises(Corrupt, match="do not delete it"):
        SQLiteStore(path)


@pytest.mark.parametrize(("statement", "slot"), [
    ("UPDATE votes SET value = x'00' WHERE slot = 20", 20),
    ("UPDATE votes SET value = 'text' WHERE slot = 20", 20),
    ("UPDATE votes SET value = 5 WHERE slot = 20", 20),
    ("UPDATE votes SET round = 7 WHERE slot = 20", 20),
    ("UPDATE votes SET round = 'x' WHERE slot = 20", 20),
    ("UPDATE votes SET proposer = 'p2' WHERE slot = 20", 20),
    ("UPDATE votes SET proposer = CAST(x'ff' AS TEXT) WHERE slot = 20", 20),
    ("UPDATE votes SET checksum = checksum + 1 WHERE slot = 20", 20),
    ("UPDATE votes SET slot = 21 WHERE slot = 20", 20),
    ("UPDATE votes SET slot = -5 WHERE slot = 1", 1),
])  # fmt: skip
def test_d06_a_damaged_vote_raises_and_is_never_left_out(tmp_path: Path, statement: str, slot: int) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    damage(path, statement)
    with closing(SQLiteStore(path)) as store, pytest.raises(Corrupt, match="is damaged"):
        store.votes(slot, slot + 1, MANY)


@pytest.mark.parametrize(("statement", "slot"), [
    ("UPDATE learned SET value = x'00' WHERE slot = 20", 20),
    ("UPDATE learned SET value = 'text' WHERE slot = 20", 20),
    ("UPDATE learned SET slot = 21 WHERE slot = 20", 20),
    ("UPDATE learned SET slot = -5 WHERE slot = 1", 1),
])  # fmt: skip
def test_d06_a_damaged_chosen_value_raises_and_is_never_left_out(tmp_path: Path, statement: str, slot: int) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    damage(path, statement)
    with closing(SQLiteStore(path)) as store, pytest.raises(Corrupt, match="is damaged"):
        store.learned(slot, slot + 1, MANY)


@pytest.mark.parametrize("name", ["promised", "fileowner", "commits"])
def test_d08_records_of_which_there_is_one_need_both_copies_to_be_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    damage(path, f"DELETE FROM state WHERE name = '{name}' AND copy = 2")
    damage(path, f"UPDATE state SET checksum = 0 WHERE name = '{name}'")

    with pytest.raises(Corrupt, match="do not delete it"):
        SQLiteStore(path)


def test_d08_a_file_that_does_not_say_whose_it_is_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    damage(path, "DELETE FROM state WHERE name = 'fileowner'")

    with pytest.raises(Corrupt, match="does not say whose it is"):
        SQLiteStore(path)


@pytest.mark.parametrize("statement", [
    "CREATE TABLE mine (x)",
    "DROP TABLE learned",
    "ALTER TABLE votes RENAME COLUMN value TO valua",
])  # fmt: skip
def test_u06_tables_that_are_not_ours_are_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)

    with pytest.raises(Corrupt, match="its tables are not those of a store"):
        SQLiteStore(path)


def test_what_an_earlier_life_left_in_the_journal_is_synced_before_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.sqlite3"
    path.parent.mkdir()
    image = leave_as_after_a_kill(filled(path), path, tmp_path / "image")
    journal = image.with_name(image.name + "-wal")
    assert journal.stat().st_size > 0
    with closing(SQLiteStore(image)) as store:
        assert journal.stat().st_size == 0
        assert len(store.records()) == 22


def test_a_file_that_is_gone_while_its_journal_is_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.sqlite3"
    path.parent.mkdir()
    image = leave_as_after_a_kill(filled(path), path, tmp_path / "image")
    image.unlink()

    with pytest.raises(Corrupt):
        SQLiteStore(image)


# ---- disks that fail -------------------------------------------------------------------------


def test_a_directory_that_does_not_exist_is_told_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "x.sqlite3"

    with pytest.raises(StorageError, match=str(path)):
        SQLiteStore(path)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may write everywhere; for these lines we are nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o444), (0o755, 0o444), (0o777, 0o444), (0o000, 0o644)])
def test_d23_what_may_not_be_written_is_refused_with_the_cause(folder_mode: int, file_mode: int) -> None:
    with TemporaryDirectory() as folder:  # not tmp_path, which others may not enter
        path = Path(folder) / "data" / "x.sqlite3"
        path.parent.mkdir()
        filled(path).close()
        Path(folder).chmod(0o755)
        path.chmod(file_mode)
        path.parent.chmod(folder_mode)
        with (
            without_privileges(),
            pytest.raises(StorageError, match=r"could not be opened: .*this user may not use it"),
        ):
            SQLiteStore(path)
        path.parent.chmod(0o755)

        path.chmod(0o644)
        with closing(SQLiteStore(path)) as store:
            assert slots_of(store) == list(range(1, 21))


def test_u06_an_earlier_format_is_refused_with_the_way_to_this_one(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 1")
    before = path.read_bytes()

    with pytest.raises(ForeignDirectory, match=r"format 1, of an earlier version.*run `paxosd upgrade` for each"):
        SQLiteStore(path)

    assert path.read_bytes() == before


@pytest.mark.parametrize("unknown", [("later", b"\x90"), ("round", b"\x92\x01\x02")], ids=["name", "field"])
def test_u06_a_record_of_a_newer_version_is_refused_by_its_name(tmp_path: Path, unknown: tuple[str, bytes]) -> None:
    path = tmp_path / "x.sqlite3"
    name, content = unknown
    filled(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        lines = [(name, copy, content, state_checksum(name, copy, content)) for copy in (1, 2)]
        db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", lines)
    before = path.read_bytes()

    with pytest.raises(ForeignDirectory, match=f"(?i)holds a (record '{name}'|{name} of 2 fields), which this version"):
        SQLiteStore(path)

    assert path.read_bytes() == before


def state_checksum(name: str, copy: int, content: bytes) -> int:
    """As a newer version would make it."""
    return zlib.crc32(b"%s:%d:%s" % (name.encode(), copy, content))


def test_u06_a_newer_format_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    filled(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 9")
    before = path.read_bytes()

    with pytest.raises(ForeignDirectory, match="format 9"):
        SQLiteStore(path)

    assert path.read_bytes() == before


def test_u06_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    path.write_bytes(b"not a database" * 100)

    with pytest.raises(Corrupt):
        SQLiteStore(path)


# ---- what waits for the disk -----------------------------------------------------------------


def syncs_of(tmp_path: Path, *records: Record) -> int:
    """How often fdatasync or fsync is called in ten rounds of a commit of each of these, counted from outside."""
    tracer = shutil.which("strace")
    if tracer is None:
        pytest.skip("strace is not installed")
    script = (
        "import sys; from pathlib import Path; from paxosd.storage.sqlite.store import SQLiteStore;"
        "from paxosd.core.records import *; from paxosd.core.types import Ballot;"
        f"store = SQLiteStore(Path({str(tmp_path / 'x.sqlite3')!r}));"
        "sys.stderr.write('begin');"
        f"[store.commit([record]) for _ in range(10) for record in {list(records)!r}];"
        "sys.stderr.write('end'); store.close()"
    )
    trace = tmp_path / "trace"
    command = [tracer, "-f", "-e", "trace=fsync,fdatasync,write", "-o", str(trace), sys.executable, "-c", script]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    between = trace.read_text().partition('write(2, "begin"')[2].partition('write(2, "end"')[0]
    return between.count("sync(")


HEAD_OF_A_NEW_JOURNAL = 2
"""The file and the folder that it is in are synced once."""


@pytest.mark.parametrize("record", [Learned(1, b"x"), Told(7)])
def test_a_commit_that_may_be_lost_does_not_wait_for_the_disk(tmp_path: Path, record: Record) -> None:
    assert syncs_of(tmp_path, record) <= HEAD_OF_A_NEW_JOURNAL


@pytest.mark.parametrize("record", [Voted(1, LOW, b"x"), Promised(LOW), Round(3)])
def test_a_commit_that_must_not_be_lost_waits_for_the_disk(tmp_path: Path, record: Record) -> None:
    assert 10 <= syncs_of(tmp_path, record) <= 10 + HEAD_OF_A_NEW_JOURNAL


def test_every_vote_waits_also_between_commits_that_do_not(tmp_path: Path) -> None:
    assert 10 <= syncs_of(tmp_path, Learned(1, b"x"), Voted(1, LOW, b"x"), Told(2)) <= 10 + HEAD_OF_A_NEW_JOURNAL


def test_a_pragma_that_is_not_taken_is_an_error() -> None:
    with closing(sqlite3.connect(":memory:")) as db, pytest.raises(StorageError, match="did not take journal_mode"):
        set_pragma(db, "journal_mode", "wal", "wal")


def test_a_store_that_is_closed_leaves_its_file_and_its_count(tmp_path: Path) -> None:
    filled(tmp_path / "x.sqlite3").close()

    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.sqlite3", "x.sqlite3-acknowledged"]


def test_sqlite_moves_no_journal_by_itself_because_it_would_not_tell_of_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", 1 << 30)
    path = tmp_path / "x.sqlite3"
    with closing(SQLiteStore(path)) as store:
        before = path.stat().st_size
        for slot in range(1, 101):
            store.commit([Voted(slot, LOW, bytes(65536))])

        assert path.stat().st_size == before


def test_the_journal_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", 100_000)
    path = tmp_path / "x.sqlite3"
    with closing(SQLiteStore(path)) as store:
        for slot in range(1, 100):
            store.commit([Voted(slot, LOW, bytes(2000))])

        assert path.with_name("x.sqlite3-wal").stat().st_size < 300_000
        assert path.stat().st_size > 100_000


@pytest.mark.parametrize("record", [Voted(2**63, LOW, b"v"), Round(2**64), Told(2**63), Learned(2**70, b"v")], ids=repr)
def test_a_number_that_fits_no_row_is_a_storage_error_that_says_so(tmp_path: Path, record: Record) -> None:
    with (
        closing(SQLiteStore(tmp_path / "records.sqlite3")) as store,
        pytest.raises(StorageError, match="too large for a row"),
    ):
        store.commit([record, Round(1)])


def test_the_space_of_what_is_kept_no_longer_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", 1 << 20)
    path = tmp_path / "records.sqlite3"
    sizes = []
    with closing(SQLiteStore(path)) as store:
        for first in range(1, 40_001, 500):
            store.commit([Learned(slot, bytes(500)) for slot in range(first, first + 500)])
            store.commit([Kept(first + 500, (), first=max(1, first - 2000), first_revision=1)])
            sizes.append(path.stat().st_size)

    assert max(sizes) < 2 * 2500 * 500
    assert sizes[-1] <= 1.1 * sizes[len(sizes) // 2]


def test_a_journal_that_became_long_while_somebody_read_is_cut_when_it_was_moved(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    journal = path.with_name(path.name + "-wal")
    with closing(SQLiteStore(path)) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM votes").fetchall()
            for slot in range(1, 25):
                store.commit([Learned(slot, bytes(1 << 20))])
            long = journal.stat().st_size
        for slot in range(25, 32):
            store.commit([Learned(slot, bytes(1 << 20))])

        assert journal.stat().st_size <= JOURNAL_BYTES < long
