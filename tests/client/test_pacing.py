"""How much of a client is under way: all, until it is refused; then as much as it gets through."""

from __future__ import annotations

from random import Random

import pytest

from paxosd.client.pacing import (
    GAP_MAX_S,
    OVERLOADED_BACKOFF_MAX_S,
    SERVED_MOST_S,
    SHARE_FIRST_BYTES,
    SHARE_LEAST_BYTES,
    SHARE_MOST_BYTES,
    SLOW_S,
    Pacing,
)
from paxosd.core.reasons import Reason

QUICK_S = 0.01


def pacing() -> Pacing:
    return Pacing(Random(1))


def refuse(paced: Pacing, times: int = 1) -> None:
    """It is refused so often, each time at the end of its back-off."""
    for _ in range(times):
        paced.refused(Reason.OVERLOADED, paced.not_before)


def test_without_refusals_the_share_doubles_up_to_everything() -> None:
    paced = pacing()
    paced.applied(SHARE_FIRST_BYTES, QUICK_S, now=0.0)
    assert paced.share_bytes == 2 * SHARE_FIRST_BYTES

    for _ in range(20):
        paced.applied(paced.share_bytes, QUICK_S, now=0.0)
    assert paced.share_bytes == SHARE_MOST_BYTES


def test_a_refusal_halves_the_share_and_many_of_one_moment_are_one() -> None:
    paced = pacing()
    for _ in range(10):
        paced.refused(Reason.OVERLOADED, now=1.0)

    assert paced.share_bytes == SHARE_FIRST_BYTES // 2
    assert 1.0 < paced.not_before <= 1.02


def test_however_often_it_is_refused_something_may_be_under_way_and_it_waits_a_second_at_most() -> None:
    paced = pacing()
    refuse(paced, 50)
    last = paced.not_before
    refuse(paced)

    assert paced.share_bytes == SHARE_LEAST_BYTES
    assert OVERLOADED_BACKOFF_MAX_S / 2 <= paced.not_before - last <= OVERLOADED_BACKOFF_MAX_S


def test_clients_with_unlike_shares_come_to_have_alike_ones() -> None:
    big, small = pacing(), pacing()
    refuse(big)
    refuse(small, 6)
    for _ in range(100):  # each share is applied, and then the sum was too much
        for paced in (big, small):
            paced.applied(paced.share_bytes, QUICK_S, now=0.0)
        if big.share_bytes + small.share_bytes > SHARE_FIRST_BYTES:
            for paced in (big, small):
                refuse(paced)

    assert big.share_bytes < 1.2 * small.share_bytes


def test_a_result_that_took_long_counts_like_a_refusal_once_for_all_that_was_under_way() -> None:
    paced = pacing()
    paced.applied(0, QUICK_S, now=0.0)
    for now in (1.0, 1.1, 1.2):
        paced.applied(1000, 3 * SLOW_S, now)
    assert paced.share_bytes == SHARE_FIRST_BYTES // 2

    paced.applied(1000, 3 * SLOW_S, now=1.0 + 3 * SLOW_S)
    assert paced.share_bytes == SHARE_FIRST_BYTES // 4


def test_a_path_that_is_slow_by_itself_is_not_taken_for_a_queue() -> None:
    paced = pacing()
    for number in range(300):
        paced.applied(paced.share_bytes, 1.0, now=float(number))

    assert paced.share_bytes > SHARE_FIRST_BYTES


def test_whether_there_is_time_is_told_by_what_others_took() -> None:
    paced = pacing()
    assert not paced.has_time(deadline=0.4, now=0.0)
    assert paced.has_time(deadline=0.6, now=0.0)
    for _ in range(10):
        paced.applied(1000, 0.9, now=0.0)

    assert not paced.has_time(deadline=1.5, now=0.0)
    assert paced.has_time(deadline=SERVED_MOST_S, now=0.0)


def test_the_first_gap_is_answered_at_once_and_those_behind_it_tell_nothing_new() -> None:
    paced = pacing()
    assert paced.is_new_gap(1.0)
    paced.go_back(1.0)

    assert paced.not_before <= 1.0
    assert [paced.is_new_gap(now) for now in (1.0, 1.05, 1.2)] == [False, False, True]


def test_gaps_in_a_row_are_answered_less_and_less_often_until_something_is_applied() -> None:
    paced, now = pacing(), 1.0
    waits = []
    for _ in range(8):
        paced.go_back(now)
        waits.append(max(0.0, paced.not_before - now))
        now = max(now, paced.not_before)
    paced.applied(1000, 0.01, now)
    paced.go_back(now + GAP_MAX_S)

    assert waits[0] == 0.0
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(GAP_MAX_S)
    assert paced.not_before <= now + GAP_MAX_S


def test_while_nobody_leads_a_client_waits_a_tenth_of_that_time_and_no_longer() -> None:
    pacing, now = Pacing(Random(1)), 100.0
    for _ in range(40):
        pacing.refused(Reason.NO_LEADER, now)
        waits_s = pacing.not_before - now
        assert 0.01 <= waits_s <= max(0.02, 0.02 + 0.14 * (now - 100.0))
        now = pacing.not_before
    assert 0.15 <= waits_s <= 0.3
