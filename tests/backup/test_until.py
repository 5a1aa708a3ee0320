"""Where a restore ends: at any revision, at any time, with the state that a learner had there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paxosd.backup.archive import Archive, ArchiveWriter, Followed
from paxosd.backup.errors import BackupError, DamagedBackup
from paxosd.backup.file import BackupWriter, Header, Position, Values
from paxosd.backup.restoring import BackupSource
from paxosd.backup.until import Ended
from paxosd.core.types import MachineName, SessionId, Slot
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.machine.base import StateMachine
from paxosd.machine.ledger import Ledger, opened_session
from paxosd.machine.log import Log
from paxosd.storage.memory import MemoryStore
from tests.machine.echo import Echo

SESSIONS = 100


def wish(number: int) -> bytes:
    return bytes([number]) * 16


def session(number: int) -> SessionId:
    return opened_session(wish(number), 1)


def opening(of: int) -> Batch:
    return Batch(wish(of), 0, 0, 1, b"")


def batch(of: int, first: int, *values: bytes) -> Batch:
    return Batch(session(of), 1, first, len(values), encode_body(values))


SLOTS = [
    encode_value(10, [opening(1), opening(2)]),
    encode_value(20, [batch(1, 1, b"a", b"b")]),
    encode_value(25),
    # a gap, what fills it, a repetition with something new, what the gap was: 3 to 8
    encode_value(
        30, [batch(1, 5, b"e"), batch(1, 3, b"c", b"d"), batch(1, 2, b"b", b"c", b"d", b"e"), batch(2, 1, b"x", b"y")]
    ),
    encode_value(40, [Batch(session(2), 1, 3, 1, b""), batch(2, 4, b"z")]),
    encode_value(50, [batch(1, 6, b"f")]),
]  # fmt: skip
ALL = [b"a", b"b", b"c", b"d", b"e", b"x", b"y", b"z", b"f"]


def machines() -> dict[MachineName, StateMachine]:
    return {"log": Log(), "echo": Echo()}


def applied(slots: list[bytes], first: Slot = 1, ledger: Ledger | None = None) -> Ledger:
    ledger = ledger or Ledger(MemoryStore(), machines(), SESSIONS, 1 << 20)
    for slot, value in enumerate(slots, first):
        ledger.apply(slot, value)
    return ledger


def backup(
    file: Path, stop: Slot, made_at: int = 0, digest: str | None = None, kept: Slot = 1, slots: list[bytes] = SLOTS
) -> BackupSource:
    """A backup of the slots below `stop`, with the state at `kept` instead of the values below."""
    ledger = applied(slots[: stop - 1])
    position = Position(stop, ledger.revision, ledger.log_time_ms, ledger.digest().hex(), made_at)
    with BackupWriter(file) as writer:
        writer.begin(Header("demo", "ab" * 16, kept, kept))
        if kept > 1:
            rows = applied(slots[: kept - 1]).keep()
            for row in rows.put:
                writer.kept((row.owner, row.key, row.content))
            for index in rows.revisions:
                writer.revision((index.first, index.slot, index.about))
        for value in slots[kept - 1 : stop - 1]:
            writer.value(value)
        writer.finish(position if digest is None else replace(position, digest=digest))
    return BackupSource(file)


def archive(folder: Path, first: Slot, stop: Slot | None = None) -> Archive:
    """An archive in which slot s came at second 100 * s."""
    at = [0.0]
    with ArchiveWriter(folder, Followed("demo", "ab" * 16), 100, lambda: at[0]) as writer:
        for slot, value in enumerate(SLOTS[first - 1 : None if stop is None else stop - 1], first):
            at[0] = 100.0 * slot
            writer.add(slot, (value,))
    return Archive(folder)


def values_of(ended: Ended) -> list[bytes]:
    return [value for rows in ended.rows() if isinstance(rows, Values) for value in rows.values]


def commands_of(ended: Ended) -> list[bytes]:
    """What a learner has that begins with what is restored."""
    store = MemoryStore()
    said: list[bytes] = []

    class Listening(Log):
        def apply(self, first_revision: int, commands: list[bytes], log_time_ms: int) -> tuple[()]:
            assert first_revision > len(said)
            said.extend(commands)
            return ()

    ledger = Ledger(store, {**machines(), "log": Listening()}, SESSIONS, 1 << 20)
    for slot, value in enumerate(values_of(ended), 1):
        ledger.apply(slot, value)
    assert ledger.revision == ended.position.revision
    return said


@pytest.mark.parametrize("revision", range(1, 10))
@pytest.mark.parametrize("backed_up", [1, 3, 7])
def test_every_revision_can_be_the_last_one(tmp_path: Path, revision: int, backed_up: Slot) -> None:
    source = backup(tmp_path / "b", backed_up)
    ended = Ended(source, archive(tmp_path / "archive", backed_up), revision, None, SESSIONS, machines)

    assert commands_of(ended) == ALL[:revision]
    assert ended.position.watermark == len(values_of(ended)) + 1
    assert ended.last_value == values_of(ended)[-1]


def test_without_an_end_all_of_the_archive_is_added(tmp_path: Path) -> None:
    ended = Ended(backup(tmp_path / "b", 3), archive(tmp_path / "archive", 2), None, None, SESSIONS, machines)

    assert values_of(ended) == SLOTS
    whole = applied(SLOTS)
    assert ended.position == Position(7, 9, whole.log_time_ms, whole.digest().hex())


def test_a_revision_in_the_backup_alone_needs_no_archive(tmp_path: Path) -> None:
    assert commands_of(Ended(backup(tmp_path / "b", 7), None, 2, None, SESSIONS, machines)) == ALL[:2]


@pytest.mark.parametrize(("time_ms", "slots"), [(299_999, 2), (300_000, 3), (450_000, 4), (900_000, 6)])
def test_what_was_archived_after_a_time_is_left_out(tmp_path: Path, time_ms: int, slots: int) -> None:
    source, added = backup(tmp_path / "b", 2, made_at=100), archive(tmp_path / "archive", 2)

    assert values_of(Ended(source, added, None, time_ms, SESSIONS, machines)) == SLOTS[:slots]


@pytest.mark.parametrize(("time_ms", "reaches_ms"), [(299_999, 299_999), (450_000, 450_000), (900_000, 600_000)])
def test_how_far_it_is_known_to_reach_is_told(tmp_path: Path, time_ms: int, reaches_ms: int) -> None:
    source, added = backup(tmp_path / "b", 2, made_at=100), archive(tmp_path / "archive", 2)

    assert Ended(source, added, None, time_ms, SESSIONS, machines).reaches_ms == reaches_ms


def test_a_state_that_is_kept_is_gone_on_from(tmp_path: Path) -> None:
    source = backup(tmp_path / "b", 5, kept=4)
    ended = Ended(source, archive(tmp_path / "archive", 5), 8, None, SESSIONS, machines)

    assert values_of(ended) == SLOTS[3:5]
    assert (ended.position.watermark, ended.position.revision) == (6, 8)
    assert ended.position.digest == applied(SLOTS[:5]).digest().hex()
    with pytest.raises(BackupError, match="the state in the backup is of revision 2: use a backup that was made"):
        Ended(source, None, 1, None, SESSIONS, machines)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    source = backup(tmp_path / "b", 3, made_at=500)

    with pytest.raises(BackupError, match="revision 9 is not in it: it ends at revision 2"):
        Ended(source, None, 9, None, SESSIONS, machines)
    with pytest.raises(BackupError, match="was made later than that: use one that was made before"):
        Ended(source, archive(tmp_path / "archive", 3), None, 499_999, SESSIONS, machines)
    with pytest.raises(DamagedBackup, match="slot 3 is in no file"):
        Ended(source, archive(tmp_path / "later", 5), None, None, SESSIONS, machines)


def test_a_backup_whose_values_make_another_state_is_refused(tmp_path: Path) -> None:
    source = backup(tmp_path / "b", 3, digest="00" * 16)

    with pytest.raises(DamagedBackup, match="make another state than it names, at slot 2: do not use it"):
        Ended(source, archive(tmp_path / "archive", 3), None, None, SESSIONS, machines)


def test_what_ran_out_counts_as_revisions_and_is_not_cut(tmp_path: Path) -> None:
    slots = [
        *SLOTS[:2],
        encode_value(30, [replace(batch(1, 3, b"ring 50", b"ring 60"), machine="echo")]),
        encode_value(70, [batch(1, 5, b"c", b"d")]),
    ]
    rung_and_one = Ended(backup(tmp_path / "b", 5, slots=slots), None, 6, None, SESSIONS, machines)
    assert (rung_and_one.position.revision, commands_of(rung_and_one)) == (6, [b"a", b"b", b"c"])
    rung = Ended(backup(tmp_path / "c", 5, slots=slots), None, 5, None, SESSIONS, machines)

    assert (rung.position.revision, commands_of(rung)) == (5, [b"a", b"b"])
