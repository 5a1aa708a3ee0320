"""The archive: a log in segments, without a gap, whoever was interrupted where."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from paxosd.backup.archive import Archive, ArchiveWriter, Followed
from paxosd.backup.errors import BackupError, DamagedBackup, ForeignBackup

ABOUT = Followed("demo", "ab" * 16)


def value(slot: int) -> bytes:
    return b"%d" % slot * 100


def archived(folder: Path, first: int = 1) -> list[int]:
    """The slots that are read from this one on, each of which must hold its value."""
    slots: list[int] = []
    for part in Archive(folder).read(ABOUT, first):
        for slot, held in enumerate(part.values, part.first):
            assert held == value(slot)
            slots.append(slot)
    return slots


def write(folder: Path, *pages: range, segment_bytes: int = 1000, times: Iterator[float] | None = None) -> None:
    clock = times or count(1700000000)
    with ArchiveWriter(folder, ABOUT, segment_bytes, lambda: float(next(clock))) as writer:
        for page in pages:
            writer.add(page.start, tuple(map(value, page)))


def pages(first: int, stop: int, size: int = 3) -> list[range]:
    return [range(slot, min(stop, slot + size)) for slot in range(first, stop, size)]


def test_a_log_is_written_in_segments_and_read_from_any_slot_on(tmp_path: Path) -> None:
    write(tmp_path, *pages(1, 40))
    names = sorted(path.name for path in tmp_path.iterdir())

    assert len(names) > 4
    assert names[0] == "lock"
    assert [name.endswith(".part") for name in names[1:]] == [False] * (len(names) - 2) + [True]
    for first in (1, 2, 17, 39):
        assert archived(tmp_path, first) == list(range(first, 40))
    assert archived(tmp_path, 40) == []


def test_who_was_interrupted_goes_on_after_the_last_whole_part(tmp_path: Path) -> None:
    write(tmp_path, *pages(1, 20))
    for torn in (b"", b"torn", bytes(100)):
        draft = next(tmp_path.glob("*.part"))
        with draft.open("ab") as stream:
            stream.write(torn)
        with ArchiveWriter(tmp_path, ABOUT) as writer:
            stop = writer.next_slot
            assert stop is not None
            writer.add(stop, (value(stop),))
    assert archived(tmp_path) == list(range(1, 23))


@pytest.mark.parametrize("left", [b"", b"paxosd-arc", b"paxosd-archive 1\n"])
def test_a_segment_that_was_hardly_begun_is_begun_anew(tmp_path: Path, left: bytes) -> None:
    write(tmp_path, *pages(1, 20), segment_bytes=1)
    draft = next(tmp_path.glob("*.part"))
    first = int(draft.name.removeprefix("slots-").removesuffix(".part"))
    draft.write_bytes(left)

    assert archived(tmp_path) == list(range(1, first))
    write(tmp_path, *pages(first, 25))
    assert archived(tmp_path) == list(range(1, 25))


def test_an_archive_is_written_by_one_only(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path, ABOUT), pytest.raises(BackupError, match="is written by another process"):
        ArchiveWriter(tmp_path, ABOUT)
    ArchiveWriter(tmp_path, ABOUT).close()


def test_an_archive_of_another_history_is_neither_written_nor_read(tmp_path: Path) -> None:
    write(tmp_path, *pages(1, 20))
    other = Followed("demo", "cd" * 16)

    with pytest.raises(ForeignBackup, match=r"is of history abab.*, not of history cdcd.*: give each"):
        ArchiveWriter(tmp_path, other)
    with pytest.raises(ForeignBackup, match="is of history abab"):
        list(Archive(tmp_path).read(other, 1))


def test_a_segment_that_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path, *pages(1, 40))
    second = sorted(tmp_path.glob("slots-*"))[1]
    stop = int(sorted(tmp_path.glob("slots-*"))[2].name.removeprefix("slots-"))
    second.unlink()

    with pytest.raises(DamagedBackup, match=r"begins with slot .* is in no file of .*: put the file back that has it"):
        archived(tmp_path)
    assert archived(tmp_path, stop) == list(range(stop, 40))  # where it is not needed it is not missed


def test_a_first_segment_that_is_not_needed_may_be_gone(tmp_path: Path) -> None:
    write(tmp_path, *pages(1, 40))
    first, second = sorted(tmp_path.glob("slots-*"))[:2]
    first.unlink()
    start = int(second.name.removeprefix("slots-"))

    assert archived(tmp_path, start) == list(range(start, 40))
    with pytest.raises(DamagedBackup, match=f"slot {start - 1} is in no file"):
        archived(tmp_path, start - 1)


def test_every_byte_of_a_whole_segment_counts(tmp_path: Path) -> None:
    write(tmp_path, *pages(1, 40))
    segment = sorted(tmp_path.glob("slots-*"))[1]
    whole = segment.read_bytes()
    for place in range(0, len(whole), 7):
        segment.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises((DamagedBackup, ForeignBackup)):
            archived(tmp_path)


def test_the_time_of_a_part_never_goes_back(tmp_path: Path) -> None:
    write(tmp_path, *pages(1, 10), times=iter([100.0, 50.0, 200.0]))
    write(tmp_path, *pages(10, 13), times=iter([1.0]))

    times = [part.time_ms for part in Archive(tmp_path).read(ABOUT, 1)]
    assert times == [100_000, 100_000, 200_000, 200_000]


def test_an_archive_that_is_no_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is no directory of an archive"):
        Archive(tmp_path / "no")
    (tmp_path / "slots-x").touch()
    with pytest.raises(ForeignBackup, match="is no segment of an archive: move it away"):
        archived(tmp_path)
