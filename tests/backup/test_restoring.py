"""Restoring: what stands in the new directories, and what is refused before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from paxosd.backup.errors import BackupError, DamagedBackup
from paxosd.backup.file import BackupWriter, Header, Position, Rows
from paxosd.backup.restoring import COMMIT_ROWS, BackupSource, Target, restore
from paxosd.config import Config
from paxosd.core.continuing import Continues
from paxosd.core.records import Floor, Promised, Record, Round, Told
from paxosd.core.types import Ballot, RevisionRow
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.machine.ledger import Ledger, opened_session
from paxosd.machine.log import Log
from paxosd.storage.base import Corrupt, InUse, StorageError, Store
from paxosd.storage.directory import open_directory
from paxosd.storage.memory import MemoryStore
from paxosd.storage.sqlite.store import SQLiteStore


def wish(number: int) -> bytes:
    return number.to_bytes(16, "little")


def value(number: int) -> bytes:
    return encode_value(1000 + number, [Batch(wish(number), 0, 0, 1, b"tag")])


def backup(file: Path, slots: int) -> Path:
    with BackupWriter(file) as writer:
        writer.begin(Header("demo", "ab" * 16))
        for number in range(1, slots + 1):
            writer.value(value(number))
        writer.finish(Position(slots + 1, 0, 1000 + slots, ""))
    return file


def targets(config: Config, place: Path) -> list[Target]:
    return [Target(node, place / node) for node in config.nodes]


def opened(config: Config, path: Path, node: str) -> Iterator[Store]:
    with (
        closing(open_directory(path, config.cluster, node, config.nodes[node].role.value)) as directory,
        closing(SQLiteStore(directory.store_path, directory)) as store,
    ):
        directory.require_records()
        yield store


def test_every_role_knows_what_it_needs_to_go_on(tmp_path: Path, config: Config) -> None:
    restore(BackupSource(backup(tmp_path / "b", 5)), config, targets(config, tmp_path / "data"))
    past = Ballot(1, "p1")
    voted: list[Record] = [Promised(past), Told(6), Floor(5)]
    wanted: dict[str, list[Record]] = {"p1": [Round(1)], "a1": voted, "l1": [], "r1": [Round(1), *voted]}
    continues = Continues(b"\xab" * 16, 6)
    for node, records in wanted.items():
        for store in opened(config, tmp_path / "data" / node, node):
            assert sorted(map(str, store.records())) == sorted(map(str, [continues, *records]))
            assert store.votes(1, 9, 1 << 20) == ([(5, past, value(5))] if Told(6) in records else [])
            assert store.learned_stop() == (6 if node in ("l1", "r1") else 1)


def test_the_values_are_those_of_the_backup_however_many_commits_it_takes(tmp_path: Path, config: Config) -> None:
    slots = COMMIT_ROWS + 5
    told: list[tuple[int, int]] = []
    source = BackupSource(backup(tmp_path / "b", slots))
    restore(source, config, [Target("l1", tmp_path / "l1")], lambda done, total: told.append((done, total)))
    for store in opened(config, tmp_path / "l1", "l1"):
        assert store.learned(slots, slots + 1, 1 << 20) == [(slots, value(slots))]
        assert store.learned_stop() == slots + 1
    assert told == [(COMMIT_ROWS, slots), (slots, slots)]


def test_a_cluster_without_a_single_slot_is_restored(tmp_path: Path, config: Config) -> None:
    restore(BackupSource(backup(tmp_path / "b", 0)), config, targets(config, tmp_path / "data"))
    for store in opened(config, tmp_path / "data" / "a1", "a1"):
        assert store.records() == [Continues(b"\xab" * 16), Promised(Ballot(1, "p1")), Told(1)]


def test_the_state_below_the_first_value_is_taken_from_its_rows(tmp_path: Path, config: Config) -> None:
    old = MemoryStore()
    ledger = Ledger(old, {"log": Log()}, 100, 1 << 20)
    for slot in range(1, 5):
        ledger.apply(slot, encode_value(slot, [Batch(wish(slot), 0, 0, 1, b"")]))
    ledger.apply(5, encode_value(5, [Batch(opened_session(wish(1), 1), 1, 1, 2, encode_body([b"x", b"y"]))]))
    kept = ledger.keep()
    with BackupWriter(tmp_path / "b") as writer:
        writer.begin(Header("demo", "", 6, 6))
        for row in kept.put:
            writer.kept((row.owner, row.key, row.content))
        for index in kept.revisions:
            writer.revision((index.first, index.slot, index.about))
        writer.value(encode_value(6, [Batch(opened_session(wish(1), 1), 1, 3, 1, encode_body([b"z"]))]))
        writer.finish(Position(7, 3, 6, ""))
    restore(BackupSource(tmp_path / "b"), config, [Target("l1", tmp_path / "l1")])
    for store in opened(config, tmp_path / "l1", "l1"):
        new = Ledger(store, {"log": Log()}, 100, 1 << 20)
        assert new.restore() == 2
        assert (store.kept_slot(), store.learned_stop()) == (6, 7)
        assert store.revisions(1, 9) == [RevisionRow(*row) for row in kept.revisions]
        outcome = new.apply(6, *[found for _, found in store.learned(6, 7, 1 << 20)])
        assert (outcome[0].kind, outcome[0].revision) == ("applied", 3)


# ---- what is refused -------------------------------------------------------------------------


def test_a_directory_that_holds_anything_is_refused_and_no_other_is_touched(tmp_path: Path, config: Config) -> None:
    place = tmp_path / "data"
    (place / "l1").mkdir(parents=True)
    (place / "l1" / "mine").touch()
    source = BackupSource(backup(tmp_path / "b", 2))

    with pytest.raises(StorageError, match=r"l1 is not empty: nothing was touched; move it away"):
        restore(source, config, targets(config, place))
    assert [path.name for path in place.iterdir()] == ["l1"]
    (place / "l1" / "mine").unlink()
    restore(source, config, targets(config, place))
    with pytest.raises(StorageError, match="p1 is the data directory of a node"):
        restore(source, config, targets(config, place))


def test_an_empty_directory_is_taken_and_so_is_a_fresh_volume(tmp_path: Path, config: Config) -> None:
    (tmp_path / "l1" / "lost+found").mkdir(parents=True)
    restore(BackupSource(backup(tmp_path / "b", 2)), config, [Target("l1", tmp_path / "l1")])
    for store in opened(config, tmp_path / "l1", "l1"):
        assert store.learned_stop() == 3


class Interrupted(BackupSource):
    """A backup that cannot be read to its end the second time."""

    def rows(self) -> Iterator[Rows]:
        yield next(super().rows())
        raise BackupError("gone")


def test_what_was_interrupted_is_opened_by_nobody_and_begun_anew(tmp_path: Path, config: Config) -> None:
    source, target = BackupSource(backup(tmp_path / "b", 5)), Target("l1", tmp_path / "l1")
    with pytest.raises(BackupError, match="gone"):
        restore(Interrupted(tmp_path / "b"), config, [target])
    with pytest.raises(Corrupt, match="was not filled to its end: run the command that was interrupted again"):
        list(opened(config, target.path, "l1"))
    restore(source, config, [target])
    for store in opened(config, target.path, "l1"):
        assert store.learned_stop() == 6


def test_no_node_begins_as_a_new_one_beside_those_of_a_restore_that_was_interrupted(
    tmp_path: Path, config: Config
) -> None:
    source, place = BackupSource(backup(tmp_path / "b", 5)), tmp_path / "data"
    with pytest.raises(BackupError, match="gone"):
        restore(Interrupted(tmp_path / "b"), config, targets(config, place))

    for target in targets(config, place):
        with pytest.raises(Corrupt, match="was not filled to its end: run the command that was interrupted again"):
            list(opened(config, target.path, target.node))
    restore(source, config, targets(config, place))
    for target in targets(config, place):
        for store in opened(config, target.path, target.node):
            assert Continues(b"\xab" * 16, 6) in store.records()


def test_where_an_interrupted_run_made_some_directories_it_is_said_how_the_others_are_made(
    tmp_path: Path, config: Config
) -> None:
    source, place = BackupSource(backup(tmp_path / "b", 5)), tmp_path / "data"
    restore(source, config, targets(config, place)[:2])

    with pytest.raises(StorageError, match=r"p1 is the data directory.*the others alone.*: --id l1, --id r1,"):
        restore(source, config, targets(config, place))


def test_it_may_be_interrupted_before_the_first_file_has_its_name(tmp_path: Path, config: Config) -> None:
    (tmp_path / "l1").mkdir()
    (tmp_path / "l1" / "being-made.tmp").touch()
    restore(BackupSource(backup(tmp_path / "b", 2)), config, [Target("l1", tmp_path / "l1")])
    for store in opened(config, tmp_path / "l1", "l1"):
        assert store.learned_stop() == 3


def test_a_damaged_backup_makes_nothing(tmp_path: Path, config: Config) -> None:
    file = backup(tmp_path / "b", 5)
    os.truncate(file, file.stat().st_size - 1)

    with pytest.raises(DamagedBackup):
        BackupSource(file)
    assert not (tmp_path / "data").exists()


def test_a_directory_that_is_being_made_is_made_by_one_only(tmp_path: Path, config: Config) -> None:
    source = BackupSource(backup(tmp_path / "b", 5))

    def again(done: int, total: int) -> None:
        with pytest.raises(InUse):
            restore(source, config, [Target("l1", tmp_path / "l1")])

    restore(source, config, [Target("l1", tmp_path / "l1")], again)


def test_values_that_no_frame_of_the_new_cluster_carries_are_refused(tmp_path: Path, config: Config) -> None:
    source = BackupSource(backup(tmp_path / "b", 5))
    source.largest_value = config.limits.carried_bytes_max + 1

    with pytest.raises(BackupError, match=r"raise limits\.frame_bytes"):
        restore(source, config, targets(config, tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_two_restores_make_directories_of_different_ids(tmp_path: Path, config: Config) -> None:
    source = BackupSource(backup(tmp_path / "b", 1))
    ids = set()
    for place in ("one", "two"):
        restore(source, config, [Target("l1", tmp_path / place)])
        with closing(open_directory(tmp_path / place, "demo", "l1", "learner")) as directory:
            ids.add(directory.directory)
    assert len(ids) == 2
