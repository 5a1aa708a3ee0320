"""Gaps: what a gateway knows to be missing before the log does."""

from __future__ import annotations

import pytest

from paxosd.gateway import gaps as module
from paxosd.gateway.gaps import Gaps
from tests.core.helpers import session_id

ONE, OTHER, THIRD = (session_id(number) for number in (1, 2, 3))


def test_what_follows_what_was_forwarded_goes_on_and_what_skips_something_does_not() -> None:
    gaps = Gaps()
    gaps.forwarded(ONE, 1, 4)

    assert gaps.expected(ONE, acknowledged=1, first_seq=5, next_seq=1) == 0
    assert gaps.expected(ONE, acknowledged=1, first_seq=6, next_seq=1) == 5
    assert gaps.expected(ONE, acknowledged=1, first_seq=2, next_seq=1) == 0


def test_what_the_log_has_or_the_client_knows_the_result_of_is_not_missing() -> None:
    gaps = Gaps()

    assert gaps.expected(ONE, acknowledged=1, first_seq=9, next_seq=9) == 0
    assert gaps.expected(ONE, acknowledged=9, first_seq=9, next_seq=3) == 0
    assert gaps.expected(ONE, acknowledged=7, first_seq=9, next_seq=3) == 7


def test_after_a_refusal_or_a_gap_in_the_log_everything_is_awaited_from_there_on() -> None:
    gaps = Gaps()
    gaps.forwarded(ONE, 1, 10)
    gaps.missing(ONE, 4)
    gaps.missing(ONE, 6)
    assert gaps.expected(ONE, 1, 11, 1) == 4
    gaps.forwarded(ONE, 4, 3)

    assert gaps.expected(ONE, 1, 7, 1) == 0
    assert gaps.expected(ONE, 1, 11, 1) == 7


def test_sessions_do_not_mix() -> None:
    gaps = Gaps()
    gaps.forwarded(ONE, 1, 10)
    gaps.missing(OTHER, 1)

    assert gaps.expected(OTHER, 1, 5, 1) == 1
    assert gaps.expected(ONE, 1, 11, 1) == 0


def test_nothing_is_told_of_a_session_that_may_have_been_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SESSIONS_MAX", 2)
    gaps = Gaps()
    for session in (ONE, OTHER, ONE, THIRD):
        gaps.forwarded(session, 1, 4)

    assert len(gaps._stop) == 2
    assert gaps.expected(OTHER, 1, 9, 1) == 0
    assert gaps.expected(ONE, 1, 9, 1) == 5


def test_when_another_one_leads_what_the_log_does_not_have_has_to_come_again() -> None:
    gaps = Gaps()
    gaps.forwarded(ONE, 1, 10)
    gaps.forwarded(OTHER, 1, 4)
    gaps.forwarded(THIRD, 1, 1)
    log_has = {ONE: 7, OTHER: 5, THIRD: 0}

    assert gaps.lacking(log_has.__getitem__) == [(ONE, 7)]
    assert gaps.lacking(log_has.__getitem__) == []
    assert gaps.expected(ONE, 1, 11, 7) == 7
    assert gaps.expected(OTHER, 1, 5, 5) == 0


def test_only_those_sessions_are_told_that_were_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LACKING_MAX", 2)
    gaps = Gaps()
    for session in (ONE, OTHER, THIRD):
        gaps.forwarded(session, 1, 4)

    assert gaps.lacking(lambda session: 1) == [(THIRD, 1), (OTHER, 1)]
