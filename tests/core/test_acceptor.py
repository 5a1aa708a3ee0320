"""The acceptor: what it promises, what it votes for, what it tells, and what of all that a restart leaves."""

from __future__ import annotations

import pytest

from paxosd.core.acceptor import Acceptor
from paxosd.core.agent import InvariantBroken
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Heartbeat,
    HeartbeatReply,
    Nack,
    Prepare,
    PreVote,
    PreVoteReply,
    Resign,
    Watermark,
)
from paxosd.core.records import Promised, Told, Voted
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, Slot
from tests.core.helpers import LIMITS, REPLICAS, TIMING, Stage, acceptor, heartbeat, promise

B3 = Ballot(3, "p1")
B4 = Ballot(4, "p2")
B5 = Ballot(5, "p1")


def accept(ballot: Ballot, slot: Slot, value: bytes = b"v", watermark: Slot = FIRST_SLOT) -> Accept:
    return Accept(ballot, slot, value, watermark)


def vote(stage: Stage[Acceptor], ballot: Ballot, *slots: Slot, value: bytes = b"v") -> None:
    """It votes for this value in these slots, and nobody looks."""
    stage.deliver(ballot.proposer, *(accept(ballot, slot, value, slot) for slot in slots))
    stage.set_aside()


# ---- promises --------------------------------------------------------------------------------


def test_a_first_prepare_is_promised_after_the_promise_is_on_disk() -> None:
    stage = acceptor()
    stage.deliver("p1", Prepare(B3, 1))

    stage.expect_recorded(Promised(B3))
    stage.expect_sent("p1", promise(B3), early=False)


def test_a_lower_prepare_is_refused_with_the_promise_that_stands() -> None:
    stage = acceptor(records=[Promised(B4)])
    stage.deliver("p1", Prepare(B3, 1))

    stage.expect_sent("p1", Nack(B3, B4))


def test_an_equal_prepare_is_the_same_proposer_asking_again_and_changes_nothing() -> None:
    stage = acceptor(records=[Promised(B3)])
    stage.deliver("p1", Prepare(B3, 1))
    stage.deliver("p1", Prepare(B3, 1))

    stage.expect_sent("p1", promise(B3), promise(B3))


def test_the_same_round_is_never_promised_to_two_owners() -> None:
    stage = acceptor(records=[Promised(Ballot(4, "p2"))])
    stage.deliver("p1", Prepare(Ballot(4, "p1"), 1))

    stage.expect_sent("p1", Nack(Ballot(4, "p1"), Ballot(4, "p2")))


def test_a_prepare_in_another_name_is_ignored() -> None:
    stage = acceptor()
    stage.deliver("p2", Prepare(B3, 1))

    stage.expect_silence()
    stage.expect_ignored("prepare of a foreign ballot")


def test_c03_a_promise_outlives_the_process() -> None:
    stage = acceptor()
    stage.deliver("p2", Prepare(B4, 1))
    stage.set_aside()
    stage.restart()
    stage.deliver("p1", Prepare(B3, 1), accept(B3, 1))

    stage.expect_sent("p1", Nack(B3, B4), Nack(B3, B4))


def test_c01_what_was_not_committed_was_not_told_and_is_forgotten() -> None:
    stage = acceptor()
    stage.crash_before_commit("p2", Prepare(B4, 1), accept(B4, 1, b"w"))
    stage.expect_silence()

    stage.deliver("p1", Prepare(B3, 1))
    stage.expect_sent("p1", promise(B3))
    stage.expect_recorded(Promised(B3))


# ---- votes -----------------------------------------------------------------------------------


def test_a_vote_is_told_after_it_is_on_disk() -> None:
    stage = acceptor(records=[Promised(B3)])
    stage.deliver("p1", accept(B3, 1))

    stage.expect_recorded(Voted(1, B3, b"v"))
    stage.expect_sent("p1", Accepted(B3, 1), early=False)


