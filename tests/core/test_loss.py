"""Disks of a quorum that do not know what is chosen, as learners tell; see `core/loss.py`."""

from __future__ import annotations

from paxosd.core.messages import Durable, Prepare
from paxosd.core.proposer import Proposer
from paxosd.core.types import Ballot, Slot, Vote
from tests.core.helpers import ROLES, TIMING, Stage, canvass, elect, noop, promise, proposer
from tests.core.network import Network


def told(*slots: Slot) -> list[Vote]:
    return [Vote(slot, Ballot(1, "p2"), noop(slot)) for slot in slots]


def preparing(stage: Stage[Proposer], reach: Slot) -> Ballot:
    """It was told that all below `reach` is chosen, and prepares."""
    stage.deliver("l1", Durable(reach))
    ballot = canvass(stage)
    stage.take(Prepare)
    return ballot


def reported(stage: Stage[Proposer]) -> list[dict[str, object]]:
    return [event.fields for event in stage.events if event.name == "disk.quorum_went_back"]


def test_it_does_not_lead_if_those_that_promised_know_less_than_is_chosen_and_says_whom_to_bring_back() -> None:
    stage = proposer()
    ballot = preparing(stage, 5)
    stage.deliver("a1", promise(ballot, *told(1, 2)))
    stage.deliver("a2", promise(ballot, *told(1)))

    assert not stage.agent.leading
    (said,) = reported(stage)
    assert (said["first"], said["last"]) == (3, 4)
    assert "as l1 tells" in stage.agent.loss
    assert "start a3 with the directory that it had" in stage.agent.loss
    stage.set_aside()


def test_a_hole_below_what_is_chosen_is_not_filled() -> None:
    stage = proposer()
    ballot = preparing(stage, 5)
    stage.deliver("a1", promise(ballot, *told(1, 4, 5)))
    stage.deliver("a2", promise(ballot, *told(1)))

    assert not stage.agent.leading
    assert reported(stage)[0]["first"] == 2
    stage.set_aside()


def test_it_leads_once_an_acceptor_that_knows_more_has_promised_too() -> None:
    stage = proposer()
    ballot = preparing(stage, 5)
    for acceptor in ("a1", "a2"):
        stage.deliver(acceptor, promise(ballot, *told(1)))
    assert not stage.agent.leading
    stage.deliver("a3", promise(ballot, *told(1, 2, 3, 4)))

    assert stage.agent.leading
    assert stage.agent.loss == ""
    stage.set_aside()


def test_a_watermark_is_as_good_as_votes() -> None:
    stage = proposer()
    ballot = preparing(stage, 5)
    stage.deliver("a1", promise(ballot, watermark=5))
    stage.deliver("a2", promise(ballot))

    assert stage.agent.leading
    stage.set_aside()


def test_it_says_so_once_and_begins_anew_again_and_again() -> None:
    stage = proposer()
    ballots = set()
    for _ in range(3):
        ballot = preparing(stage, 5)
        for acceptor in ("a1", "a2", "a3"):
            stage.deliver(acceptor, promise(ballot))
        ballots.add(ballot)
        stage.set_aside()
        stage.wait(2 * TIMING.election_s)

    assert not stage.agent.leading
    assert len(ballots) == 3
    assert "no acceptor is left that knows" in stage.agent.loss
    stage.set_aside()


def test_a_leader_that_is_told_more_than_it_proposed_stops_leading() -> None:
    stage = proposer()
    elect(stage)
    stage.deliver("l1", Durable(2))
    assert stage.agent.leading  # it proposed slot 1
    stage.deliver("l1", Durable(3))

    assert not stage.agent.leading
    assert stage.agent.loss == ""  # another leader may be about: that is no proof yet
    stage.set_aside()


def put_back(network: Network, live_on: tuple[str, ...]) -> bytes:
    """a3 is stale, a1 is put back, a2 is away; all others than `live_on` start again. Returns the session."""
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(0.5)
    network.crash("a3")
    network.run(3.0)
    earlier = network.members["a1"].disk.copy()
    for seq in range(2, 12):
        network.propose("l1", session, seq, b"%d" % seq)
        network.run(0.3)
    network.run(3.0)
    network.crash("a2", *(node for node in ROLES if node not in live_on))
    network.members["a1"].disk = earlier
    network.restart(*(node for node in ROLES if node != "a2" and node not in live_on))
    return session


def test_nothing_is_decided_twice_when_one_disk_went_back_another_is_stale_and_all_start_again() -> None:
    network = Network(is_born=False)
    session = put_back(network, live_on=())
    network.run(6.0)
    network.propose("l1", session, 12, b"12")
    network.run(6.0)

    assert network.leaders() == []
    network.restart("a2")
    network.run_until(network.leaders)
    network.propose("l1", session, 12, b"12")
    network.run(3.0)
    assert network.log_of("l1") == network.log_of("l2") == [b"%d" % seq for seq in range(1, 13)]
