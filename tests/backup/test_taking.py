"""Taking a backup through gateways that are ahead, behind, slow or of another history."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import pytest

from paxosd.backup import taking
from paxosd.backup.errors import BackupError
from paxosd.backup.file import BackupReader, KeptRows, RevisionRows, Values, summary
from paxosd.backup.parts import draft_of
from paxosd.client.errors import ReadTimeout
from paxosd.core.messages import (
    SlotPage,
    SnapshotPage,
)
from paxosd.core.records import Kept, KeptRow, Learned, Round
from paxosd.core.types import RevisionRow, Slot
from paxosd.core.voters import Voter, Voters
from paxosd.storage.sqlite.snapshot import Copied
from paxosd.storage.sqlite.store import SQLiteStore

VOTERS = Voters(b"h" * 16, 1, 1, 2, 1, (Voter("a1", 77, 1, 2),))


@dataclass
class Cluster:
    """A cluster whose gateways answer as the test says."""

    log: list[bytes]
    page: int = 2
    start: Slot = 1
    fails_after: int = 1000
    behind: list[Slot] = field(default_factory=list)  # how far the next gateways that are asked cheaply have come
    asked: list[tuple[Slot, bool]] = field(default_factory=list)
    name: str = "demo"

    def snapshot(self, snapshot: bytes, offset: int, timeout: float | None = None) -> SnapshotPage:
        return SnapshotPage(1, b"id", 3, 9, b"digest", 0, b"no digest")

    def slots(self, first: Slot, linearizable: bool = True, timeout: float | None = None) -> SlotPage:
        self.asked.append((first, linearizable))
        if len(self.asked) > self.fails_after:
            raise ReadTimeout("not answered in time")
        stop = self.behind.pop(0) if self.behind and not linearizable else len(self.log) + 1
        values = tuple(self.log[first - 1 : min(stop - 1, first - 1 + self.page)])
        return SlotPage(1, first, values, self.start, stop, 10 * (stop - 1), 1000, b"\xab", "", self.name, VOTERS)


def values_of(file: Path) -> list[bytes]:
    with BackupReader(file) as reader:
        return [value for rows in reader.rows() if isinstance(rows, Values) for value in rows.values]


def log(count: int, size: int = 1) -> list[bytes]:
    return [bytes([number]) * size for number in range(count)]


def test_all_slots_are_taken_and_the_first_answer_decides_how_far(tmp_path: Path) -> None:
    cluster = Cluster(log(5))
    told: list[tuple[int, int]] = []
    header, position = taking.take(cluster, tmp_path / "b", 5.0, progress=lambda *done: told.append(done))

    assert values_of(tmp_path / "b") == log(5)
    assert cluster.asked == [(1, True), (3, False), (5, False)]
    assert (header.cluster, position.watermark, position.revision, position.digest) == ("demo", 6, 50, "ab")
    assert (header.history, header.prepare, header.accept, header.weights) == (b"h".hex() * 16, 2, 1, {"a1": 2})
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_what_comes_later_than_the_first_answer_is_left_out(tmp_path: Path) -> None:
    cluster = Cluster(log(3))

    def grow(done: int, total: int) -> None:
        cluster.log.append(b"later")

    taking.take(cluster, tmp_path / "b", 5.0, progress=grow)

    assert values_of(tmp_path / "b") == log(3)


def test_a_stale_backup_asks_no_leader(tmp_path: Path) -> None:
    cluster = Cluster(log(3))
    taking.take(cluster, tmp_path / "b", 5.0, stale=True)

    assert cluster.asked == [(1, False), (3, False)]


def test_a_gateway_that_is_behind_is_asked_to_catch_up_first(tmp_path: Path) -> None:
    cluster = Cluster(log(5), behind=[3])
    taking.take(cluster, tmp_path / "b", 5.0)

    assert values_of(tmp_path / "b") == log(5)
    assert cluster.asked == [(1, True), (3, False), (3, True), (5, False)]


def test_a_gateway_that_stays_behind_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    cluster = Cluster(log(5), behind=[6, *[3] * 100])

    with pytest.raises(BackupError, match=r"no gateway has the value of slot 3 any more, .* goes on from there"):
        taking.take(cluster, tmp_path / "b", 5.0, stale=True)
    assert not (tmp_path / "b").exists()


# ---- a log that does not reach back to its beginning -----------------------------------------


def value(slot: Slot) -> bytes:
    return b"%d" % slot * 1000


def snapshot(place: Path, keep: int, slots: int) -> tuple[bytes, Slot]:
    """A snapshot as a learner makes it, of a state at a slot with the last `keep` values; and that slot."""
    place.mkdir()
    with closing(SQLiteStore(place / "records.sqlite3")) as store:
        store.commit([Learned(slot, value(slot)) for slot in range(1, slots + 1)])
        first = slots + 1 - keep
        put = (KeptRow("ledger", b"", b"totals"), KeptRow("log", b"chain", b"\xff"))
        store.commit([Kept(slots + 1, put, (), (RevisionRow(1, first, b"about"),), first)])
        store.commit([Round(1)])
        copied = Copied(place / "records.sqlite3", place / "copy", threading.Lock())
        copied._thread.join()
    return (place / "copy").read_bytes(), slots + 1


@dataclass
class Trimmed(Cluster):
    """A cluster that keeps the last values only, and tells its snapshots in small parts: one after the other."""

    snapshots: list[bytes] = field(default_factory=list)
    wrong: bool = False
    told: int = 0

    def snapshot(self, snapshot: bytes, offset: int, timeout: float | None = None) -> SnapshotPage:
        self.told += 1
        if self.told == 1:
            return SnapshotPage(1, b"", 0, 0, b"", 0, b"")
        whole = self.snapshots[0]
        if self.told == 4 and len(self.snapshots) > 1:
            del self.snapshots[0]
        name = blake2b(whole, digest_size=16).digest()
        at = offset if snapshot == name else 0
        return SnapshotPage(1, name, 5, len(whole), b"wrong" if self.wrong else name, at, whole[at : at + 5000])


@pytest.fixture
def trimmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trimmed:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    older, _ = snapshot(tmp_path / "older", 3, 8)
    newer, _ = snapshot(tmp_path / "newer", 4, 10)
    return Trimmed([value(slot) for slot in range(1, 16)], start=7, snapshots=[older, newer])


def test_where_the_log_is_trimmed_the_state_comes_first_and_a_newer_snapshot_is_begun_anew(
    tmp_path: Path, trimmed: Trimmed
) -> None:
    header, position = taking.take(trimmed, tmp_path / "b", 5.0)
    with BackupReader(tmp_path / "b") as reader:
        rows = list(reader.rows())

    assert (header.first, header.kept, position.watermark) == (7, 11, 16)
    assert rows[0] == KeptRows([("ledger", b"", b"totals"), ("log", b"chain", b"\xff")])
    assert rows[1] == RevisionRows([(1, 7, b"about")])
    assert values_of(tmp_path / "b") == [value(slot) for slot in range(7, 16)]
    assert not (tmp_path / "b.snapshot").exists()


def test_a_snapshot_that_came_wrong_makes_no_backup(tmp_path: Path, trimmed: Trimmed) -> None:
    trimmed.wrong = True

    with pytest.raises(BackupError, match="did not come as it was sent: run the same command again"):
        taking.take(trimmed, tmp_path / "b", 5.0)
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "b.snapshot").exists()


def test_a_log_that_is_trimmed_faster_than_it_is_taken_is_named(tmp_path: Path, trimmed: Trimmed) -> None:
    trimmed.start = 13

    with pytest.raises(BackupError, match="slot 11 is needed, and the log begins at slot 13 by now"):
        taking.take(trimmed, tmp_path / "b", 5.0)


def test_an_interrupted_backup_with_a_state_goes_on_if_its_state_was_whole(tmp_path: Path, trimmed: Trimmed) -> None:
    trimmed.fails_after = 3
    with pytest.raises(ReadTimeout):
        taking.take(trimmed, tmp_path / "b", 5.0)
    trimmed.fails_after, told = 1000, trimmed.told
    taking.take(trimmed, tmp_path / "b", 5.0)

    assert trimmed.told > told  # what was there of it was no whole part yet
    assert values_of(tmp_path / "b") == [value(slot) for slot in range(7, 16)]


def test_an_interrupted_backup_below_whose_end_the_log_is_gone_is_begun_anew(tmp_path: Path, trimmed: Trimmed) -> None:
    with pytest.raises(ReadTimeout):
        taking.take(Cluster(trimmed.log, fails_after=1), tmp_path / "b", 5.0)
    draft = draft_of(tmp_path / "b")
    assert draft.exists()
    taking.take(trimmed, tmp_path / "b", 5.0)

    assert values_of(tmp_path / "b") == [value(slot) for slot in range(7, 16)]


def test_an_interrupted_backup_goes_on_and_is_as_fresh_as_its_second_call(tmp_path: Path) -> None:
    size = 600_000
    cluster = Cluster(log(6, size), fails_after=2)
    with pytest.raises(ReadTimeout):
        taking.take(cluster, tmp_path / "b", 5.0)
    assert draft_of(tmp_path / "b").exists()

    cluster = Cluster(log(8, size))
    taking.take(cluster, tmp_path / "b", 5.0)

    assert cluster.asked[0] == (4, True)
    assert values_of(tmp_path / "b") == log(8, size)
    assert summary(tmp_path / "b").position.watermark == 9


def test_what_an_interrupted_backup_of_another_cluster_left_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(ReadTimeout):
        taking.take(Cluster(log(6, 600_000), fails_after=2, name="other"), tmp_path / "b", 5.0)
    cluster = Cluster(log(2))
    taking.take(cluster, tmp_path / "b", 5.0)

    assert cluster.asked == [(4, True), (1, True)]
    assert values_of(tmp_path / "b") == log(2)
