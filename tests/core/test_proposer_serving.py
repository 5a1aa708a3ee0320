"""What a leader does for others: commands it refuses, reads it confirms, time it stamps, leadership it hands over.

For how it leads see `test_proposer_leading.py`.
"""

from __future__ import annotations

import pytest

from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Nack,
    ReadIndex,
    ReadIndexReply,
    Resign,
    Watermark,
)
from paxosd.core.plausible import LOG_TIME_MAX_MS
from paxosd.core.proposer import Proposer
from paxosd.core.reasons import Reason
from paxosd.core.types import Ballot, NodeId, Vote
from paxosd.core.values import stamp_ms
from tests.core.helpers import (
    LIMITS,
    REPLICAS,
    ROLES,
    TIMING,
    Stage,
    choose,
    elect,
    heartbeat,
    lead,
    noop,
    proposer,
    session_id,
)
from tests.core.test_proposer_leading import OLD, THEIRS, forward, proposed

T = TIMING.election_s


def answer_heartbeat(stage: Stage[Proposer], *acceptors: NodeId) -> None:
    """These acceptors answer the latest heartbeat."""
    latest = max(message.sequence for _, message in stage.take(Heartbeat))
    for acceptor in acceptors:
        stage.deliver(acceptor, HeartbeatReply(stage.agent.ballot, latest))


# ---- refusing commands -----------------------------------------------------------------------


def test_who_does_not_lead_refuses_this_very_sending() -> None:
    stage = proposer()
    stage.deliver("l2", forward(seq=4, attempt=9))

    stage.expect_sent("l2", ForwardRefused(session_id(1), 9, 4, 1, Reason.NOT_LEADER), early=True)


def test_o01_a_full_leader_refuses_this_very_sending() -> None:
    stage = proposer()
    elect(stage)
    full = LIMITS.pending_bytes_max // 400
    for seq in range(1, 4 + full):
        stage.deliver("l1", forward(seq, size=380))
    stage.set_aside()
    stage.deliver("l1", forward(seq=99, attempt=7, size=380))

    stage.expect_sent("l1", ForwardRefused(session_id(1), 7, 99, 1, Reason.OVERLOADED))


# ---- reads -----------------------------------------------------------------------------------


def test_who_does_not_lead_says_so_to_a_reader() -> None:
    stage = proposer()
    stage.deliver("l1", ReadIndex(6))

    stage.expect_sent("l1", ReadIndexReply(6, 0))


def test_a_read_is_answered_with_the_watermark_once_a_quorum_answered_a_heartbeat_of_its_own() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", ReadIndex(6))
    assert {target for target, _ in stage.take(Heartbeat)} == set(ROLES)
    stage.deliver("a1", HeartbeatReply(stage.agent.ballot, 2))
    stage.expect_silence()
    stage.deliver("a3", HeartbeatReply(stage.agent.ballot, 2))

    stage.expect_sent("l1", ReadIndexReply(6, 2))


def test_c15_an_answer_to_a_heartbeat_from_before_the_read_confirms_nothing() -> None:
    stage = proposer()
    ballot = lead(stage)  # the first heartbeat left with the election, and is not answered yet
    stage.deliver("l1", ReadIndex(6))
    stage.set_aside()
    for acceptor in ("a1", "a2", "a3"):
        stage.deliver(acceptor, HeartbeatReply(ballot, 1))

    stage.expect_silence()


@pytest.mark.parametrize("other", [Ballot(1, "p2"), Ballot(9, "p1")])
def test_an_answer_to_a_heartbeat_of_another_ballot_confirms_nothing(other: Ballot) -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", ReadIndex(6))
    stage.set_aside()
    for acceptor in ("a1", "a2", "a3"):
        stage.deliver(acceptor, HeartbeatReply(other, 2))

    stage.expect_silence()


def test_l07_a_new_leader_answers_no_read_before_a_value_of_its_own_ballot_is_chosen() -> None:
    stage = proposer()
    ballot = elect(stage, {"a1": [Vote(1, OLD, noop())], "a2": []})
    stage.set_aside()
    stage.deliver("l1", ReadIndex(6))
    choose(stage, ballot, 1)  # a value of an earlier leader, proposed again
    stage.wait(TIMING.heartbeat_s)
    answer_heartbeat(stage, "a1", "a2", "a3")
    assert stage.take(ReadIndexReply) == []
    choose(stage, ballot, 2)  # its own
    answer_heartbeat(stage, "a1", "a2")

    stage.expect_sent("l1", ReadIndexReply(6, 3))
    stage.set_aside()


