"""Whatever happens to the bytes of a store: it gives what was committed, or it is refused, and never anything else."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from paxosd.core.records import Kept, KeptRow, Learned, Promised, Round, Told, Voted
from paxosd.core.types import Ballot, RevisionRow
from paxosd.storage.base import Corrupt, StorageError
from paxosd.storage.sqlite import store as sqlite
from paxosd.storage.sqlite.store import SQLiteStore
from tests.storage.contract import HIGH, LOW, MANY

NAME = "x.sqlite3"
Files = dict[str, bytes]
"""The files of a store, by what their names have behind `NAME`."""


OWNERS = ("ledger", "log", "sessions")


def fill(store: SQLiteStore, first: int, stop: int) -> None:
    for slot in range(first, stop):
        value = b"%d " % slot * (2000 if slot % 7 == 0 else 1)
        chosen = b"value %d" % slot if slot % 2 else value  # large ones stand there once, some of them
        store.commit([Voted(slot, LOW, value), Told(max(1, slot - 10)), Learned(slot, chosen)])
        put = [KeptRow(owner, b"%d" % slot, b"state") for owner in OWNERS[: 1 + slot % 3]]
        store.commit([Kept(slot + 1, tuple(put), (), (RevisionRow(10 * slot, slot, b""),))])


def picture(folder: Path) -> Files:
    """All but the scratch file of SQLite, which says nothing."""
    return {
        file.name.removeprefix(NAME): file.read_bytes() for file in folder.iterdir() if file.suffix != ".sqlite3-shm"
    }


def put(files: Files, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for suffix, data in files.items():
        (folder / f"{NAME}{suffix}").write_bytes(data)
    return folder / NAME


def everything(path: Path) -> object:
    """All that a store can be asked, with votes at the ends of pages."""
    with closing(SQLiteStore(path)) as store:
        pages = [store.votes(first, first + 20, MANY) for first in range(1, 100, 20)]
        ends = [store.votes(1000, 1001, 1), store.votes(1001, 1 << 60, 1)]
        kept = [store.kept_slot(), [list(store.kept_rows(owner)) for owner in OWNERS]]
        index = [store.revisions(revision, 1) for revision in range(1, 720)]
        return store.records(), pages, ends, store.learned(1, 1 << 60, MANY), store.learned_stop(), kept, index


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A store that was killed with half of its commits in the main file and half in the journal."""
    folder = tmp_path_factory.mktemp("killed")
    with closing(SQLiteStore(folder / NAME)) as store, pytest.MonkeyPatch.context() as patch:
        store.commit([Promised(HIGH), Round(7)])
        fill(store, 1, 50)
        patch.setattr(sqlite, "CHECKPOINT_BYTES", 1)
        fill(store, 50, 51)
        patch.undo()
        fill(store, 51, 70)
        store.commit([Voted(1000, Ballot(2, "p2"), b"last")])
        return picture(folder)


