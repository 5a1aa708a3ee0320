"""How much room there is: three words of many looks, and a file that is given up when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from paxosd.core.space import Space
from paxosd.storage import ballast as ballast_module
from paxosd.storage import space as space_module
from paxosd.storage.ballast import BALLAST_NAME, Ballast, give_up_if_full
from paxosd.storage.space import Gauge, Usage, Watch, directory_watch

MIB = 1 << 20
GIB = 1 << 30


def free(amount: int, **other: int) -> Usage:
    return Usage(**{"data": 0, "reusable": 0, "free": amount, "size": 100 * GIB, **other})


def taking(amount: int, **other: int) -> Usage:
    return Usage(**{"data": amount, "reusable": 0, "free": 50 * GIB, "size": 100 * GIB, **other})


def words(gauge: Gauge, *looks: Usage) -> list[str]:
    return [gauge.measure(look).name for look in looks]


def test_there_is_little_room_within_the_reserve_and_none_within_a_quarter_of_it() -> None:
    looks = [free(amount * MIB) for amount in (256, 255, 64, 63)]

    assert words(Gauge(), *looks) == ["ENOUGH", "LOW", "LOW", "FULL"]


def test_there_is_room_again_when_there_is_clearly_more_than_that() -> None:
    looks = [free(amount * MIB) for amount in (63, 127, 128, 255, 319, 320, 256, 255)]

    assert words(Gauge(), *looks) == ["FULL", "FULL", "LOW", "LOW", "LOW", "ENOUGH", "ENOUGH", "LOW"]


def test_a_small_file_system_has_a_small_reserve_and_the_file_may_say_another() -> None:
    small = free(34 * MIB, size=100 * MIB)

    assert words(Gauge(), small) == ["ENOUGH"]
    assert words(Gauge(), free(47 * MIB, size=400 * MIB)) == ["LOW"]
    assert words(Gauge(), free(48 * MIB, size=400 * MIB)) == ["ENOUGH"]
    assert words(Gauge(reserve=35 * MIB), small) == ["LOW"]
    assert words(Gauge(reserve=0), free(0)) == ["ENOUGH"]


def test_o09_there_is_little_room_near_the_quota_and_none_at_it() -> None:
    looks = [taking(amount * MIB) for amount in (968, 969, 1000, 1001, 985, 984, 953, 952)]

    assert words(Gauge(1000 * MIB), *looks) == ["ENOUGH", "LOW", "LOW", "FULL", "FULL", "LOW", "LOW", "ENOUGH"]


def test_what_can_be_used_again_counts_as_room() -> None:
    assert words(Gauge(1000 * MIB), taking(1000 * MIB, reusable=100 * MIB)) == ["ENOUGH"]
    assert words(Gauge(), free(200 * MIB, reusable=100 * MIB)) == ["ENOUGH"]


def test_a_ballast_that_was_given_up_counts_as_used_so_that_its_room_does_not_look_like_room() -> None:
    assert words(Gauge(), free(260 * MIB, owed=16 * MIB)) == ["LOW"]
    assert words(Gauge(), free(5 * MIB, owed=16 * MIB)) == ["FULL"]


def test_what_is_owed_counts_against_a_quota_too() -> None:
    """The journal, which is still to be moved into the file."""
    gauge = Gauge(quota=GIB)

    assert words(gauge, taking(GIB - 33 * MIB)) == ["ENOUGH"]
    assert words(gauge, taking(GIB - 33 * MIB, owed=2 * MIB)) == ["LOW"]
    assert words(gauge, taking(GIB - 33 * MIB, owed=34 * MIB)) == ["FULL"]


def test_the_room_is_what_is_left_until_commands_are_refused() -> None:
    assert Gauge(1000 * MIB).room_bytes(taking(100 * MIB)) == 868 * MIB
    assert Gauge(1000 * MIB).room_bytes(taking(100 * MIB, free=300 * MIB)) == 44 * MIB
    assert Gauge(1000 * MIB).room_bytes(taking(999 * MIB)) == 0


# ---- looking -------------------------------------------------------------------------------------


class Store:
    """What a store says and is asked for."""

    def __init__(self) -> None:
        self.saves: list[bool] = []

    def reusable_bytes(self) -> int:
        return 0

    def unmoved_bytes(self) -> int:
        return 0

    def save_room(self, saves: bool) -> None:
        self.saves.append(saves)


class FileSystem:
    """What `statvfs` and a listing say, so that a test can fill a disk without one."""

    def __init__(self) -> None:
        self.usage = free(50 * GIB)
        self.looks = 0
        self.broken = False

    def look(self, directory: Path, store: Store, ballast: Ballast) -> Usage:
        self.looks += 1
        if self.broken:
            raise OSError("gone")
        return self.usage


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileSystem]:
    found = FileSystem()
    monkeypatch.setattr(space_module, "usage_of", found.look)
    yield found


def eye(directory: Path) -> Watch:
    return directory_watch(directory, Store(), Ballast(directory, wanted=False), Gauge())


def test_it_looks_once_a_second_and_more_often_where_the_limit_is_near(disk: FileSystem, tmp_path: Path) -> None:
    looking = eye(tmp_path)
    for step in range(100):
        looking.look(step / 100)
    calm, disk.looks = disk.looks, 0
    disk.usage = free(276 * MIB)
    for step in range(100, 200):
        looking.look(step / 100)

    assert calm == 1
    assert 15 <= disk.looks <= 21


def test_it_tells_a_change_at_once_and_all_else_once_a_second(disk: FileSystem, tmp_path: Path) -> None:
    looking = eye(tmp_path)
    disk.usage = free(257 * MIB)
    told = []
    for step in range(300):
        if step == 150:
            disk.usage = free(1 * MIB)
        found = looking.look(step / 100)
        if found is not None:
            told.append((step // 50, Space(found.space).name))

    assert told == [(0, "ENOUGH"), (2, "ENOUGH"), (3, "FULL"), (5, "FULL")]


def test_d23_what_cannot_be_looked_at_says_nothing_and_ends_nothing(disk: FileSystem, tmp_path: Path) -> None:
    looking = eye(tmp_path)
    disk.broken = True
    assert [looking.look(step / 100) for step in range(200)] == [None] * 200
    assert disk.looks == 2


def test_a_store_keeps_its_journal_short_while_there_is_little_room(disk: FileSystem, tmp_path: Path) -> None:
    store = Store()
    looking = directory_watch(tmp_path, store, Ballast(tmp_path, wanted=False), Gauge())
    for step, amount in enumerate((50 * GIB, 1 * MIB, 1 * MIB, 50 * GIB)):
        disk.usage = free(amount)
        looking.look(2.0 * step)

    assert store.saves == [False, True, False]


def test_on_a_small_disk_or_below_a_small_quota_it_always_keeps_its_journal_short(
    disk: FileSystem, tmp_path: Path
) -> None:
    stores = Store(), Store()
    disk.usage = free(300 * MIB, size=900 * MIB)
    directory_watch(tmp_path, stores[0], Ballast(tmp_path, wanted=False), Gauge()).look(0.0)
    disk.usage = free(50 * GIB)
    directory_watch(tmp_path, stores[1], Ballast(tmp_path, wanted=False), Gauge(900 * MIB)).look(0.0)

    assert [store.saves for store in stores] == [[True], [True]]


def test_a_real_look_counts_the_blocks_of_the_files_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(3 * MIB))
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(GIB)
    found = eye(tmp_path).look(1.0)

    assert found is not None
    assert 3 * MIB <= found.data_bytes < 4 * MIB


# ---- the ballast ---------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ballast of 1 MiB, on any file system."""
    monkeypatch.setattr(ballast_module, "BALLAST_BYTES_MAX", MIB)