def test_a_reply_to_a_heartbeat_that_was_not_sent_confirms_nothing() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("a1", HeartbeatReply(ballot, 2**40))
    stage.deliver("a2", HeartbeatReply(ballot, 2**40))
    stage.deliver("l1", ReadIndex(6))

    assert stage.take(ReadIndexReply) == []
    stage.expect_ignored("reply to a heartbeat that was not sent", times=2)
    stage.set_aside()


def test_reads_of_one_turn_share_a_round() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", ReadIndex(6))
    assert len(stage.take(Heartbeat, "a1")) == 1
    stage.deliver("l2", ReadIndex(6))
    stage.deliver("l1", ReadIndex(7))
    answer_heartbeat(stage, "a1", "a2")

    stage.expect_sent("l1", ReadIndexReply(6, 2), ReadIndexReply(7, 2))
    stage.expect_sent("l2", ReadIndexReply(6, 2))
    stage.set_aside()


def test_of_the_questions_of_one_gateway_in_a_turn_the_latest_is_answered() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", *map(ReadIndex, range(1000)))
    answer_heartbeat(stage, "a1", "a2")

    assert [reply for _, reply in stage.take(ReadIndexReply)] == [ReadIndexReply(999, 2)]
    stage.set_aside()


def test_a_read_that_a_leader_could_not_confirm_before_it_stopped_is_given_back() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", ReadIndex(6))
    stage.set_aside()
    stage.deliver("a1", Nack(ballot, THEIRS))
    stage.expect_sent("l1", ReadIndexReply(6, 0))
    for acceptor in ("a1", "a2", "a3"):
        stage.deliver(acceptor, HeartbeatReply(ballot, 2))

    stage.expect_silence()
    stage.set_aside()


# ---- log time --------------------------------------------------------------------------------


def stamp_of_first(stage: Stage[Proposer]) -> int:
    return stamp_ms(proposed(stage)[0][1])


def test_k01_log_time_goes_on_with_the_monotonic_clock() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", forward(1))
    first = stamp_of_first(stage)
    stage.wait(0.25)
    stage.deliver("l1", forward(2))

    assert stamp_of_first(stage) == first + 250
    stage.set_aside()


def test_log_time_goes_on_from_what_the_last_leader_told() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(Ballot(3, "p2"), log_time_ms=1_000_000))
    elect(stage)

    assert stamp_of_first(stage) == 1_000_000


def test_no_log_time_passes_while_another_one_leads_by_the_clock_of_who_follows() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(Ballot(3, "p2"), log_time_ms=1000))
    for beat in range(1, 100):  # our clock is twice as fast as that of the leader
        stage.wait(TIMING.heartbeat_s)
        told = 1000 + int(beat * TIMING.heartbeat_s * 500)
        stage.deliver("p2", heartbeat(Ballot(3, "p2"), sequence=1 + beat, log_time_ms=told))
    elect(stage)

    assert stamp_of_first(stage) == told


def test_what_an_earlier_leader_told_does_not_count_where_a_later_one_began_with_less() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(OLD, log_time_ms=1_000_000))
    later = Ballot(OLD.round + 1, "p3")
    elect(stage, {"a1": [Vote(1, later, noop(7_000))], "a2": []})

    opening = proposed(stage)[-1]
    assert stamp_ms(opening[1]) == 7_000


def test_log_time_goes_on_from_the_values_that_a_quorum_told() -> None:
    stage = proposer()
    elect(stage, {"a1": [Vote(1, OLD, noop(7_000_000))], "a2": [Vote(2, OLD, noop(3_000_000))]})

    opening = proposed(stage)[-1]
    assert (opening[0], stamp_ms(opening[1])) == (3, 7_000_000)


def test_a_log_time_far_above_what_is_known_is_left_out_and_the_heartbeat_counts() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(Ballot(3, "p2"), watermark=5, log_time_ms=2**63 - 1))

    assert (stage.agent.ballot, stage.agent.watermark) == (Ballot(3, "p2"), 5)
    stage.expect_ignored("log time far above what is known")
    stage.set_aside()


