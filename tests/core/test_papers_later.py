"""Sentences of the papers that Paxos Made Simple did not know, each checked on the real roles.

[FP] Heidi Howard, Dahlia Malkhi, Alexander Spiegelman, "Flexible Paxos: Quorum Intersection Revisited", 2016
[DO] Diego Ongaro, "Consensus: Bridging Theory and Practice", 2014
"""

from __future__ import annotations

from itertools import combinations

from paxosd.core.messages import (
    Accept,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Nack,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
)
from paxosd.core.quorum import Quorum
from paxosd.core.reasons import Reason
from paxosd.core.types import Outcome
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.machine.ledger import Ledger, opened_session
from paxosd.machine.log import Log
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import (
    FIVE,
    REPLICAS,
    TIMING,
    acceptor,
    choose,
    elect,
    forward,
    heartbeat,
    lead,
    proposer,
    session_id,
)
from tests.core.network import Network
from tests.core.test_papers import M, N, Table

# ---- Flexible Paxos --------------------------------------------------------------------------


def test_majority_quorums_are_not_necessary_as_intersection_is_required_only_across_phases() -> None:
    """Majority quorums are not necessary as intersection is required only across phases. [FP, abstract]"""
    network = Network(FIVE, Quorum(dict.fromkeys(("a1", "a2", "a3", "a4", "a5"), 1), prepare=4, accept=2))
    session = network.open_session("l1")
    leader = network.leaders()[0]
    network.cut_off("a1")
    network.cut_off("a2")
    network.cut_off("a3")
    network.propose("l1", session, 1, b"chosen by two")
    network.run(0.5)
    assert network.log_of("l2") == [b"chosen by two"]
    assert network.leaders() == [leader]

    # The leader and one of the two are lost: the next leader asks four, of whom one has the vote.
    network.crash(leader, "a4")
    network.cut.clear()
    network.run_until(lambda: [one for one in network.leaders() if one != leader])
    network.run(1.0)
    network.propose("l1", session, 2, b"next", attempt=2)
    network.run(1.0)

    assert network.log_of("l1") == network.log_of("l2") == [b"chosen by two", b"next"]


def test_with_fewer_than_a_prepare_quorum_nobody_leads() -> None:
    """Only quorums from different phases are required to intersect. [FP] So a new leader needs the larger one."""
    network = Network(FIVE, Quorum(dict.fromkeys(("a1", "a2", "a3", "a4", "a5"), 1), prepare=4, accept=2))
    network.crash("a1", "a2")
    network.run(10.0)
    assert network.leaders() == []
    network.restart("a1")
    network.run(3.0)

    assert len(network.leaders()) == 1


# ---- Ongaro's thesis -------------------------------------------------------------------------


def test_n04_a_candidate_only_increments_its_term_if_a_majority_would_vote_for_it() -> None:
    """In the Pre-Vote algorithm, a candidate only increments its term if it first learns from a majority of the
    cluster that they would be willing to grant the candidate their votes. [DO 9.6]
    """
    network = Network()
    network.run_until(network.leaders)
    leader = network.leaders()[0]
    other = "p2" if leader == "p1" else "p1"
    round_before = network.members[other].disk.round()
    network.cut_off(leader, other)  # the acceptors hear the leader, the other proposer does not
    network.run(20.0)

    assert network.leaders() == [leader]
    assert network.members[other].disk.round() == round_before


def test_a_voter_that_hears_a_valid_leader_grants_no_pre_vote() -> None:
    """… and the voters have not received heartbeats from a valid leader for at least a baseline election timeout.
    [DO 9.6]
    """
    stage = acceptor()
    stage.deliver("p1", heartbeat(M))
    stage.set_aside()
    granted = []
    for _ in range(2):
        stage.deliver("p2", PreVote(N))
        granted.append(stage.take_one(PreVoteReply).granted)
        stage.wait(TIMING.election_s)

    assert granted == [False, True]