def held(directory: Path) -> int:
    path = directory / BALLAST_NAME
    return path.stat().st_blocks * 512 if path.exists() else 0


@pytest.mark.usefixtures("small")
def test_a_ballast_is_made_when_room_becomes_scarce_and_there_is_enough(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path)
    ballast.mind(50 * GIB, Space.ENOUGH)
    plenty = held(tmp_path)
    ballast.mind(GIB, Space.LOW)
    low = held(tmp_path)
    ballast.mind(GIB, Space.ENOUGH)

    assert (plenty, low, held(tmp_path)) == (0, 0, MIB)
    assert ballast.owed_bytes(100 * GIB, GIB) == 0


@pytest.mark.usefixtures("small")
def test_it_is_given_up_when_less_is_free_than_it_takes_and_owed_from_then_on(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path)
    ballast.mind(GIB, Space.ENOUGH)
    ballast.mind(MIB, Space.FULL)
    kept = held(tmp_path)
    ballast.mind(MIB - 1, Space.FULL)

    assert (kept, held(tmp_path)) == (MIB, 0)
    assert ballast.owed_bytes(100 * GIB, MIB) == MIB


@pytest.mark.usefixtures("small")
def test_a_write_that_found_no_room_gets_it_at_once_and_the_disk_is_looked_at_in_the_next_turn(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path)
    ballast.mind(GIB, Space.ENOUGH)
    looks = [free(GIB), free(MIB)]
    watch = Watch(
        lambda: looks.pop(0),
        Gauge(),
        lambda usage, space, is_new: ballast.mind(usage.free, space),
        lambda: ballast.was_needed,
    )
    at_first, idle = watch.look(0.0), watch.look(0.01)
    gave = ballast.give_up(), ballast.give_up()
    told, then = watch.look(0.02), watch.look(0.03)

    assert at_first is not None
    assert told is not None
    assert (at_first.space, told.space) == (Space.ENOUGH, Space.FULL)
    assert (idle, then) == (None, None)
    assert gave == (True, False)
    assert (held(tmp_path), ballast.was_needed) == (0, False)


@pytest.mark.usefixtures("small")
def test_half_of_one_that_a_killed_process_left_is_made_whole(tmp_path: Path) -> None:
    (tmp_path / BALLAST_NAME).write_bytes(bytes(MIB // 2))
    ballast = Ballast(tmp_path)
    ballast.mind(GIB, Space.ENOUGH)

    assert held(tmp_path) == MIB


@pytest.mark.usefixtures("small")
def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"data")
    (tmp_path / BALLAST_NAME).symlink_to(target)
    Ballast(tmp_path).mind(GIB, Space.ENOUGH)

    assert target.read_bytes() == b"data"


def test_one_that_nobody_wants_is_removed_and_a_directory_that_is_not_there_is_none_of_its_business(
    tmp_path: Path,
) -> None:
    (tmp_path / BALLAST_NAME).write_bytes(bytes(1000))
    Ballast(tmp_path, wanted=False).mind(GIB, Space.ENOUGH)

    assert held(tmp_path) == 0
    assert not give_up_if_full(tmp_path / "nowhere")
    assert not give_up_if_full(tmp_path)
