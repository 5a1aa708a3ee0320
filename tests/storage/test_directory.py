"""A data directory belongs to one node, is opened by one process, and is never adopted by guessing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paxosd.core.records import Promised
from paxosd.core.types import NO_HISTORY, Ballot
from paxosd.storage.base import Corrupt, ForeignDirectory, InUse, StorageError
from paxosd.storage.directory import (
    IDENTITY_NAME,
    INCARNATION_NAME,
    STORE_NAME,
    DataDirectory,
    durability_warning,
    open_directory,
)
from paxosd.storage.sqlite.store import SQLiteStore


def opened(path: Path, cluster: str = "demo", node: str = "a1", role: str = "acceptor") -> int:
    """Open and close it; how often it was opened."""
    directory = open_directory(path, cluster, node, role)
    directory.close()
    return directory.count


def test_a_lock_that_nobody_holds_after_an_orderly_end_names_no_process(tmp_path: Path) -> None:
    directory = open_directory(tmp_path, "demo", "a1", "acceptor")
    held = (tmp_path / "lock").read_text()
    directory.close()

    assert (held, (tmp_path / "lock").read_text()) == (f"{os.getpid()}\n", "")


def test_a_directory_is_made_with_an_identity_of_its_own(tmp_path: Path) -> None:
    opened(tmp_path / "deep" / "a1")
    identity = json.loads((tmp_path / "deep" / "a1" / IDENTITY_NAME).read_text())

    assert (identity["cluster"], identity["node"], identity["role"]) == ("demo", "a1", "acceptor")
    assert len(identity["directory"]) == 32


def test_the_identity_stays_and_openings_are_counted(tmp_path: Path) -> None:
    first = opened(tmp_path)
    identity = (tmp_path / IDENTITY_NAME).read_bytes()
    lives = [opened(tmp_path) for _ in range(3)]

    assert (tmp_path / IDENTITY_NAME).read_bytes() == identity
    assert [first, *lives] == [1, 2, 3, 4]


def test_k01_no_wall_clock_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for clock in (2e9, 1e9, 0.0):
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        monkeypatch.setattr(time, "time_ns", lambda clock=clock: int(clock * 1e9))
        counts.append(opened(tmp_path))

    assert counts == [1, 2, 3]


@pytest.mark.parametrize(("found", "count"), [(1_796_000_000_000, 1_796_000_000_001), (10**14, 1), (2**63, 1), (-5, 1)])
def test_a_directory_of_an_earlier_version_is_counted_on_if_peers_can_believe_it(
    tmp_path: Path, found: int, count: int
) -> None:
    opened(tmp_path)
    (tmp_path / INCARNATION_NAME).write_text(f"{found}\n")

    assert opened(tmp_path) == count


def test_a_count_that_was_raised_is_gone_on_from_in_the_next_life(tmp_path: Path) -> None:
    directory = open_directory(tmp_path, "demo", "a1", "acceptor")
    directory.keep_count(70)
    directory.close()

    assert opened(tmp_path) == 71


@pytest.mark.parametrize(
    ("cluster", "node", "role", "what"),
    [("other", "a1", "acceptor", "cluster"), ("demo", "a2", "acceptor", "node"), ("demo", "a1", "learner", "role")],
)
def test_d12_the_directory_of_another_node_is_refused_and_not_touched(
    tmp_path: Path, cluster: str, node: str, role: str, what: str
) -> None:
    opened(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.name != "lock"}

    with pytest.raises(ForeignDirectory, match=f"other {what}"):
        open_directory(tmp_path, cluster, node, role)

    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.name != "lock"} == before


def test_d13_a_second_opener_is_told_who_has_it(tmp_path: Path) -> None:
    first = open_directory(tmp_path, "demo", "a1", "acceptor")

    with pytest.raises(InUse, match=f"in use by process {os.getpid()}"):
        open_directory(tmp_path, "demo", "a1", "acceptor")

    first.close()
    first.close()
    opened(tmp_path)


def test_records_without_an_identity_are_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / STORE_NAME).write_bytes(b"x")
    (tmp_path / IDENTITY_NAME).unlink()

    with pytest.raises(Corrupt):
        open_directory(tmp_path, "demo", "a1", "acceptor")


def test_d10_records_that_were_made_once_and_are_gone_are_no_fresh_start(tmp_path: Path) -> None:
    directory = open_directory(tmp_path, "demo", "a1", "acceptor")
    directory.require_records()  # there were none yet, as after a crash before the first were made
    SQLiteStore(directory.store_path).close()
    directory.note_records()
    directory.require_records()
    for file in tmp_path.glob(STORE_NAME + "*"):
        file.unlink()

    with pytest.raises(Corrupt, match="is gone: put the whole data directory back"):
        directory.require_records()
    directory.close()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"format": 2}', '{"format": 0}', "\x00" * 10, "é"])
def test_d08_an_identity_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    opened(tmp_path)
    (tmp_path / IDENTITY_NAME).write_text(text, encoding="latin-1")

    with pytest.raises(Corrupt, match="restore it from a backup"):
        open_directory(tmp_path, "demo", "a1", "acceptor")


def test_d08_no_flipped_bit_of_the_identity_makes_another_one(tmp_path: Path) -> None:
    opened(tmp_path)
    file = tmp_path / IDENTITY_NAME
    whole = file.read_bytes()
    identity = json.loads(whole)
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        try:
            directory = open_directory(tmp_path, "demo", "a1", "acceptor")
        except StorageError:
            continue
        directory.close()
        assert directory.directory == identity["directory"]


@pytest.mark.parametrize("text", ["", "x", "\xff", "1.5"])
def test_an_incarnation_that_cannot_be_read_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    opened(tmp_path)
    (tmp_path / INCARNATION_NAME).write_text(text, encoding="latin-1")

    with pytest.raises(Corrupt, match="delete that file and start again"):
        open_directory(tmp_path, "demo", "a1", "acceptor")


def test_u06_a_newer_format_is_refused_whatever_else_it_says(tmp_path: Path) -> None:
    opened(tmp_path)
    identity = json.loads((tmp_path / IDENTITY_NAME).read_text())
    newer = {**{key: identity[key] for key in ("cluster", "node", "role", "directory")}, "format": 7, "more": []}
    (tmp_path / IDENTITY_NAME).write_text(json.dumps(newer))

    with pytest.raises(ForeignDirectory, match="has format 7, and this version of paxosd knows up to 2"):
        open_directory(tmp_path, "demo", "a1", "acceptor")


def test_a_refused_directory_is_not_held(tmp_path: Path) -> None:
    opened(tmp_path)
    for _ in range(2):
        with pytest.raises(ForeignDirectory):
            open_directory(tmp_path, "other", "a1", "acceptor")

    assert opened(tmp_path) > 0


def test_d15_every_name_is_synced_where_it_stands_after_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def record(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink().relative_to(tmp_path)))
        sync(handle)

    monkeypatch.setattr(os, "fsync", record)
    opened(tmp_path / "deep" / "a1")

    assert synced[:4] == ["deep", ".", "deep/a1/identity.tmp", "deep/a1"]
    assert synced[4:] == ["deep/a1/incarnation.tmp", "deep/a1"]


def test_d15_the_name_of_a_store_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink()))
    SQLiteStore(tmp_path / STORE_NAME).close()

    assert synced == [tmp_path]


def test_d15_a_draft_left_by_a_power_cut_does_no_harm(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "identity.tmp").write_text("half of")

    assert opened(tmp_path) > 0


def test_a_path_that_is_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="name a directory"):
        open_directory(tmp_path / "file", "demo", "a1", "acceptor")


def test_d13_a_second_process_is_refused_with_what_to_do(tmp_path: Path) -> None:
    first = open_directory(tmp_path, "demo", "a1", "acceptor")
    program = (
        "import sys; from pathlib import Path; from paxosd.storage.directory import open_directory\n"
        f"open_directory(Path({str(tmp_path)!r}), 'demo', 'a1', 'acceptor')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    first.close()

    assert done.returncode == 1
    assert f"InUse: {tmp_path} is in use by process {os.getpid()}" in done.stderr
    assert "stop that one, or give this node its own --data-dir" in done.stderr


def test_d24_a_directory_that_a_reboot_empties_is_warned_of(tmp_path: Path) -> None:
    mounts = [line.split(" ")[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    volatile = [Path(place) for place, kind in mounts if kind == "tmpfs" and os.access(place, os.R_OK)]
    if not volatile:
        pytest.skip("nothing is mounted in memory here")

    assert "everything is lost at a reboot" in (durability_warning(volatile[0] / "data") or "")


# ---- what stands in the place of our files -------------------------------------------------------

OUR_FILES = ["lock", IDENTITY_NAME, INCARNATION_NAME, "records-made", STORE_NAME, f"{STORE_NAME}-wal"]


def foreign(place: Path, kind: str, target: Path) -> None:
    """Put something that is no file of its own there; `target` is somebody else's file."""
    place.unlink(missing_ok=True)
    target.write_text("somebody else's")
    match kind:
        case "symbolic link":
            place.symlink_to(target)
        case "dangling link":
            place.symlink_to(target.with_name("nowhere"))
        case "hard link":
            place.hardlink_to(target)
        case "pipe":
            os.mkfifo(place)
        case "folder":
            place.mkdir()


