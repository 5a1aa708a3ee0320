"""The intake: commands keep their order, fit into values and bounds, and each sending of a batch waits once."""

from __future__ import annotations

import tracemalloc
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.intake import HELD_BYTES, Intake
from paxosd.core.messages import Forward
from paxosd.core.reasons import Reason
from paxosd.core.values import BATCH_BYTES, Batch
from tests.core.helpers import NOON as NOW
from tests.core.helpers import always_the_same, session_id


def forward(first_seq: int, size: int = 10, session: int = 1, attempt: int = 1, count: int = 1) -> Forward:
    return Forward(session_id(session), attempt, first_seq, first_seq, count, bytes(size))


def batch(made: Forward) -> Batch:
    return Batch(made.session, made.acknowledged, made.first_seq, made.count, made.body)


def test_batches_leave_in_the_order_they_came() -> None:
    intake = Intake(100_000, 1000)
    made = [forward(2), forward(1), forward(1, session=9)]
    assert not intake
    for one in made:
        assert intake.add("l1", one, NOW) is None
    assert intake

    assert intake.take(1, NOW) == [batch(one) for one in made]
    assert not intake


def test_a_value_is_filled_up_to_its_cap() -> None:
    room_for_two = 2 * (10 + BATCH_BYTES)
    intake = Intake(100_000, room_for_two)
    for seq in (1, 2, 3):
        intake.add("l1", forward(seq), NOW)

    assert [[one.first_seq for one in intake.take(slot, NOW)] for slot in (1, 2)] == [[1, 2], [3]]


def test_a_batch_that_is_larger_than_the_cap_gets_its_own_slot() -> None:
    intake = Intake(100_000, 100)
    for seq, size in ((1, 10), (2, 200), (3, 10)):
        intake.add("l1", forward(seq, size), NOW)

    assert [[one.first_seq for one in intake.take(slot, NOW)] for slot in (1, 2, 3)] == [[1], [2], [3]]


def test_o01_what_does_not_fit_is_refused_and_room_comes_back_when_something_leaves() -> None:
    intake = Intake(100 + HELD_BYTES, 1000)
    for seq in range(1, 20):
        assert intake.add("l1", forward(seq, 60), NOW) is None
        assert intake.add("l1", forward(99, 60), NOW) is Reason.OVERLOADED
        assert [one.first_seq for one in intake.take(seq, NOW)] == [seq]


def test_a_batch_that_is_larger_than_all_room_is_taken_when_nothing_else_waits() -> None:
    intake = Intake(100, 1000)
    assert intake.add("l1", forward(1, 500), NOW) is None  # it would be refused for ever otherwise
    assert intake.add("l1", forward(2, 1), NOW) is Reason.OVERLOADED
    intake.take(1, NOW)

    assert intake.add("l1", forward(2, 1), NOW) is None


def test_o01_tiny_batches_count_for_what_they_cost() -> None:
    intake = Intake(1 << 20, 1000)
    seq = 1
    tracemalloc.start()
    try:
        session = session_id(1)
        while intake.add("l1", Forward(session, 10_000 + seq, 10_000 + seq, 10_000 + seq, 1, bytes(5)), NOW) is None:
            seq += 1
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held <= 1.5 * (1 << 20)


def test_a_gateway_that_forwards_without_end_does_not_take_the_room_of_others() -> None:
    intake = Intake(100_000, 1000)
    seq = 1
    while intake.add("greedy", forward(seq, 600), NOW) is None:
        seq += 1
    for turn in range(100):
        assert intake.add("quiet", forward(turn + 1, 600, session=2), NOW) is None
        for _ in range(2):
            intake.take(turn, NOW)
            intake.add("greedy", forward(seq, 600), NOW)
            seq += 1


def test_room_comes_back_when_everything_is_dropped() -> None:
    intake = Intake(100 + HELD_BYTES, 1000)
    intake.add("l1", forward(1, 60), NOW)
    intake.drop_all()

    assert intake.add("l1", forward(2, 60), NOW) is None


def test_a_batch_that_waits_or_is_in_flight_is_not_taken_again_until_it_is_chosen() -> None:
    intake = Intake(100_000, 1000)
    assert intake.add("l1", forward(1), NOW) is None
    assert intake.add("l1", forward(1, attempt=2), NOW) is None
    assert [one.first_seq for one in intake.take(5, NOW)] == [1]
    assert intake.add("l1", forward(1, attempt=3), NOW) is None
    assert not intake

    intake.chosen(4)  # another slot
    assert intake.add("l1", forward(1, attempt=4), NOW) is None
    assert not intake
    intake.chosen(5)
    assert intake.add("l1", forward(1, attempt=5), NOW) is None
    assert intake


@pytest.mark.parametrize("other", [forward(2), forward(1, session=2), forward(1, count=2)])
def test_only_the_same_numbers_of_the_same_session_are_a_repetition(other: Forward) -> None:
    intake = Intake(100_000, 1000)
    intake.add("l1", forward(1), NOW)
    intake.add("l1", other, NOW)

    assert intake.take(1, NOW) == [batch(forward(1)), batch(other)]


def test_a_withdrawal_is_not_taken_for_a_repetition_of_what_it_withdraws() -> None:
    intake = Intake(100_000, 1000)
    intake.add("l1", forward(1), NOW)
    intake.add("l1", forward(1, size=0, attempt=2), NOW)

    assert [one.body for one in intake.take(1, NOW)] == [bytes(10), b""]


def test_a_wish_for_a_session_that_is_repeated_is_one_wish() -> None:
    intake = Intake(100_000, 1000)
    intake.add("l1", forward(0, size=0), NOW)
    intake.add("l1", forward(0, size=0, attempt=2), NOW)

    assert len(intake.take(1, NOW)) == 1


def test_what_is_dropped_comes_back_with_its_gateway_and_can_come_in_again() -> None:
    intake = Intake(100_000, 1000)
    intake.add("l1", forward(1), NOW)
    intake.take(1, NOW)
    intake.add("l1", forward(2), NOW)
    intake.add("l2", forward(3), NOW)

    assert intake.drop_all() == [("l1", forward(2)), ("l2", forward(3))]
    assert not intake
    for seq in (1, 2, 3):
        intake.add("l1", forward(seq), NOW)
    assert [one.first_seq for one in intake.take(1, NOW)] == [1, 2, 3]


sizes = st.integers(0, 60)
steps = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 6), sizes), st.tuples(st.just("take"), st.just(0), st.just(0))
)


@always_the_same
@given(st.lists(steps, max_size=40))
def test_whatever_comes_leaves_in_order_within_the_bounds(script: list[tuple[str, int, int]]) -> None:
    room = 3 * HELD_BYTES + 150
    intake = Intake(room, 120)
    waiting: deque[Forward] = deque()
    in_flight: set[int] = set()
    slot = 0
    for verb, seq, size in script:
        if verb == "add":
            answer = intake.add("l1", forward(seq, size), NOW)
            known = seq in in_flight or any(one.first_seq == seq for one in waiting)
            if answer is None and (not known or not size):
                waiting.append(forward(seq, size))
            assert answer in (None, Reason.OVERLOADED)
        elif waiting:
            slot += 1
            taken = intake.take(slot, NOW)
            assert taken == [batch(waiting.popleft()) for _ in taken]
            assert taken
            assert len(taken) == 1 or sum(len(one.body) + BATCH_BYTES for one in taken) <= 120
            in_flight |= {one.first_seq for one in taken}
        assert bool(intake) == bool(waiting)
        assert len(waiting) == 1 or sum(len(one.body) + HELD_BYTES for one in waiting) <= room
