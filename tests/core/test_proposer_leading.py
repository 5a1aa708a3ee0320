"""The proposer while it leads: what it proposes, counts, repeats and tells, and what makes it stop.

For how it gets there see `test_proposer.py`, for reads, log time and stopping `test_proposer_serving.py`.
"""

from __future__ import annotations

import pytest

from paxosd.core.candidate import Phase
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Forward,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Nack,
    PreVote,
    PreVoteReply,
    Watermark,
)
from paxosd.core.options import Limits
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.reasons import Reason
from paxosd.core.types import FIRST_SLOT, Ballot, NodeId, Slot, Vote
from paxosd.core.values import Batch, encode_body, encode_value, is_noop
from paxosd.core.watermarks import TELL_WITHIN_S
from tests.core.helpers import (
    FIVE,
    REPLICAS,
    ROLES,
    TIMING,
    Stage,
    canvass,
    choose,
    elect,
    lead,
    noop,
    promise,
    proposer,
    session_id,
)

T = TIMING.election_s
OLD, OLDER = Ballot(0, "p2"), Ballot(0, "p1")
THEIRS = Ballot(50, "p2")


def forward(seq: int = 1, attempt: int = 1, size: int = 3, session: int = 1) -> Forward:
    return Forward(session_id(session), attempt, 1, seq, 1, encode_body([bytes(size)]))


def holding(stage: Stage[Proposer], *made: Forward) -> bytes:
    """The value that these batches make, stamped now."""
    stamp = stage.agent._log_time.stamp(stage.now)
    batches = [Batch(one.session, one.acknowledged, one.first_seq, one.count, one.body) for one in made]
    return encode_value(stamp, batches)


def proposed(stage: Stage[Proposer]) -> list[tuple[Slot, bytes]]:
    """What was proposed since the last time; the same to every acceptor, in this ballot, before any commit."""
    assert all(sent.early for sent in stage.sent if isinstance(sent.message, Accept))
    by_acceptor: dict[object, list[tuple[Slot, bytes]]] = {}
    for target, message in stage.take(Accept):
        assert message.ballot == stage.agent.ballot
        by_acceptor.setdefault(target, []).append((message.slot, message.value))
    assert by_acceptor.keys() <= {"a1", "a2", "a3"}
    first = by_acceptor.get("a1", [])
    assert all(by_acceptor.get(acceptor, []) == first for acceptor in ("a2", "a3"))
    return first


# ---- taking over -----------------------------------------------------------------------------


def test_a_new_leader_of_an_empty_log_opens_with_a_noop_of_its_own() -> None:
    stage = proposer()
    elect(stage)

    [(slot, value)] = proposed(stage)
    assert (slot, is_noop(value)) == (1, True)


def test_c07_it_proposes_the_highest_votes_again_fills_holes_with_noops_and_then_opens() -> None:
    stage = proposer()
    low, high = (
        encode_value(1, [Batch(session_id(1), 1, 1, 1, b"low")]),
        encode_value(2, [Batch(session_id(1), 1, 1, 1, b"high")]),
    )
    elect(stage, {"a1": [Vote(1, OLD, high)], "a3": [Vote(1, OLDER, low), Vote(3, OLDER, low)]})
    found = proposed(stage)

    assert [slot for slot, _ in found] == [1, 2, 3, 4]
    assert (found[0][1], found[2][1]) == (high, low)
    assert is_noop(found[1][1])
    assert is_noop(found[3][1])


def test_what_was_chosen_before_is_not_proposed_again() -> None:
    stage = proposer()
    elect(stage, {"a1": [Vote(8, OLD, noop()), Vote(9, OLD, noop(5))], "a2": []}, watermark=9)

    assert [slot for slot, _ in proposed(stage)] == [9, 10]


def test_a_watermark_that_a_promise_tells_is_believed() -> None:
    stage = proposer()
    ballot = canvass(stage)
    stage.set_aside()
    stage.deliver("a1", promise(ballot, watermark=5))
    stage.deliver("a2", promise(ballot))

    assert {message.slot for _, message in stage.take(Accept)} == {5}
    assert stage.agent.watermark == 5
    stage.set_aside()


