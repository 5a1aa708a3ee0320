"""The check that all chaos tests end with must itself find every broken promise."""

from __future__ import annotations

import pytest

from paxosd.core.types import Entry
from tests.system.chaos import Reading, check_silences
from tests.system.load import Attempt, check, from_json, longest_gap_s, to_json

A = Attempt(b"a", 1.0, 2.0, "acked", 1, 5)
B = Attempt(b"b", 1.5, 3.0, "acked", 2, 5)
C = Attempt(b"c", 4.0, 5.0, "acked", 3, 6)
HISTORY = [A, B, C]
LOG = [Entry(1, 5, b"a"), Entry(2, 5, b"b"), Entry(3, 6, b"c")]


def test_a_log_with_every_acknowledged_value_once_and_in_order_passes() -> None:
    check(HISTORY, LOG)


def test_an_unknown_value_may_be_in_the_log_or_not() -> None:
    unknown = Attempt(b"u", 3.5, 4.5, "unknown", error="ProposeTimeout")

    check([*HISTORY, unknown], LOG)
    check([*HISTORY, unknown], [*LOG, Entry(4, 9, b"u")])


BROKEN = {
    "not in the log": (HISTORY, LOG[:2]),
    "more than once": (HISTORY, [*LOG, Entry(4, 7, b"a")]),
    "never proposed": (HISTORY, [*LOG, Entry(4, 7, b"x")]),
    "though the client was told": ([A, B, C._replace(outcome="not_applied", revision=0, slot=0)], LOG),
    "at another place": ([A._replace(revision=2), B._replace(revision=1), C], LOG),
    "do not count": (HISTORY, [LOG[0], LOG[1], Entry(4, 6, b"c")]),
    "slots go back": ([A, B, C._replace(slot=4)], [*LOG[:2], Entry(3, 4, b"c")]),
    "proposed twice": ([*HISTORY, A], LOG),
    "acknowledged before": ([A._replace(started_s=3.5, ended_s=3.6), B, C], LOG),
}


@pytest.mark.parametrize("complaint", BROKEN)
def test_a_broken_promise_is_found(complaint: str) -> None:
    history, log = BROKEN[complaint]

    with pytest.raises(AssertionError, match=complaint):
        check(history, log)


def test_an_unknown_value_that_comes_before_what_was_acknowledged_before_it_started_is_found() -> None:
    late = Attempt(b"u", 9.0, 9.5, "unknown")

    with pytest.raises(AssertionError, match="acknowledged before"):
        check([A._replace(revision=2), late], [Entry(1, 5, b"u"), Entry(2, 5, b"a")])


def test_the_longest_gap_is_between_acknowledgements_only() -> None:
    silent = Attempt(b"u", 2.0, 3.9, "unknown")

    assert longest_gap_s([C, silent, A, B]) == 2.0
    assert longest_gap_s([A]) == 0.0


def test_an_attempt_survives_its_way_through_json() -> None:
    unknown = Attempt("ü".encode(), 1.25, 2.5, "unknown", error="ProposeTimeout")

    assert [from_json(to_json(attempt)) for attempt in (A, unknown)] == [A, unknown]


def test_whoever_is_served_while_there_is_no_quorum_is_found() -> None:
    refused = Attempt(b"r", 3.1, 3.9, "not_applied", error="NoQuorum")
    served = Reading("reader", 1, 3.2, 3.5, ())

    check_silences([*HISTORY, refused], [(3.0, 4.0)])
    with pytest.raises(AssertionError, match="served without a quorum"):
        check_silences([*HISTORY, refused, served], [(3.0, 4.0)])


def test_nobody_being_told_that_there_is_no_quorum_is_found() -> None:
    with pytest.raises(AssertionError, match="no call began and ended"):
        check_silences(HISTORY, [(3.1, 3.9)])
