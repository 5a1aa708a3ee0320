"""The backup file: what was written is read, and every kind of damage is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from paxosd.backup.errors import BackupError, DamagedBackup, ForeignBackup
from paxosd.backup.file import BackupReader, BackupWriter, Header, KeptRows, Position, RevisionRows, Values, summary
from paxosd.backup.parts import draft_of

HEADER = Header("demo", "ab" * 16, 4, 6, 2, 2, {"a1": 1, "a2": 1, "a3": 1}, "0.3.0")
POSITION = Position(8, 5, 1234, "cd" * 16, 1700000000)
EMPTY = Position(1, 0, 0, "")
KEPT = [("ledger", b"", b"totals"), ("log", b"chain", b"\x00\xff")]
REVISIONS = [(1, 2, b""), (4, 5, b"about")]
VALUES = [b"four", b"five", b"", b"seven" * 300_000]


def written(file: Path, position: Position = POSITION) -> Path:
    with BackupWriter(file) as writer:
        writer.begin(HEADER)
        for row in KEPT:
            writer.kept(row)
        for revision in REVISIONS:
            writer.revision(revision)
        for value in VALUES:
            writer.value(value)
        writer.finish(position)
    return file


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    with BackupReader(written(tmp_path / "b")) as reader:
        assert reader.header == HEADER
        rows = list(reader.rows())
        assert reader.position == POSITION

    assert [row for part in rows if isinstance(part, KeptRows) for row in part.rows] == KEPT
    assert [row for part in rows if isinstance(part, RevisionRows) for row in part.rows] == REVISIONS
    assert [(part.first, part.values) for part in rows if isinstance(part, Values)] == [
        (4, VALUES[:3]),
        (7, VALUES[3:]),
    ]


def test_a_summary_counts_what_a_whole_backup_holds(tmp_path: Path) -> None:
    found = summary(written(tmp_path / "b"))

    assert (found.header, found.kept, found.revisions, found.values) == (HEADER, 2, 2, 4)
    assert found.position == POSITION
    assert found.last_value == VALUES[-1]
    assert found.size == (tmp_path / "b").stat().st_size


def test_a_backup_of_a_cluster_without_a_single_slot_is_a_backup(tmp_path: Path) -> None:
    with BackupWriter(tmp_path / "b") as writer:
        writer.begin(Header("demo", ""))
        writer.finish(EMPTY)

    assert summary(tmp_path / "b").values == 0


def test_a_file_has_its_name_only_once_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "b"
    with BackupWriter(file) as writer:
        writer.begin(HEADER)
        for value in VALUES:
            writer.value(value)
        assert not file.exists()
        writer.finish(POSITION)

    assert file.exists()
    assert not draft_of(file).exists()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")

    with pytest.raises(BackupError, match=r"is there already, .* name another file"):
        BackupWriter(tmp_path / "b")
    with pytest.raises(BackupError, match="is no directory: make it"):
        BackupWriter(tmp_path / "no" / "b")
    assert (tmp_path / "b").read_text() == "mine"


def test_every_single_cut_is_refused(tmp_path: Path) -> None:
    whole = _small(tmp_path / "b").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises((DamagedBackup, ForeignBackup)):
            summary(tmp_path / "cut")


def test_every_single_byte_that_is_changed_is_refused(tmp_path: Path) -> None:
    whole = _small(tmp_path / "b").read_bytes()
    for place in range(len(whole)):
        (tmp_path / "changed").write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises((DamagedBackup, ForeignBackup)):
            summary(tmp_path / "changed")


def _small(file: Path) -> Path:
    with BackupWriter(file) as writer:
        writer.begin(HEADER)
        writer.kept(KEPT[0])
        writer.revision(REVISIONS[0])
        writer.value(b"v")
        writer.value(b"w")
        writer.finish(replace(POSITION, watermark=6))
    return file


def _without_a_part(data: bytes) -> bytes:
    at = data.index(b"\x02\x00\x00", 16)  # the first part of kept rows
    size = int.from_bytes(data[at + 1 : at + 5], "big")
    return data[:at] + data[at + 13 + size :]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda data: b"", DamagedBackup, "is empty"),
        (lambda data: b"SQLite format 3\x00" + data, ForeignBackup, "is no paxosd-backup file"),
        (lambda data: data.replace(b"backup 1\n", b"backup 2\n"), ForeignBackup, "format 2, .* knows up to 1; use "),
        (lambda data: data[: len(data) // 2], DamagedBackup, "ends in the middle, at byte .*cut off; do not use it"),
        (lambda data: data + b"\n", DamagedBackup, "1 bytes follow its end"),
        (lambda data: data + data, DamagedBackup, "bytes follow its end"),
        (_without_a_part, DamagedBackup, "its parts are not those that were written"),
    ],
)  # fmt: skip
def test_damage_is_named(tmp_path: Path, change: Callable[[bytes], bytes], kind: type[BackupError], said: str) -> None:
    file = written(tmp_path / "b")
    file.write_bytes(change(file.read_bytes()))

    with pytest.raises(kind, match=said) as caught:
        summary(file)
    assert str(file) in str(caught.value)


def test_a_backup_that_lacks_values_that_its_end_names_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "b", replace(POSITION, watermark=9))

    with pytest.raises(DamagedBackup, match="its values end at slot 8, and its end says 9"):
        summary(tmp_path / "b")


def test_a_link_in_the_place_of_a_backup_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(written(tmp_path / "b"))

    with pytest.raises(BackupError, match="is a symbolic link"):
        summary(tmp_path / "link")


# ---- going on --------------------------------------------------------------------------------


def test_an_interrupted_backup_goes_on_after_its_last_whole_part(tmp_path: Path) -> None:
    file = tmp_path / "b"
    with BackupWriter(file) as writer:
        writer.begin(replace(HEADER, first=1, kept=1))
        for number in range(3):
            writer.value(bytes([number]) * 700_000)
    draft = draft_of(file)
    with draft.open("ab") as stream:
        stream.write(b"torn")

    with BackupWriter(file) as writer:
        header = writer.resume()
        assert header is not None
        assert writer.next_slot == 3  # what was not a whole part by then is asked for again
        for number in range(2, 7):
            writer.value(bytes([number]) * 700_000)
        writer.finish(POSITION)

    with BackupReader(file) as reader:
        values = [value for part in reader.rows() if isinstance(part, Values) for value in part.values]
    assert [value[0] for value in values] == list(range(7))


@pytest.mark.parametrize("left", [b"", b"something else", b"paxosd-backup 9\n", b"paxosd-backup 1\n"])
def test_a_draft_that_says_nothing_is_begun_anew(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "b"
    draft_of(file).write_bytes(left)
    with BackupWriter(file) as writer:
        assert writer.resume() is None
        writer.begin(Header("demo", ""))
        writer.finish(EMPTY)

    assert summary(file).header.cluster == "demo"
