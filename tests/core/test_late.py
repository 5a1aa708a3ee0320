"""A node that missed the birth, or a decree, is told who votes by whoever knows, also while nobody leads."""

from __future__ import annotations

from paxosd.core.quorum import Quorum
from paxosd.core.types import NodeId, SessionId
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import FIVE
from tests.core.network import Network
from tests.core.test_disks import admitted, voters, wipe


def slowly() -> list[float]:
    return [0.02]


def born_without(missing: NodeId) -> tuple[Network, SessionId]:
    """A cluster whose birth this node promised to take part in, and missed."""
    network = Network(is_born=False)
    network.weather = slowly
    network.run_until(network.leaders)  # all have promised; what it proposes is on its way
    network.crash(missing)
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(1.0)
    assert network.log_of("l2") == [b"1"]
    assert not voters(network, missing).are_named
    return network, session


def test_an_acceptor_that_missed_the_birth_is_told_of_it_and_makes_a_quorum_though_nobody_leads() -> None:
    network, session = born_without("a3")
    network.crash("a2")
    network.run(3.0)
    assert network.leaders() == []
    network.restart("a3")
    network.run_until(network.leaders)
    network.run(0.5)
    network.propose("l1", session, 2, b"2")
    network.run(1.0)

    assert network.log_of("l2") == [b"1", b"2"]


def test_a_disk_that_does_not_know_that_it_was_admitted_is_told_so_though_nobody_leads() -> None:
    network = Network(FIVE, Quorum(dict.fromkeys(("a1", "a2", "a3", "a4", "a5"), 1), 2, 4), is_born=False)
    network.run_until(lambda: network.leaders() and voters(network).are_named)
    network.run(0.5)
    network.weather = slowly
    wipe(network, "a5")
    leader = network.leaders()[0]
    network.run_until(lambda: voters(network, leader).decreed > 1)
    network.crash("a5", "a1")
    assert voters(network, "a5").decreed == 1
    network.run(3.0)
    network.restart("a5")
    network.run_until(lambda: network.leaders() and admitted(network, "a5"))


def test_a_learner_that_has_nothing_takes_all_from_another_one_though_nobody_leads_or_even_campaigns() -> None:
    network, _ = born_without("a3")
    network.crash("p1", "p2", "a1", "a2", "l2")
    network.members["l2"].disk = MemoryStore()
    network.restart("l2")
    network.run(5.0)

    assert network.log_of("l2") == [b"1"]