def test_more_bound_slots_than_the_window_holds_are_proposed_as_it_moves() -> None:
    stage = proposer()
    votes = [Vote(slot, OLD, noop(slot)) for slot in range(1, 8)]
    ballot = elect(stage, {"a1": votes, "a2": []})
    assert [slot for slot, _ in proposed(stage)] == [1, 2, 3, 4]
    stage.deliver("l1", forward())
    choose(stage, ballot, 2)
    assert proposed(stage) == []
    choose(stage, ballot, 1)
    assert proposed(stage) == [(5, noop(5)), (6, noop(6))]
    choose(stage, ballot, 3, 4, 5, 6)

    found = proposed(stage)
    assert found[0] == (7, noop(7))
    assert is_noop(found[1][1])
    assert found[2] == (9, holding(stage, forward()))
    stage.set_aside()


def test_phase_1_happens_once_for_many_slots() -> None:
    stage = proposer()
    ballot = lead(stage)
    for slot in range(2, 12):
        stage.deliver("l1", forward(slot))
        choose(stage, ballot, slot)

    assert {type(sent.message) for sent in stage.sent} == {Accept, Chosen}
    assert stage.agent.watermark == 12
    stage.set_aside()


# ---- proposing -------------------------------------------------------------------------------


def test_what_came_in_one_turn_shares_one_value() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", forward(1), forward(2), forward(1, session=2))

    assert proposed(stage) == [(2, holding(stage, forward(1), forward(2), forward(1, session=2)))]


def test_an_accept_carries_the_watermark() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", forward())

    assert {message.watermark for _, message in stage.take(Accept)} == {2}


def test_nothing_is_proposed_beyond_the_window_and_what_waits_goes_on_when_it_moves() -> None:
    stage = proposer()
    ballot = lead(stage)
    for seq in range(1, 8):
        stage.deliver("l1", forward(seq))
    assert [slot for slot, _ in proposed(stage)] == [2, 3, 4, 5]
    choose(stage, ballot, 2)

    assert proposed(stage) == [(6, holding(stage, forward(5), forward(6), forward(7)))]
    stage.set_aside()


def test_what_is_not_voted_for_in_time_is_sent_again_with_the_same_value_to_those_who_did_not_vote() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", forward())
    [(slot, value)] = proposed(stage)
    stage.deliver("a2", Accepted(ballot, slot))
    stage.wait(TIMING.retry_s * 1.6)

    again = stage.take(Accept)
    assert {message for _, message in again} == {Accept(ballot, slot, value, 2)}
    assert sorted(str(target) for target, _ in again) == ["a1", "a3"]
    stage.set_aside()


def test_what_is_chosen_is_not_sent_again() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", forward())
    choose(stage, ballot, 2)
    stage.set_aside()
    stage.wait(TIMING.retry_s * 2)

    assert stage.take(Accept) == []
    stage.set_aside()


# ---- counting votes --------------------------------------------------------------------------


def test_a_quorum_of_votes_makes_it_chosen_and_pure_learners_are_told_once() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", forward())
    [(slot, value)] = proposed(stage)
    stage.deliver("a1", Accepted(ballot, slot))
    stage.expect_silence()
    stage.deliver("a3", Accepted(ballot, slot))

    for learner in ("l1", "l2"):
        stage.expect_sent(learner, Chosen(slot, value), early=True)
    stage.deliver("a2", Accepted(ballot, slot))
    stage.expect_silence()
    assert stage.agent.watermark == 3


def test_votes_that_are_repeated_of_another_ballot_or_of_a_stranger_do_not_count() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", forward())
    stage.set_aside()
    stage.deliver("a1", *[Accepted(ballot, 2)] * 3)
    stage.deliver("a2", Accepted(Ballot(ballot.round - 1, "p1"), 2), Accepted(Ballot(ballot.round + 1, "p1"), 2))
    stage.deliver("a3", Accepted(Ballot(ballot.round, "p2"), 2))
    stage.deliver("l1", Accepted(ballot, 2))
    stage.deliver("p2", Accepted(ballot, 2))

    stage.expect_silence()
    assert stage.agent.ignored == {"vote of another ballot": 3, "vote of a disk that does not count": 2}


