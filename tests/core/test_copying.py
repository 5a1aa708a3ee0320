"""What a new disk takes up from the others before it votes; why that is enough stands in `core/copying.py`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paxosd.core.acceptor import Acceptor
from paxosd.core.held import HeldVotes
from paxosd.core.messages import FetchedVotes, FetchVotes, Heartbeat, Nack, Prepare, Promise, Recall, Recalled
from paxosd.core.records import Disk, Promised
from paxosd.core.types import FIRST_SLOT, Ballot, DiskId, Vote
from tests.core.helpers import Stage, acceptor, disk_of, value

LOW, MIDDLE, HIGH = Ballot(3, "p1"), Ballot(5, "p2"), Ballot(9, "p1")
NEW: DiskId = 77
DECREED = 2
OLD, CHOSEN = value(b"old"), value(b"chosen")
ASKED = FetchVotes(FIRST_SLOT, DECREED + 1)


def guest() -> Stage[Acceptor]:
    """a3 with a new disk, of which nothing is decreed yet."""
    stage = acceptor("a3", records=[Disk(NEW, copied=False, used=False)])
    stage.agent.standing.sure = True
    stage.speaks_of_disks = True
    stage.set_aside()
    return stage


def named() -> Stage[Acceptor]:
    """The same, once the decree in slot 2 names it."""
    stage = guest()
    voters = stage.voters.replaced(DECREED, "a3", disk_of("a3"), NEW)
    stage.deliver("p1", Heartbeat(LOW, 1, DECREED + 1, 0, voters))
    assert {target for target, _ in stage.take(FetchVotes)} == {"a1", "a2"}
    stage.set_aside()
    return stage


def page(node: str, *votes: Vote, promised: Ballot = LOW) -> FetchedVotes:
    told = FetchedVotes(FIRST_SLOT, ASKED.stop, ASKED.stop, votes, DECREED + 1, disk=disk_of(node))
    return replace(told, decreed=DECREED, promised=promised)


def votes(first: Ballot, what: bytes) -> tuple[Vote, Vote]:
    return Vote(1, first, what), Vote(DECREED, LOW, CHOSEN)


@pytest.mark.parametrize("order", [("a1", "a2"), ("a2", "a1")])
def test_of_two_votes_in_a_slot_it_copies_the_higher_one(order: tuple[str, str]) -> None:
    stage = named()
    told = {"a1": page("a1", *votes(LOW, OLD)), "a2": page("a2", *votes(MIDDLE, CHOSEN))}
    for node in order:
        assert not stage.agent.may_vote
        stage.deliver(node, told[node])

    assert stage.agent.may_vote
    found = stage.disk.vote(1)
    assert found is not None
    assert (found.ballot, found.value) == (MIDDLE, CHOSEN)
    stage.set_aside()


def copied_in_this_turn() -> Stage[Acceptor]:
    """What it copies has come, but the turn is not over, so it is not on the disk yet."""
    stage = named()
    stage.deliver("a1", page("a1", *votes(LOW, CHOSEN)))
    stage.agent.receive("a2", page("a2", *votes(LOW, CHOSEN)), stage.now)
    assert stage.agent.may_vote
    return stage


def test_a_promise_of_the_turn_in_which_it_copied_tells_what_it_copied() -> None:
    stage = copied_in_this_turn()
    stage.deliver("p1", Prepare(HIGH, FIRST_SLOT, stage.agent.voters))

    assert stage.take_one(Promise).votes == votes(LOW, CHOSEN)
    stage.set_aside()


def test_a_learner_that_asks_in_that_turn_is_told_what_it_copied() -> None:
    stage = copied_in_this_turn()
    stage.deliver("l1", ASKED)

    assert stage.take_one(FetchedVotes).votes == votes(LOW, CHOSEN)
    stage.set_aside()


def test_what_it_copied_is_read_from_the_disk_in_later_turns() -> None:
    stage = copied_in_this_turn()
    stage.turn()
    stage.turn()
    stage.deliver("l1", ASKED)

    assert len(stage.agent._votes) == 0
    assert stage.take_one(FetchedVotes).votes == votes(LOW, CHOSEN)
    stage.set_aside()


def test_it_promises_what_any_of_the_others_had_promised_before_it_votes() -> None:
    stage = named()
    stage.deliver("a1", page("a1", *votes(LOW, CHOSEN), promised=HIGH))
    stage.deliver("a2", page("a2", *votes(LOW, CHOSEN), promised=LOW))
    assert Promised(HIGH) in stage.records
    stage.set_aside()
    stage.deliver("p2", Prepare(MIDDLE, FIRST_SLOT, stage.agent.voters))

    assert stage.take_one(Nack) == Nack(MIDDLE, HIGH)
    assert stage.take(Promise) == []
    stage.set_aside()


def test_the_answer_of_a_disk_that_does_not_vote_counts_for_nothing() -> None:
    stage = named()
    stage.deliver("a1", page("a1", *votes(LOW, CHOSEN)))
    stage.deliver("a2", replace(page("a2", *votes(LOW, CHOSEN)), disk=5))

    assert not stage.agent.may_vote
    stage.set_aside()


def test_a_disk_tells_nobody_its_votes_before_it_may_vote() -> None:
    for stage in (guest(), named()):
        stage.deliver("l1", ASKED)
        assert stage.take(FetchedVotes) == []
        stage.set_aside()


def test_a_disk_that_does_not_vote_says_nothing_of_what_it_saw_of_others_for_it_may_be_the_one_that_forgot() -> None:
    for stage, is_voter in ((guest(), False), (acceptor("a3"), True)):
        stage.deliver("a1", Recall(disk_of("a1"), 1))
        assert bool(stage.take(Recalled)) == is_voter
        stage.set_aside()


def test_a_vote_of_this_turn_in_a_slot_that_was_copied_before_is_held_until_it_is_on_the_disk() -> None:
    held = HeldVotes()
    held.first = 5
    held.add(Vote(1, LOW, OLD))
    held.end_turn(1)
    held.add(Vote(1, MIDDLE, CHOSEN))
    held.end_turn(1)
    assert held.get(1) == Vote(1, MIDDLE, CHOSEN)
    held.end_turn(1)

    assert held.get(1) is None
