"""Data directories of paxosd 0.2.0: refused with the way, upgraded, and everything is in them afterwards."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from paxosd.core.records import Promised, Record, Round, Told, Voted
from paxosd.core.types import Ballot, Vote
from paxosd.storage import upgrade as steps
from paxosd.storage.base import Corrupt, ForeignDirectory, InUse, StorageError
from paxosd.storage.directory import IDENTITY_NAME, RECORDS_MADE_NAME, STORE_NAME, open_directory
from paxosd.storage.sqlite.store import SQLiteStore
from paxosd.storage.upgrade import ASIDE_NAME, DRAFT_NAME, Upgrade
from tests.golden.old import CLUSTERS, KEEPS_ALL, NODES, entries_in, read_then, role_of, unpack
from tests.storage.contract import MANY


@pytest.fixture(params=NODES, ids="-".join)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The directory of one node, as 0.2.0 left it."""
    cluster, node = request.param
    return unpack(cluster, tmp_path / "old") / str(node)


@pytest.fixture
def acceptor(tmp_path: Path) -> Path:
    """The directory of an acceptor that was killed."""
    return unpack("roles", tmp_path / "old") / "a2"


def cluster_of(path: Path) -> str:
    return CLUSTERS["replicas" if path.name.startswith("r") else "roles"]


def upgraded(path: Path) -> Path:
    with Upgrade(path) as upgrade:
        upgrade.run()
    return path


def files(path: Path) -> dict[str, bytes]:
    """All that says something: looking at a store may leave an empty journal, and scratch."""
    found = {file.name: file.read_bytes() for file in path.iterdir() if not file.name.endswith("-shm")}
    return {name: data for name, data in found.items() if name != "lock" and (data or not name.endswith("-wal"))}


def rows_of_old(path: Path, table: str) -> list[tuple[Any, ...]]:
    """What SQLite itself finds in a copy of an old directory."""
    copy = path.with_name("looked-at")
    shutil.copytree(path, copy)
    with closing(sqlite3.connect(copy / STORE_NAME)) as db:
        found = db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
    shutil.rmtree(copy)
    return found


def opened_again(path: Path, look: Callable[[SQLiteStore], Any]) -> Any:
    """What is found in the store of a directory that is opened as a daemon does."""
    directory = open_directory(path, cluster_of(path), path.name, role_of(path.name))
    directory.require_records()
    with closing(SQLiteStore(directory.store_path, directory)) as store:
        found = look(store)
    directory.close()
    return found


# ---- refused, with the way -------------------------------------------------------------------


def test_u05_a_directory_of_0_2_0_is_refused_with_the_way_and_left_as_it_was(old: Path) -> None:
    before = files(old)

    with pytest.raises(ForeignDirectory, match=f"has format 1, .*paxosd upgrade .* --data-dir {old}"):
        open_directory(old, cluster_of(old), old.name, role_of(old.name))

    assert files(old) == before


def test_u05_its_records_are_refused_by_themselves_too(old: Path) -> None:
    before = files(old)

    with pytest.raises(ForeignDirectory, match="has format 1, of an earlier version"):
        SQLiteStore(old / STORE_NAME)

    assert files(old) == before


# ---- upgraded --------------------------------------------------------------------------------


def test_u05_after_the_upgrade_every_record_is_what_it_was(old: Path) -> None:
    votes = [Vote(slot, Ballot(number, who), value) for slot, number, who, value, _ in rows_of_old(old, "votes")]
    values = [(slot, value) for slot, value, _ in rows_of_old(old, "learned")]
    state = {name: Ballot(number, who) for name, _, number, who, _ in rows_of_old(old, "state")}
    told = state.get("told", Ballot(1, "")).round
    records: list[Record] = [Voted(*vote) for vote in votes if vote.slot >= told]
    for name, made in (("round", lambda b: Round(b.round)), ("promised", Promised), ("told", lambda b: Told(b.round))):
        records += [made(state[name])] if name in state else []
    upgraded(old)

    assert opened_again(old, lambda store: list(store.votes(1, 1 << 60, MANY))) == votes
    assert opened_again(old, lambda store: list(store.learned(1, 1 << 60, MANY))) == values
    assert opened_again(old, lambda store: store.commits) == state.get("commits", Ballot(0, "")).round
    assert set(records) <= set(opened_again(old, SQLiteStore.records))