def test_an_accept_of_the_promised_ballot_is_voted_for_and_one_below_is_refused() -> None:
    stage = acceptor(records=[Promised(B4)])
    stage.deliver("p1", accept(B3, 1))
    stage.expect_sent("p1", Nack(B3, B4))
    stage.deliver("p2", accept(B4, 1))
    stage.expect_sent("p2", Accepted(B4, 1))
    stage.expect_recorded(Voted(1, B4, b"v"))


def test_a_vote_above_the_promise_raises_the_promise() -> None:
    stage = acceptor(records=[Promised(B3)])
    stage.deliver("p1", accept(B5, 1))
    stage.expect_recorded(Promised(B5), Voted(1, B5, b"v"))
    stage.expect_sent("p1", Accepted(B5, 1))

    stage.deliver("p2", Prepare(B4, 1), accept(B4, 2))
    stage.expect_sent("p2", Nack(B4, B5), Nack(B4, B5))


def test_a_promise_that_a_vote_raised_outlives_the_process() -> None:
    stage = acceptor()
    vote(stage, B5, 1)
    stage.restart()
    stage.deliver("p2", accept(B4, 1, b"w"))

    stage.expect_sent("p2", Nack(B4, B5))


def test_an_accept_that_comes_twice_is_answered_twice_and_recorded_once() -> None:
    stage = acceptor()
    stage.deliver("p1", accept(B3, 1), accept(B3, 1))

    stage.expect_recorded(Promised(B3), Voted(1, B3, b"v"))
    stage.expect_sent("p1", Accepted(B3, 1), Accepted(B3, 1))


def test_c02_after_a_restart_an_accept_is_answered_from_disk_without_a_second_record() -> None:
    stage = acceptor()
    vote(stage, B3, 1)
    stage.restart()
    stage.deliver("p1", accept(B3, 1))

    stage.expect_recorded()
    stage.expect_sent("p1", Accepted(B3, 1))


def test_c02_a_vote_below_the_watermark_is_known_after_a_restart_too() -> None:
    stage = acceptor()
    vote(stage, B3, 1, 2, 3)  # the third Accept tells that the first two slots are chosen
    stage.restart()
    stage.deliver("p1", accept(B3, 1, watermark=3), accept(B3, 1, b"another", 3))

    stage.expect_recorded()
    stage.expect_sent("p1", Accepted(B3, 1))
    stage.expect_ignored("accept against an own vote")


def test_another_value_in_the_same_ballot_and_slot_is_never_voted_for() -> None:
    stage = acceptor()
    vote(stage, B3, 1)
    stage.deliver("p1", accept(B3, 1, b"another"))

    stage.expect_silence()
    stage.expect_recorded()
    stage.expect_ignored("accept against an own vote")


def test_a_higher_ballot_replaces_the_vote() -> None:
    stage = acceptor()
    vote(stage, B3, 1)
    stage.deliver("p2", accept(B4, 1, b"another"))

    stage.expect_recorded(Promised(B4), Voted(1, B4, b"another"))
    stage.expect_sent("p2", Accepted(B4, 1))


def test_an_accept_in_another_name_is_ignored() -> None:
    stage = acceptor()
    stage.deliver("p2", accept(B3, 1))

    stage.expect_silence()
    stage.expect_ignored("message of a foreign ballot")


def test_an_accept_beyond_the_window_is_ignored() -> None:
    stage = acceptor()
    stage.deliver("p1", accept(B3, LIMITS.window_slots_max + 1))
    stage.expect_silence()
    stage.expect_ignored("accept beyond the window")

    stage.deliver("p1", accept(B3, LIMITS.window_slots_max))
    stage.expect_sent("p1", Accepted(B3, LIMITS.window_slots_max))
    stage.set_aside()


def test_a_vote_above_the_promise_on_disk_is_a_broken_invariant() -> None:
    with pytest.raises(InvariantBroken, match="slot 1"):
        acceptor(records=[Promised(B3), Voted(1, B4, b"v")])


# ---- pre-votes -------------------------------------------------------------------------------


