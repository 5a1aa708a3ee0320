"""Phase 1: what a quorum of promises binds a leader to, in whatever order the pages come."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.decrees import Replace, encode_decree
from paxosd.core.membership import Role
from paxosd.core.messages import Promise
from paxosd.core.phase1 import PhaseOne
from paxosd.core.plausible import VOTES_ABOVE_WATERMARK_MAX
from paxosd.core.quorum import Quorum
from paxosd.core.types import FIRST_SLOT, Ballot, NodeId, Slot, Vote
from paxosd.core.voters import Count
from tests.core.helpers import always_the_same, born, disk_of, membership, promise

OURS = Ballot(9, "p1")
B1, B2, B3 = Ballot(1, "p1"), Ballot(2, "p2"), Ballot(3, "p1")
ACCEPTORS = ("a1", "a2", "a3")


def phase(from_slot: Slot = 1, quorum: Quorum | None = None) -> PhaseOne:
    members = membership(dict.fromkeys(ACCEPTORS, Role.ACCEPTOR), quorum)
    return PhaseOne(OURS, from_slot, ACCEPTORS, Count(born(members)))


def take(phase1: PhaseOne, source: NodeId, told: Promise) -> bool:
    """This acceptor tells it, with its own disk."""
    return phase1.take(source, replace(told, disk=disk_of(source)))


def page(from_slot: Slot, stop: Slot, *votes: Vote, end: bool = False, watermark: Slot = 1) -> Promise:
    return Promise(OURS, from_slot, stop, end, votes, watermark, FIRST_SLOT)


def test_the_value_of_the_highest_ballot_is_the_one_to_propose_whoever_tells_it_first() -> None:
    low, high = Vote(1, B1, b"low"), Vote(1, B3, b"high")
    for first, second in ((low, high), (high, low)):
        phase1 = phase()
        take(phase1, "a1", promise(OURS, first))
        take(phase1, "a2", promise(OURS, second))
        assert phase1.value(1) == b"high"


def test_in_a_slot_without_a_vote_the_proposer_is_free() -> None:
    phase1 = phase()
    take(phase1, "a1", promise(OURS, Vote(1, B1, b"one"), Vote(3, B1, b"three")))
    take(phase1, "a2", promise(OURS))

    assert [phase1.value(slot) for slot in (1, 2, 3, 4)] == [b"one", None, b"three", None]
    assert phase1.stop == 4
    assert sorted(vote.value for vote in phase1.votes()) == [b"one", b"three"]


DECREE = encode_decree(0, Replace("a3", 1, 2))


def test_a_decree_that_a_higher_ballot_passed_over_is_not_proposed_again() -> None:
    """Ballot 1 told it to a1 alone; ballot 2 did not hear of it, and {a2, a3} chose its value in the slot above. With
    the decree, a3 would have another disk in the next ballot, and {a1, a3} could choose something else there."""
    phase1 = phase()
    take(phase1, "a1", promise(OURS, Vote(1, B1, DECREE)))
    take(phase1, "a2", promise(OURS, Vote(2, B2, b"chosen")))

    assert [phase1.value(slot) for slot in (1, 2)] == [None, b"chosen"]
    assert phase1.decree(1) is None


def test_a_decree_above_which_only_lower_ballots_proposed_is_proposed_again() -> None:
    phase1 = phase()
    take(phase1, "a1", promise(OURS, Vote(1, B2, DECREE)))
    take(phase1, "a2", promise(OURS, Vote(2, B1, b"not chosen")))

    assert phase1.value(1) == DECREE
    assert phase1.decree(1) == (1, Replace("a3", 1, 2))


def test_it_is_complete_with_a_prepare_quorum_of_acceptors_that_told_everything() -> None:
    phase1 = phase()
    assert take(phase1, "a1", promise(OURS))
    assert not phase1.complete
    assert take(phase1, "a3", page(1, 2, Vote(1, B1, b"v")))
    assert not phase1.complete
    assert take(phase1, "a3", page(2, 2, end=True))
    assert phase1.complete


def test_an_acceptor_counts_once() -> None:
    phase1 = phase()
    assert take(phase1, "a1", promise(OURS))
    assert not take(phase1, "a1", promise(OURS))
    assert not phase1.complete


def test_a_flexible_prepare_quorum_is_asked_for() -> None:
    phase1 = phase(quorum=Quorum(dict.fromkeys(ACCEPTORS, 1), prepare=3, accept=1))
    take(phase1, "a1", promise(OURS))
    take(phase1, "a2", promise(OURS))
    assert not phase1.complete
    take(phase1, "a3", promise(OURS))
    assert phase1.complete


@pytest.mark.parametrize("ballot", [Ballot(8, "p1"), Ballot(10, "p1"), Ballot(9, "p2")])
def test_n09_a_promise_for_another_ballot_does_not_count(ballot: Ballot) -> None:
    phase1 = phase()
    assert not take(phase1, "a1", promise(ballot, Vote(1, B3, b"v")))
    assert (phase1.value(1), phase1.missing()) == (None, dict.fromkeys(ACCEPTORS, 1))


@pytest.mark.parametrize("source", ["p1", "l1", "a4", ""])
def test_a_promise_of_somebody_else_does_not_count(source: NodeId) -> None:
    phase1 = phase()
    assert not take(phase1, source, promise(OURS, Vote(1, B3, b"v")))
    assert phase1.value(1) is None


def test_a_page_that_is_not_awaited_changes_nothing() -> None:
    phase1 = phase()
    late = page(3, 5, Vote(3, B1, b"three"), Vote(4, B1, b"four"), end=True)
    assert not take(phase1, "a1", late)  # the first page is awaited
    assert take(phase1, "a1", page(1, 3, Vote(1, B1, b"one")))
    assert not take(phase1, "a1", page(1, 3, Vote(1, B1, b"one")))  # it was told
    assert phase1.missing() == {"a1": 3, "a2": 1, "a3": 1}
    assert take(phase1, "a1", late)
    assert phase1.missing() == {"a2": 1, "a3": 1}
    assert not take(phase1, "a1", page(5, 5, end=True))  # all was told


def test_a_page_that_ends_before_it_begins_is_not_taken() -> None:
    phase1 = phase(from_slot=5)
    assert not take(phase1, "a1", page(5, 4))


@pytest.mark.parametrize("slot", [0, 4, 2**40])
def test_a_page_with_a_vote_outside_of_it_is_not_taken(slot: Slot) -> None:
    phase1 = phase()

    assert not take(phase1, "a1", page(1, 4, Vote(slot, B1, b"v"), end=True))
    assert phase1.stop == 1


def test_a_vote_further_above_its_acceptors_watermark_than_any_window_is_not_taken() -> None:
    far = 10 + VOTES_ABOVE_WATERMARK_MAX
    phase1 = phase()

    assert not take(phase1, "a1", page(1, far + 1, Vote(far, B1, b"v"), end=True, watermark=10))
    assert take(phase1, "a2", page(1, far, Vote(far - 1, B1, b"v"), end=True, watermark=10))


def test_the_watermark_is_the_highest_that_was_told() -> None:
    phase1 = phase(from_slot=4)
    assert phase1.watermark == 4
    take(phase1, "a1", page(4, 4, end=True, watermark=9))
    take(phase1, "a2", page(4, 4, end=True, watermark=3))

    assert phase1.watermark == 9
    assert phase1.stop == 9  # below it nothing is free, told or not


def test_the_end_is_above_every_vote_and_the_watermark() -> None:
    phase1 = phase()
    assert phase1.stop == 1
    take(phase1, "a1", promise(OURS, Vote(6, B1, b"v"), watermark=3))
    assert phase1.stop == 7


ballots = st.sampled_from([B1, B2, B3])
votes_of_one = st.dictionaries(st.integers(1, 6), ballots, max_size=6)
votes_of_all = st.fixed_dictionaries(dict.fromkeys(ACCEPTORS, votes_of_one))


def pages_of(votes: dict[Slot, Ballot], size: int) -> list[Promise]:
    """What an acceptor with these votes tells, `size` votes to a page. A value is a function of slot and ballot."""
    told = [Vote(slot, ballot, f"{slot} {ballot}".encode()) for slot, ballot in sorted(votes.items())]
    found: list[Promise] = []
    start: Slot = 1
    while len(told) > size:
        stop = told[size].slot
        found.append(page(start, stop, *told[:size]))
        told, start = told[size:], stop
    return [*found, page(start, 7, *told, end=True)]


@always_the_same
@given(votes_of_all, st.integers(1, 3), st.integers(0, 2**32))
def test_pages_lost_repeated_and_out_of_order_give_the_same_result(
    votes: dict[NodeId, dict[Slot, Ballot]], size: int, seed: int
) -> None:
    chance = Random(seed)
    told = {acceptor: pages_of(votes[acceptor], size) for acceptor in ACCEPTORS}
    phase1 = phase()
    while phase1.missing():
        # Any page of any acceptor arrives at any time, as a network that repeats and delays everything has it.
        acceptor = chance.choice(ACCEPTORS)
        take(phase1, acceptor, chance.choice(told[acceptor]))

    for slot in range(1, 7):
        highest = max((votes[acceptor][slot] for acceptor in ACCEPTORS if slot in votes[acceptor]), default=None)
        assert phase1.value(slot) == (None if highest is None else f"{slot} {highest}".encode())


@always_the_same
@given(votes_of_all, st.integers(1, 3), st.integers(0, 2**32))
def test_when_it_is_complete_every_vote_of_a_quorum_was_told(
    votes: dict[NodeId, dict[Slot, Ballot]], size: int, seed: int
) -> None:
    chance = Random(seed)
    told = {acceptor: pages_of(votes[acceptor], size) for acceptor in ACCEPTORS}
    phase1 = phase()
    while not phase1.complete:
        acceptor = chance.choice(ACCEPTORS)
        take(phase1, acceptor, chance.choice(told[acceptor]))

    finished = set(ACCEPTORS) - set(phase1.missing())
    assert len(finished) >= 2
    for slot in range(1, 7):
        least = max((votes[acceptor][slot] for acceptor in finished if slot in votes[acceptor]), default=None)
        value = phase1.value(slot)
        assert least is None or (value is not None and value >= f"{slot} {least}".encode())