@pytest.mark.parametrize(("cluster", "node"), KEEPS_ALL)
def test_u05_after_the_upgrade_a_learner_reads_what_its_clients_read(cluster: str, node: str, tmp_path: Path) -> None:
    path = upgraded(unpack(cluster, tmp_path / "old") / node)
    found = opened_again(path, entries_in)

    assert found == read_then(cluster)[: len(found)]
    assert len(found) > 5


def test_u05_some_learner_of_each_cluster_has_all_that_was_read(tmp_path: Path) -> None:
    for cluster in CLUSTERS:
        folder = unpack(cluster, tmp_path / cluster)
        lengths = [
            len(opened_again(upgraded(folder / node), entries_in)) for name, node in KEEPS_ALL if name == cluster
        ]

        assert max(lengths) == len(read_then(cluster))


def test_an_upgraded_directory_is_the_same_node_s_and_counts_its_lives_on(acceptor: Path) -> None:
    upgraded(acceptor)
    directory = open_directory(acceptor, "golden", "a2", "acceptor")

    assert (directory.count, directory.is_new, directory.history) == (2, False, b"")
    directory.close()
    with pytest.raises(ForeignDirectory, match="other node"):
        open_directory(acceptor, "golden", "a1", "acceptor")


def test_nothing_of_the_upgrade_is_left_behind(old: Path) -> None:
    before = {name for name in files(old) if not name.endswith("-wal")}

    assert files(upgraded(old)).keys() == before


def test_what_is_upgraded_already_is_done(old: Path) -> None:
    upgraded(old)
    before = files(old)
    with Upgrade(old) as upgrade:
        assert upgrade.is_done
        upgrade.run()

    assert files(old) == before


def test_a_directory_without_records_yet_gets_its_identity(tmp_path: Path) -> None:
    path = unpack("roles", tmp_path / "old") / "a1"
    for file in path.glob(f"{STORE_NAME}*"):
        file.unlink()
    (path / RECORDS_MADE_NAME).unlink()
    upgraded(path)

    directory = open_directory(path, "golden", "a1", "acceptor")
    directory.require_records()
    directory.close()


def test_progress_is_told_up_to_the_last_row(acceptor: Path) -> None:
    told: list[tuple[int, int]] = []
    with Upgrade(acceptor) as upgrade:
        upgrade.run(lambda done, total: told.append((done, total)))
    votes = opened_again(acceptor, lambda store: len(store.votes(1, 1 << 60, MANY)))

    assert told[-1] == (votes, votes)


# ---- refused by the upgrade ------------------------------------------------------------------


def test_d13_a_directory_that_is_in_use_is_not_upgraded(acceptor: Path) -> None:
    with Upgrade(acceptor), pytest.raises(InUse, match="in use by process"):
        Upgrade(acceptor)


def test_d12_the_directory_of_another_node_is_not_upgraded(acceptor: Path) -> None:
    before = files(acceptor)
    with Upgrade(acceptor) as upgrade, pytest.raises(ForeignDirectory, match=r"belongs to acceptor a2 .*other node"):
        upgrade.require_node("golden", "a1", "acceptor")

    assert files(acceptor) == before