def test_a_pre_vote_is_granted_above_the_promise_only_and_changes_nothing() -> None:
    stage = acceptor(records=[Promised(B4), Told(7)])
    for ballot in (B3, B4, B5):
        stage.deliver(ballot.proposer, PreVote(ballot))

    stage.expect_sent("p1", PreVoteReply(B3, False, B4, 7))
    stage.expect_sent("p2", PreVoteReply(B4, False, B4, 7))
    stage.expect_sent("p1", PreVoteReply(B5, True, B4, 7))
    stage.expect_recorded()
    assert stage.agent.promised == B4


@pytest.mark.parametrize(("silence", "granted"), [(0.89, False), (0.91, True)])
def test_n04_a_pre_vote_is_refused_while_another_leader_is_heard(silence: float, granted: bool) -> None:
    """Who canvasses after an election timeout heard no Accept: what it heard last may be older by a heartbeat, 0.1."""
    stage = acceptor()
    stage.deliver("p1", accept(B3, 1))
    stage.set_aside()
    stage.wait(TIMING.election_s * silence)
    stage.deliver("p2", PreVote(B4))

    assert stage.take_one(PreVoteReply).granted is granted


def test_a_pre_vote_of_the_leader_that_is_heard_is_granted() -> None:
    stage = acceptor()
    stage.deliver("p1", heartbeat(B3))
    stage.set_aside()
    stage.deliver("p1", PreVote(B5))

    stage.expect_sent("p1", PreVoteReply(B5, True, NO_BALLOT, 1))


@pytest.mark.parametrize(
    "word", [Prepare(B3, 1), accept(B3, 1), heartbeat(B3), Watermark(B3, 1)], ids=lambda word: type(word).__name__
)
def test_every_word_of_a_leader_is_heard(word: Prepare | Accept | Heartbeat | Watermark) -> None:
    stage = acceptor()
    stage.deliver("p1", word)
    stage.set_aside()
    stage.deliver("p2", PreVote(B4))

    assert stage.take_one(PreVoteReply).granted is False


def test_a_refused_word_is_not_one_of_a_leader() -> None:
    stage = acceptor(records=[Promised(B4)])
    stage.deliver("p1", Prepare(B3, 1), accept(B3, 1), heartbeat(B3), Watermark(B3, 1))
    stage.expect_sent("p1", *[Nack(B3, B4)] * 4)
    stage.deliver("p2", PreVote(Ballot(9, "p2")))

    assert stage.take_one(PreVoteReply).granted is True


def test_u15_after_a_resignation_a_pre_vote_is_granted_at_once() -> None:
    stage = acceptor()
    stage.deliver("p1", heartbeat(B3), Resign(B3))
    stage.set_aside()
    stage.deliver("p2", PreVote(B4))

    assert stage.take_one(PreVoteReply).granted is True


@pytest.mark.parametrize(("source", "ballot"), [("p2", B3), ("p2", B4), ("p1", B4)])
def test_only_the_leader_that_is_heard_can_resign(source: str, ballot: Ballot) -> None:
    stage = acceptor()
    stage.deliver("p1", heartbeat(B3))
    stage.deliver(source, Resign(ballot))
    stage.set_aside()
    stage.deliver("p2", PreVote(B4))

    assert stage.take_one(PreVoteReply).granted is False


# ---- the leader's word -----------------------------------------------------------------------


def test_a_heartbeat_is_answered_with_its_own_number_before_the_commit() -> None:
    stage = acceptor(records=[Promised(B3)])
    stage.deliver("p1", heartbeat(B3, sequence=8), heartbeat(B5, sequence=2))

    stage.expect_sent("p1", HeartbeatReply(B3, 8), HeartbeatReply(B5, 2), early=True)
    assert stage.agent.promised == B3  # hearing is not promising


def test_n01_a_heartbeat_below_the_promise_is_refused() -> None:
    stage = acceptor(records=[Promised(B4)])
    stage.deliver("p1", heartbeat(B3))

    stage.expect_sent("p1", Nack(B3, B4))


