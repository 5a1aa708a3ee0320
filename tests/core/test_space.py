"""Nearly full disks: when a leader refuses commands for want of room, and what a node that has none still takes."""

from __future__ import annotations

from random import Random

import pytest

import paxosd.core.space as space_module
from paxosd.core.acceptor import Acceptor
from paxosd.core.history import History
from paxosd.core.membership import Role
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    DiskSpace,
    Fetch,
    Fetched,
    ForwardRefused,
    HeartbeatReply,
    ReadIndex,
    ReadIndexReply,
    Resign,
)
from paxosd.core.node import Node
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.reasons import Reason
from paxosd.core.space import FULL_TAKES_BYTES, HANDED_OVER_EVERY_S, NO_ROOM, Allowance, Space, space_of
from paxosd.core.types import Ballot, NodeId
from tests.core.helpers import (
    FIVE,
    LIMITS,
    REPLICAS,
    TIMING,
    Stage,
    Steady,
    acceptor,
    choose,
    elect,
    forward,
    heartbeat,
    lead,
    learner,
    membership,
    proposer,
)

B3 = Ballot(3, "p1")
ENOUGH, LOW, FULL = (DiskSpace(space, 1000, 0, False) for space in (Space.ENOUGH, Space.LOW, Space.FULL))


def refused(stage: Stage[Proposer], seq: int) -> bool:
    """Whether it refuses a command for want of room; otherwise it is proposed and chosen."""
    stage.deliver("l1", forward(seq=seq))
    found = [message.reason for _, message in stage.take(ForwardRefused)]
    proposed = stage.take(Accept)
    assert bool(found) != bool(proposed)
    assert found in ([], [Reason.NO_SPACE])
    if proposed:
        choose(stage, stage.agent.ballot, proposed[0][1].slot)
    stage.set_aside()
    return bool(found)


def tell(stage: Stage[Proposer], told: DiskSpace, *nodes: NodeId) -> None:
    """These nodes tell how their disks are; all acceptors are heard just now, too."""
    for node in nodes:
        stage.deliver(node, told)
    stage.set_aside()


# ---- when commands are refused ---------------------------------------------------------------


def test_o09_commands_are_refused_while_those_with_room_are_no_accept_quorum_and_taken_again_after_it() -> None:
    stage = proposer()
    lead(stage)
    tell(stage, LOW, "a1")
    one = refused(stage, 1)
    tell(stage, LOW, "a2")
    two = refused(stage, 2)
    tell(stage, ENOUGH, "a1")

    assert (one, two, refused(stage, 2)) == (False, True, False)


def test_an_acceptor_that_is_silent_is_not_counted_on_instead_of_one_without_room() -> None:
    stage = proposer()
    ballot = lead(stage)
    tell(stage, LOW, "a2")
    stage.wait(TIMING.election_s / 2)
    for acceptor_heard in ("a1", "a2"):  # and a3 is silent from now on
        stage.deliver(acceptor_heard, HeartbeatReply(ballot, 1))
    stage.wait(TIMING.election_s * 0.6)
    stage.set_aside()

    assert refused(stage, 1)


def test_nobody_who_is_silent_makes_it_refuse_while_nobody_lacks_room() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.wait(TIMING.election_s * 0.9)
    stage.deliver("a1", HeartbeatReply(ballot, 1))
    stage.deliver("a2", HeartbeatReply(ballot, 1))
    stage.wait(TIMING.election_s * 0.2)
    stage.set_aside()

    assert not refused(stage, 1)


def test_flexible_quorums_are_counted_by_weight() -> None:
    sizes = Quorum(dict.fromkeys(("a1", "a2", "a3", "a4", "a5"), 1), 4, 2)
    stage = proposer(roles=FIVE, quorum=sizes)
    ballot = elected_by(stage, "a1", "a2", "a3", "a4")
    tell(stage, LOW, "a1", "a2", "a3")
    stage.deliver("a4", HeartbeatReply(ballot, 1))
    stage.deliver("a5", HeartbeatReply(ballot, 1))
    with_two = refused(stage, 1)
    tell(stage, LOW, "a4")

    assert (with_two, refused(stage, 2)) == (False, True)


