"""Phase 2: votes are counted by name, slots are chosen once, and the window holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.agent import InvariantBroken
from paxosd.core.phase2 import PhaseTwo
from paxosd.core.quorum import Quorum
from paxosd.core.types import NodeId, Slot
from tests.core.helpers import always_the_same

ACCEPTORS = ("a1", "a2", "a3")
NOW = 10.0


def phase(watermark: Slot = 1, window: int = 4, quorum: Quorum | None = None, window_bytes: int = 1000) -> PhaseTwo:
    return PhaseTwo(quorum or Quorum.majority(dict.fromkeys(ACCEPTORS, 1)), watermark, window, window_bytes)


def test_values_go_into_slots_one_after_the_other_from_the_watermark_on() -> None:
    phase2 = phase(watermark=7)

    assert [phase2.propose(b"v", NOW) for _ in range(3)] == [7, 8, 9]
    assert phase2.in_flight == 3


def test_the_vote_that_completes_a_quorum_gives_the_value_and_no_later_one_does() -> None:
    phase2 = phase()
    phase2.propose(b"v", NOW)

    assert phase2.vote("a1", 1) is None
    assert phase2.vote("a3", 1) == b"v"
    assert phase2.vote("a2", 1) is None
    assert phase2.vote("a3", 1) is None
    assert phase2.in_flight == 0


def test_o04_the_window_is_full_when_its_bytes_are_and_one_value_always_has_room() -> None:
    phase2 = phase(window_bytes=1000)
    phase2.propose(bytes(600), NOW)
    phase2.propose(bytes(600), NOW)
    assert not phase2.has_room
    phase2.vote("a1", 2)
    phase2.vote("a2", 2)
    assert phase2.has_room
    phase2.propose(bytes(5000), NOW)
    for voter in ("a1", "a2"):
        phase2.vote(voter, 1)
        assert not phase2.has_room
        phase2.vote(voter, 3)

    assert phase2.has_room


def test_a_repeated_vote_counts_once() -> None:
    phase2 = phase()
    phase2.propose(b"v", NOW)

    assert [phase2.vote("a1", 1) for _ in range(3)] == [None, None, None]
    assert phase2.in_flight == 1


def test_votes_are_counted_for_their_own_slot() -> None:
    phase2 = phase()
    phase2.propose(b"one", NOW)
    phase2.propose(b"two", NOW)

    assert phase2.vote("a1", 1) is None
    assert phase2.vote("a2", 2) is None
    assert phase2.vote("a2", 1) == b"one"


def test_a_vote_in_a_slot_that_was_not_proposed_is_nothing() -> None:
    phase2 = phase()

    assert phase2.vote("a1", 1) is None
    assert phase2.vote("a2", 99) is None


def test_a_weighted_quorum_chooses_by_weight() -> None:
    phase2 = phase(quorum=Quorum.majority({"a1": 3, "a2": 1, "a3": 1}))
    phase2.propose(b"v", NOW)

    assert phase2.vote("a2", 1) is None
    assert phase2.vote("a3", 1) is None
    assert phase2.vote("a1", 1) == b"v"


def test_a_flexible_accept_quorum_chooses() -> None:
    phase2 = phase(quorum=Quorum(dict.fromkeys(ACCEPTORS, 1), prepare=3, accept=1))
    phase2.propose(b"v", NOW)

    assert phase2.vote("a3", 1) == b"v"


def test_the_watermark_waits_for_the_lowest_slot() -> None:
    phase2 = phase()
    for _ in range(3):
        phase2.propose(b"v", NOW)
    watermarks = []
    for slot in (3, 2, 1):
        phase2.vote("a1", slot)
        phase2.vote("a2", slot)
        watermarks.append(phase2.watermark)

    assert watermarks == [1, 1, 4]


def test_the_watermark_stops_at_a_gap() -> None:
    phase2 = phase()
    for _ in range(3):
        phase2.propose(b"v", NOW)
    for slot in (3, 1):
        phase2.vote("a1", slot)
        phase2.vote("a2", slot)

    assert phase2.watermark == 2


def test_nothing_is_proposed_beyond_the_window() -> None:
    phase2 = phase(window=2)
    phase2.propose(b"one", NOW)
    phase2.propose(b"two", NOW)
    assert not phase2.has_room
    with pytest.raises(InvariantBroken, match="slot 3 is beyond the window above 1"):
        phase2.propose(b"three", NOW)

    for voter in ("a1", "a2"):
        phase2.vote(voter, 2)  # chosen, but the watermark does not move
    assert not phase2.has_room
    for voter in ("a1", "a2"):
        phase2.vote(voter, 1)
    assert phase2.has_room
    assert phase2.propose(b"three", NOW) == 3


def test_what_is_overdue_keeps_its_value_and_its_voters_and_is_left_alone_for_another_while() -> None:
    phase2 = phase()
    phase2.propose(b"one", NOW)
    phase2.propose(b"two", NOW + 1)
    phase2.vote("a2", 1)

    assert list(phase2.overdue(NOW + 0.9, 1.0)) == []
    [(slot, proposal)] = phase2.overdue(NOW + 1.0, 1.0)
    assert (slot, proposal.value, proposal.voters) == (1, b"one", {"a2"})
    assert list(phase2.overdue(NOW + 1.9, 1.0)) == []
    assert [slot for slot, _ in phase2.overdue(NOW + 2.0, 1.0)] == [1, 2]
    assert list(phase2.overdue(NOW + 2.9, 1.0)) == []


def test_what_is_chosen_is_never_overdue() -> None:
    phase2 = phase()
    phase2.propose(b"one", NOW)
    phase2.vote("a1", 1)
    phase2.vote("a2", 1)

    assert list(phase2.overdue(NOW + 9, 1.0)) == []


@always_the_same
@given(st.lists(st.tuples(st.sampled_from(ACCEPTORS), st.integers(0, 7)), min_size=10, max_size=60))
def test_in_any_order_of_votes_each_slot_is_chosen_once_and_by_a_quorum(votes: list[tuple[NodeId, Slot]]) -> None:
    phase2 = phase(window=3)
    voters: dict[Slot, set[NodeId]] = {}
    chosen: list[Slot] = []
    for voter, slot in votes:
        while phase2.has_room:
            new = phase2.propose(b"%d" % phase2.next_slot, NOW)
            voters[new] = set()
        if slot in voters:
            voters[slot].add(voter)
        value = phase2.vote(voter, slot)
        if value is not None:
            assert value == b"%d" % slot
            chosen.append(slot)
        assert phase2.next_slot <= phase2.watermark + 3

    assert len(chosen) == len(set(chosen))
    assert set(chosen) == {slot for slot, known in voters.items() if len(known) >= 2}
    assert set(range(1, phase2.watermark)) <= set(chosen)
    assert phase2.watermark not in chosen
