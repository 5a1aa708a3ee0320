"""Bugs that tests of the core found, each as the messages that showed it."""

from __future__ import annotations

from paxosd.core.candidate import Phase
from paxosd.core.messages import (
    Forward,
    Heartbeat,
    LogPage,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
)
from paxosd.core.types import NO_BALLOT, Ballot, Vote
from tests.core.helpers import (
    canvass,
    elect,
    forward,
    heartbeat,
    lead,
    promise,
    proposer,
    session_id,
)
from tests.core.test_proposer import canvassing, granted
from tests.gateway.test_gateway import B3, ME, Desk, read

OLD, THEIRS = Ballot(0, "p2"), Ballot(50, "p2")


def test_a_forward_of_2_to_the_32_commands_does_not_end_the_leader() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", Forward(session_id(1), 1, 1, 1, 2**32, b""))  # struct.error from encode_value
    stage.set_aside()


def test_an_answer_to_a_question_of_an_earlier_life_confirms_no_read_of_this_one() -> None:
    desk = Desk()
    desk.deliver(ME, read(1))
    old = desk.take_one(ReadIndex)  # answered with applied=1, and the answer is on its way for long
    desk.restart()  # meanwhile writes are acknowledged elsewhere
    desk.now += 0.001
    desk.turn()
    desk.deliver("p1", heartbeat(B3))
    desk.set_aside()
    desk.deliver(ME, read(2))
    desk.set_aside()
    desk.deliver("p1", ReadIndexReply(old.request, 1))
    pages = desk.take(LogPage)
    desk.set_aside()
    assert pages == []


def test_a_vote_shorter_than_a_stamp_does_not_end_a_new_leader() -> None:
    stage = proposer()
    elect(stage, {"a1": [Vote(1, OLD, b"short")], "a2": []})  # MalformedValue from stamp_ms in _lead
    stage.set_aside()


def test_a_stamp_that_leaves_no_room_does_not_end_a_new_leader() -> None:
    stage = proposer()
    elect(stage, {"a1": [Vote(1, OLD, b"\xff" * 8)], "a2": []})
    try:
        stage.wait(0.3)  # heartbeats carry it
        stage.deliver("l1", forward())  # struct.error: the stamp is beyond 64 bits
        assert all(beat.log_time_ms < 2**63 for _, beat in stage.take(Heartbeat))  # else no peer can decode it
    finally:
        stage.set_aside()


def test_a_proposer_that_stops_in_mid_campaign_prepares_nothing() -> None:
    stage = proposer()
    ballot = canvassing(stage)
    stage.agent.drain(stage.now)
    assert stage.agent.drained
    stage.deliver("a1", granted(ballot))
    stage.deliver("a2", granted(ballot))
    stage.set_aside()
    assert stage.agent.phase is Phase.FOLLOWING


def test_a_leader_whose_watermark_rose_while_it_prepared_opens_with_a_value_of_its_own() -> None:
    stage = proposer()
    ballot = canvass(stage)  # prepares from slot 1
    stage.deliver("a3", PreVoteReply(Ballot(1, "p1"), True, NO_BALLOT, 8))  # late: slots below 8 are chosen
    stage.set_aside()
    stage.deliver("a1", promise(ballot))
    stage.deliver("a2", promise(ballot))
    stage.set_aside()
    stage.deliver("l1", ReadIndex(1))
    confirmed_at_once = stage.take(Heartbeat)
    stage.set_aside()
    assert confirmed_at_once == []  # it starts a read round with nothing of its own chosen


# 4b. A refusal says "and will not"; a repeated frame makes it untrue later --------------------------