@pytest.fixture(scope="module")
def closed(killed: Files, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The same store, closed: everything is in the main file."""
    folder = tmp_path_factory.mktemp("store") / "closed"
    everything(put(killed, folder))
    return picture(folder)


# ---- bits and sectors ------------------------------------------------------------------------


def flip(data: bytearray, draw: random.Random) -> None:
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def scribble(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data))
    for position in range(start, min(start + draw.randrange(1, 64), len(data))):
        data[position] = draw.randrange(256)


def lose_a_sector(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data)) // 512 * 512
    data[start : start + 512] = bytes(len(data[start : start + 512]))


def cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


@pytest.mark.parametrize("damage", [flip, scribble, lose_a_sector, cut])
@pytest.mark.parametrize(("state", "suffix"), [("killed", "-wal"), ("killed", ""), ("closed", "")])
def test_d06_damage_anywhere_is_found_or_changes_nothing(
    state: str, suffix: str, damage: Callable[[bytearray, random.Random], None], request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:  # fmt: skip
    files: Files = request.getfixturevalue(state)
    truth = everything(put(files, tmp_path / "whole"))
    draw = random.Random(f"{state}{suffix}{damage.__name__}")
    refused = 0
    for _ in range(60):
        data = bytearray(files[suffix])
        damage(data, draw)
        damaged = {**files, suffix: bytes(data)}
        path = put(damaged, tmp_path / "damaged")
        try:
            assert everything(path) == truth
        except StorageError as error:
            assert "\n" not in str(error)
            assert "could not be read" in str(error) or damaged.items() <= picture(path.parent).items()
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("damage", [flip, scribble, cut])
def test_damage_to_the_count_beside_the_store_does_no_harm(
    killed: Files, damage: Callable[[bytearray, random.Random], None], tmp_path: Path
) -> None:
    truth = everything(put(killed, tmp_path / "whole"))
    draw = random.Random(damage.__name__)
    for _ in range(40):
        data = bytearray(killed["-acknowledged"])
        damage(data, draw)

        assert everything(put({**killed, "-acknowledged": bytes(data)}, tmp_path / "damaged")) == truth


def test_d06_damage_to_the_head_of_any_page_hides_no_row(closed: Files, tmp_path: Path) -> None:
    truth = everything(put(closed, tmp_path / "whole"))
    image = closed[""]
    for page in range(0, len(image), 4096):
        for bit in range(8 * 8):
            data = bytearray(image)
            data[(page or 100) + bit // 8] ^= 1 << bit % 8
            try:
                assert everything(put({**closed, "": bytes(data)}, tmp_path / "damaged")) == truth
            except StorageError:
                continue


def everywhere(image: bytes, text: bytes) -> list[int]:
    """Where in a file this stands."""
    found, at = [], image.find(text)
    while at >= 0:
        found.append(at)
        at = image.find(text, at + 1)
    return found


def test_d18_a_kept_row_that_seems_to_be_somebody_else_s_is_seen(closed: Files, tmp_path: Path) -> None:
    """Whose it is stands in its key: a flipped bit there must not take the row out of the state without a word."""
    truth = everything(put(closed, tmp_path / "whole"))
    for at in everywhere(closed[""], b"0:log"):
        for place in range(5):
            data = bytearray(closed[""])
            data[at + place] ^= 1
            try:
                assert everything(put({**closed, "": bytes(data)}, tmp_path / "damaged")) == truth
            except StorageError:
                continue


@pytest.mark.parametrize("change", ["first_revision + 1", "first_revision - 1", "first_revision + 9"])
def test_d18_a_row_of_the_index_of_revisions_that_seems_to_begin_elsewhere_is_seen(
    change: str, closed: Files, tmp_path: Path
) -> None:
    """Between its neighbours; anywhere else it would be out of order, which is found when the file is opened."""
    with closing(SQLiteStore(put(closed, tmp_path / "whole"))) as store:
        truth = [store.revisions(revision, 1) for revision in range(1, 720)]
    refused = 0
    for first in range(10, 700, 10):
        path = put(closed, tmp_path / "damaged")
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(f"UPDATE revisions SET first_revision = {change} WHERE first_revision = {first}")
        with closing(SQLiteStore(path)) as store:
            for revision, row in enumerate(truth, 1):
                try:
                    assert store.revisions(revision, 1) == row
                except Corrupt:
                    refused += 1
    assert refused > 700


# ---- whole files -----------------------------------------------------------------------------


def refuses(files: Files, folder: Path) -> None:
    """It is refused as corrupt, and again at the next try, and every byte of it is still there."""
    path = put(files, folder)
    for _ in range(2):
        with pytest.raises(Corrupt, match="do not delete it"):
            SQLiteStore(path)

    assert files.items() <= picture(folder).items()


@pytest.mark.parametrize("gone", ["", "-wal"])
def test_d10_a_file_that_is_gone_is_missed(killed: Files, gone: str, tmp_path: Path) -> None:
    refuses({suffix: data for suffix, data in killed.items() if suffix != gone}, tmp_path / "damaged")


def test_d10_a_store_of_which_only_the_count_is_left_is_missed(killed: Files, tmp_path: Path) -> None:
    refuses({"-acknowledged": killed["-acknowledged"]}, tmp_path / "damaged")


def test_a_journal_without_its_file_is_not_given_to_a_fresh_one(killed: Files, tmp_path: Path) -> None:
    refuses({"-wal": killed["-wal"]}, tmp_path / "damaged")


def test_damaged_text_that_sqlite_quotes_is_a_typed_error_too(closed: Files, tmp_path: Path) -> None:
    schema = closed[""].replace(b"tablevotesvotes", b"tablev\xf7tesvotes")
    assert schema != closed[""]

    refuses({**closed, "": schema}, tmp_path / "damaged")


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_file_that_was_emptied_is_missed(killed: Files, suffix: str, tmp_path: Path) -> None:
    refuses({**killed, suffix: b""}, tmp_path / "damaged")


def test_an_empty_main_file_is_no_fresh_store_even_if_the_count_is_gone(tmp_path: Path) -> None:
    refuses({"": b""}, tmp_path / "damaged")


def test_an_older_copy_of_the_main_file_is_missed(killed: Files, closed: Files, tmp_path: Path) -> None:
    refuses({"": killed[""], "-acknowledged": closed["-acknowledged"]}, tmp_path / "damaged")


def test_a_refused_journal_is_left_as_it_was(killed: Files, tmp_path: Path) -> None:
    wal = bytearray(killed["-wal"])
    wal[100] ^= 1
    refuses({**killed, "-wal": bytes(wal)}, tmp_path / "damaged")


# ---- torn tails ------------------------------------------------------------------------------


def test_d05_a_commit_that_was_torn_before_it_was_acknowledged_is_dropped_as_a_whole(tmp_path: Path) -> None:
    """The power goes while commit 7 is written: of its journal any part is there, and the count says 6."""
    folder = tmp_path / "store"
    folder.mkdir()
    with closing(SQLiteStore(folder / NAME)) as store:
        fill(store, 1, 7)
        before = picture(folder)
        store.commit([Voted(7, LOW, bytes(1000)), Voted(8, LOW, b""), Learned(7, bytes(1000))])
        after = picture(folder)
    start, end = len(before["-wal"]), len(after["-wal"])
    without, with_all = everything(put(before, tmp_path / "before")), everything(put(after, tmp_path / "after"))

    for torn_at in [*range(start, end, 61), end - 1]:
        torn = {**after, "-wal": after["-wal"][:torn_at], "-acknowledged": before["-acknowledged"]}
        assert everything(put(torn, tmp_path / "torn")) == without
        holed = after["-wal"][:torn_at] + bytes(end - torn_at)  # the file grew before its content came
        assert everything(put({**torn, "-wal": holed}, tmp_path / "torn")) == without
    whole = {**after, "-acknowledged": before["-acknowledged"]}
    assert everything(put(whole, tmp_path / "torn")) == with_all != without


def test_d05_learned_values_that_did_not_wait_may_go_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    with closing(SQLiteStore(folder / NAME)) as store:
        fill(store, 1, 7)
        before = picture(folder)
        store.commit([Learned(7, b"may be lost")])
        after = picture(folder)
    torn = put({**after, "-wal": after["-wal"][: len(before["-wal"]) + 50]}, tmp_path / "torn")

    assert everything(torn) == everything(put(before, tmp_path / "before"))