def test_n09_votes_for_its_earlier_leadership_do_not_count_in_the_next_one() -> None:
    stage = proposer()
    first = lead(stage)
    stage.deliver("a1", Nack(first, THEIRS))
    second = elect(stage, {"a1": [Vote(1, first, noop())], "a2": []}, watermark=2)
    stage.set_aside()
    assert second > first
    choose(stage, first, 2)
    stage.expect_silence()
    choose(stage, second, 2)

    assert len(stage.take(Chosen)) == 2


def test_votes_are_not_counted_when_it_does_not_lead() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", forward())
    stage.deliver("a1", Nack(ballot, THEIRS))
    stage.set_aside()
    choose(stage, ballot, 2)

    stage.expect_silence()


def test_an_accept_quorum_of_flexible_size_makes_it_chosen() -> None:
    three = dict.fromkeys(("a1", "a2", "a3"), 1)
    stage = proposer(quorum=Quorum(three, prepare=3, accept=1))
    ballot = elect(stage, {"a1": [], "a2": [], "a3": []})
    stage.set_aside()
    stage.deliver("a3", Accepted(ballot, 1))

    assert stage.agent.watermark == 2
    stage.set_aside()


def test_a_replica_tells_its_own_learner_the_value_at_once_and_other_replicas_the_watermark_a_little_later() -> None:
    stage = proposer("r1", REPLICAS)
    ballot = elect(stage, {"r1": [], "r2": []})
    stage.set_aside()
    stage.deliver("r1", Accepted(ballot, 1))
    stage.deliver("r3", Accepted(ballot, 1))

    [chosen] = stage.take(Chosen)
    assert chosen[0] == "r1"
    stage.expect_silence()
    stage.wait(TELL_WITHIN_S)
    stage.expect_sent("r2", Watermark(ballot, 2), early=True)
    stage.expect_sent("r3", Watermark(ballot, 2), early=True)
    stage.expect_silence()


def test_where_an_accept_leaves_anyway_the_watermark_travels_with_it() -> None:
    stage = proposer("r1", REPLICAS)
    ballot = elect(stage, {"r1": [], "r2": []})
    stage.set_aside()
    stage.deliver("r1", Accepted(ballot, 1))
    stage.agent.receive("r2", forward(), stage.now)
    stage.deliver("r3", Accepted(ballot, 1))

    assert stage.take(Watermark) == []
    assert {message.watermark for _, message in stage.take(Accept)} == {2}
    stage.set_aside()


# ---- staying leader --------------------------------------------------------------------------


def test_it_tells_everybody_that_it_leads_again_and_again() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.wait(TIMING.heartbeat_s * 3.05)

    beats = stage.take(Heartbeat, "l2")
    assert [message.sequence for _, message in beats] == [2, 3, 4]
    assert {(message.ballot, message.watermark) for _, message in beats} == {(ballot, 2)}
    assert {target for target, _ in stage.take(Heartbeat)} == set(ROLES) - {"l2"}


def test_it_leads_as_long_as_a_quorum_answers() -> None:
    stage = proposer()
    ballot = lead(stage)
    for sequence in range(1, 40):
        stage.wait(T * 0.6)
        stage.deliver("a1" if sequence % 2 else "a3", HeartbeatReply(ballot, sequence))
        stage.deliver("a2", HeartbeatReply(ballot, sequence))

    assert stage.agent.leading
    stage.set_aside()


def test_votes_are_answers_too() -> None:
    stage = proposer()
    ballot = lead(stage)
    for slot in range(2, 12):
        stage.wait(T * 0.6)
        stage.deliver("l1", forward(slot))
        choose(stage, ballot, slot)

    assert stage.agent.leading
    stage.set_aside()


@pytest.mark.parametrize("heard", [(), ("a1",), ("l1", "p2")], ids=str)
def test_n01_a_leader_that_a_quorum_does_not_answer_for_an_election_timeout_stops(heard: tuple[NodeId, ...]) -> None:
    stage = proposer()
    ballot = lead(stage)
    for sequence in range(1, 30):
        stage.wait(T / 20)
        for node in heard:
            stage.deliver(node, HeartbeatReply(ballot, sequence))

    assert not stage.agent.leading
    assert [event.fields["why"] for event in stage.events] == ["a quorum is silent"]
    stage.set_aside()


def test_it_does_not_stop_before_an_election_timeout_of_silence() -> None:
    stage = proposer()
    lead(stage)
    stage.wait(T * 0.99)

    assert stage.agent.leading
    stage.set_aside()


