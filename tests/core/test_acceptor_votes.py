"""What an acceptor tells of its votes, from memory and from disk: to a new leader, and to learners that catch up."""

from __future__ import annotations

import pytest

import paxosd.core.held as held_module
from paxosd.core.acceptor import Acceptor
from paxosd.core.held import VOTES_KEPT_BELOW_WATERMARK
from paxosd.core.history import ROW_BYTES
from paxosd.core.membership import Role
from paxosd.core.messages import (
    Accepted,
    Chosen,
    FetchedVotes,
    FetchVotes,
    Nack,
    Prepare,
    Promise,
    Watermark,
)
from paxosd.core.options import Limits
from paxosd.core.questions import PAGES_PER_TURN_MAX
from paxosd.core.records import Promised, Record, Told, Voted
from paxosd.core.types import FIRST_SLOT, Ballot, Slot, Vote
from tests.core.helpers import REPLICAS, Stage, acceptor, promise
from tests.core.test_acceptor import B3, B4, B5, accept, vote

# ---- what a promise tells --------------------------------------------------------------------


def test_a_promise_tells_the_latest_vote_of_every_slot_from_the_one_asked_for() -> None:
    stage = acceptor()
    vote(stage, B3, 1, 2, 4)
    vote(stage, B4, 2, value=b"w")
    stage.deliver("p1", Prepare(B5, 2))

    votes = (Vote(2, B4, b"w"), Vote(4, B3, b"v"))
    stage.expect_sent("p1", Promise(B5, 2, 5, True, votes, 4, FIRST_SLOT))
    stage.expect_recorded(Promised(B5))


def test_votes_of_an_earlier_life_are_told() -> None:
    stage = acceptor()
    vote(stage, B3, 1, 2, 3, 5)
    stage.restart()
    stage.deliver("p2", Prepare(B4, 1), Prepare(B4, 3))
    stage.set_aside()
    told: dict[Slot, Vote] = {}
    slot: Slot = 1
    while True:
        stage.deliver("p2", Prepare(B4, slot))
        page = stage.take_one(Promise)
        told |= {vote.slot: vote for vote in page.votes}
        slot = page.stop
        if page.end:
            break

    assert told == {slot: Vote(slot, B3, b"v") for slot in (1, 2, 3, 5)}
    assert slot == 6


def pages(stage: Stage[Acceptor], ballot: Ballot, first: Slot) -> list[Promise]:
    """What a proposer gets that asks on until the end."""
    found: list[Promise] = []
    while not (found and found[-1].end):
        stage.deliver(ballot.proposer, Prepare(ballot, found[-1].stop if found else first))
        found.append(stage.take_one(Promise))
    stage.set_aside()
    return found


@pytest.mark.parametrize("restarts", [False, True], ids=["one life", "after a restart"])
def test_pages_of_a_promise_follow_each_other_without_a_gap_and_tell_every_vote_once(restarts: bool) -> None:
    stage = acceptor(limits=Limits(page_bytes_max=2 * (1 + ROW_BYTES), window_slots_max=10))
    vote(stage, B3, 1, 2, 3, 4, 6, 8, 9)
    if restarts:
        stage.restart()
    found = pages(stage, B5, 2)

    assert [vote.slot for page in found for vote in page.votes] == [2, 3, 4, 6, 8, 9]
    assert all(len(page.votes) <= 2 for page in found)
    assert [page.from_slot for page in found] == [2, *(page.stop for page in found[:-1])]
    assert found[-1].stop == 10


def test_a_vote_that_is_larger_than_a_page_has_one_for_itself() -> None:
    stage = acceptor(limits=Limits(page_bytes_max=10))
    vote(stage, B3, 1, 2)
    found = pages(stage, B5, 1)

    assert [[vote.slot for vote in page.votes] for page in found] == [[1], [2]]


@pytest.mark.parametrize("restarts", [False, True], ids=["one life", "after a restart"])
def test_an_acceptor_that_lags_far_behind_says_that_it_has_nothing_from_there_on(restarts: bool) -> None:
    stage = acceptor()
    vote(stage, B3, 1, 2)
    if restarts:
        stage.restart()
    stage.deliver("p2", Prepare(B4, 20))

    stage.expect_sent("p2", Promise(B4, 20, 20, True, (), 2, FIRST_SLOT))
    stage.set_aside()