@pytest.mark.parametrize("name", OUR_FILES)
@pytest.mark.parametrize("kind", ["symbolic link", "dangling link", "hard link", "pipe", "folder"])
def test_what_is_no_file_of_its_own_is_refused_and_nothing_is_written_through_it(
    name: str, kind: str, tmp_path: Path
) -> None:
    data, target = tmp_path / "data", tmp_path / "target"
    opened(data)
    foreign(data / name, kind, target)

    with pytest.raises(StorageError, match=f"{name} is (a symbolic link|a hard link|not a file)"):
        open_directory(data, "demo", "a1", "acceptor")
    assert target.read_text() == "somebody else's"
    assert not target.with_name("nowhere").exists()


@pytest.mark.parametrize("name", ["identity.tmp", "incarnation.tmp", "records-made.tmp"])
@pytest.mark.parametrize("kind", ["symbolic link", "dangling link", "hard link", "pipe"])
def test_a_draft_is_never_written_through_a_link(name: str, kind: str, tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "target"
    data.mkdir()
    foreign(data / name, kind, target)
    directory = open_directory(data, "demo", "a1", "acceptor")
    directory.note_records()
    directory.close()

    assert target.read_text() == "somebody else's"
    assert not target.with_name("nowhere").exists()


def test_the_directory_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    opened(tmp_path / "data")

    assert (tmp_path / "disk" / IDENTITY_NAME).exists()


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_what_is_made_is_for_its_user_alone_whatever_the_umask_is(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        directory = open_directory(tmp_path / "deep" / "a1", "demo", "a1", "acceptor")
        directory.note_records()
        directory.close()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "deep").rglob("*")}

    assert modes.pop("a1") == (tmp_path / "deep").stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}