def test_with_a_flexible_quorum_an_accept_quorum_keeps_it_in_the_lead() -> None:
    stage = proposer(roles=FIVE, quorum=Quorum(dict.fromkeys(("a1", "a2", "a3", "a4", "a5"), 1), prepare=4, accept=2))
    ballot = elect(stage, {acceptor: [] for acceptor in ("a1", "a2", "a3", "a4")})
    for sequence in range(1, 30):
        stage.wait(T / 10)
        for acceptor in ("a4", "a5"):
            stage.deliver(acceptor, HeartbeatReply(ballot, sequence))

    assert stage.agent.leading
    stage.set_aside()


def test_n09_answers_to_an_older_ballot_or_to_nobody_do_not_keep_it_in_the_lead() -> None:
    stage = proposer()
    ballot = lead(stage)
    for sequence in range(1, 30):
        stage.wait(T / 20)
        for acceptor in ("a1", "a2", "a3"):
            stage.deliver(acceptor, HeartbeatReply(Ballot(ballot.round - 1, "p1"), sequence))

    assert not stage.agent.leading
    stage.set_aside()


def test_a_leader_that_stopped_says_and_does_nothing_more() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", forward())
    stage.deliver("a1", Nack(ballot, THEIRS))
    stage.set_aside()
    stage.wait(T * 0.9)

    stage.expect_silence()
    assert stage.agent.phase is Phase.FOLLOWING


def test_a_leader_that_stopped_names_the_sendings_that_never_reached_the_log_and_only_those() -> None:
    stage = proposer()
    ballot = elect(stage)  # the window holds four slots, and nothing is chosen
    for seq in range(1, 6):
        stage.deliver("l1", forward(seq, attempt=seq + 10))
    stage.set_aside()
    stage.deliver("a1", Nack(ballot, THEIRS))

    stage.expect_sent("l1", ForwardRefused(session_id(1), 14, 4, 1, Reason.NOT_LEADER), early=True)
    stage.expect_sent("l1", ForwardRefused(session_id(1), 15, 5, 1, Reason.NOT_LEADER), early=True)
    stage.expect_silence()
    stage.set_aside()


def test_what_a_leader_held_when_it_stopped_is_not_proposed_when_it_leads_again() -> None:
    stage = proposer()
    ballot = elect(stage)
    for seq in range(1, 6):
        stage.deliver("l1", forward(seq))
    stage.deliver("a1", Nack(ballot, THEIRS))
    stage.set_aside()
    again = elect(stage)
    choose(stage, again, 1)

    assert [is_noop(value) for _, value in proposed(stage)] == [True]
    stage.set_aside()


def test_a_pre_vote_that_comes_while_it_leads_does_not_move_its_watermark() -> None:
    stage = proposer()
    ballot = elect(stage)
    stage.set_aside()
    stage.deliver("a3", PreVoteReply(ballot, True, ballot, 7))

    assert stage.agent.watermark == FIRST_SLOT
    assert stage.take(PreVote) == []


# ---- our own pauses, and long turns ----------------------------------------------------------


def test_a_leader_that_stood_still_hears_its_quorum_before_it_judges_it() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.now += 3 * T
    stage.turn()
    assert stage.agent.leading
    for acceptor in ("a1", "a2"):
        stage.deliver(acceptor, HeartbeatReply(ballot, stage.agent._sequence))
    stage.wait(T * 0.9)
    assert stage.agent.leading

    stage.now += 3 * T
    stage.turn()
    stage.wait(2 * TIMING.heartbeat_s)
    assert not stage.agent.leading
    stage.set_aside()


def test_a_turn_proposes_so_many_bytes_and_the_next_one_goes_on() -> None:
    megabyte = 1024 * 1024
    limits = Limits(value_bytes_max=megabyte // 2, window_bytes_max=8 * megabyte)
    stage = proposer(limits=limits)
    lead(stage)
    for seq in range(1, 7):
        stage.agent.receive("l1", forward(seq, size=400_000), stage.now)
    stage.turn()

    assert len(stage.take(Accept, "a1")) == 2
    assert stage.agent.next_deadline() == stage.now
    stage.turn()
    assert len(stage.take(Accept, "a1")) > 0
    stage.set_aside()
