"""What the log made is written when enough of it is new, in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from paxosd.core.records import Kept, Record
from paxosd.core.types import Outcome, Revision, Slot
from paxosd.keeping import BYTES_MAX, KEPT_EVERY_S, ROWS_MAX, SLOTS_MAX, Keeping
from paxosd.storage.base import StorageError
from paxosd.storage.memory import MemoryStore


class Counting:
    """An applier of which each slot changes `rows_per_slot` rows."""

    def __init__(self, rows_per_slot: int = 1) -> None:
        self.rows_per_slot = rows_per_slot
        self.applied: Slot = 0
        self.unkept_slots = self.unkept_rows = 0

    def restore(self) -> Revision:
        return 0

    def apply(self, slot: Slot, value: bytes) -> list[Outcome]:
        self.applied = slot
        self.unkept_slots += 1
        self.unkept_rows += self.rows_per_slot
        return []

    def keep(self) -> Kept:
        self.unkept_slots = self.unkept_rows = 0
        return Kept(self.applied + 1, ())


class Disk(MemoryStore):
    """Notes which slots were kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Slot] = []

    def commit(self, records: Sequence[Record]) -> None:
        super().commit(records)
        self.kept += [record.slot for record in records if isinstance(record, Kept)]


def apply(keeping: Keeping, applier: Counting, slots: Iterable[Slot], now: float = 0.0, value: bytes = b"") -> None:
    for slot in slots:
        applier.apply(slot, value)
        keeping.applied(len(value), now)


def test_so_many_slots_are_kept_at_once() -> None:
    applier, disk = Counting(), Disk()
    apply(Keeping(applier, disk), applier, range(1, 2 * SLOTS_MAX + 100))

    assert disk.kept == [SLOTS_MAX + 1, 2 * SLOTS_MAX + 1]


def test_a_commit_holds_no_more_rows_than_the_bound_and_those_of_one_slot() -> None:
    applier, disk = Counting(rows_per_slot=ROWS_MAX // 4), Disk()
    apply(Keeping(applier, disk), applier, range(1, 10))

    assert disk.kept == [5, 9]


def test_large_values_are_kept_sooner() -> None:
    applier, disk = Counting(), Disk()
    apply(Keeping(applier, disk), applier, range(1, 10), value=bytes(BYTES_MAX // 4))

    assert disk.kept == [5, 9]


def test_what_is_less_is_kept_after_a_while() -> None:
    applier, disk = Counting(), Disk()
    keeping = Keeping(applier, disk)
    apply(keeping, applier, [1], now=10.0)
    apply(keeping, applier, [2], now=10.0 + KEPT_EVERY_S / 2)

    assert keeping.deadline == 10.0 + KEPT_EVERY_S
    keeping.tick(10.0 + KEPT_EVERY_S - 0.01)
    before = list(disk.kept)
    keeping.tick(10.0 + KEPT_EVERY_S)

    assert (before, disk.kept) == ([], [3])
    assert Keeping(applier, disk).deadline is None


def test_where_nothing_was_applied_nothing_is_written() -> None:
    applier, disk = Counting(), Disk()
    keeping = Keeping(applier, disk)
    keeping.keep()
    keeping.tick(100.0)

    assert (disk.kept, keeping.deadline) == ([], None)


def test_a_disk_that_fails_ends_the_node() -> None:
    class Broken(Disk):
        def commit(self, records: Sequence[Record]) -> None:
            raise StorageError("the disk failed")

    applier = Counting()
    keeping = Keeping(applier, Broken())

    with pytest.raises(StorageError, match="the disk failed"):
        apply(keeping, applier, range(1, SLOTS_MAX + 1))