def test_a_directory_tells_whether_it_is_new(tmp_path: Path) -> None:
    news = []
    for _ in range(2):
        directory = open_directory(tmp_path / "a1", "demo", "a1", "acceptor")
        directory.close()
        news.append(directory.is_new)

    assert news == [True, False]


# ---- whose records these are ---------------------------------------------------------------------


def store_of(directory: DataDirectory) -> SQLiteStore:
    return SQLiteStore(directory.store_path, directory)


def made(path: Path, node: str) -> DataDirectory:
    """An open directory with records of its own, which are closed."""
    directory = open_directory(path, "demo", node, "acceptor")
    store = store_of(directory)
    store.commit([Promised(Ballot(1, node))])
    store.close()
    directory.note_records()
    return directory


def files(path: Path) -> dict[str, bytes]:
    """All that says something: looking at a store may leave an empty journal, and scratch."""
    found = {file.name: file.read_bytes() for file in path.iterdir() if not file.name.endswith("-shm")}
    return {name: data for name, data in found.items() if data or not name.endswith("-wal")}


def test_i07_records_that_were_swapped_between_two_nodes_are_refused_and_both_are_named(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a1", "a1"), made(tmp_path / "a2", "a2")
    for name in (STORE_NAME, f"{STORE_NAME}-acknowledged"):
        (one.path / name).rename(tmp_path / name)
        (other.path / name).rename(one.path / name)
        (tmp_path / name).rename(other.path / name)
    before = files(one.path)

    with pytest.raises(ForeignDirectory) as refused:
        store_of(one)
    after = files(one.path)
    one.close()
    other.close()

    for name in ("node a1", "node a2", one.directory, other.directory):
        assert name in str(refused.value)
    assert after == before


def test_i07_records_of_another_directory_of_the_same_node_are_refused(tmp_path: Path) -> None:
    here, elsewhere = made(tmp_path / "here", "a1"), made(tmp_path / "elsewhere", "a1")
    here.store_path.write_bytes(elsewhere.store_path.read_bytes())

    with pytest.raises(ForeignDirectory, match="was swapped or copied"):
        store_of(here)
    here.close()
    elsewhere.close()


def test_i03_a_directory_keeps_one_history_for_ever(tmp_path: Path) -> None:
    directory = made(tmp_path / "a1", "a1")
    before = directory.history
    directory.keep_history(bytes(range(16)))
    directory.close()
    again = open_directory(tmp_path / "a1", "demo", "a1", "acceptor")

    assert (before, again.history) == (NO_HISTORY, bytes(range(16)))
    again.keep_history(bytes(range(16)))
    with pytest.raises(ForeignDirectory, match=f"history {bytes(range(16)).hex()}, and not to {b'x'.hex()}"):
        again.keep_history(b"x")
    again.close()


def test_u05_an_earlier_format_is_refused_with_the_way_to_this_one(tmp_path: Path) -> None:
    opened(tmp_path)
    identity = {"format": 1, "cluster": "demo", "node": "a1", "role": "acceptor", "directory": "0" * 32, "checksum": 0}
    (tmp_path / IDENTITY_NAME).write_text(json.dumps(identity))

    with pytest.raises(ForeignDirectory, match=f"paxosd upgrade --config FILE --id ID --data-dir {tmp_path}"):
        open_directory(tmp_path, "demo", "a1", "acceptor")
