"""A birth for which one acceptor voted, and of which the other disks are gone: nobody can lead, and it is said why."""

from __future__ import annotations

from paxosd.core.types import NodeId
from tests.core.helpers import ROLES
from tests.core.network import Network
from tests.core.test_disks import voters, wipe


def half_born(*wiped: NodeId) -> Network:
    """a1 has voted for a birth, and nobody else has; then these directories are lost."""
    network = Network(is_born=False)
    network.weather = lambda: [0.02]
    network.run_until(network.leaders)
    network.cut_off("a2")
    network.cut_off("a3")
    network.run_until(lambda: network.members["a1"].disk.vote(1))
    network.crash(*ROLES)
    network.cut.clear()
    for node in wiped:
        wipe(network, node)
    network.restart(*ROLES)
    return network


def told(network: Network) -> set[str]:
    return {member.proposer.loss for member in network.members.values() if member.proposer is not None}


def test_it_is_said_which_disks_are_gone_and_how_to_give_the_birth_up_and_that_helps() -> None:
    network = half_born("a2", "a3")
    for _ in range(500):
        network.run(0.01)
        assert network.leaders() == []
    (sentence,) = told(network) - {""}
    assert "with disks that are gone (a2, a3)" in sentence
    assert "bring back the directories that they had" in sentence
    assert sentence.endswith("start all acceptors with empty ones")

    wipe(network, "a1")
    network.run_until(lambda: network.leaders() and voters(network).are_named)
    network.run(0.5)
    assert told(network) == {""}


def test_where_enough_of_its_disks_are_left_it_is_chosen() -> None:
    network = half_born("a3")
    vote = network.members["a1"].disk.vote(1)
    network.run_until(lambda: network.leaders() and voters(network).are_named)

    assert vote is not None
    assert network.chosen[1] == vote.value
    assert told(network) == {""}