def test_a_folder_that_is_no_data_directory_is_not_upgraded(tmp_path: Path) -> None:
    with pytest.raises(ForeignDirectory, match="is no data directory"):
        Upgrade(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_u06_a_directory_of_a_newer_version_is_not_upgraded(acceptor: Path) -> None:
    identity = acceptor / IDENTITY_NAME
    identity.write_text(identity.read_text().replace('"format": 1', '"format": 3'))
    before = files(acceptor)

    with pytest.raises(ForeignDirectory, match="has format 3, and this version of paxosd knows up to 2"):
        Upgrade(acceptor)

    assert files(acceptor) == before


def overwrite(path: Path, at: int, data: bytes = b"damage") -> None:
    whole = bytearray(path.read_bytes())
    whole[at : at + len(data)] = data
    path.write_bytes(whole)


def fold(path: Path) -> None:
    """Move the journal into the file, as SQLite does when the last connection is closed."""
    with closing(sqlite3.connect(path / STORE_NAME)) as db:
        db.execute("SELECT count(*) FROM votes").fetchone()


def cut_journal(path: Path) -> None:
    journal = path / f"{STORE_NAME}-wal"
    journal.write_bytes(journal.read_bytes()[:-10_000])


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "identity": lambda path: overwrite(path / IDENTITY_NAME, 30),
    "file": lambda path: overwrite(path / STORE_NAME, 0),
    "journal": cut_journal,
    "no records": lambda path: (path / STORE_NAME).unlink(),
    "empty": lambda path: (path / STORE_NAME).write_bytes(b""),
    "newer": lambda path: overwrite(path / STORE_NAME, 60, b"\x00\x00\x00\x09"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_d18_a_damaged_directory_is_not_upgraded_and_left_as_it_was(damage: str, acceptor: Path) -> None:
    if damage in ("file", "newer"):
        fold(acceptor)
    DAMAGES[damage](acceptor)
    before = files(acceptor)
    for _ in range(2):
        with pytest.raises(StorageError):
            upgraded(acceptor)

    assert files(acceptor) == before


@pytest.mark.parametrize(("table", "change"), [
    ("votes", "UPDATE votes SET value = x'00' WHERE slot = 5"),
    ("votes", "UPDATE votes SET slot = 10000 WHERE slot = 5"),
    ("state", "UPDATE state SET round = 99 WHERE name = 'promised'"),
    ("state", "UPDATE state SET name = 'other' WHERE name = 'promised'"),
])  # fmt: skip
def test_d18_a_damaged_row_is_never_taken_over(table: str, change: str, acceptor: Path) -> None:
    with closing(sqlite3.connect(acceptor / STORE_NAME, isolation_level=None)) as db:
        assert db.execute(change).rowcount > 0, table
    before = files(acceptor)
    with pytest.raises(Corrupt, match="damaged"):
        upgraded(acceptor)

    assert files(acceptor) == before


def test_d08_one_damaged_copy_of_the_promise_is_made_good_by_the_other(acceptor: Path) -> None:
    with closing(sqlite3.connect(acceptor / STORE_NAME, isolation_level=None)) as db:
        db.execute("UPDATE state SET round = 99 WHERE name = 'promised' AND copy = 1")
        promised = db.execute("SELECT round, proposer FROM state WHERE name = 'promised' AND copy = 2").fetchone()
    upgraded(acceptor)

    assert Promised(Ballot(*promised)) in opened_again(acceptor, SQLiteStore.records)


# ---- killed ----------------------------------------------------------------------------------

STEPS = ["copy_anew", "write_identity", "rename_durably", "rename_durably", "SQLiteStore", "sync_folder"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(len(STEPS)), ids=[f"{number}-{name}" for number, name in enumerate(STEPS)])
def test_c11_an_upgrade_that_is_cut_off_at_any_step_is_refused_by_a_daemon_and_gone_on_from(
    step: int, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unpack("replicas", tmp_path / "old") / "r2"
    values = [(slot, value) for slot, value, _ in rows_of_old(path, "learned")]
    before = STEPS[:step].count(STEPS[step])
    do = getattr(steps, STEPS[step])

    def die(*given: Any) -> Any:
        nonlocal before
        if before:
            before -= 1
            return do(*given)
        if after and isinstance(made := do(*given), SQLiteStore):
            made.close()  # as the end of the process would
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps, STEPS[step], die)
        with pytest.raises(KeyboardInterrupt):
            upgraded(path)
    if (path / DRAFT_NAME).exists() or (path / ASIDE_NAME).exists():
        with pytest.raises(ForeignDirectory, match="paxosd upgrade"):
            open_directory(path, "local", "r2", "replica")
    upgraded(path)

    assert opened_again(path, lambda store: list(store.learned(1, 1 << 60, MANY))) == values
    assert not (path / DRAFT_NAME).exists() and not (path / ASIDE_NAME).exists()