def test_a_vote_of_this_very_turn_is_told() -> None:
    stage = acceptor()
    stage.deliver("p1", accept(B3, 1), Prepare(B5, 1))

    stage.expect_recorded(Promised(B3), Voted(1, B3, b"v"), Promised(B5))
    stage.expect_sent("p1", Accepted(B3, 1), promise(B5, Vote(1, B3, b"v")))


def test_a_new_vote_in_an_old_slot_is_told_instead_of_the_one_on_disk() -> None:
    stage = acceptor()
    vote(stage, B3, 1, 2, 3)
    stage.restart()  # votes below slot 3 are now read back when somebody asks
    stage.agent.receive("p2", accept(B4, 1, b"w", 3), stage.now)
    stage.deliver("l1", FetchVotes(1, 3))

    assert stage.take_one(FetchedVotes).votes == (Vote(1, B4, b"w"), Vote(2, B3, b"v"))
    stage.set_aside()


def test_old_votes_leave_memory_and_are_read_back() -> None:
    stage = acceptor()
    last = 3 * VOTES_KEPT_BELOW_WATERMARK
    for slot in range(1, last + 1):
        vote(stage, B3, slot, value=b"%d" % slot)
    assert len(stage.agent._votes) <= 2 * VOTES_KEPT_BELOW_WATERMARK + 1

    found = pages(stage, B5, 1)

    assert [(vote.slot, vote.value) for page in found for vote in page.votes] == [
        (slot, b"%d" % slot) for slot in range(1, last + 1)
    ]


def test_o04_large_votes_leave_memory_as_soon_as_they_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_module, "VOTES_KEPT_BYTES_MAX", 1000)
    stage = acceptor()
    for slot in range(1, 20):
        vote(stage, B3, slot, value=b"%d" % slot * 300)
        held = sum(len(vote.value) + ROW_BYTES for vote in stage.agent._votes)
        assert held == stage.agent._votes.size_bytes <= 1000 + 600
    vote(stage, B4, 19, value=b"v")
    assert stage.agent._votes.size_bytes == sum(len(vote.value) + ROW_BYTES for vote in stage.agent._votes)

    found = pages(stage, B5, 1)

    assert [(vote.slot, vote.value) for page in found for vote in page.votes] == [
        *((slot, b"%d" % slot * 300) for slot in range(1, 19)), (19, b"v"),
    ]  # fmt: skip


def test_a_vote_of_this_turn_stays_in_memory_until_it_is_on_disk() -> None:
    stage = acceptor()
    for slot in range(1, 2 * VOTES_KEPT_BELOW_WATERMARK + 1):
        vote(stage, B3, slot)
    # In one turn: a vote in a slot that is far below the watermark, which the same turn makes old.
    stage.agent.receive("p2", accept(B4, 2, b"w", 2 * VOTES_KEPT_BELOW_WATERMARK + 1), stage.now)
    stage.agent.tick(stage.now)
    stage.agent.receive("l1", FetchVotes(2, 3), stage.now)

    stage.turn()
    assert stage.take_one(FetchedVotes).votes == (Vote(2, B4, b"w"),)
    stage.set_aside()


# ---- votes for learners that catch up --------------------------------------------------------


def test_a_learner_gets_the_votes_that_it_asks_for_after_the_commit() -> None:
    stage = acceptor()
    vote(stage, B3, 1, 2, 3)
    stage.deliver("l1", FetchVotes(2, 9))

    stage.expect_sent("l1", FetchedVotes(2, 9, 9, (Vote(2, B3, b"v"), Vote(3, B3, b"v")), 3), early=False)


def test_votes_that_do_not_fit_a_page_are_left_for_the_next_one() -> None:
    stage = acceptor(limits=Limits(page_bytes_max=2 * (1 + ROW_BYTES)))
    vote(stage, B3, 1, 2, 3)
    stage.deliver("l1", FetchVotes(1, 4))
    answer = stage.take_one(FetchedVotes)

    assert ([vote.slot for vote in answer.votes], answer.asked_stop, answer.stop) == ([1, 2], 4, 3)


def test_who_is_no_learner_gets_no_votes() -> None:
    stage = acceptor()
    stage.deliver("p1", FetchVotes(1, 2))

    stage.expect_silence()
    stage.expect_ignored("fetch by a node that is no learner")


