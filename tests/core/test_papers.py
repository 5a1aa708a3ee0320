"""Sentences of Leslie Lamport, "Paxos Made Simple" (2001) [PMS], each checked on the real roles."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest

from paxosd.core.agent import Agent
from paxosd.core.membership import Role
from paxosd.core.messages import (
    Accept,
    Accepted,
    Applied,
    Chosen,
    FetchedVotes,
    FetchVotes,
    Heartbeat,
    Message,
    Nack,
    Prepare,
    Promise,
)
from paxosd.core.options import Limits
from paxosd.core.proposer import Proposer
from paxosd.core.records import Promised, Round, Voted
from paxosd.core.types import FIRST_SLOT, Ballot, NodeId, Slot, Vote
from paxosd.core.values import is_noop
from tests.core.helpers import (
    LIMITS,
    REPLICAS,
    ROLES,
    TIMING,
    Stage,
    acceptor,
    born,
    canvass,
    choose,
    elect,
    forward,
    heartbeat,
    lead,
    learned,
    learner,
    noop,
    promise,
    proposer,
    value,
)
from tests.core.network import Network, rough

M, N = Ballot(3, "p1"), Ballot(4, "p2")
"""Two proposal numbers, M below N."""
V, W = value(b"v"), value(b"w")
"""Two values."""
PAIRS = list(combinations(("a1", "a2", "a3"), 2))
"""All majorities of two."""


class Table:
    """Two proposers, three acceptors and a learner, each on its own stage; messages go where the test carries them."""

    def __init__(self) -> None:
        self.p1, self.p2, self.l1 = proposer("p1"), proposer("p2"), learner("l1")
        self.a1, self.a2, self.a3 = acceptor("a1"), acceptor("a2"), acceptor("a3")

    def stage(self, name: NodeId) -> Stage[Agent]:
        return getattr(self, name)  # type: ignore[no-any-return]

    def carry(self, kind: type[Message], source: NodeId, *targets: NodeId) -> None:
        """All messages of this kind that a node sent to these others arrive."""
        for target in targets:
            found = [message for _, message in self.stage(source).take(kind, target)]
            assert found, f"{source} sent no {kind.__name__} to {target}"
            self.stage(target).deliver(source, *found)

    def lead(self, leader: NodeId, *supporters: NodeId) -> Ballot:
        """This proposer finishes phase 1 with these acceptors."""
        stage: Stage[Proposer] = getattr(self, leader)
        canvass(stage, voters=supporters)
        for supporter in supporters:
            self.carry(Prepare, leader, supporter)
            self.carry(Promise, supporter, leader)
        assert stage.agent.leading
        return stage.agent.ballot

    def vote(self, leader: NodeId, *voters: NodeId) -> None:
        """These acceptors get what the leader proposed, and it gets their votes."""
        for voter in voters:
            self.carry(Accept, leader, voter)
            self.carry(Accepted, voter, leader)

    def leave(self) -> None:
        """The rest of what was said is not what the test is about."""
        for stage in (self.p1, self.p2, self.l1, self.a1, self.a2, self.a3):
            stage.set_aside()


def proposed(stage: Stage[Proposer], acceptor: NodeId = "a1") -> dict[Slot, bytes]:
    """What a leader proposed since the last time."""
    found = {message.slot: message.value for _, message in stage.take(Accept, acceptor)}
    stage.take(Accept)
    return found


# ---- 2.1 The problem -------------------------------------------------------------------------


def test_only_a_value_that_has_been_proposed_may_be_chosen() -> None:
    """Only a value that has been proposed may be chosen. [PMS 2.1]"""
    network = Network()
    session = network.open_session("l1")
    for seq in (1, 2, 3):
        network.propose("l1", session, seq, b"%d" % seq)
    network.crash(*network.leaders())
    network.run(5.0)

    assert network.log_of("l1") == [b"1", b"2", b"3"]
    assert sum(not is_noop(chosen) for chosen in network.chosen.values()) == 1 + 3  # the session, and the commands


def test_only_a_single_value_is_chosen() -> None:
    """Only a single value is chosen. [PMS 2.1]"""
    table = Table()
    table.lead("p1", "a1", "a2")
    table.lead("p2", "a2", "a3")  # both believe that they lead, and propose in slot 1
    mine, theirs = table.p1.take(Accept), table.p2.take(Accept)
    for target, message in [*theirs, *mine, *theirs]:
        table.stage(str(target)).deliver(message.ballot.proposer, message)
    votes = [disk.disk.vote(1) for disk in (table.a1, table.a2, table.a3)]
    in_ballots = [vote.ballot for vote in votes if vote is not None]

    assert [in_ballots.count(ballot) >= 2 for ballot in (mine[0][1].ballot, theirs[0][1].ballot)] == [False, True]
    table.leave()


def test_a_process_never_learns_that_a_value_has_been_chosen_unless_it_actually_has_been() -> None:
    """A process never learns that a value has been chosen unless it actually has been. [PMS 2.1]"""
    table = Table()
    table.lead("p1", "a1", "a2")
    table.vote("p1", "a1")  # one vote is no quorum
    assert table.p1.take(Chosen) == []
    table.leave()
    # Neither does a learner that believes the slot to be chosen take one acceptor's word for the value.
    table.l1.deliver("p2", heartbeat(N, watermark=2))
    table.l1.wait(TIMING.retry_s * 2)
    table.carry(FetchVotes, "l1", "a1")
    table.carry(FetchedVotes, "a1", "l1")

    table.l1.expect_chosen()
    table.leave()


@pytest.mark.parametrize("roles", [ROLES, REPLICAS], ids=["roles", "replicas"])
@pytest.mark.parametrize("seed", range(10))
def test_n08_messages_can_take_arbitrarily_long_can_be_duplicated_and_can_be_lost(
    roles: dict[NodeId, Role], seed: int
) -> None:
    """Messages can take arbitrarily long to be delivered, can be duplicated, and can be lost. [PMS 2.1]"""
    network = Network(roles)
    gateway, other = [node for node, member in network.members.items() if member.gateway is not None][:2]
    session = network.open_session(gateway)
    chance = Random(seed)
    network.weather = rough(chance)
    for attempt in range(60):
        acknowledged = [told.first_seq for _, told in network.to_clients if isinstance(told, Applied)]
        if attempt % 5 == 0:
            network.restart(*network.dead)
            network.crash(chance.choice([node for node in network.members if node != gateway]))
        seq = max(acknowledged, default=0) + 1
        network.propose(gateway, session, seq, b"%d" % seq, attempt)
        network.run(0.3)
    network.weather = None
    network.restart(*network.dead)
    network.run(5.0)

    log = network.log_of(gateway)
    assert log == [b"%d" % seq for seq in range(1, len(log) + 1)]
    assert len(log) >= seq - 1 >= 5
    assert network.log_of(other) == log
    assert len(network.leaders()) == 1


# ---- 2.2 Choosing a value --------------------------------------------------------------------


def test_an_acceptor_must_accept_the_first_proposal_that_it_receives() -> None:
    """An acceptor must accept the first proposal that it receives. [PMS 2.2, P1]"""
    stage = acceptor()
    stage.deliver("p1", Accept(M, 1, V, FIRST_SLOT))

    stage.expect_sent("p1", Accepted(M, 1))
    stage.expect_recorded(Promised(M), Voted(1, M, V))


@pytest.mark.parametrize("voters", PAIRS, ids="".join)
@pytest.mark.parametrize("supporters", PAIRS, ids="".join)
def test_if_a_value_is_chosen_every_higher_numbered_proposal_has_it(
    voters: tuple[NodeId, ...], supporters: tuple[NodeId, ...]
) -> None:
    """If a proposal with value v is chosen, then every higher-numbered proposal issued by any proposer has value v.
    [PMS 2.2, P2b] Whichever majority chose it, and whichever majority the next leader asks.
    """
    table = Table()
    table.lead("p1", *voters)
    table.p1.take(Accept)
    chosen = value(b"chosen")
    ballot = table.p1.agent.ballot
    for voter in voters:
        table.stage(voter).deliver("p1", Accept(ballot, 1, chosen, FIRST_SLOT))
    table.lead("p2", *supporters)

    assert proposed(table.p2)[1] == chosen
    table.leave()


def test_without_a_proposal_in_the_majority_the_proposer_is_free() -> None:
    """Either (a) no acceptor in S has accepted any proposal numbered less than n … [PMS 2.2, P2c]"""
    stage = proposer()
    elect(stage, {"a1": [], "a3": []})

    assert is_noop(proposed(stage)[1])


def test_otherwise_the_value_of_the_highest_numbered_proposal_in_the_majority_is_issued() -> None:
    """… or (b) v is the value of the highest-numbered proposal among all proposals numbered less than n accepted by
    the acceptors in S. [PMS 2.2, P2c]
    """
    for told in ({"a1": [Vote(1, M, V)], "a2": [Vote(1, N, W)]}, {"a1": [Vote(1, N, W)], "a2": [Vote(1, M, V)]}):
        stage = proposer(records=[Round(9)])
        elect(stage, told)
        assert proposed(stage)[1] == W


def test_an_acceptor_can_accept_iff_it_has_not_responded_to_a_higher_prepare() -> None:
    """An acceptor can accept a proposal numbered n iff it has not responded to a prepare request having a number
    greater than n. [PMS 2.2, P1a]
    """
    for promised, accepted in ((Ballot(2, "p9"), True), (M, True), (N, False)):
        stage = acceptor(records=[Promised(promised)])
        stage.deliver("p1", Accept(M, 1, V, FIRST_SLOT))
        assert (len(stage.take(Accepted)) == 1) == accepted
        stage.set_aside()


def test_an_acceptor_must_remember_even_if_it_fails_and_then_restarts() -> None:
    """An acceptor must remember this information even if it fails and then restarts. [PMS 2.2]"""
    table = Table()
    table.lead("p1", "a1", "a2")
    table.vote("p1", "a1", "a2")
    chosen = table.a1.disk.vote(1)
    for stage in (table.a1, table.a2, table.a3):
        stage.restart()
    table.lead("p2", "a2", "a3")

    assert chosen is not None
    assert proposed(table.p2)[1] == chosen.value
    table.p1.agent.tick(table.p1.now)
    table.a2.deliver("p1", Accept(chosen.ballot, 2, V, FIRST_SLOT))
    table.a2.expect_sent("p1", Nack(chosen.ballot, table.p2.agent.ballot))
    table.leave()


def test_the_proposer_can_always_abandon_a_proposal_if_it_never_uses_its_number_again() -> None:
    """The proposer can always abandon a proposal and forget all about it—as long as it never tries to issue another
    proposal with the same number. [PMS 2.2]
    """
    stage = proposer()
    used = []
    for _ in range(4):
        used.append(elect(stage))
        stage.set_aside()
        stage.restart()  # it forgot all but the round

    assert used == sorted(set(used))


def test_phase_1b() -> None:
    """If an acceptor receives a prepare request with number n greater than that of any prepare request to which it
    has already responded, then it responds to the request with a promise not to accept any more proposals numbered
    less than n and with the highest-numbered proposal (if any) that it has accepted. [PMS 2.2]
    """
    stage = acceptor()
    stage.deliver("p1", Accept(M, 1, V, FIRST_SLOT))
    stage.set_aside()
    stage.deliver("p2", Prepare(N, 1))
    stage.expect_sent("p2", promise(N, Vote(1, M, V)))
    stage.deliver("p1", Accept(M, 2, V, FIRST_SLOT))

    stage.expect_sent("p1", Nack(M, N))
    stage.set_aside()


def test_phase_2a() -> None:
    """If the proposer receives a response to its prepare requests (numbered n) from a majority of acceptors, then it
    sends an accept request […] for a proposal numbered n with a value v, where v is the value of the highest-numbered
    proposal among the responses, or is any value if the responses reported no proposals. [PMS 2.2]
    """
    stage = proposer(records=[Round(9)])
    ballot = canvass(stage)
    stage.set_aside()
    stage.deliver("a1", promise(ballot, Vote(1, N, W)))
    assert stage.take(Accept) == []
    stage.deliver("a3", promise(ballot, Vote(1, M, V)))

    first, opening = stage.take(Accept, "a2")
    assert first == ("a2", Accept(ballot, 1, W, FIRST_SLOT))
    assert (opening[1].ballot, opening[1].slot) == (ballot, 2)
    stage.set_aside()


def test_phase_2b() -> None:
    """If an acceptor receives an accept request for a proposal numbered n, it accepts the proposal unless it has
    already responded to a prepare request having a number greater than n. [PMS 2.2]
    """
    table = Table()
    table.lead("p1", "a1", "a2")
    table.lead("p2", "a2", "a3")
    table.vote("p1", "a1")
    table.carry(Accept, "p1", "a2")

    assert table.a1.disk.vote(1) is not None
    assert table.a2.disk.vote(1) is None
    table.leave()


def test_an_acceptor_should_inform_the_proposer_who_should_then_abandon_its_proposal() -> None:
    """If an acceptor ignores a prepare or accept request because it has already received a prepare request with a
    higher number, then it should probably inform the proposer, who should then abandon its proposal. [PMS 2.2]
    """
    table = Table()
    table.lead("p1", "a1", "a2")
    table.lead("p2", "a2", "a3")
    table.carry(Accept, "p1", "a2")
    table.carry(Nack, "a2", "p1")

    assert not table.p1.agent.leading
    table.leave()


def test_requests_and_responses_may_arrive_long_after_the_proposal_was_abandoned() -> None:
    """Correctness is maintained, even though requests and/or responses for the proposal may arrive at their
    destinations long after the proposal was abandoned. [PMS 2.2]
    """
    table = Table()
    table.lead("p1", "a1", "a2")
    late = [message for _, message in table.p1.take(Accept, "a3")]
    table.carry(Accept, "p1", "a1")
    late_votes = [message for _, message in table.a1.take(Accepted)]
    table.lead("p2", "a2", "a3")
    table.vote("p2", "a2", "a3")
    chosen = table.a2.disk.vote(1)
    table.leave()

    table.a3.deliver("p1", *late)
    table.lead("p1", "a2", "a3")
    table.p1.deliver("a1", *late_votes)

    assert chosen is not None
    assert table.a3.disk.vote(1) == chosen
    assert proposed(table.p1)[1] == chosen.value
    assert table.p1.take(Chosen) == []
    table.leave()


# ---- 2.3 Learning a chosen value -------------------------------------------------------------


def test_a_learner_must_find_out_that_a_proposal_has_been_accepted_by_a_majority() -> None:
    """To learn that a value has been chosen, a learner must find out that a proposal has been accepted by a majority
    of acceptors. [PMS 2.3]
    """
    table = Table()
    table.lead("p1", "a1", "a2")
    table.vote("p1", "a1")
    assert table.p1.take(Chosen) == []
    table.vote("p1", "a2")
    table.carry(Heartbeat, "p1", "l1")
    table.carry(Chosen, "p1", "l1")

    assert [slot for slot, _ in table.l1.chosen] == [1]
    table.leave()


def test_acceptors_respond_to_a_distinguished_learner_which_informs_the_other_learners() -> None:
    """We can have the acceptors respond with their acceptances to a distinguished learner, which in turn informs the
    other learners when a value has been chosen. [PMS 2.3]
    """
    table = Table()
    table.lead("p1", "a1", "a2")
    table.carry(Accept, "p1", "a1")
    assert [target for target, _ in table.a1.take(Accepted)] == ["p1"]
    table.leave()
    choose(table.p1, table.p1.agent.ballot, 1)

    assert [target for target, _ in table.p1.take(Chosen)] == ["l1", "l2"]
    table.leave()


def test_c08_a_value_could_be_chosen_with_no_learner_ever_finding_out_until_a_new_proposal_is_chosen() -> None:
    """Because of message loss, a value could be chosen with no learner ever finding out. […] In that case, learners
    will find out what value is chosen only when a new proposal is chosen. [PMS 2.3]
    """
    network = Network()
    session = network.open_session("l1")
    leader = network.leaders()[0]
    network.cut |= {(leader, "l1"), (leader, "l2")} | {(acceptor, leader) for acceptor in ("a1", "a2", "a3")}
    slots = len(network.chosen)
    network.propose("l1", session, 1, b"secret")
    network.settle()
    assert len(network.chosen) == slots + 1  # a quorum has it on disk, and nobody knows
    network.crash(leader)
    network.cut.clear()
    assert network.log_of("l1") == []
    network.run_until(lambda: network.log_of("l1") and network.log_of("l2"))

    assert network.log_of("l1") == network.log_of("l2") == [b"secret"]


# ---- 2.4 Progress ----------------------------------------------------------------------------


def test_o07_two_proposers_do_not_keep_issuing_proposals_none_of_which_are_ever_chosen() -> None:
    """It's easy to construct a scenario in which two proposers each keep issuing a sequence of proposals with
    increasing numbers, none of which are ever chosen. [PMS 2.4] Easy, but not here.
    """
    network = Network()
    network.run_until(lambda: len(network.leaders()) == 1 and network.chosen)
    network.run(10.0)
    rounds = [network.members[name].disk.round() for name in ("p1", "p2")]

    assert len(network.leaders()) == 1
    assert max(rounds) <= 3


def test_the_distinguished_proposer_will_eventually_choose_a_high_enough_number() -> None:
    """By abandoning a proposal and trying again if it learns about some request with a higher proposal number, the
    distinguished proposer will eventually choose a high enough proposal number. [PMS 2.4]
    """
    network = Network()
    high = Ballot(1000, "p2")
    network.crash("p2")
    network.run(0.05)
    for name in ("a1", "a2", "a3"):
        network.members[name].turn([("p2", Prepare(high, 1, born(network.membership)))])
    network.run_until(network.leaders)

    assert network.members["p1"].disk.round() == 1001


# ---- 2.5 The implementation ------------------------------------------------------------------


@pytest.mark.parametrize("request_", [Prepare(N, 1), Accept(N, 1, V, FIRST_SLOT)], ids=["promise", "vote"])
def test_an_acceptor_records_its_intended_response_before_actually_sending_it(request_: Message) -> None:
    """An acceptor records its intended response in stable storage before actually sending the response. [PMS 2.5]"""
    stage = acceptor()
    stage.crash_before_commit("p2", request_)
    stage.expect_silence()
    stage.deliver("p2", request_)

    assert stage.disk.promised() == N
    assert [sent.early for sent in stage.sent] == [False]
    stage.set_aside()


def test_different_proposers_choose_their_numbers_from_disjoint_sets() -> None:
    """Different proposers choose their numbers from disjoint sets of numbers, so two different proposers never issue
    a proposal with the same number. [PMS 2.5]
    """
    numbers: list[Ballot] = []
    for name in ("p1", "p2"):
        stage = proposer(name)
        for _ in range(3):
            numbers.append(canvass(stage))
            stage.set_aside()

    assert len(set(numbers)) == 6


def test_each_proposer_begins_phase_1_with_a_higher_number_than_any_it_has_already_used() -> None:
    """Each proposer remembers (in stable storage) the highest-numbered proposal it has tried to issue, and begins
    phase 1 with a higher proposal number than any it has already used. [PMS 2.5]
    """
    stage = proposer(records=[Round(41)])
    ballot = canvass(stage)

    assert ballot == Ballot(42, "p1")
    assert stage.disk.round() == 42
    assert {sent.early for sent in stage.sent} == {False}
    stage.set_aside()


# ---- 3 Implementing a state machine ----------------------------------------------------------

WIDE = Limits(window_slots_max=10)


def new_leader_of_the_paper() -> tuple[Stage[Proposer], Ballot]:
    """It knows that commands 1–134 are chosen; a quorum tells votes in instances 135, 138, 139 and 140."""
    stage = proposer(limits=WIDE, records=[Round(9)])
    told = [Vote(slot, M, value(b"%d" % slot)) for slot in (134, 135, 138, 139)]
    ballot = elect(stage, {"a1": told, "a2": [Vote(140, M, value(b"140"))]}, watermark=135)
    return stage, ballot


def test_c07_the_leader_executes_phase_2_for_the_instances_whose_value_is_determined() -> None:
    """Suppose that the outcome of these executions determine the value to be proposed in instances 135 and 140, but
    leaves the proposed value unconstrained in all other instances. The leader then executes phase 2 for instances 135
    and 140, thereby choosing commands 135 and 140. [PMS 3]
    """
    stage, _ = new_leader_of_the_paper()
    found = proposed(stage)

    assert (found[135], found[140]) == (value(b"135"), value(b"140"))


def test_the_gap_is_filled_by_proposing_a_special_noop_command_that_leaves_the_state_unchanged() -> None:
    """Instead, we let it fill the gap immediately by proposing, as commands 136 and 137, a special "no-op" command
    that leaves the state unchanged. [PMS 3]
    """
    stage, _ = new_leader_of_the_paper()
    found = proposed(stage)

    assert [slot for slot, held in found.items() if is_noop(held)] == [136, 137, 141]  # and its own, to open


def test_once_these_noop_commands_have_been_chosen_commands_138_to_140_can_be_executed() -> None:
    """Once these no-op commands have been chosen, commands 138–140 can be executed. [PMS 3]"""
    stage = learner(records=learned(*[noop()] * 135))
    stage.turn()
    stage.set_aside()
    stage.deliver("p1", heartbeat(Ballot(1, "p1"), watermark=136))
    stage.deliver("p1", *[Chosen(slot, value(b"%d" % slot)) for slot in (138, 139, 140)], Chosen(136, noop()))
    assert [slot for slot, _ in stage.chosen] == [136]
    stage.deliver("p1", Chosen(137, noop()))

    assert [slot for slot, _ in stage.chosen] == [136, 137, 138, 139, 140]
    stage.set_aside()


def test_the_leader_can_propose_command_142_before_it_learns_that_141_has_been_chosen() -> None:
    """The leader can propose command 142 before it learns that its proposed command 141 has been chosen. It's possible
    for all the messages it sent in proposing command 141 to be lost, and for command 142 to be chosen before any other
    server has learned what the leader proposed as command 141. [PMS 3]
    """
    stage = proposer()
    ballot = lead(stage)
    for seq in (1, 2):
        stage.deliver("l1", forward(seq=seq))
    assert list(proposed(stage)) == [2, 3]
    choose(stage, ballot, 3)

    assert {message.slot for _, message in stage.take(Chosen)} == {3}
    assert stage.agent.watermark == 2


def test_when_the_leader_fails_to_receive_the_expected_response_it_will_retransmit() -> None:
    """When the leader fails to receive the expected response to its phase 2 messages in instance 141, it will
    retransmit those messages. [PMS 3]
    """
    stage = proposer()
    lead(stage)
    stage.deliver("l1", forward())
    before = proposed(stage)
    stage.wait(TIMING.retry_s * 1.5)

    assert proposed(stage) == before
    stage.set_aside()


def test_a_leader_can_get_alpha_commands_ahead() -> None:
    """A leader can get α commands ahead—that is, it can propose commands i + 1 through i + α after commands 1 through
    i are chosen. A gap of up to α − 1 commands could then arise. [PMS 3]
    """
    alpha = LIMITS.window_slots_max
    stage = proposer()
    ballot = lead(stage)  # slot 1 is chosen
    for seq in range(1, 2 * alpha):
        stage.deliver("l1", forward(seq=seq))
    assert list(proposed(stage)) == list(range(2, 2 + alpha))
    choose(stage, ballot, 1 + alpha)
    stage.deliver("l1", forward(seq=99))

    assert proposed(stage) == {}
    stage.set_aside()


def test_phase_1_of_infinitely_many_instances_is_a_single_reasonably_short_message() -> None:
    """Using the same proposal number for all instances, it can do this by sending a single reasonably short message to
    the other servers. In phase 1, an acceptor responds with more than a simple OK only if it has already received a
    phase 2 message from some proposer. [PMS 3]
    """
    stage = proposer()
    ballot = canvass(stage)
    assert [message for _, message in stage.take(Prepare, "a1")] == [Prepare(ballot, 1)]
    stage.set_aside()
    voter = acceptor()
    voter.deliver("p1", Prepare(ballot, 1))

    assert voter.take_one(Promise).votes == ()
    voter.set_aside()


def test_the_effective_cost_of_a_command_is_that_of_phase_2_only() -> None:
    """The effective cost of executing a state machine command—that is, of achieving consensus on the command/value—is
    the cost of executing only phase 2 of the consensus algorithm. [PMS 3]
    """
    stage = proposer()
    ballot = lead(stage)
    for slot in range(2, 20):
        stage.deliver("l1", forward(seq=slot))
        choose(stage, ballot, slot, voters=("a1", "a2", "a3"))

    assert {type(sent.message) for sent in stage.sent} == {Accept, Chosen}
    assert len(stage.take(Accept)) == 3 * 18
    stage.expect_recorded()  # the leader's disk has no part in it
    stage.set_aside()


def test_n01_if_multiple_servers_think_they_are_leaders_safety_is_preserved() -> None:
    """If multiple servers think they are leaders, […] safety is preserved—two different servers will never disagree on
    the value chosen as the ith state machine command. [PMS 3]
    """
    network = Network(REPLICAS)
    session = network.open_session("r1")
    old = network.leaders()[0]
    others = [node for node in REPLICAS if node != old]
    network.run(0.1)  # everybody knows of the session
    network.propose(others[0], session, 1, b"1")
    network.cut_off(old)
    network.propose(old, session, 2, b"in vain")
    network.run_until(lambda: len(network.leaders()) == 2 or network.leaders() not in ([], [old]))
    network.run(1.0)
    network.propose(others[0], session, 2, b"2", attempt=2)
    network.cut.clear()
    network.run(3.0)

    assert [network.log_of(node) for node in REPLICAS] == [[b"1", b"2"]] * 3