def test_the_watermark_comes_with_accepts_heartbeats_and_by_itself_and_never_falls() -> None:
    stage = acceptor()
    seen = []
    for word in (accept(B3, 5, watermark=4), heartbeat(B3, 6), Watermark(B3, 7), heartbeat(B3, 2)):
        stage.deliver("p1", word)
        seen.append(stage.agent.watermark)

    assert seen == [4, 6, 7, 7]
    stage.set_aside()


def test_a_watermark_is_recorded_with_other_records_only() -> None:
    stage = acceptor()
    vote(stage, B3, 1)
    stage.deliver("p1", Watermark(B3, 2))
    stage.expect_recorded()
    stage.deliver("p1", accept(B3, 2, watermark=2))
    stage.expect_recorded(Voted(2, B3, b"v"), Told(2))
    stage.deliver("p1", accept(B3, 3, watermark=2))
    stage.expect_recorded(Voted(3, B3, b"v"))
    stage.set_aside()


def test_a_watermark_of_an_earlier_life_is_told() -> None:
    stage = acceptor()
    vote(stage, B3, 1, 2)
    stage.restart()
    stage.deliver("p2", PreVote(B4))

    assert stage.take_one(PreVoteReply).watermark == 2


def test_a_learner_beside_it_gets_the_votes_of_the_leaders_own_ballot_below_the_watermark() -> None:
    stage = acceptor("r2", REPLICAS)
    ballot = Ballot(3, "r1")
    stage.deliver("r1", accept(ballot, 1, b"one"), accept(ballot, 2, b"two"), accept(ballot, 3, b"three"))
    stage.set_aside()
    stage.deliver("r1", Watermark(ballot, 3))

    stage.expect_sent("r2", Chosen(1, b"one"), Chosen(2, b"two"), early=True)
    stage.expect_silence()


def test_each_slot_is_told_to_the_learner_beside_it_once() -> None:
    stage = acceptor("r2", REPLICAS)
    ballot = Ballot(3, "r1")
    stage.deliver("r1", accept(ballot, 1, b"one"), accept(ballot, 2, b"two"))
    stage.set_aside()
    stage.deliver("r1", Watermark(ballot, 2), Watermark(ballot, 2), Watermark(ballot, 3), Watermark(ballot, 1))

    stage.expect_sent("r2", Chosen(1, b"one"), Chosen(2, b"two"))


def test_u19_a_vote_of_another_ballot_is_not_taken_as_chosen() -> None:
    stage = acceptor("r2", REPLICAS)
    stage.deliver("r1", accept(Ballot(3, "r1"), 1, b"perhaps never chosen"))
    stage.deliver("r3", accept(Ballot(4, "r3"), 2, b"chosen"))
    stage.set_aside()
    stage.deliver("r3", Watermark(Ballot(4, "r3"), 3))

    stage.expect_sent("r2", Chosen(2, b"chosen"))
    stage.expect_silence()


def test_u19_an_accept_tells_the_watermark_and_is_itself_above_it() -> None:
    stage = acceptor("r2", REPLICAS)
    ballot = Ballot(3, "r1")
    stage.deliver("r1", accept(ballot, 1, b"one"), accept(ballot, 2, b"two", watermark=2))

    assert stage.take(Chosen) == [("r2", Chosen(1, b"one"))]
    stage.set_aside()


def test_beside_the_leader_it_leaves_the_telling_to_the_leader() -> None:
    stage = acceptor("r1", REPLICAS)
    ballot = Ballot(3, "r1")
    stage.deliver("r1", accept(ballot, 1), accept(ballot, 2, watermark=2))

    assert stage.take(Chosen) == []
    stage.set_aside()


def test_an_acceptor_without_a_learner_tells_nobody_what_is_chosen() -> None:
    stage = acceptor("a1")
    stage.deliver("p1", accept(B3, 1), accept(B3, 2, watermark=2))

    assert stage.take(Chosen) == []
    stage.set_aside()
