"""What every store must do, whatever it is made of; see `paxosd/storage/base.py`.

A test class that inherits `StoreContract` gives `reopen`: the store of the same directory, opened again.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from paxosd.core.history import ROW_BYTES
from paxosd.core.records import Floor, Forgotten, Kept, KeptKey, KeptRow, Learned, Promised, Record, Round, Told, Voted
from paxosd.core.types import Ballot, RevisionRow, Slot, Vote
from paxosd.storage.base import Store

LOW, HIGH = Ballot(1, "p1"), Ballot(2, "p2")
MANY = 1 << 30


def of_kind(records: Sequence[Record], kind: type) -> list[Record]:
    return [record for record in records if isinstance(record, kind)]


class StoreContract:
    """The promises, one test each."""

    @pytest.fixture
    def store(self) -> Store:
        return self.reopen()

    def reopen(self) -> Store:
        raise AssertionError("a test class of a store says how it is opened")

    def test_an_empty_store_has_no_records_and_nothing_learned(self, store: Store) -> None:
        assert store.records() == []
        assert store.learned_stop() == 1
        assert list(store.votes(1, 100, MANY)) == []

    def test_what_was_committed_is_there_after_opening_again(self, store: Store) -> None:
        store.commit([Round(3), Promised(LOW), Voted(1, LOW, b"v"), Learned(1, b"v")])
        store.close()
        again = self.reopen()

        assert of_kind(again.records(), Round) == [Round(3)]
        assert of_kind(again.records(), Promised) == [Promised(LOW)]
        assert of_kind(again.records(), Voted) == [Voted(1, LOW, b"v")]
        assert list(again.learned(1, 2, MANY)) == [(1, b"v")]

    def test_what_lies_above_every_slot_that_can_be_is_passed_over(self, store: Store) -> None:
        store.commit([Voted(7, LOW, b"v"), Voted(2**62, LOW, b"x"), Told(2**63 - 1), Learned(2**63 - 1, b"x")])
        store.close()
        again = self.reopen()

        assert of_kind(again.records(), Told) == [Told(1)]
        assert of_kind(again.records(), Voted) == [Voted(7, LOW, b"v")]
        assert again.learned_stop() == 1

    def test_the_latest_record_of_a_key_replaces_the_earlier_ones(self, store: Store) -> None:
        store.commit([Promised(LOW), Voted(1, LOW, b"old"), Promised(HIGH)])
        store.commit([Voted(1, HIGH, b"new"), Round(1), Round(2)])

        assert of_kind(store.records(), Promised) == [Promised(HIGH)]
        assert of_kind(store.records(), Round) == [Round(2)]
        assert list(store.votes(1, 2, MANY)) == [Vote(1, HIGH, b"new")]

    def test_records_gives_the_votes_from_the_told_watermark_on_and_the_history_gives_all(self, store: Store) -> None:
        store.commit([Promised(LOW), *(Voted(slot, LOW, b"%d" % slot) for slot in range(1, 6)), Told(4)])

        assert [record.slot for record in store.records() if isinstance(record, Voted)] == [4, 5]
        assert [vote.slot for vote in store.votes(1, 100, MANY)] == [1, 2, 3, 4, 5]

    def test_votes_below_the_floor_on_record_are_told_no_more(self, store: Store) -> None:
        store.commit([Promised(LOW), *(Voted(slot, LOW, b"%d" % slot) for slot in range(1, 9)), Told(8)])
        store.commit([Floor(5)])
        before = [vote.slot for vote in store.votes(1, 100, MANY)]
        store.close()
        again = self.reopen()

        assert before == [vote.slot for vote in again.votes(1, 100, MANY)] == [5, 6, 7, 8]
        assert list(again.votes(1, 4, MANY)) == []
        assert of_kind(again.records(), Floor) == [Floor(5)]

    @pytest.mark.parametrize("value", [b"v", bytes(9000)])
    def test_votes_that_are_forgotten_are_gone_for_good_and_what_was_learned_and_comes_later_is_not(
        self, store: Store, value: bytes
    ) -> None:
        store.commit([Promised(LOW), Learned(1, value)])
        store.commit([*(Voted(slot, LOW, value) for slot in range(1, 5)), Learned(2, value)])
        store.commit([Voted(5, LOW, value), Forgotten(), Voted(3, HIGH, b"later")])
        before = list(store.votes(1, 100, MANY))
        store.commit([Learned(3, value)])
        store.close()
        again = self.reopen()

        assert before == list(again.votes(1, 100, MANY)) == [Vote(3, HIGH, b"later")]
        assert of_kind(again.records(), Voted) == [Voted(3, HIGH, b"later")]
        assert list(again.learned(1, 100, MANY)) == [(1, value), (2, value), (3, value)]

    def test_a_page_ends_at_its_stop_or_before_its_bytes_are_over_and_has_one_row_at_least(self, store: Store) -> None:
        store.commit([Promised(LOW), *(Voted(slot, LOW, bytes(100)) for slot in range(1, 10))])
        row = 100 + ROW_BYTES

        assert [vote.slot for vote in store.votes(3, 5, MANY)] == [3, 4]
        assert [vote.slot for vote in store.votes(3, 100, 3 * row)] == [3, 4, 5]
        assert [vote.slot for vote in store.votes(3, 100, 3 * row - 1)] == [3, 4]
        assert [vote.slot for vote in store.votes(3, 100, 1)] == [3]

    def test_a_page_of_learned_values_leaves_out_the_slots_that_are_missing(self, store: Store) -> None:
        store.commit([Learned(slot, b"x") for slot in (1, 2, 5)])

        assert [slot for slot, _ in store.learned(2, 100, MANY)] == [2, 5]

    def test_a_page_of_learned_values_ends_before_its_bytes_are_over(self, store: Store) -> None:
        store.commit([Learned(slot, bytes(10 * slot)) for slot in range(1, 6)])
        two = 20 + 30 + 2 * ROW_BYTES

        assert [slot for slot, _ in store.learned(2, 100, two)] == [2, 3]
        assert [slot for slot, _ in store.learned(2, 100, two - 1)] == [2]
        assert [slot for slot, _ in store.learned(2, 100, 0)] == [2]

    @pytest.mark.parametrize(("first", "stop"), [(7, 7), (9, 3), (100, 1 << 62)])
    def test_a_range_without_rows_is_an_empty_page(self, store: Store, first: Slot, stop: Slot) -> None:
        store.commit([Promised(LOW), *(Voted(slot, LOW, b"v") for slot in range(1, 10)), Learned(8, b"v")])

        assert list(store.votes(first, stop, MANY)) == []
        assert list(store.learned(first, stop, MANY)) == []

    @pytest.mark.parametrize("order", [[1, 2, 3], [3, 2, 1], [2, 1, 3], [2, 3, 1]])
    def test_learned_stop_is_exact_at_all_times_whatever_the_order(self, store: Store, order: list[Slot]) -> None:
        known: set[Slot] = set()
        for slot in order:
            store.commit([Learned(slot, b"x")])
            known.add(slot)
            stop = next(slot for slot in range(1, 9) if slot not in known)

            assert store.learned_stop() == stop

    def test_what_an_earlier_life_learned_ahead_of_a_gap_counts_once_the_gap_is_filled(self, store: Store) -> None:
        store.commit([Learned(slot, b"x") for slot in (1, 3, 4)])
        store.close()
        again = self.reopen()
        before = again.learned_stop()
        again.commit([Learned(2, b"x")])

        assert (before, again.learned_stop()) == (2, 5)

    def test_large_and_empty_values_come_back_as_they_were(self, store: Store) -> None:
        large = bytes(range(256)) * 8192
        store.commit([Promised(LOW), Voted(1, LOW, large), Voted(2, LOW, b""), Learned(1, large)])
        store.close()
        again = self.reopen()

        assert [vote.value for vote in again.votes(1, 3, MANY)] == [large, b""]
        assert list(again.learned(1, 2, MANY)) == [(1, large)]

    def test_durable_commits_are_counted_over_all_lives_and_others_are_not(self, store: Store) -> None:
        counts = [store.commits]
        turns: list[list[Record]] = [
            [Promised(LOW)],
            [Told(3), Learned(1, b"")],
            [],
            [Learned(2, b""), Voted(1, LOW, b"")],
        ]
        for records in turns:
            store.commit(records)
            counts.append(store.commits)
        store.close()

        assert counts == [0, 1, 1, 1, 2]
        assert self.reopen().commits == 2

    def test_closing_twice_is_fine(self, store: Store) -> None:
        store.close()
        store.close()

    # ---- kept state ----

    def test_a_store_that_kept_nothing_says_so(self, store: Store) -> None:
        assert store.kept_slot() == 1
        assert list(store.kept_rows("log")) == []
        assert list(store.revisions(1, 100)) == []

    def test_kept_rows_are_there_after_opening_again_each_with_its_owner(self, store: Store) -> None:
        rows = (KeptRow("log", b"k", b"1"), KeptRow("other", b"k", b"2"), KeptRow("log", b"", b""))
        store.commit([Learned(1, b"v"), Kept(2, rows)])
        store.close()
        again = self.reopen()

        assert again.kept_slot() == 2
        assert dict(again.kept_rows("log")) == {b"k": b"1", b"": b""}
        assert dict(again.kept_rows("other")) == {b"k": b"2"}
        assert dict(again.kept_rows("nobody")) == {}

    def test_rows_are_deleted_before_others_are_put(self, store: Store) -> None:
        store.commit([Kept(2, (KeptRow("log", b"a", b"1"), KeptRow("log", b"b", b"1"), KeptRow("log", b"c", b"1")))])
        gone = KeptKey("log", b"a"), KeptKey("log", b"b"), KeptKey("log", b"never there")
        store.commit([Kept(9, (KeptRow("log", b"b", b"2"),), gone)])

        assert store.kept_slot() == 9
        assert dict(store.kept_rows("log")) == {b"b": b"2", b"c": b"1"}

    def test_the_index_of_revisions_is_read_from_the_slot_that_holds_one(self, store: Store) -> None:
        rows = [RevisionRow(1, 2, b"x"), RevisionRow(5, 3, b""), RevisionRow(6, 7, b"y")]
        store.commit([Kept(4, (), (), tuple(rows[:2]))])
        store.commit([Kept(8, (), (), tuple(rows[2:]))])

        assert list(store.revisions(1, 10)) == rows
        assert list(store.revisions(4, 10)) == rows
        assert list(store.revisions(5, 1)) == rows[1:2]
        assert list(store.revisions(99, 10)) == rows[2:]

    def test_what_lies_below_the_kept_slot_was_learned(self, store: Store) -> None:
        store.commit([Kept(5, ()), Learned(5, b"v"), Learned(6, b"v"), Learned(8, b"v")])
        assert store.learned_stop() == 7
        store.close()

        assert self.reopen().learned_stop() == 7

    def test_what_is_kept_no_longer_is_hidden_at_once(self, store: Store) -> None:
        store.commit([Learned(slot, b"v") for slot in range(1, 10)])
        rows = tuple(RevisionRow(slot, slot, b"") for slot in range(1, 10))
        store.commit([Kept(10, (), (), rows)])
        store.commit([Kept(10, (), (), (), 6, 6)])

        assert [slot for slot, _ in store.learned(1, 100, MANY)] == [6, 7, 8, 9]
        assert [row.first for row in store.revisions(7, 100)] == [7, 8, 9]
        assert (store.learned_start(), store.learned_stop()) == (6, 10)
        store.close()
        again = self.reopen()
        assert (again.learned_start(), again.learned_stop()) == (6, 10)
        assert [slot for slot, _ in again.learned(1, 100, MANY)] == [6, 7, 8, 9]

    def test_what_is_kept_no_longer_is_removed_in_steps_and_its_space_is_used_again(self, store: Store) -> None:
        for first in range(1, 20_001, 1000):
            store.commit([Learned(slot, bytes(100)) for slot in range(first, first + 1000)])
            rows = tuple(RevisionRow(slot, slot, b"") for slot in range(first, first + 1000))
            store.commit([Kept(first + 1000, (), (), rows, first, first)])

        assert [slot for slot, _ in store.learned(1, 100_000, MANY)] == list(range(19_001, 20_001))
        assert [row.first for row in store.revisions(1, 100_000)] in ([], list(range(19_001, 20_001)))
