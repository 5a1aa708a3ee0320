"""Whole clusters, without a socket: what holds only if the roles fit together."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from paxosd.core.membership import Role
from paxosd.core.messages import Applied, Forward
from paxosd.core.types import NodeId, SessionId
from paxosd.core.values import encode_body
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import LIMITS, REPLICAS, ROLES, TIMING
from tests.core.network import Network

T = TIMING.election_s
LAYOUTS = [pytest.param(ROLES, id="roles"), pytest.param(REPLICAS, id="replicas")]


def gateways(network: Network) -> list[NodeId]:
    return [node for node, member in network.members.items() if member.gateway is not None]


def propose_many(network: Network, gateway: NodeId, session: SessionId, first: int, last: int) -> None:
    for seq in range(first, last + 1):
        network.propose(gateway, session, seq, b"%d" % seq)


def numbers(last: int) -> list[bytes]:
    return [b"%d" % seq for seq in range(1, last + 1)]


@pytest.mark.parametrize("roles", LAYOUTS)
def test_every_learner_applies_the_same_commands_in_the_same_order(roles: Mapping[NodeId, Role]) -> None:
    network = Network(roles)
    one, other = gateways(network)[:2]
    session = network.open_session(one)
    propose_many(network, one, session, 1, 3 * LIMITS.window_slots_max)
    network.run(0.2)

    assert network.log_of(one) == network.log_of(other) == numbers(3 * LIMITS.window_slots_max)


@pytest.mark.parametrize("roles", LAYOUTS)
def test_c10_after_all_nodes_were_killed_everything_acknowledged_is_there_and_no_ballot_comes_again(
    roles: Mapping[NodeId, Role],
) -> None:
    network = Network(roles)
    one, other = gateways(network)[:2]
    session = network.open_session(one)
    propose_many(network, one, session, 1, 9)
    acknowledged = sum(isinstance(told, Applied) for _, told in network.to_clients)
    highest = max(member.disk.promised() for member in network.members.values())
    network.crash(*roles)
    network.run(1.0)
    network.restart(*roles)
    network.run_until(lambda: network.leaders() and network.log_of(one) and network.log_of(other))
    network.run(0.5)
    propose_many(network, one, session, 10, 10)
    network.run(0.5)

    assert acknowledged == 9
    assert network.log_of(one) == network.log_of(other) == numbers(10)
    assert min(member.disk.promised() for member in network.members.values() if member.acceptor) > highest


@pytest.mark.parametrize("roles", LAYOUTS)
def test_a_lost_leader_is_replaced_and_what_it_acknowledged_stays(roles: Mapping[NodeId, Role]) -> None:
    network = Network(roles)
    network.run_until(network.leaders)
    leader = network.leaders()[0]
    one, other = [node for node in gateways(network) if node != leader][:2]
    session = network.open_session(one)
    propose_many(network, one, session, 1, 5)
    network.crash(leader)
    network.run_until(network.leaders, seconds=2.5 * T)
    network.run(0.3)
    propose_many(network, one, session, 6, 7)
    network.run(0.3)

    assert network.log_of(one) == network.log_of(other) == numbers(7)


def test_an_acceptor_that_missed_much_counts_in_an_election_again() -> None:
    network = Network(REPLICAS)
    network.run_until(network.leaders)
    leader = network.leaders()[0]
    stays, lags = [node for node in REPLICAS if node != leader]
    network.crash(lags)
    session = network.open_session(stays)
    propose_many(network, stays, session, 1, 20)
    network.restart(lags)
    network.crash(leader)
    network.run_until(network.leaders, seconds=4 * T)
    network.run(2.0)

    assert network.log_of(stays) == network.log_of(lags) == numbers(20)


def test_c22_learners_that_come_back_catch_up_from_each_other_or_from_a_quorum() -> None:
    network = Network()
    session = network.open_session("l1")
    network.crash("l2")
    propose_many(network, "l1", session, 1, 30)
    network.run(0.2)
    network.crash("l1")
    network.restart("l2")  # nobody has the values but the acceptors
    network.run_until(lambda: len(network.log_of("l2")) == 30)
    network.members["l1"].disk = MemoryStore()
    network.crash("a1", "a2", "a3")
    network.restart("l1")  # with an empty disk, and nobody has the values but l2
    network.run_until(lambda: len(network.log_of("l1")) == 30)

    assert network.log_of("l1") == network.log_of("l2") == numbers(30)


def test_c22_all_proposers_are_lost_and_one_comes_back() -> None:
    network = Network()
    session = network.open_session("l1")
    propose_many(network, "l1", session, 1, 5)
    network.crash("p1", "p2", "a3")
    network.run(2 * T)
    propose_many(network, "l1", session, 6, 6)  # nobody takes it
    network.restart("p1")
    network.run_until(network.leaders)
    network.run(0.3)
    propose_many(network, "l1", session, 6, 7)
    network.run(0.3)

    assert network.log_of("l1") == numbers(7)


def test_a_minority_of_acceptors_decides_nothing_and_a_quorum_goes_on() -> None:
    network = Network()
    session = network.open_session("l1")
    network.crash("a1", "a2")
    before = dict(network.chosen)
    propose_many(network, "l1", session, 1, 1)
    network.run(5 * T)
    assert network.chosen == before
    assert network.leaders() == []
    network.restart("a2")
    network.run_until(network.leaders)
    network.run(0.3)
    propose_many(network, "l1", session, 1, 2)
    network.run(0.3)

    assert network.log_of("l1") == numbers(2)


def test_l01_a_command_that_is_sent_again_elsewhere_is_applied_once_with_the_same_result() -> None:
    network = Network()
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(0.2)
    network.propose("l2", session, 1, b"1", attempt=2)
    network.run(0.2)
    results = [told for _, told in network.to_clients if isinstance(told, Applied)]

    assert network.log_of("l1") == network.log_of("l2") == [b"1"]
    assert len(results) == 2
    assert results[0] == results[1]


def test_n06_a_leader_that_one_node_does_not_hear_goes_on_undisturbed() -> None:
    network = Network(REPLICAS)
    network.run_until(network.leaders)
    leader = network.leaders()[0]
    deaf = next(node for node in REPLICAS if node != leader)
    round_before = network.members[leader].disk.round()
    network.cut.add((leader, deaf))
    network.run(20 * T)
    network.cut.clear()
    network.run(3 * T)

    assert network.leaders() == [leader]
    assert {member.disk.round() for member in network.members.values()} <= {0, round_before}


@pytest.mark.parametrize("roles", LAYOUTS)
def test_c21_a_leader_that_drains_under_load_loses_nothing_and_somebody_else_leads_soon(
    roles: Mapping[NodeId, Role],
) -> None:
    network = Network(roles)
    network.run_until(network.leaders)
    leader = network.leaders()[0]
    one = next(node for node in gateways(network) if node != leader)
    session = network.open_session(one)
    propose_many(network, one, session, 1, 5)
    network.members[leader].agent.drain(network.now)
    propose_many(network, one, session, 6, 7)  # refused, or taken by the next leader
    network.run_until(lambda: network.leaders() not in ([], [leader]), seconds=T)
    network.run_until(lambda: network.members[leader].agent.drained, seconds=T)
    network.crash(leader)
    network.run(0.3)
    propose_many(network, one, session, 6, 8)
    network.run(0.3)

    assert network.log_of(one) == numbers(8)


@pytest.mark.parametrize("roles", LAYOUTS)
def test_l01_a_forward_that_comes_to_the_leader_again_at_any_time_and_by_any_gateway_is_applied_once(
    roles: Mapping[NodeId, Role],
) -> None:
    network = Network(roles)
    one, other = gateways(network)[-2:]
    session = network.open_session(one)
    leader = network.members[network.leaders()[0]]
    command = Forward(session, 1, 1, 1, 1, encode_body([b"1"]))
    leader.turn([(one, command), (one, command), (other, command)])  # waiting for its slot
    leader.turn([(one, command)])  # in flight
    network.propose(one, session, 1, b"1")
    network.run(0.5)
    leader.turn([(one, command), (other, command)])  # chosen
    network.run(0.5)
    network.cut_off(leader.node)
    network.run_until(lambda: network.leaders() not in ([], [leader.node]), seconds=3 * T)
    network.cut.clear()
    for node in network.leaders():
        network.members[node].turn([(one, command)])  # at the next leader
    network.run(0.5)

    assert network.log_of(one) == network.log_of(other) == [b"1"]
    assert sum(value.endswith(command.body) for value in network.chosen.values()) == 3  # in the log again and again
    results = {told for _, told in network.to_clients if isinstance(told, Applied)}
    assert {(told.first_seq, told.count, told.revision) for told in results} == {(1, 1, 1)}
    assert len({told.slot for told in results}) == 1
