"""A node: every message reaches the roles that take it, and what a node tells itself goes the way of all messages."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from paxosd.core.acceptor import Acceptor
from paxosd.core.learner import Learner
from paxosd.core.membership import Membership, Role
from paxosd.core.messages import (
    Accept,
    Accepted,
    Applied,
    Chosen,
    Fetch,
    Fetched,
    Forward,
    Heartbeat,
    HeartbeatReply,
    OpenSession,
    Ping,
    Pong,
    Prepare,
    PreVote,
    PreVoteReply,
    Propose,
    Refused,
    Resign,
    SessionOpened,
)
from paxosd.core.node import LEADER_TOLD_EVERY_S, Node, Replica
from paxosd.core.proposer import Proposer
from paxosd.core.reasons import Reason
from paxosd.core.records import Learned, Promised, Record, Round, Told, Voted
from paxosd.core.snapshots import Shelf
from paxosd.core.types import NO_BALLOT, Ballot, Outcome
from paxosd.core.values import encode_body
from paxosd.gateway.gateway import Gateway
from paxosd.machine.ledger import Ledger
from paxosd.machine.log import Log
from tests.core.helpers import (
    LIMITS,
    REPLICAS,
    TIMING,
    Stage,
    Steady,
    heartbeat,
    learned,
    membership,
    noop,
    promise,
    session_id,
    value,
)
from tests.core.network import Network

B3 = Ballot(3, "r2")


def replica(records: Sequence[Record] = ()) -> Stage[Node]:
    """r1 of three replicas, after its first turn."""
    members = membership(REPLICAS)

    def build(disk: Shelf) -> Node:
        return Replica(
            "r1",
            members,
            LIMITS,
            Proposer("r1", members, TIMING, LIMITS, Steady(1)),
            Acceptor("r1", members, TIMING, LIMITS, disk, Random(1)),
            Learner("r1", members, TIMING, LIMITS, disk, Random(1)),
            Gateway("r1", "demo", members, TIMING, LIMITS, {}, Ledger(disk, {"log": Log()}, 100, 10_000)),
        )

    stage = Stage(build, records, members)
    stage.turn()
    stage.set_aside()
    return stage


def only_acceptor(members: Membership, disk: Shelf) -> Node:
    return Node("a1", members, LIMITS, acceptor=Acceptor("a1", members, TIMING, LIMITS, disk, Random(1)))


def elected() -> tuple[Stage[Node], Ballot]:
    """r1 leads with the promise of r2, and its opening no-op is on its way."""
    stage = replica()
    stage.wait(TIMING.election_s)
    wish = stage.take(PreVote, "r2")[0][1].ballot
    stage.deliver("r2", PreVoteReply(wish, True, NO_BALLOT, 1))
    stage.deliver("r1", *[message for _, message in stage.take(PreVoteReply, "r1")])  # its own, after the commit
    ballot = stage.take(Prepare, "r2")[0][1].ballot
    stage.deliver("r2", promise(ballot))
    stage.deliver("r1", Prepare(ballot, 1))
    stage.deliver("r1", promise(ballot))
    return stage, ballot


# ---- who takes what --------------------------------------------------------------------------


def test_a_message_reaches_every_role_that_takes_it() -> None:
    stage = replica()
    stage.deliver("r2", heartbeat(B3, watermark=4, sequence=8))
    stage.expect_sent("r2", HeartbeatReply(B3, 8))  # the acceptor
    stage.deliver("r3", Ping(1))
    stage.expect_sent("r3", Pong(1, False, B3, 4, 1, 0))  # proposer and learner follow
    stage.deliver(b"client", OpenSession(session_id(7), 1))
    assert stage.take_one(Forward, "r2")  # the gateway knows who leads
    stage.set_aside()


def test_u15_the_clients_of_a_replica_hear_at_once_that_the_leader_resigned() -> None:
    stage = replica()
    stage.deliver("r2", heartbeat(Ballot(3, "r2")))
    stage.set_aside()
    stage.deliver("r2", Resign(Ballot(3, "r2")))
    stage.deliver(b"me", Propose(session_id(1), 9, 1, 1, 1, encode_body([b"a"])))

    stage.expect_sent(b"me", Refused(session_id(1), 9, 1, 1, Reason.NO_LEADER, 0, ""))
    stage.expect_silence()


def test_a_message_for_a_role_that_is_not_here_is_counted_by_its_name() -> None:
    members = membership()
    stage = Stage(
        lambda disk: Node("a1", members, LIMITS, acceptor=Acceptor("a1", members, TIMING, LIMITS, disk, Random(1)))
    )
    stage.deliver("l1", Fetch(1))

    stage.expect_ignored("Fetch is for another role")


def test_no_role_sees_what_its_sender_may_not_say_nor_a_number_far_above_what_is_known() -> None:
    members = membership()
    stage = Stage(
        lambda disk: Node("a1", members, LIMITS, acceptor=Acceptor("a1", members, TIMING, LIMITS, disk, Random(1)))
    )
    stage.deliver("l1", Prepare(Ballot(1, "l1"), 1))
    stage.deliver("p1", Prepare(Ballot(2**63 - 1, "p1"), 1))
    stage.deliver("p1", Heartbeat(Ballot(1, "p1"), 1, 2**63 - 1, 0))

    stage.expect_silence()
    assert stage.agent.ignored == {
        "Prepare is not for the sender's role": 1,
        "round far above what is known": 1,
        "slot far above what is known": 1,
    }


def test_a_node_believes_itself() -> None:
    stage = replica()
    stage.deliver("r1", Chosen(1, noop()))

    stage.expect_chosen((1, noop()))
    stage.set_aside()


def test_a_flood_of_pings_is_answered_once_in_a_turn_and_one_of_ballots_reported_once_in_a_while() -> None:
    stage = replica()
    stage.deliver("r2", *map(Ping, range(1000)), *(heartbeat(Ballot(round_, "r2")) for round_ in range(1, 1000)))
    stage.deliver("r2", *(heartbeat(Ballot(round_, "r2")) for round_ in range(1000, 2000)))

    assert [pong.sequence for _, pong in stage.take(Pong)] == [999]
    assert [event.fields["ballot"] for event in stage.events] == ["999.r2"]
    stage.set_aside()


def test_what_its_roles_ignore_is_counted_together() -> None:
    stage = replica()
    stage.deliver("r3", Accepted(B3, 1), Fetched(1, (), 1))

    assert stage.agent.ignored == {"vote of another ballot": 1, "fetched values that were not asked for": 1}


def test_a_leader_that_is_new_is_reported_once() -> None:
    stage = replica()
    stage.deliver("r2", heartbeat(B3), heartbeat(B3), heartbeat(Ballot(2, "r3")))
    stage.wait(LEADER_TOLD_EVERY_S)
    stage.deliver("r3", heartbeat(Ballot(4, "r3")))

    assert [(event.name, event.fields["leader"]) for event in stage.events] == [
        ("leader.heard", "r2"),
        ("leader.heard", "r3"),
    ]
    stage.set_aside()


def test_every_role_gets_back_what_an_earlier_life_recorded() -> None:
    ballot = Ballot(6, "r2")
    stage = replica([Round(9), Promised(ballot), Told(2), Voted(2, ballot, noop()), *learned(noop())])
    stage.deliver("r2", Ping(1))
    stage.expect_sent("r2", Pong(1, False, ballot, 2, 2, 0))
    stage.wait(TIMING.election_s)

    assert stage.take(PreVote, "r2")[0][1].ballot == Ballot(10, "r1")
    stage.set_aside()


def test_a_pong_of_each_role_tells_what_it_has() -> None:
    members = membership()

    def learn(disk: Shelf) -> Learner:
        return Learner("l1", members, TIMING, LIMITS, disk, Random(1))

    nodes: list[Stage[Node]] = [
        Stage(
            lambda disk: Node("a1", members, LIMITS, acceptor=Acceptor("a1", members, TIMING, LIMITS, disk, Random(1)))
        ),
        Stage(lambda _: Node("p1", members, LIMITS, proposer=Proposer("p1", members, TIMING, LIMITS, Steady(1)))),
        Stage(lambda disk: Node("l1", members, LIMITS, learner=learn(disk))),
    ]
    pongs = []
    for stage in nodes:
        stage.deliver("p2", Heartbeat(Ballot(3, "p2"), 1, 5, 0))
        stage.set_aside()
        stage.deliver("l2", Ping(1))
        pongs.append(stage.take_one(Pong, "l2"))

    assert pongs == [
        Pong(1, False, NO_BALLOT, 5, 0, 0),  # it promised nothing
        Pong(1, False, Ballot(3, "p2"), 5, 0, 0),
        Pong(1, False, Ballot(3, "p2"), 5, 1, 0),
    ]


def test_a_pong_counts_the_revisions_that_were_applied() -> None:
    stage = replica()
    stage.agent.applied(
        1, [Outcome("applied", session_id(1), 1, 3, revision=4), Outcome("gap", session_id(1), 9, 1)], stage.now
    )
    stage.deliver("r2", Ping(1))

    assert stage.take_one(Pong).revision == 6


def test_a_pong_counts_what_earlier_lives_applied() -> None:
    stage = replica()
    stage.agent.resume(41)
    stage.deliver("r2", Ping(1))

    assert stage.take_one(Pong).revision == 41


# ---- what a node tells itself ----------------------------------------------------------------


def test_a_vote_for_its_own_proposal_is_on_disk_in_the_same_turn_and_counted_after_the_commit() -> None:
    stage, ballot = elected()

    assert stage.take(Accept, "r1") == []  # handed over, not sent
    [vote] = [record for record in stage.records if isinstance(record, Voted)]
    assert (vote.slot, vote.ballot) == (1, ballot)
    stage.expect_sent("r1", Accepted(ballot, 1), early=False)
    stage.set_aside()


def test_its_own_promise_is_told_to_itself_after_the_commit_too() -> None:
    stage = replica()
    stage.wait(TIMING.election_s)
    wish = stage.take(PreVote, "r2")[0][1].ballot
    own = stage.take_one(PreVoteReply, "r1")
    stage.deliver("r1", own)
    stage.set_aside()
    stage.deliver("r2", PreVoteReply(wish, True, NO_BALLOT, 1))

    assert stage.records == [Round(1)]
    stage.expect_sent("r1", Prepare(Ballot(1, "r1"), 1), early=False)
    stage.set_aside()


def test_what_a_leader_counted_as_chosen_is_learned_and_applied_in_the_same_turn() -> None:
    stage, ballot = elected()
    stage.set_aside()
    stage.deliver("r1", Accepted(ballot, 1))
    stage.deliver("r2", Accepted(ballot, 1))

    assert [slot for slot, _ in stage.chosen] == [1]
    assert [record.slot for record in stage.records if isinstance(record, Learned)] == [1]
    stage.set_aside()


def test_what_the_acceptor_knows_to_be_chosen_is_learned_and_applied_in_the_same_turn() -> None:
    stage = replica()
    held = value(b"a")
    stage.deliver("r2", Accept(B3, 1, held, 1))
    stage.set_aside()
    stage.deliver("r2", heartbeat(B3, watermark=2))

    stage.expect_chosen((1, held))
    assert stage.take(Chosen) == []
    stage.set_aside()


def test_what_a_client_of_the_leader_proposes_is_voted_for_in_the_same_turn() -> None:
    stage, ballot = elected()
    for acceptor in ("r1", "r2"):
        stage.deliver(acceptor, Accepted(ballot, 1))
    stage.set_aside()
    stage.deliver(b"client", OpenSession(session_id(5), 1))

    assert [record.slot for record in stage.records if isinstance(record, Voted)] == [2]
    assert stage.take(Forward) == []
    assert {target for target, _ in stage.take(Accept)} == {"r2", "r3"}
    stage.set_aside()


# ---- together --------------------------------------------------------------------------------


def test_the_next_deadline_is_the_first_of_any_role() -> None:
    stage = replica()
    parts = [part.next_deadline() for part in stage.agent._parts]

    assert stage.agent.next_deadline() == min(due for due in parts if due is not None)
    assert Node("x", membership(), LIMITS).next_deadline() is None


def test_c21_a_leader_is_drained_when_its_leadership_is_handed_over() -> None:
    stage, ballot = elected()
    stage.set_aside()
    stage.agent.drain(stage.now)
    assert not stage.agent.drained
    for acceptor in ("r1", "r2"):
        stage.deliver(acceptor, Accepted(ballot, 1))
    stage.wait(TIMING.retry_s)

    assert stage.agent.drained
    stage.set_aside()


def test_a_replica_that_is_alone_serves_its_clients() -> None:
    network = Network({"r1": Role.REPLICA})
    session = network.open_session("r1")
    network.propose("r1", session, 1, b"a")
    network.propose("r1", session, 2, b"b")

    assert network.log_of("r1") == [b"a", b"b"]
    assert [told for _, told in network.to_clients if isinstance(told, SessionOpened | Applied)] == [
        SessionOpened(session_id(7), session, ""),
        Applied(session, 1, 1, 1, 3, ""),
        Applied(session, 2, 1, 2, 4, ""),
    ]
