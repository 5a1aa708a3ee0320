"""What is said of a disk that is found, and what it is judged by."""

from __future__ import annotations

import pytest

from paxosd.core.messages import PreVote, Recall, Recalled
from paxosd.core.seen import SEEN_EVERY_S, Memory, recalled
from paxosd.core.types import Ballot
from paxosd.core.voters import Known
from tests.core.helpers import ROLES, TIMING, born, disk_of, membership
from tests.core.network import Network
from tests.core.test_disks import admitted, voters, votes, wipe


def known() -> Known:
    made = Known()
    made.restore([born(membership())])
    return made


@pytest.mark.parametrize("decreed", [1, 9])
def test_who_knows_no_voters_that_name_a_disk_and_none_later_says_nothing_of_it(decreed: int) -> None:
    assert recalled(known(), Recall(77, decreed)) is None


def test_what_was_seen_is_written_down_once_in_a_while() -> None:
    memory, of = Memory(), known()
    of.see(disk_of("a1"), 5)
    assert memory.record(of, 100.0) is not None
    of.see(disk_of("a1"), 6)

    assert memory.record(of, 100.0 + SEEN_EVERY_S / 2) is None
    assert memory.record(of, 100.0 + SEEN_EVERY_S) is not None


def test_a_disk_is_judged_by_the_commits_that_were_found_and_not_by_those_of_this_process() -> None:
    """It lacks one commit, and makes another one before it hears of that."""
    network = Network()
    network.run_until(network.leaders)
    network.crash(*[node for node in ROLES if node != "a1"])
    network.restart("a1")
    member = network.members["a1"]
    found = member.disk.commits
    newer = voters(network).replaced(9, "a2", disk_of("a2"), 77)
    member.turn([("p2", PreVote(Ballot(9, "p2"), newer))])
    assert member.disk.commits > found
    member.turn([("l1", Recalled(member.disk.disk, found + 1))])

    assert member.disk.disk != disk_of("a1")


def test_a_disk_that_is_given_up_while_it_copies_has_copied_nothing() -> None:
    network = Network()
    network.run_until(network.leaders)
    wipe(network, "a1")
    acceptor = network.members["a1"].acceptor
    assert acceptor is not None
    newer = voters(network).replaced(9, "a1", disk_of("a1"), acceptor.standing.disk)
    acceptor.receive("p2", PreVote(Ballot(9, "p2"), newer), network.now)
    assert "copies" in acceptor.standing_text
    acceptor.receive("l1", Recalled(acceptor.standing.disk, 1 << 40), network.now)

    assert acceptor.standing_text == "guest"
    assert not votes(network, "a1")


def test_in_an_idle_log_a_guest_is_admitted_though_a_voter_promised_too_late() -> None:
    network = Network()
    session = network.open_session("l1")
    network.propose("l1", session, 1, b"1")
    network.run(1.0)
    (leader,) = network.leaders()
    proposer = network.members[leader].proposer
    assert proposer is not None
    proposer._took_part.discard("a1")  # as if its promise and its votes had come too late for this ballot
    wipe(network, "a2")
    network.run_until(lambda: admitted(network, "a2"))


def test_a_guest_that_waits_for_who_does_not_vote_has_something_proposed_once_in_an_election_timeout() -> None:
    network = Network()
    network.run_until(network.leaders)
    (leader,) = network.leaders()
    proposer = network.members[leader].proposer
    assert proposer is not None
    network.crash("a2")
    network.run(3 * TIMING.election_s)
    asked: list[bool] = []
    for wait_s in (0.0, 0.1, TIMING.election_s - 0.2, 0.2):
        network.now += wait_s
        proposer._guests.hear("a2", 77, network.now)
        asked.append(proposer._guests_want_votes({"a1", "a3"}, network.now))

    assert asked == [True, False, False, True]
