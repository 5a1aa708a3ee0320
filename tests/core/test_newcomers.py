"""What a node that has a history takes from one that speaks without any."""

from __future__ import annotations

from paxosd.core.messages import Prepare, PreVote, PreVoteReply
from paxosd.core.newcomers import may_say
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot
from paxosd.core.voters import NO_VOTERS
from paxosd.wire.numbers import FROM_PEER, NUMBERS
from tests.core.helpers import TIMING, born, membership, proposer

TAKEN = "Fetch FetchSnapshot FetchVotes Nack Outlived Ping Pong PreVoteReply Recall"
B1 = Ballot(1, "p1")


def test_a_newcomer_may_ask_and_may_say_how_it_is_and_nothing_else() -> None:
    kinds = [kind for number, kind in NUMBERS.items() if number in FROM_PEER and kind not in (Prepare, PreVote)]
    taken = {kind.__name__ for kind in kinds if may_say(object.__new__(kind))}

    assert taken == set(TAKEN.split())


def test_a_ballot_that_names_no_voters_is_a_question_and_one_that_names_some_is_not() -> None:
    for voters, is_question in ((NO_VOTERS, True), (born(membership()), False)):
        assert may_say(Prepare(B1, FIRST_SLOT, voters)) == is_question
        assert may_say(PreVote(B1, voters)) == is_question


def test_a_proposer_takes_no_watermark_from_an_acceptor_without_a_history() -> None:
    stage = proposer()
    stage.speaks_of_disks = True
    stage.wait(2 * TIMING.election_s)
    wish = stage.take(PreVote)[-1][1].ballot
    stage.deliver("a1", PreVoteReply(wish, True, NO_BALLOT, 50, 77, NO_VOTERS))
    without = stage.agent.watermark
    stage.deliver("a2", PreVoteReply(wish, True, NO_BALLOT, 50, 78, stage.voters))

    assert without < 50 == stage.agent.watermark
    stage.set_aside()