def test_n01_a_leader_steps_down_if_an_election_timeout_elapses_without_a_majority() -> None:
    """A leader in Raft steps down if an election timeout elapses without a successful round of heartbeats to a
    majority of its cluster. [DO 6.2]
    """
    network = Network(REPLICAS)
    network.run_until(network.leaders)
    leader = network.leaders()[0]
    others = [node for node in REPLICAS if node != leader]
    network.cut_off(leader)
    network.run(1.5 * TIMING.election_s)
    assert leader not in network.leaders()
    network.run(3 * TIMING.election_s)

    assert len([node for node in network.leaders() if node in others]) == 1


def test_n02_a_leader_that_cannot_reach_a_quorum_does_not_stay_because_somebody_still_hears_it() -> None:
    """The same sentence [DO 6.2], with every link cut but those to one node, which still hears the old leader."""
    five = {f"r{number}": REPLICAS["r1"] for number in range(1, 6)}
    network = Network(five)
    network.run_until(network.leaders)
    leader = network.leaders()[0]
    hub = next(node for node in five if node != leader)
    for one, other in combinations(five, 2):
        if hub not in (one, other):
            network.cut_off(one, other)
    network.run(5 * TIMING.election_s)
    assert network.leaders() == [hub]
    rounds = {node: network.members[node].disk.round() for node in five}
    network.run(20 * TIMING.election_s)

    assert network.leaders() == [hub]
    assert rounds == {node: network.members[node].disk.round() for node in five}


def test_l07_a_leader_waits_until_an_entry_of_its_own_term_is_committed() -> None:
    """If the leader has not yet marked an entry from its current term committed, it waits until it has done so.
    [DO 6.4]
    """
    stage = proposer()
    ballot = elect(stage)
    stage.deliver("l1", ReadIndex(1))
    stage.wait(TIMING.heartbeat_s)
    latest = max(message.sequence for _, message in stage.take(Heartbeat))
    for voter in ("a1", "a2", "a3"):
        stage.deliver(voter, HeartbeatReply(ballot, latest))
    assert stage.take(ReadIndexReply) == []
    choose(stage, ballot, 1)
    latest = max(message.sequence for _, message in stage.take(Heartbeat))
    for voter in ("a1", "a2"):
        stage.deliver(voter, HeartbeatReply(ballot, latest))

    stage.expect_sent("l1", ReadIndexReply(1, 2))
    stage.set_aside()


def test_the_leader_saves_its_commit_index_before_the_round_begins() -> None:
    """The leader saves its current commit index in a local variable readIndex. This will be used as a lower bound for
    the version of the state that the query operates against. [DO 6.4]
    """
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", ReadIndex(1))
    [(_, beat)] = stage.take(Heartbeat, "a1")
    stage.deliver("l1", forward())
    choose(stage, ballot, 2)  # committed after the read began, and not needed for it
    for voter in ("a1", "a2"):
        stage.deliver(voter, HeartbeatReply(ballot, beat.sequence))

    stage.expect_sent("l1", ReadIndexReply(1, 2))
    stage.set_aside()


def test_c15_a_leader_makes_sure_that_it_has_not_been_superseded_before_anybody_reads() -> None:
    """The leader needs to make sure it hasn't been superseded by a newer leader of which it is unaware. It issues a
    new round of heartbeats and waits for their acknowledgments from a majority of the cluster. [DO 6.4]
    """
    table = Table()
    table.lead("p1", "a1", "a2")
    table.vote("p1", "a1", "a2")
    for voter in ("a1", "a2"):
        table.carry(Heartbeat, "p1", voter)
    table.lead("p2", "a1", "a2")
    table.vote("p2", "a1", "a2")  # and somebody may have been told that this is chosen
    for voter in ("a1", "a2"):
        table.carry(HeartbeatReply, voter, "p1")  # late answers, from before
    table.p1.take(Heartbeat)
    assert table.p1.agent.leading
    table.p1.deliver("l1", ReadIndex(1))
    table.carry(Heartbeat, "p1", "a3", "a1")
    table.carry(HeartbeatReply, "a3", "p1")
    assert table.p1.take(ReadIndexReply) == []
    table.carry(Nack, "a1", "p1")

    table.p1.expect_sent("l1", ReadIndexReply(1, 0))
    table.leave()


