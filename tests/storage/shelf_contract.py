"""What every store must do with snapshots, whatever it is made of; see `paxosd/core/snapshots.py`.

A test class that inherits `ShelfContract` gives `make`, another store each time, `reopen`, the same one opened again,
and `settle`, after which nothing goes on in the background.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from paxosd.core.records import (
    Kept,
    KeptKey,
    KeptRow,
    Learned,
    Record,
    SnapshotBytes,
    SnapshotDropped,
    SnapshotInstalled,
    SnapshotStep,
)
from paxosd.core.snapshots import Snapshot, Stage
from paxosd.core.types import RevisionRow, Slot
from paxosd.storage.base import Store

MANY = 1 << 30
END: Slot = 60
FIRST: Slot = 11
PART = 997
OLD = KeptRow("log", b"old", b"only here")


def state(end: Slot = END, first: Slot = FIRST) -> list[Record]:
    """What a learner recorded that applied every slot below `end`, and keeps the log from `first` on."""
    rows = [KeptRow("ledger", b"", b"totals"), *(KeptRow("log", b"%03d" % slot, bytes(slot)) for slot in range(end))]
    index = tuple(RevisionRow(slot, slot, b"%d" % slot) for slot in range(1, end))
    learned: list[Record] = [Learned(slot, b"value %d" % slot) for slot in range(1, end + 5)]
    return [*learned, Kept(end, tuple(rows), (), index, first, first)]


def before() -> list[Record]:
    """What the other one has of its own."""
    return [
        *(Learned(slot, b"value %d" % slot) for slot in range(1, 8)),
        Kept(5, (OLD,), (), (RevisionRow(1, 1, b"1"),)),
    ]


def seen(store: Store, until: Slot = END) -> object:
    """All of the kept state."""
    rows = {owner: sorted(store.kept_rows(owner)) for owner in ("ledger", "log")}
    return store.kept_slot(), rows, list(store.revisions(FIRST + 3, 1000)), list(store.learned(FIRST, until, MANY))


class ShelfContract:
    def make(self) -> Store:
        raise AssertionError("a test class of a store says how one is made")

    def reopen(self, store: Store) -> Store:
        raise AssertionError("and how it is opened again")

    def settle(self, store: Store) -> None:
        """Wait for what goes on in the background."""

    @pytest.fixture
    def teller(self) -> Store:
        store = self.make()
        store.commit(state())
        return store

    @pytest.fixture
    def asker(self) -> Store:
        store = self.make()
        store.commit(before())
        return store

    def made(self, store: Store) -> Snapshot:
        store.offer()
        self.settle(store)
        found = store.offered()
        assert found is not None
        return found

    def carry(self, teller: Store, asker: Store, stop: int = MANY) -> Snapshot:
        """Let bytes come in up to this place."""
        told = teller.offered() or self.made(teller)
        incoming = asker.incoming()
        offset = incoming.received if incoming and incoming.snapshot == told else 0
        while offset < min(stop, told.size):
            data = teller.part(offset, PART)
            asker.commit([SnapshotBytes(told.id, told.slot, told.size, told.digest, offset, data)])
            offset += len(data)
        return told

    def put(self, asker: Store, told: Snapshot) -> Stage:
        """Check and put, to the end."""
        for _ in range(1000):
            self.settle(asker)
            incoming = asker.incoming()
            assert incoming is not None
            if incoming.stage in (Stage.READY, Stage.WRONG):
                return incoming.stage
            asker.commit([SnapshotStep(told.id)])
        raise AssertionError("it is never ready")

    # ---- telling ----

    def test_nothing_is_offered_until_it_is_made_and_nothing_after_it_is_withdrawn(self, teller: Store) -> None:
        assert teller.offered() is None
        told = self.made(teller)
        assert (told.slot, told.size > 0) == (END, True)
        teller.withdraw()
        assert teller.offered() is None

    def test_all_parts_together_are_as_long_as_was_said(self, teller: Store) -> None:
        told = self.made(teller)
        parts = [teller.part(offset, PART) for offset in range(0, told.size, PART)]

        assert sum(map(len, parts)) == told.size
        assert teller.part(told.size, PART) == b""

    def test_what_is_committed_later_is_not_in_it(self, teller: Store, asker: Store) -> None:
        told = self.made(teller)
        whole = seen(teller)
        teller.commit([Learned(END, b"later"), Kept(END + 1, (KeptRow("log", b"later", b"later"),))])
        self.carry(teller, asker)
        self.put(asker, told)
        asker.commit([SnapshotInstalled(told.id, told.slot)])

        assert seen(asker) == whole

    def test_what_an_asker_needs_next_stays_while_a_snapshot_is_told(self, teller: Store) -> None:
        told = self.made(teller)
        starts = []
        for end in (END + 1, END + 2, END + 3):
            if end == END + 3:
                teller.withdraw()
            teller.commit([Learned(slot, b"v") for slot in range(END + 5, END + 9)])
            teller.commit([Kept(end, (), (), (), end - 1, end - 1)])
            starts.append(teller.learned_start())

        assert told.slot == END
        assert starts == [END, END, END + 2]

    # ---- taking ----

    def test_a_snapshot_makes_the_state_of_one_store_that_of_another(self, teller: Store, asker: Store) -> None:
        told = self.carry(teller, asker)
        old = seen(asker, 8)
        assert self.put(asker, told) is Stage.READY
        assert seen(asker, 8) == old
        asker.commit([SnapshotInstalled(told.id, told.slot)])

        for _ in range(2):
            assert seen(asker) == seen(teller)
            assert (asker.learned_start(), asker.learned_stop()) == (FIRST, END)
            assert asker.incoming() is None
            asker = self.reopen(asker)

    def test_what_was_learned_above_a_snapshot_counts_on_from_it(self, teller: Store, asker: Store) -> None:
        asker.commit([Learned(END, b"a"), Learned(END + 1, b"b"), Learned(END + 3, b"d")])
        told = self.carry(teller, asker)
        self.put(asker, told)
        asker.commit([SnapshotInstalled(told.id, told.slot)])

        assert [asker.learned_stop(), self.reopen(asker).learned_stop()] == [END + 2] * 2

    def test_the_state_goes_on_from_a_snapshot_and_the_old_one_is_gone(self, teller: Store, asker: Store) -> None:
        told = self.carry(teller, asker)
        self.put(asker, told)
        asker.commit([SnapshotInstalled(told.id, told.slot)])
        asker.commit(
            [Learned(END, b"x"), Kept(END + 1, (KeptRow("log", b"new", b"n"),), (), (RevisionRow(END, END, b""),))]
        )

        for _ in range(2):
            rows = dict(asker.kept_rows("log"))
            assert (rows[b"new"], rows.get(OLD.key), len(rows)) == (b"n", None, END + 1)
            asker = self.reopen(asker)

    @pytest.mark.parametrize("begins_another", [False, True])
    def test_what_is_dropped_or_begun_in_the_commit_that_takes_one_up_takes_nothing_of_it_away(
        self, teller: Store, asker: Store, begins_another: bool
    ) -> None:
        told = self.carry(teller, asker)
        self.put(asker, told)
        another = SnapshotBytes(b"another", told.slot + 1, 9, b"d", 0, b"part")
        later = another if begins_another else SnapshotDropped(told.id)
        asker.commit([SnapshotInstalled(told.id, told.slot), later])
        asker.commit([Learned(END + 1, b"v"), Kept(END, (), (), (), FIRST, FIRST)])

        for _ in range(2):
            rows = dict(asker.kept_rows("log"))
            assert (asker.kept_slot(), len(rows), OLD.key in rows) == (END, END, False)
            incoming = asker.incoming()
            assert (incoming.snapshot.id if incoming else None) == (b"another" if begins_another else None)
            asker = self.reopen(asker)

    def test_another_snapshot_can_be_taken_up_later(self, teller: Store, asker: Store) -> None:
        for end in (END, END + 5):
            teller.commit([Kept(end, (KeptRow("log", b"round", b"%d" % end),), (), (), FIRST, FIRST)])
            teller.withdraw()
            told = self.carry(teller, asker)
            self.put(asker, told)
            asker.commit([SnapshotInstalled(told.id, told.slot)])
            assert dict(asker.kept_rows("log"))[b"round"] == b"%d" % end

    def test_a_second_snapshot_is_put_beside_the_state_that_the_first_one_made(
        self, teller: Store, asker: Store
    ) -> None:
        told = self.carry(teller, asker)
        self.put(asker, told)
        asker.commit([SnapshotInstalled(told.id, told.slot)])
        first = seen(asker)
        changed = KeptRow("log", b"007", b"another")
        teller.commit([Learned(END, b"x"), Kept(END + 1, (changed,), (KeptKey("log", b"008"),), (), FIRST, FIRST)])
        teller.withdraw()
        told = self.carry(teller, asker)
        stage, before = self.put(asker, told), seen(asker)
        asker.commit([SnapshotInstalled(told.id, told.slot)])

        assert stage is Stage.READY
        assert before == first
        assert seen(self.reopen(asker)) == seen(teller)

    @pytest.mark.parametrize("part", [0, 1, 3])
    def test_a_wrong_byte_is_found_before_any_row_counts(self, teller: Store, asker: Store, part: int) -> None:
        told = self.made(teller)
        old = seen(asker, 8)
        for offset in range(0, told.size, PART):
            data = teller.part(offset, PART)
            if offset == part * PART:
                data = data[:-1] + bytes([data[-1] ^ 1])
            asker.commit([SnapshotBytes(told.id, told.slot, told.size, told.digest, offset, data)])

        assert self.put(asker, told) is Stage.WRONG
        asker.commit([SnapshotDropped(told.id)])
        assert asker.incoming() is None
        assert seen(asker, 8) == seen(self.reopen(asker), 8) == old

    def test_bytes_that_are_not_the_next_ones_change_nothing(self, teller: Store, asker: Store) -> None:
        told = self.carry(teller, asker, stop=2 * PART)
        about = (told.id, told.slot, told.size, told.digest)
        asker.commit([SnapshotBytes(*about, PART, b"again"), SnapshotBytes(*about, 5 * PART, b"later")])
        asker.commit([SnapshotBytes(b"another", *about[1:], 2 * PART, b"other")])

        incoming = asker.incoming()
        assert incoming is not None
        assert (incoming.snapshot, incoming.received) == (told, 2 * PART)

    def test_a_later_life_goes_on_where_an_earlier_one_was(self, teller: Store, asker: Store) -> None:
        told = self.carry(teller, asker, stop=3 * PART)
        again = self.reopen(asker)
        incoming = again.incoming()
        assert incoming is not None
        assert (incoming.snapshot, incoming.received, incoming.stage) == (told, 3 * PART, Stage.COMING)
        self.carry(teller, again)
        again.commit([SnapshotStep(told.id)])
        once_more = self.reopen(again)
        assert self.put(once_more, told) is Stage.READY
        once_more.commit([SnapshotInstalled(told.id, told.slot)])

        assert seen(once_more) == seen(teller)

    def test_the_beginning_of_another_one_takes_the_place_of_what_came_in(self, teller: Store, asker: Store) -> None:
        told = self.carry(teller, asker, stop=3 * PART)
        other = replace(told, id=bytes(16))
        asker.commit([SnapshotBytes(other.id, other.slot, other.size, other.digest, 0, b"other")])

        for _ in range(2):
            incoming = asker.incoming()
            assert incoming is not None
            assert (incoming.snapshot, incoming.received) == (other, 5)
            asker = self.reopen(asker)

    def test_what_is_dropped_is_gone(self, teller: Store, asker: Store) -> None:
        told = self.carry(teller, asker)
        asker.commit([SnapshotDropped(b"another")])
        assert asker.incoming() is not None
        asker.commit([SnapshotDropped(told.id)])

        assert asker.incoming() is self.reopen(asker).incoming() is None
