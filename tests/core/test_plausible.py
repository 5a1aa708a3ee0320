"""Ceilings: a claim within reach is taken, one beyond is not, and nobody honest is locked out for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.plausible import (
    RISE_EVERY_S,
    ROUND_MAX,
    ROUND_REACH,
    SLOT_MAX,
    VOTES_ABOVE_WATERMARK_MAX,
    Ceiling,
    believed_watermark,
)
from tests.core.helpers import always_the_same

HOUR_S = 3600


def ceiling(known: int = 0) -> Ceiling:
    made = Ceiling(ROUND_REACH, ROUND_MAX)
    made.know(known)
    return made


def test_what_honest_nodes_do_never_meets_a_ceiling() -> None:
    rounds, claimed = ceiling(), 0
    for second in range(HOUR_S):
        claimed += ROUND_REACH
        assert rounds.admits(claimed, float(second))


def test_one_claim_of_the_largest_number_is_refused_and_what_comes_after_it_is_taken() -> None:
    rounds = ceiling(known=7)

    assert not rounds.admits(2**63 - 1, 0.0)
    assert rounds.admits(8, 0.0)


@given(st.integers(0, ROUND_MAX), st.lists(st.integers(0, 2**63 - 1), min_size=100, max_size=300))
@always_the_same
def test_in_a_second_claims_lift_a_ceiling_by_one_reach_however_many_they_are(known: int, claims: list[int]) -> None:
    rounds = ceiling(known)
    for claim in claims:
        rounds.admits(claim, 5.0)

    reach = max(ROUND_REACH, known)
    assert not rounds.admits(known + 2 * reach + 1, 5.0 + RISE_EVERY_S / 2)


def test_who_missed_less_than_half_of_a_long_life_follows_at_once() -> None:
    assert ceiling(known=100 * ROUND_REACH).admits(200 * ROUND_REACH, 0.0)


@given(st.integers(1, 1000))
@always_the_same
def test_who_was_down_while_others_rose_n_steps_follows_within_n_seconds(steps: int) -> None:
    rounds, now, claimed = ceiling(), 0.0, steps * ROUND_REACH
    while not rounds.admits(claimed, now):
        now += 0.1  # it hears it with every heartbeat

    assert now <= steps * (RISE_EVERY_S + 0.1)


def test_an_hour_of_lies_comes_nowhere_near_the_end_and_is_followed_within_an_hour() -> None:
    attacked, lied = ceiling(), 0
    for second in range(HOUR_S):
        for _ in range(3):
            lied += ROUND_REACH if attacked.admits(lied + ROUND_REACH, float(second)) else 0

    assert lied < ROUND_MAX // 100_000
    behind, now = ceiling(), 0.0
    while not behind.admits(lied + 1, now):
        now += RISE_EVERY_S
    assert now <= HOUR_S + 1


def test_nothing_above_the_end_is_taken_even_where_the_own_disk_holds_more() -> None:
    rounds = ceiling(known=2**63 - 1)

    assert rounds.admits(ROUND_MAX, 0.0)
    assert not any(rounds.admits(2**63 - 1, second) for second in range(10))


@pytest.mark.parametrize(
    ("told", "last_vote", "believed"),
    [
        (9, 12, 9),
        (SLOT_MAX, 0, SLOT_MAX),
        (2**63 - 1, 0, 1),
        (2**63 - 1, 70, 1),
        (SLOT_MAX + 1, 100_000, 100_001 - VOTES_ABOVE_WATERMARK_MAX),
    ],
)
def test_a_watermark_on_disk_that_cannot_be_true_is_replaced_by_what_the_last_vote_proves(
    told: int, last_vote: int, believed: int
) -> None:
    assert believed_watermark(told, last_vote) == believed