def test_resigning_is_handing_over() -> None:
    """The prior leader sends a TimeoutNow request to the target server. [DO 3.10] Here: a Resign, to all others."""
    network = Network()
    network.run_until(lambda: network.leaders() and network.chosen)
    leader = network.leaders()[0]
    member = network.members[leader]
    member.agent.drain(network.now)
    member.turn()
    network.settle()
    network.run(0.5 * TIMING.election_s)

    assert member.agent.drained
    assert [one for one in network.leaders() if one != leader] != []


def test_the_prior_leader_stops_accepting_new_client_requests() -> None:
    """The prior leader stops accepting new client requests. [DO 3.10]"""
    stage = proposer()
    lead(stage)
    stage.agent.drain(stage.now)
    stage.deliver("l1", forward(attempt=5))

    stage.expect_sent("l1", ForwardRefused(session_id(1), 5, 1, 1, Reason.NOT_LEADER))
    assert stage.take(Accept) == []
    stage.set_aside()


# ---- Sessions --------------------------------------------------------------------------------


def in_the_log(ledger: Ledger, *batches: Batch) -> list[Outcome]:
    return ledger.apply(ledger.next_slot, encode_value(0, batches))


def ledgers(sessions_max: int = 2) -> tuple[Ledger, Ledger]:
    """Those of two learners."""
    one, other = (Ledger(MemoryStore(), {"log": Log()}, sessions_max, 1000) for _ in range(2))
    return one, other


def test_l01_a_command_whose_serial_number_was_executed_is_not_executed_again() -> None:
    """If it receives a command whose serial number has already been executed, it responds immediately without
    re-executing the request. [DO 6.3]
    """
    ledger, _ = ledgers()
    (opened,) = in_the_log(ledger, Batch(session_id(1), 0, 0, 1, b""))
    command = Batch(opened.session, 1, 1, 1, encode_body([b"v"]))
    first, again = in_the_log(ledger, command), in_the_log(ledger, command)

    assert first == again == [Outcome("applied", opened.session, 1, 1, revision=1, slot=2)]
    assert ledger.revision == 1


def test_the_state_machine_discards_all_responses_for_lower_sequence_numbers() -> None:
    """With each request, the client includes the lowest sequence number for which it has not yet received a response,
    and the state machine then discards all responses for lower sequence numbers. [DO 6.3]
    """
    ledger, _ = ledgers()
    (opened,) = in_the_log(ledger, Batch(session_id(1), 0, 0, 1, b""))
    for seq in range(1, 10):
        in_the_log(ledger, Batch(opened.session, max(1, seq - 1), seq, 1, encode_body([b"v"])))

    assert ledger.results == 2
    assert list(ledger.stored(opened.session, 7, 1) or ["unknown"]) == []
    assert [found.first_seq for found in ledger.stored(opened.session, 7, 3) or ()] == [8, 9]


def test_l02_servers_agree_on_when_to_expire_a_clients_session() -> None:
    """Servers need to agree on when to expire a client's session; otherwise, servers' state machines could diverge from
    each other. […] One option is to set an upper bound on the number of sessions and remove entries using an LRU
    policy. [DO 6.3]
    """
    openings = [Batch(session_id(number), 0, 0, 1, b"") for number in (1, 2, 3)]
    sessions = [opened_session(opening.session, slot) for opening, slot in zip(openings, (1, 2, 4), strict=True)]
    log = [*openings[:2], Batch(sessions[0], 1, 1, 1, encode_body([b"v"])), openings[2]]
    log += [Batch(session, 1, 2, 1, encode_body([b"w"])) for session in sessions]
    one, other = ledgers(sessions_max=2)
    told = [in_the_log(one, batch) for batch in log]
    for session in sessions:  # what clients of this one ask in between is not in the log
        one.stored(session, 1, 1)
    late = [in_the_log(other, batch) for batch in log]  # it learns all of it later

    assert told == late
    assert [outcome.kind for (outcome,) in told[-3:]] == ["applied", "unknown", "gap"]
    assert one.digest() == other.digest()
    assert [ledger.knows(session) for ledger in (one, other) for session in sessions] == [True, False, True] * 2
