"""A node that has heard of a history of which it has nothing: it begins no other one, tells nobody, and forgets it once
nobody has it."""

from __future__ import annotations

from random import Random

import pytest

from paxosd.core.acceptor import Acceptor
from paxosd.core.hearsay import ASKED_EVERY_S, ROUND_S
from paxosd.core.learner import Learner
from paxosd.core.messages import (
    Chosen,
    Durable,
    Heartbeat,
    Message,
    Ping,
    Pong,
    Prepare,
    PreVote,
    PreVoteReply,
    Watermark,
)
from paxosd.core.node import Node
from paxosd.core.proposer import Proposer
from paxosd.core.snapshots import Shelf
from paxosd.core.types import NO_HISTORY, Ballot, HistoryId, NodeId
from paxosd.core.voters import NO_VOTERS, Voters
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import LIMITS, ROLES, TIMING, Stage, Steady, born, membership, noop

A, B = b"a history of old", b"another history!"
OTHERS = [node for node in ROLES if node != "a1"]
BALLOT = Ballot(3, "p1")
MEMBERS = membership()


def build(disk: Shelf) -> Node:
    return Node("a1", MEMBERS, LIMITS, acceptor=Acceptor("a1", MEMBERS, TIMING, LIMITS, disk, Random(1)))


def acceptor() -> Stage[Node]:
    stage = Stage(build, is_born=False)
    stage.set_aside()
    return stage


def voters(history: HistoryId) -> Voters:
    return born(MEMBERS)._replace(history=history)


def hear(stage: Stage[Node], *nodes: NodeId, history: HistoryId = NO_HISTORY) -> None:
    """A frame of each of these nodes comes in, which names this history."""
    for node in nodes:
        stage.agent.meet_history(node, history, stage.now)
    stage.turn()


def answers(stage: Stage[Node], message: Message, source: NodeId = "p1") -> list[object]:
    stage.deliver(source, message)
    sent = [each.message for each in stage.sent if each.target == source]
    stage.set_aside()
    return [message for message in sent if not isinstance(message, Ping)]


def test_who_has_heard_of_a_history_begins_no_other_one_also_after_a_restart() -> None:
    stage = acceptor()
    (granted,) = answers(stage, PreVote(BALLOT))
    assert isinstance(granted, PreVoteReply)
    assert granted.granted
    hear(stage, "l1", history=A)
    for _ in range(2):
        (refused,) = answers(stage, PreVote(BALLOT))
        assert isinstance(refused, PreVoteReply)
        assert not refused.granted
        assert answers(stage, Prepare(BALLOT, 1)) != []  # that it is not of these voters
        stage.restart()
    stage.set_aside()


def test_what_was_only_heard_of_is_told_to_nobody() -> None:
    stage = acceptor()
    hear(stage, "l1", history=A)
    (reply,) = answers(stage, PreVote(BALLOT))
    (pong,) = answers(stage, Ping(7), "l2")

    assert isinstance(reply, PreVoteReply)
    assert isinstance(pong, Pong)
    assert (stage.agent.history, reply.voters, pong.history) == (NO_HISTORY, NO_VOTERS, NO_HISTORY)


@pytest.mark.parametrize("message", [Chosen(1, noop()), Watermark(BALLOT, 9), Durable(9), Heartbeat(BALLOT, 1, 9, 0)])
def test_nothing_but_who_votes_is_taken_from_a_history_that_was_only_heard_of(message: Message) -> None:
    learner = Learner("l2", MEMBERS, TIMING, LIMITS, MemoryStore(), Random(1))
    node = Node("l2", MEMBERS, LIMITS, learner=learner, proposer=Proposer("l2", MEMBERS, TIMING, LIMITS, Steady(1)))
    node.restore((), 0.0)
    node.meet_history("p1", A, 0.0)
    node.receive("p1" if not isinstance(message, Durable) else "l1", message, 0.0)

    assert node.ignored["message of a history that is only heard of"] == 1
    assert (learner.next_slot, learner.watermark) == (1, 1)


def test_the_first_voters_that_are_told_are_those_it_goes_on_with_whatever_it_had_heard_of() -> None:
    stage = acceptor()
    hear(stage, "l1", history=A)
    stage.deliver("p1", Heartbeat(BALLOT, 1, 1, 0, voters(B)))
    stage.deliver("p2", Heartbeat(Ballot(9, "p2"), 1, 1, 0, voters(A)))

    assert stage.agent.history == B
    stage.set_aside()


def test_it_is_forgotten_once_all_others_were_heard_and_none_of_them_has_it() -> None:
    stage = acceptor()
    hear(stage, "l1", history=A)
    assert {target for target, _ in stage.take(Ping)} == set(OTHERS)
    stage.wait(ROUND_S)  # l1 is started with an empty directory meanwhile
    stage.set_aside()
    hear(stage, *OTHERS[:-1])
    assert stage.agent.known.is_hearsay
    hear(stage, OTHERS[-1])

    assert stage.agent.known.voters == NO_VOTERS
    assert [event.name for event in stage.events] == ["history.forgotten"]
    assert NO_VOTERS in stage.records
    stage.restart()
    assert not stage.agent.known.is_hearsay
    (granted,) = answers(stage, PreVote(BALLOT))
    assert isinstance(granted, PreVoteReply)
    assert granted.granted
    stage.set_aside()


def test_it_is_not_forgotten_while_one_node_is_away_or_one_has_a_history() -> None:
    stage = acceptor()
    hear(stage, "l1", history=A)
    for _ in range(3):
        hear(stage, "l1", history=A)
        hear(stage, *OTHERS)
        stage.wait(ROUND_S)
        hear(stage, *(node for node in OTHERS if node != "l1"))
        stage.wait(ROUND_S)
    said = [(event.name, event.is_warning) for event in stage.events]

    assert stage.agent.known.is_hearsay
    assert said == [("history.heard_of", True)]
    assert "start l1; or stop all nodes" in stage.agent._hearsay.alarm
    stage.set_aside()


def test_the_others_are_asked_again_and_again_to_say_something_and_no_more_once_it_is_over() -> None:
    stage = acceptor()
    hear(stage, "l1", history=A)
    stage.set_aside()
    stage.wait(3 * ASKED_EVERY_S)
    assert len(stage.take(Ping, "l2")) == 3
    stage.deliver("p1", Heartbeat(BALLOT, 1, 1, 0, voters(A)))
    stage.set_aside()
    stage.wait(3 * ASKED_EVERY_S)

    assert stage.take(Ping) == []
    stage.set_aside()
