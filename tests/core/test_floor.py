"""The floor: who has what below it, what acceptors let go of, and that nobody takes it for "no vote"."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

import paxosd.core.floor as floor_module
from paxosd.core.acceptor import Acceptor
from paxosd.core.catchup import CatchUp
from paxosd.core.floor import SYNC_EVERY_S, TOLD_AGAIN_EVERY, DurableSlots, RecentVotes, floor_of
from paxosd.core.history import ROW_BYTES
from paxosd.core.membership import Role
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Durable,
    Fetch,
    Fetched,
    FetchedVotes,
    FetchVotes,
    Nack,
    Prepare,
    Promise,
    Trim,
    Watermark,
)
from paxosd.core.phase1 import PhaseOne
from paxosd.core.records import Floor, Learned, Promised, Synced, Told
from paxosd.core.types import Ballot, NodeId, Slot, Vote
from paxosd.core.voters import Count
from tests.core.helpers import (
    LIMITS,
    ROLES,
    TIMING,
    Stage,
    acceptor,
    born,
    canvass,
    choose,
    disk_of,
    forward,
    heartbeat,
    lead,
    learned,
    learner,
    membership,
    proposer,
    voted,
)

B3, B4, B5 = Ballot(3, "p1"), Ballot(4, "p2"), Ballot(5, "p1")
NEAR = floor_module.NEAR_WINDOWS * LIMITS.window_slots_max
MANY: Slot = 10 * NEAR


# ---- a learner tells how far it is synced ------------------------------------------------------


def test_a_learner_has_what_it_learned_synced_now_and_then_and_tells_the_leader_after_that() -> None:
    stage = learner()
    stage.deliver("p1", heartbeat(B3), Chosen(1, b"1"), Chosen(2, b"2"))
    stage.set_aside()
    stage.wait(SYNC_EVERY_S)

    stage.expect_recorded(Synced(3))
    stage.expect_sent("p1", Durable(3), early=False)
    stage.set_aside()


def test_a_learner_tells_no_more_than_it_handed_on_without_a_gap() -> None:
    stage = learner()
    stage.deliver("p1", heartbeat(B3), Chosen(1, b"1"), Chosen(3, b"3"))
    stage.set_aside()
    stage.wait(SYNC_EVERY_S)

    assert stage.take_one(Durable, "p1") == Durable(2)
    stage.set_aside()


def test_a_learner_that_learned_nothing_new_bothers_no_disk_and_tells_it_again() -> None:
    """The leader may be another one by now, or the message was lost."""
    stage = learner(records=learned(b"1", b"2"))
    stage.deliver("p1", heartbeat(B3, 3))
    stage.set_aside()
    stage.wait(SYNC_EVERY_S)
    stage.expect_sent("p1", Durable(3))
    stage.deliver("p2", heartbeat(B4, 3))
    stage.wait(SYNC_EVERY_S)

    stage.expect_sent("p2", Durable(3))
    assert [record for record in stage.records if isinstance(record, Synced)] == []
    stage.set_aside()


@pytest.mark.parametrize("bound", ["SYNC_EVERY_SLOTS", "SYNC_EVERY_BYTES"])
def test_a_learner_under_load_does_not_wait_so_long(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paxosd.core.learner." + bound, 5)
    stage = learner()
    stage.deliver("p1", heartbeat(B3), *(Chosen(slot, b"v") for slot in range(1, 6)))

    stage.expect_sent("p1", Durable(6), early=False)
    assert stage.records[-1] == Synced(6)
    stage.set_aside()


# ---- a leader tells acceptors what they may let go of --------------------------------------------


def durable(members: int, acceptors: int = 3, **told: Slot) -> DurableSlots:
    slots = DurableSlots([f"l{number}" for number in range(1, members + 1)], acceptors)
    for node, slot in told.items():
        slots.tell(node, slot)
    return slots


@pytest.mark.parametrize(
    ("slots", "safe", "everywhere"),
    [
        (durable(3, l1=9, l2=5, l3=7), 7, 5),
        (durable(3, l1=9, l3=7), 7, 1),
        (durable(3, l1=9), 1, 1),
        (durable(2, l1=9, l2=5), 5, 5),
        (durable(2, l1=9), 1, 1),
        (durable(5, l1=9, l2=8, l3=7, l4=6), 7, 1),
        (durable(1, l1=9), 1, 9),  # nobody has it twice
        (durable(1, acceptors=1, l1=9), 9, 9),  # one disk, or two that only together are the cluster
        (durable(0), 1, 1),
    ],
)
def test_what_is_safe_is_with_a_majority_of_learners_and_with_two(
    slots: DurableSlots, safe: Slot, everywhere: Slot
) -> None:
    assert (slots.safe, slots.everywhere) == (safe, everywhere)


def test_a_learner_that_lost_its_disk_counts_for_what_it_has_now() -> None:
    slots = durable(3, l1=9, l2=9)
    slots.tell("l2", 2)

    assert slots.safe == 2


def test_a_leader_tells_acceptors_when_more_is_durable_and_not_beyond_its_watermark() -> None:
    stage = proposer()
    ballot = lead(stage)
    stage.deliver("l1", Durable(2))
    stage.wait(TIMING.heartbeat_s)
    assert stage.take(Trim) == []
    stage.deliver("l1", forward(b"in flight"))
    stage.deliver("l2", Durable(3))  # it learned that slot 2 is chosen from votes, before the leader has heard them
    stage.wait(TIMING.heartbeat_s)
    trims = stage.take(Trim)
    stage.wait(TIMING.heartbeat_s)

    assert trims == [(acceptor, Trim(ballot, 2, 2)) for acceptor in ("a1", "a2", "a3")]
    assert stage.take(Trim) == []
    stage.set_aside()


def test_how_far_they_may_trim_is_told_again_now_and_then_to_whoever_missed_it() -> None:
    slots = durable(2, l1=7, l2=9)

    assert slots.news(12, 1) == (7, 7)
    assert [at for at in range(2, 2 * TOLD_AGAIN_EVERY + 1) if slots.news(12, at)] == [
        TOLD_AGAIN_EVERY,
        2 * TOLD_AGAIN_EVERY,
    ]


def test_a_new_leadership_counts_nothing_that_was_told_to_an_earlier_one() -> None:
    stage = proposer()
    lead(stage)
    stage.deliver("l1", Durable(2))
    stage.deliver("a1", Nack(stage.agent.ballot, Ballot(50, "p2")))
    stage.set_aside()
    ballot = lead(stage, watermark=2)
    stage.deliver("l2", Durable(2))
    stage.wait(2 * TIMING.heartbeat_s)

    assert stage.agent.ballot == ballot
    assert stage.take(Trim) == []
    stage.set_aside()


# ---- what an acceptor keeps ----------------------------------------------------------------------


def recent(*sizes: int, first: Slot = 1) -> RecentVotes:
    votes = RecentVotes()
    for slot, size in enumerate(sizes, first):
        votes.add(slot, size)
    return votes


def test_the_floor_is_never_above_what_is_safe_nor_at_the_watermark() -> None:
    votes = recent(*[10] * 1000)

    assert floor_of(votes, 4, watermark=1001, safe=500, everywhere=500) == 500
    assert floor_of(votes, 4, watermark=301, safe=1000, everywhere=1000) == 300


def test_some_windows_of_slots_stay_but_not_if_they_are_large() -> None:
    assert floor_of(recent(*[10] * 1000), 4, 1001, 1001, 1001) == 1001 - NEAR
    assert floor_of(recent(*[floor_module.NEAR_BYTES // 2] * 1000), 4, 1001, 1001, 1001) == 999


def test_votes_stay_for_slow_learners_until_they_are_too_many_or_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    assert floor_of(recent(*[10] * 1000), 4, 1001, safe=900, everywhere=70) == 70
    monkeypatch.setattr(floor_module, "SLOW_SLOTS", 500)
    assert floor_of(recent(*[10] * 1000), 4, 1001, safe=900, everywhere=70) == 501
    monkeypatch.setattr(floor_module, "SLOW_BYTES", 2000)
    assert 801 <= floor_of(recent(*[10] * 1000), 4, 1001, safe=900, everywhere=70) <= 801 + floor_module.MARK_SLOTS


def test_what_is_remembered_of_recent_votes_is_bounded() -> None:
    votes = RecentVotes()
    chance = Random(1)
    for slot in range(1, 200_000, 7):
        votes.add(slot, chance.choice((300, 70_000, 900_000)))

    assert len(votes._marks) <= 2000


# ---- an acceptor above its floor -----------------------------------------------------------------


def trimmed(floor: Slot = MANY - NEAR, ballot: Ballot = B3) -> Stage[Acceptor]:
    """An acceptor that voted in the slots below MANY, which are all chosen, and let go of those below this floor."""
    stage = acceptor()
    for slot in range(1, MANY):
        stage.deliver("p1", Accept(ballot, slot, b"v", max(1, slot - 1)))
    stage.deliver("p1", Watermark(ballot, MANY))
    stage.set_aside()
    stage.deliver("p1", Trim(ballot, floor, floor))
    return stage


def test_an_acceptor_records_its_floor_with_its_watermark_and_its_votes_below_are_gone() -> None:
    stage = trimmed()

    stage.expect_recorded(Floor(MANY - NEAR), Told(MANY))
    assert stage.disk.voted_slots() == list(range(MANY - NEAR, MANY))
    stage.expect_silence()


def test_a_floor_never_falls() -> None:
    stage = trimmed()
    stage.set_aside()
    stage.deliver("p1", Trim(B3, 5, 5))

    stage.expect_recorded()
    stage.deliver("p2", Prepare(B4, 1))
    assert stage.take_one(Promise).floor == MANY - NEAR
    stage.set_aside()


def test_an_old_leader_cannot_have_anything_trimmed() -> None:
    stage = trimmed(floor=2)
    stage.deliver("p2", Prepare(B4, MANY))
    stage.set_aside()
    stage.deliver("p1", Trim(B3, MANY, MANY))

    stage.expect_recorded()
    stage.expect_sent("p1", Nack(B3, B4))


@pytest.mark.parametrize("restarts", [False, True])
def test_promises_and_pages_tell_the_floor_and_the_votes_above_it(restarts: bool) -> None:
    stage = trimmed()
    if restarts:
        stage.restart()
    stage.set_aside()
    stage.deliver("p2", Prepare(B4, 3))
    stage.deliver("l1", FetchVotes(3, MANY))
    promise, page = stage.take_one(Promise), stage.take_one(FetchedVotes)

    assert (promise.from_slot, promise.floor, page.first, page.floor) == (3, MANY - NEAR, 3, MANY - NEAR)
    for told in (promise, page):
        assert [vote.slot for vote in told.votes] == list(range(MANY - NEAR, MANY))
    stage.set_aside()


def test_a_page_that_lies_below_the_floor_is_empty_and_as_long_as_was_asked() -> None:
    stage = trimmed()
    stage.set_aside()
    stage.deliver("l1", FetchVotes(3, 9))

    stage.expect_sent("l1", FetchedVotes(3, 9, 9, (), MANY, MANY - NEAR))


def test_a_vote_asked_for_below_the_floor_is_given_and_let_go_of_at_once() -> None:
    """A leader that does not know that the slot is chosen needs this vote, and must not wait for ever."""
    stage = trimmed()
    stage.set_aside()
    stage.deliver("p2", Accept(B4, 7, b"v", 7))

    stage.expect_recorded(Promised(B4))
    stage.expect_sent("p2", Accepted(B4, 7), early=False)
    stage.deliver("p1", Accept(B3, 8, b"v", 7))
    stage.expect_sent("p1", Nack(B3, B4))
    assert stage.disk.vote(7) is None


def test_an_acceptor_whose_watermark_was_not_recorded_is_not_below_its_floor() -> None:
    stage = acceptor(records=[Promised(B3), *voted(B3, b"v", first=9), Told(3), Floor(6)])
    stage.deliver("p2", Prepare(B4, 1))

    promise = stage.take_one(Promise)
    assert promise.watermark >= promise.floor == 6
    stage.set_aside()


# ---- "below the floor" is not "no vote" ----------------------------------------------------------


def page(from_slot: Slot, *votes: Vote, floor: Slot = 1, end: bool = True, stop: Slot | None = None) -> Promise:
    stop = max([vote.slot + 1 for vote in votes], default=from_slot) if stop is None else stop
    return Promise(B5, from_slot, stop, end, votes, floor, floor)


def test_a_new_leader_proposes_nothing_below_a_floor_that_it_heard() -> None:
    phase1 = PhaseOne(B5, 1, ("a1", "a2", "a3"), Count(born(membership())))
    phase1.take("a1", replace(page(1, Vote(2, B3, b"old")), disk=disk_of("a1")))
    phase1.take("a2", replace(page(1, Vote(9, B4, b"v"), floor=7), disk=disk_of("a2")))

    assert phase1.complete
    assert phase1.watermark == 7


def test_a_floor_that_rises_between_two_pages_is_heard() -> None:
    phase1 = PhaseOne(B5, 1, ("a1", "a2", "a3"), Count(born(membership())))
    phase1.take("a1", replace(page(1, Vote(2, B3, b"v"), end=False), disk=disk_of("a1")))
    phase1.take("a1", replace(page(3, Vote(9, B3, b"v"), floor=8), disk=disk_of("a1")))

    assert phase1.watermark == 8


def test_a_leader_that_is_behind_a_floor_begins_above_it() -> None:
    stage = proposer()
    ballot = canvass(stage)
    stage.deliver("a1", Promise(ballot, 1, 1, True, (), 1, 1))
    stage.deliver("a2", Promise(ballot, 1, 7, True, (Vote(6, Ballot(0, "p2"), b"x" * 8),), 7, 6))

    assert {accept.slot for _, accept in stage.take(Accept)} == {7}
    stage.set_aside()


def test_a_learner_counts_no_acceptor_whose_floor_is_above_what_it_needs() -> None:
    """A vote that was never chosen, of an acceptor that was cut off, must not stand alone for the slot."""
    asking = CatchUp("l1", membership({**ROLES, "l3": Role.LEARNER}), Random(1))
    asking.count_with(born(membership()))
    asking.ask_acceptors(5, 20)

    def told(acceptor: NodeId, *votes: Vote, floor: Slot) -> list[tuple[Slot, bytes]] | None:
        return asking.take_votes(acceptor, FetchedVotes(5, 20, 20, votes, 20, floor, disk_of(acceptor)))

    assert told("a1", Vote(5, B3, b"never chosen"), floor=1) is None
    assert told("a2", Vote(12, B4, b"v"), floor=12) is None
    assert told("a3", Vote(5, B4, b"chosen"), floor=5) == [(5, b"chosen")]


def test_a_learner_takes_a_floor_for_a_watermark() -> None:
    stage = learner()
    stage.deliver("a1", FetchedVotes(1, 2, 2, (), 9, 8))

    assert stage.agent.watermark == 9


def test_a_page_of_a_learner_tells_from_where_on_it_can_tell() -> None:
    stage = learner(records=[Learned(1, b"1")])
    stage.deliver("l2", Fetch(1))
    stage.expect_sent("l2", Fetched(1, (b"1",), 2, 1))
    stage.set_aside()


# ---- together --------------------------------------------------------------------------------


def test_a_leader_whose_quorum_has_no_floor_yet_is_helped_by_an_acceptor_that_has_one() -> None:
    """Two leaders: the new one asked acceptors that are behind; the third let go of what it proposes again."""
    old = Ballot(0, "p1")
    ahead = trimmed(ballot=old)
    ahead.set_aside()
    stage = proposer("p2")
    ballot = canvass(stage)
    votes = tuple(Vote(slot, old, b"12345678") for slot in range(5, 8))
    stage.deliver("a2", Promise(ballot, 1, 8, True, votes, 5, 1))
    stage.deliver("a3", Promise(ballot, 1, 8, True, votes, 5, 1))
    accepts = [accept for target, accept in stage.take(Accept, "a1") if accept.slot < 8]
    assert [accept.slot for accept in accepts] == [5, 6, 7]
    for accept in accepts:
        ahead.deliver("p2", accept)
        ahead.expect_sent("p2", Accepted(ballot, accept.slot))
    choose(stage, ballot, 5, 6, 7, voters=("a1", "a2"))

    assert stage.agent.watermark == 8
    stage.set_aside()
    ahead.set_aside()


def test_row_bytes_count_for_what_is_kept() -> None:
    """A million tiny votes are not nothing."""
    stage = acceptor()
    for slot in range(1, 4):
        stage.deliver("p1", Accept(B3, slot, b"", 1))

    assert stage.agent._recent.start(10, 3 * ROW_BYTES) == 1
    assert stage.agent._recent.start(10, 3 * ROW_BYTES - 1) > 1
    stage.set_aside()