def elected_by(stage: Stage[Proposer], *voters: NodeId) -> Ballot:
    ballot = elect(stage, dict.fromkeys(voters, ()))
    choose(stage, ballot, 1, voters=voters)
    stage.set_aside()
    return ballot


@pytest.mark.parametrize(("short", "refuses"), [(("l1",), False), (("l1", "l2"), True)])
def test_commands_are_refused_when_more_than_half_of_the_learners_lack_room(
    short: tuple[NodeId, ...], refuses: bool
) -> None:
    stage = proposer()
    lead(stage)
    tell(stage, LOW, *short)

    assert refused(stage, 1) is refuses


def test_what_waits_is_refused_at_once_and_what_is_in_flight_goes_on() -> None:
    stage = proposer()
    ballot = lead(stage)
    for seq in range(1, 7):  # the window has four slots
        stage.deliver("l1", forward(seq=seq))
    in_flight = sorted({message.slot for _, message in stage.take(Accept)})
    for short in ("a1", "a2"):
        stage.deliver(short, LOW)
    late = [(message.first_seq, message.reason) for _, message in stage.take(ForwardRefused)]
    choose(stage, ballot, *in_flight)

    assert late == [(5, Reason.NO_SPACE), (6, Reason.NO_SPACE)]
    assert stage.agent.watermark == in_flight[-1] + 1
    assert stage.take(Accept) == []
    assert [event.name for event in stage.events] == ["space.commands_refused"]
    stage.set_aside()


def test_reads_are_confirmed_while_commands_are_refused() -> None:
    stage = proposer()
    ballot = lead(stage)
    tell(stage, FULL, "a1", "a2", "a3", "l1", "l2")
    stage.deliver("l1", ReadIndex(7))
    sequence = stage.agent._sequence
    for voter in ("a1", "a2"):
        stage.deliver(voter, HeartbeatReply(ballot, sequence))

    assert stage.take_one(ReadIndexReply).applied == stage.agent.watermark
    stage.set_aside()


# ---- a leader that is short itself -----------------------------------------------------------


def test_a_leader_without_room_hands_over_to_a_proposer_that_has_some() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("p2", ENOUGH)
    stage.deliver("p1", LOW)

    assert not stage.agent.leading
    assert {target for target, _ in stage.take(Resign)} == {"p2", "a1", "a2", "a3", "l1", "l2"}
    stage.set_aside()


@pytest.mark.parametrize("other", [LOW, None], ids=["is short, too", "said nothing"])
def test_a_leader_without_room_refuses_where_nobody_can_take_over(other: DiskSpace | None) -> None:
    stage = proposer()
    lead(stage)
    if other is not None:
        stage.deliver("p2", other)
    tell(stage, LOW, "p1")

    assert stage.agent.leading
    assert refused(stage, 1)


def test_a_leader_that_leads_again_though_it_handed_over_keeps_its_office_for_a_while() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("p2", ENOUGH)
    tell(stage, LOW, "p1")
    ballot = lead(stage)  # the other one could not
    tell(stage, ENOUGH, "p2")
    assert stage.agent.leading
    assert refused(stage, 1)
    while stage.agent.leading and stage.now < 1000 + 2 * HANDED_OVER_EVERY_S:
        stage.deliver("p2", ENOUGH)
        for voter in ("a1", "a2"):
            stage.deliver(voter, HeartbeatReply(ballot, 1))
        stage.wait(TIMING.heartbeat_s)

    assert not stage.agent.leading
    stage.set_aside()


# ---- a disk without room ---------------------------------------------------------------------


def test_d03_an_acceptor_without_room_votes_for_a_few_more_values_and_then_for_none_until_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(space_module, "FULL_TAKES_BYTES", 1000)
    stage = acceptor()
    stage.deliver("a1", FULL)
    for slot in (1, 2, 3):
        stage.deliver("p1", Accept(B3, slot, bytes(300), 1))
    took = [message.slot for _, message in stage.take(Accepted)]
    stage.deliver("p1", Accept(B3, 1, bytes(300), 1))  # it has this vote
    again = stage.take_one(Accepted).slot
    stage.deliver("a1", LOW)
    stage.deliver("p1", Accept(B3, 3, bytes(300), 1))

    assert (took, again, stage.take_one(Accepted).slot) == ([1, 2], 1, 3)
    stage.expect_ignored(NO_ROOM)
    stage.set_aside()