def test_a_stamp_that_a_wrong_member_put_into_the_log_does_not_stop_its_successors_stamps() -> None:
    stage = proposer()
    ballot = elect(stage, {"a1": [Vote(1, OLD, noop(stamp_ms=2**64 - 1))], "a2": []})
    assert stamp_ms(proposed(stage)[-1][1]) <= LOG_TIME_MAX_MS
    beats = [message for _, message in stage.take(Heartbeat)]
    choose(stage, ballot, 1, 2)
    stage.wait(TIMING.heartbeat_s)
    beats += [message for _, message in stage.take(Heartbeat)]

    assert beats
    assert all(beat.log_time_ms <= LOG_TIME_MAX_MS for beat in beats)
    stage.agent.ignored.clear()
    stage.set_aside()


def test_log_time_never_goes_back() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(Ballot(3, "p2"), log_time_ms=9_000_000))
    stage.deliver("p2", heartbeat(Ballot(3, "p2"), log_time_ms=1_000))
    elect(stage, {"a1": [Vote(1, OLD, noop(5))], "a2": []})

    assert stamp_ms(proposed(stage)[-1][1]) >= 9_000_000


# ---- stopping --------------------------------------------------------------------------------


def test_c21_a_follower_has_nothing_to_finish_and_campaigns_no_more() -> None:
    stage = proposer()
    stage.agent.drain(stage.now)
    assert stage.agent.drained
    stage.wait(5 * T)

    stage.expect_silence()


def test_u15_a_leader_finishes_what_it_took_and_then_hands_leadership_over() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", forward(1))
    stage.set_aside()
    stage.agent.drain(stage.now)
    stage.turn()
    assert not stage.agent.drained
    stage.deliver("l1", forward(2, attempt=5))
    stage.expect_sent("l1", ForwardRefused(session_id(1), 5, 2, 1, Reason.NOT_LEADER))
    stage.expect_silence()
    choose(stage, ballot, 2)

    for node in ("p2", "a1", "a2", "a3", "l1", "l2"):
        stage.expect_sent(node, Resign(ballot))
    assert len(stage.take(Chosen)) == 2
    stage.expect_silence()
    stage.wait(TIMING.retry_s)
    assert stage.agent.drained
    assert [event.fields["why"] for event in stage.events] == ["resigned"]
    stage.set_aside()
    stage.wait(5 * T)
    stage.expect_silence()


def test_u15_what_crosses_a_resignation_on_the_way_is_still_refused() -> None:
    stage = proposer()
    lead(stage)
    stage.agent.drain(stage.now)
    stage.turn()
    stage.set_aside()
    stage.wait(TIMING.retry_s * 0.9)
    assert not stage.agent.drained
    stage.deliver("l1", forward(attempt=5), ReadIndex(6))

    stage.expect_sent("l1", ForwardRefused(session_id(1), 5, 1, 1, Reason.NOT_LEADER), ReadIndexReply(6, 0))
    stage.expect_silence()


def test_a_leader_that_stops_also_finishes_what_waits_behind_the_window() -> None:
    stage = proposer()
    ballot = lead(stage)
    for seq in range(1, 6):
        stage.deliver("l1", forward(seq))
    stage.agent.drain(stage.now)
    for slot in range(2, 7):
        assert not stage.agent.drained
        choose(stage, ballot, slot)
    stage.wait(TIMING.retry_s)

    assert stage.agent.drained
    assert {message.slot for _, message in stage.take(Accept)} == {2, 3, 4, 5, 6}
    stage.set_aside()


def test_a_leader_that_stops_and_lost_its_quorum_waits_no_longer_than_an_election_timeout() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", forward())
    stage.agent.drain(stage.now)
    stage.wait(T * 1.3)

    assert stage.agent.drained
    assert stage.take(Resign) == []
    stage.set_aside()


def test_a_leader_that_stops_tells_the_other_replicas_all_that_is_chosen_before_it_resigns() -> None:
    stage = proposer("r1", REPLICAS)
    ballot = elect(stage, {"r1": [], "r2": []})
    stage.agent.drain(stage.now)
    stage.set_aside()
    stage.deliver("r1", Accepted(ballot, 1))
    stage.deliver("r2", Accepted(ballot, 1))

    to_r3 = [sent.message for sent in stage.sent if sent.target == "r3"]
    assert to_r3 == [Watermark(ballot, 2), Resign(ballot)]
    stage.set_aside()