def test_a_mixed_cluster_tells_its_replicas() -> None:
    roles = {**REPLICAS, "a1": Role.ACCEPTOR, "l1": Role.LEARNER}
    stage = acceptor("a1", roles)
    stage.deliver("r1", FetchVotes(1, 1))
    stage.deliver("l1", FetchVotes(1, 1))

    assert {target for target, _ in stage.take(FetchedVotes)} == {"r1", "l1"}


# ---- what wrong members ask for and leave behind ---------------------------------------------


def test_o04_a_flood_of_questions_is_answered_with_one_page_for_each_asker_in_a_turn() -> None:
    stage = acceptor(limits=Limits(page_bytes_max=ROW_BYTES), records=[Promised(B3), Voted(1, B3, b"v")])
    stage.deliver("p1", *[Prepare(B3, 1)] * 5000)
    stage.deliver("l1", *[FetchVotes(1, 2**62)] * 5000, FetchVotes(1, 2))

    stage.expect_sent("p1", promise(B3, Vote(1, B3, b"v")))
    stage.expect_sent("l1", FetchedVotes(1, 2, 2, (Vote(1, B3, b"v"),), 1))
    stage.expect_silence()


def test_more_askers_than_a_turn_answers_are_answered_in_the_next_ones_in_order() -> None:
    askers = [f"l{number}" for number in range(PAGES_PER_TURN_MAX + 3)]
    stage = acceptor(roles={"a1": Role.ACCEPTOR, "p1": Role.PROPOSER} | dict.fromkeys(askers, Role.LEARNER))
    for asker in askers:
        stage.agent.receive(asker, FetchVotes(1, 2), stage.now)
    stage.turn()
    first = [target for target, _ in stage.take(FetchedVotes)]
    stage.wait(0.0)

    assert first + [target for target, _ in stage.take(FetchedVotes)] == askers
    assert len(first) == PAGES_PER_TURN_MAX


def test_a_prepare_is_answered_by_the_promise_that_stands_at_the_end_of_the_turn() -> None:
    stage = acceptor()
    stage.agent.receive("p1", Prepare(B3, 1, stage.voters), stage.now)
    stage.agent.receive("p2", Prepare(B4, 1, stage.voters), stage.now)
    stage.turn()

    stage.expect_recorded(Promised(B3), Promised(B4))
    stage.expect_sent("p1", Nack(B3, B4))
    stage.expect_sent("p2", promise(B4))


def test_o04_many_tiny_votes_leave_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_module, "VOTES_KEPT_BYTES_MAX", 100 * ROW_BYTES)
    stage = acceptor()
    stage.deliver("p1", Watermark(B3, 10_000))
    for slot in range(1, 300):
        stage.deliver("p1", accept(B3, slot, b"", 10_000))
        stage.set_aside()
        assert len(stage.agent._votes) <= 101


def test_a_claimed_slot_and_a_claimed_watermark_make_no_loop() -> None:
    stage = acceptor("r1", REPLICAS)
    far = 2**62
    stage.deliver("r2", accept(Ballot(3, "r2"), far, b"v", far))
    stage.deliver("r2", Watermark(Ballot(3, "r2"), far + 1), FetchVotes(1, far))

    stage.expect_sent("r1", Chosen(far, b"v"))  # it does not judge what its node has let pass
    stage.set_aside()


def test_a_slot_below_the_first_is_not_voted_for() -> None:
    stage = acceptor()
    stage.deliver("p1", accept(B3, 0))

    stage.expect_silence()
    stage.expect_ignored("accept beyond the window")


def test_a_watermark_on_disk_that_cannot_be_true_is_not_told_and_no_vote_is_lost() -> None:
    honest: list[Record] = [Promised(B3), Voted(1, B3, b"1"), Voted(2, B3, b"2")]
    stage = acceptor(records=[*honest, Voted(2**62, B3, b"x"), Told(2**63 - 1)])
    stage.deliver("p2", Prepare(B4, 1))

    stage.expect_sent("p2", promise(B4, Vote(1, B3, b"1"), Vote(2, B3, b"2")))
    stage.set_aside()


def test_a_promise_on_disk_that_no_leader_can_exceed_is_reported_and_its_votes_are_told() -> None:
    high = Ballot(2**63 - 1, "p1")
    stage = acceptor(records=[Promised(high), Voted(1, B3, b"1")])
    stage.deliver("l1", FetchVotes(1, 2))

    stage.expect_sent("l1", FetchedVotes(1, 2, 2, (Vote(1, B3, b"1"),), 1))
    assert [event.name for event in stage.events] == ["promise.unreachable"]
    stage.set_aside()