def test_what_is_taken_without_room_is_not_more_for_being_told_again_that_there_is_none() -> None:
    """That is told once a second."""
    allowance = Allowance()
    for _ in range(3):
        allowance.hear(Space.FULL)
        taken = allowance.takes(b"v" * FULL_TAKES_BYTES)

    assert not taken
    allowance.hear(Space.LOW)
    assert allowance.takes(b"v")


def test_an_acceptor_believes_nobody_else_about_its_own_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "FULL_TAKES_BYTES", 0)
    stage = acceptor()
    stage.deliver("a2", FULL)
    stage.deliver("p1", Accept(B3, 1, b"v", 1))

    assert stage.take_one(Accepted).slot == 1
    stage.set_aside()


def test_a_learner_without_room_stops_asks_for_nothing_and_catches_up_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(space_module, "FULL_TAKES_BYTES", 1)
    stage = learner()
    stage.deliver("p1", heartbeat(B3, 1))
    stage.deliver("l1", FULL)
    for slot in (1, 2, 3):
        stage.deliver("p1", Chosen(slot, b"%d" % slot))
    stage.expect_chosen((1, b"1"))
    for _ in range(20):
        stage.deliver("p1", heartbeat(B3, 4))
        stage.wait(TIMING.election_s / 2)
    asked = stage.take(Fetch)
    stage.deliver("l1", ENOUGH)
    for _ in range(40):
        if stage.take(Fetch):
            break
        stage.wait(TIMING.retry_s / 8)
    stage.deliver("l2", Fetched(2, (b"2", b"3"), 4))

    assert asked == []
    stage.expect_chosen((2, b"2"), (3, b"3"))
    stage.set_aside()


def test_a_learner_that_can_take_nothing_of_a_page_does_not_ask_for_it_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(space_module, "FULL_TAKES_BYTES", 0)
    stage = learner()
    stage.deliver("p1", heartbeat(B3, 4))
    stage.wait(TIMING.retry_s)
    stage.set_aside()
    stage.deliver("l1", FULL)
    stage.deliver("l2", Fetched(1, (b"1", b"2", b"3"), 4))

    assert stage.take(Fetch) == []
    stage.set_aside()


# ---- telling it ------------------------------------------------------------------------------


def node() -> Stage[Node]:
    members = membership()

    def build(disk: History) -> Node:
        return Node("a1", members, LIMITS, acceptor=Acceptor("a1", members, TIMING, LIMITS, disk, Random(1)))

    return Stage(build)


def test_a_node_tells_proposers_and_learners_how_its_disk_is_and_its_log_when_that_changed() -> None:
    stage = node()
    stage.deliver("a1", ENOUGH)
    stage.deliver("a1", LOW)
    stage.deliver("a1", LOW)
    stage.deliver("a1", ENOUGH)
    told = stage.take(DiskSpace)

    assert [target for target, _ in told] == 4 * ["p1", "p2", "l1", "l2"]
    assert [message for _, message in told[::4]] == [ENOUGH, LOW, LOW, ENOUGH]
    assert [event.name for event in stage.events] == ["space.low", "space.enough"]
    stage.set_aside()


def test_a_leading_node_tells_that_it_refuses_commands() -> None:
    members = membership({**REPLICAS, "p1": Role.PROPOSER})
    stage = Stage(lambda _: Node("p1", members, LIMITS, proposer=Proposer("p1", members, TIMING, LIMITS, Steady(1))))
    stage.deliver("p1", ENOUGH)

    assert not stage.take_one(DiskSpace, "r1").refuses
    stage.set_aside()


def test_what_a_newer_version_tells_finer_is_taken_for_the_worst() -> None:
    assert [space_of(number) for number in (0, 1, 2, 3, 99)] == [
        Space.UNKNOWN, Space.ENOUGH, Space.LOW, Space.FULL, Space.FULL,
    ]  # fmt: skip


def test_a_forward_that_was_refused_for_want_of_room_can_be_sent_again() -> None:
    stage = proposer()
    lead(stage)
    tell(stage, LOW, "a1", "a2")
    first = refused(stage, 1)
    tell(stage, ENOUGH, "a1", "a2")
    stage.deliver("l1", forward(seq=1, attempt=2))

    assert first
    assert stage.take(Accept)
    stage.set_aside()
