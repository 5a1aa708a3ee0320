"""The order of ballots, on which everything rests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.types import NO_BALLOT, Ballot
from tests.core.helpers import always_the_same

ballots = st.builds(Ballot, st.integers(1, 5), st.sampled_from(["p1", "p2", "p10"]))


@always_the_same
@given(ballots, ballots)
def test_ballots_are_ordered_by_round_and_then_by_proposer(one: Ballot, other: Ballot) -> None:
    if one.round != other.round:
        assert (one < other) == (one.round < other.round)
    else:
        assert (one < other) == (one.proposer < other.proposer)


@always_the_same
@given(ballots, ballots)
def test_two_proposers_never_have_the_same_ballot(one: Ballot, other: Ballot) -> None:
    assert one.proposer == other.proposer or one != other
    assert (one < other) + (one == other) + (one > other) == 1


@always_the_same
@given(ballots)
def test_no_ballot_is_below_every_ballot(ballot: Ballot) -> None:
    assert ballot > NO_BALLOT
    assert not ballot < NO_BALLOT


def test_a_ballot_reads_as_round_and_proposer() -> None:
    assert (str(Ballot(7, "p1")), str(NO_BALLOT)) == ("7.p1", "0.-")
