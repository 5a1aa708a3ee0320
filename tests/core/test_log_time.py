"""Log time of one proposer, by itself; that leaders stamp with it is tried in `test_proposer_serving.py`."""

from __future__ import annotations

from paxosd.core.log_time import LogTime
from paxosd.core.types import Ballot, Vote
from paxosd.core.values import encode_value

FIRST, SECOND, THIRD = Ballot(1, "p1"), Ballot(2, "p1"), Ballot(3, "p2")


def test_a_reign_that_is_renewed_goes_on_where_it_was() -> None:
    log_time = LogTime()
    log_time.begin(FIRST, [], now=10.0)
    log_time.begin(SECOND, [Vote(1, FIRST, encode_value(1000))], now=15.0)

    assert (log_time.stamp(15.0), log_time.stamp(16.0)) == (5000, 6000)


def test_no_log_time_passes_between_the_end_of_a_reign_and_the_next_one() -> None:
    log_time = LogTime()
    log_time.begin(FIRST, [], now=10.0)
    log_time.end(now=12.0)
    log_time.begin(SECOND, [], now=60.0)

    assert log_time.stamp(60.0) == 2000


def test_a_reign_begins_with_less_where_a_later_one_than_ours_did() -> None:
    log_time = LogTime()
    log_time.begin(FIRST, [], now=0.0)
    log_time.end(now=50.0)
    log_time.begin(Ballot(4, "p1"), [Vote(1, THIRD, encode_value(7))], now=60.0)

    assert log_time.stamp(60.0) == 7
