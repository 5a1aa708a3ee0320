"""The learner: every chosen value in slot order, each once, and a gap is asked for until it is filled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import paxosd.core.ahead as ahead_module
from paxosd.core.agent import InvariantBroken
from paxosd.core.ahead import SLOTS_AHEAD_MAX
from paxosd.core.history import ROW_BYTES
from paxosd.core.learner import Learner
from paxosd.core.membership import Role
from paxosd.core.messages import (
    Chosen,
    Durable,
    Fetch,
    Fetched,
    FetchedVotes,
    FetchVotes,
    Watermark,
)
from paxosd.core.options import Limits
from paxosd.core.records import Kept, Learned, Promised, Record, Voted
from paxosd.core.types import Ballot, NodeId, Slot, Vote
from tests.core.helpers import REPLICAS, TIMING, Stage, acceptor, always_the_same, heartbeat, learned, learner

B3, B4 = Ballot(3, "p1"), Ballot(4, "p2")
ONE, TWO, THREE, FOUR = (1, b"1"), (2, b"2"), (3, b"3"), (4, b"4")
SHORT = TIMING.retry_s / 4 + 0.001
"""After this long a gap is one."""
ALONE = {"p1": Role.PROPOSER, "a1": Role.ACCEPTOR, "a2": Role.ACCEPTOR, "a3": Role.ACCEPTOR, "l1": Role.LEARNER}


def behind(stage: Stage[Learner], watermark: Slot) -> None:
    """It hears how far the log is, and what it misses does not come."""
    stage.deliver("p1", heartbeat(B3, watermark))
    stage.wait(SHORT)


# ---- whom it believes ------------------------------------------------------------------------


def test_a_chosen_value_is_taken_from_the_latest_leader_alone() -> None:
    stage = learner()
    stage.deliver("p1", Chosen(*ONE))  # it is no leader that anybody heard
    stage.deliver("p1", heartbeat(B3))
    stage.deliver("p2", Chosen(*ONE))
    stage.deliver("p1", Chosen(*ONE))
    stage.deliver("p2", heartbeat(B4))
    stage.deliver("p1", Chosen(*TWO))

    stage.expect_chosen(ONE)
    stage.expect_ignored("chosen value told by a node that does not lead", times=3)
    stage.set_aside()


def test_a_high_ballot_that_went_silent_does_not_keep_the_leader_out() -> None:
    stage = learner()
    stage.deliver("p2", heartbeat(B4))
    stage.wait(TIMING.election_s)
    stage.deliver("p1", heartbeat(B3), Chosen(*ONE))

    stage.expect_chosen(ONE)
    stage.set_aside()


# ---- in order, once --------------------------------------------------------------------------


def test_values_are_handed_on_in_the_turn_that_makes_them_durable() -> None:
    stage = learner()
    stage.deliver("l1", Chosen(*ONE), Chosen(*TWO))

    stage.expect_recorded(Learned(*ONE), Learned(*TWO))
    stage.expect_chosen(ONE, TWO)
    assert (stage.agent.next_slot, stage.agent.watermark) == (3, 3)


def test_another_value_for_a_slot_that_was_handed_on_is_reported_once_and_taken_up_never() -> None:
    stage = learner()
    stage.deliver("p1", heartbeat(B3), Chosen(*ONE), Chosen(*TWO))
    stage.set_aside()
    stage.deliver("p1", Chosen(*ONE))
    assert stage.agent.known.difference == ""
    stage.deliver("p1", Chosen(2, b"another"), Chosen(1, b"another"))

    (event,) = (event for event in stage.events if event.name == "log.differs")
    assert event.fields["what"] == stage.agent.known.difference
    assert "slot 2 holds another value here than p1 tells" in stage.agent.known.difference
    assert stage.agent.next_slot == 3
    stage.expect_chosen()
    stage.set_aside()


def test_a_gap_is_waited_for() -> None:
    stage = learner()
    stage.deliver("l1", Chosen(*TWO), Chosen(*THREE))
    stage.expect_chosen()
    stage.deliver("l1", Chosen(*ONE))

    stage.expect_chosen(ONE, TWO, THREE)
    stage.set_aside()


def test_n08_a_value_that_comes_again_is_handed_on_once() -> None:
    stage = learner()
    stage.deliver("l1", Chosen(*TWO), Chosen(*TWO), Chosen(*ONE))
    stage.deliver("l1", Chosen(*ONE), Chosen(*TWO))

    stage.expect_chosen(ONE, TWO)
    stage.expect_recorded(Learned(*TWO), Learned(*ONE))
    stage.expect_ignored("chosen value that is known", 3)


def test_what_is_too_far_ahead_is_left_for_later() -> None:
    stage = learner()
    stage.deliver("l1", Chosen(SLOTS_AHEAD_MAX + 1, b"far"))
    stage.expect_recorded()
    stage.expect_ignored("chosen value too far ahead")
    stage.deliver("l1", Chosen(SLOTS_AHEAD_MAX, b"near"))

    stage.expect_recorded(Learned(SLOTS_AHEAD_MAX, b"near"))


def test_o04_what_is_held_above_a_gap_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_module, "BYTES_AHEAD_MAX", 1000)
    stage = learner()
    for slot in (2, 3, 4):
        stage.deliver("l1", Chosen(slot, bytes(500)))
    stage.expect_ignored("chosen value too far ahead")
    stage.deliver("l1", Chosen(1, bytes(5000)))  # the one that is missed is never too large
    stage.deliver("l1", Chosen(4, bytes(500)), Chosen(6, bytes(1000)))

    assert [slot for slot, _ in stage.chosen] == [1, 2, 3, 4]
    assert not stage.agent.ignored
    stage.set_aside()


@always_the_same
@given(st.lists(st.integers(1, 8), max_size=40), st.sets(st.integers(1, 39), max_size=3))
def test_however_values_come_they_are_handed_on_in_order_once_per_life(slots: list[Slot], restarts: set[int]) -> None:
    stage = learner()
    known: set[Slot] = set()
    for step, slot in enumerate(slots):
        if step in restarts:
            stage.restart()
            stage.set_aside()
            stage.wait(0.01)
        stage.deliver("l1", Chosen(slot, b"%d" % slot))
        known.add(slot)
        prefix = next(stop for stop in range(1, 10) if stop not in known)
        # What an earlier life learned above a gap is asked for again; what is below a gap is not.
        handed_on = [handed for handed, _ in stage.chosen]
        assert handed_on == list(range(1, stage.agent.next_slot))
        assert stage.agent.next_slot <= prefix
        assert prefix == stage.agent.next_slot or restarts
        assert all(value == b"%d" % handed for handed, value in stage.chosen)
    stage.set_aside()


# ---- restart ---------------------------------------------------------------------------------


def test_c11_a_new_life_hands_on_what_the_earlier_one_learned_from_the_first_slot_on() -> None:
    stage = learner(records=learned(b"1", b"2"))
    stage.turn()

    stage.expect_chosen(ONE, TWO)
    stage.expect_recorded()


def test_a_new_life_hands_on_only_what_is_above_the_kept_state() -> None:
    stage = learner(records=[*learned(b"1", b"2", b"3"), Kept(3, ())])
    stage.turn()

    stage.expect_chosen(THREE)
    assert stage.agent.next_slot == 4


def test_a_new_life_asks_for_what_lies_above_the_kept_state_and_was_lost() -> None:
    stage = learner(records=[*learned(b"1", b"2"), Kept(3, ()), Learned(*FOUR)])
    stage.turn()

    assert (stage.agent.next_slot, stage.agent.watermark, stage.chosen) == (3, 3, [])
    stage.deliver("l1", Chosen(*THREE), Chosen(*FOUR))
    stage.expect_chosen(THREE, FOUR)
    stage.set_aside()


def test_a_long_history_is_handed_on_page_by_page_and_what_comes_meanwhile_waits() -> None:
    page = 2 * (1 + ROW_BYTES)
    stage = learner(limits=Limits(page_bytes_max=page), records=learned(b"1", b"2", b"3"))
    stage.turn()
    stage.expect_chosen(ONE, TWO)
    assert stage.agent.next_deadline() == stage.now  # there is more to do at once
    stage.deliver("l1", Chosen(*FOUR))
    stage.expect_chosen(THREE, FOUR)
    stage.expect_recorded(Learned(*FOUR))


def test_what_comes_before_the_history_is_handed_on_waits_for_it() -> None:
    stage = learner(limits=Limits(page_bytes_max=1), records=learned(b"1", b"2", b"3"))
    stage.deliver("l1", Chosen(*FOUR), Chosen(*TWO))
    stage.expect_chosen(ONE)
    stage.turn()
    stage.turn()

    stage.expect_chosen(TWO, THREE, FOUR)
    stage.expect_ignored("chosen value that is known")
    stage.set_aside()


def test_a_learner_asks_nobody_for_what_it_is_about_to_read_from_its_own_disk() -> None:
    stage = learner(limits=Limits(page_bytes_max=1), records=learned(b"1", b"2", b"3"))
    stage.now += 2 * TIMING.election_s  # one page took its process as long as this, and it heard no leader
    stage.turn()
    stage.expect_chosen(ONE)
    assert {message for _, message in stage.take(Durable)} == {Durable(4)}
    stage.expect_silence()
    stage.wait(0)
    stage.expect_chosen(TWO, THREE)
    stage.wait(TIMING.election_s)

    stage.expect_sent("l2", Fetch(4))  # which it has not
    stage.expect_silence()


def test_after_its_history_a_learner_asks_for_what_it_still_misses() -> None:
    stage = learner(limits=Limits(page_bytes_max=1), records=learned(b"1", b"2"))
    stage.deliver("p1", heartbeat(B3, 5))
    stage.wait(0)
    stage.expect_chosen(ONE, TWO)
    stage.expect_silence()
    stage.wait(TIMING.retry_s * 0.4)

    stage.expect_sent("l2", Fetch(3))
    stage.expect_silence()


def test_what_was_learned_above_a_gap_is_not_handed_on_before_the_gap_is_filled() -> None:
    stage = learner(records=[*learned(b"1"), *learned(b"3", first=3)])
    stage.turn()
    stage.expect_chosen(ONE)
    stage.deliver("l1", Chosen(*TWO))
    stage.expect_chosen(TWO)
    stage.deliver("l1", Chosen(*THREE))
    stage.expect_chosen(THREE)
    stage.set_aside()


def test_a_value_that_was_not_committed_is_asked_for_again() -> None:
    stage = learner()
    stage.crash_before_commit("l1", Chosen(*ONE))
    stage.expect_chosen()
    stage.deliver("l1", Chosen(*ONE))

    stage.expect_chosen(ONE)
    stage.set_aside()


def test_a_history_that_skips_a_slot_is_a_broken_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = learner(records=learned(b"1", b"2", b"3"))
    monkeypatch.setattr(stage.disk, "learned", lambda first, stop, size: [ONE, THREE])

    with pytest.raises(InvariantBroken, match="skips from slot 2 to 3"):
        stage.turn()


# ---- knowing what is missing -----------------------------------------------------------------


def test_what_is_on_its_way_is_not_asked_for() -> None:
    stage = learner()
    stage.deliver("p1", heartbeat(B3, watermark=2))
    stage.wait(SHORT / 2)
    stage.deliver("l1", Chosen(*ONE))
    stage.wait(SHORT)

    stage.expect_silence()
    stage.set_aside()


def test_a_gap_that_stays_is_asked_for_from_another_learner_then_from_the_acceptors_then_again() -> None:
    stage = learner()
    behind(stage, watermark=4)
    stage.expect_sent("l2", Fetch(1))
    stage.expect_silence()
    stage.wait(TIMING.retry_s)
    for voter in ("a1", "a2", "a3"):
        stage.expect_sent(voter, FetchVotes(1, 4))
    stage.expect_silence()
    stage.wait(TIMING.retry_s)
    stage.expect_sent("l2", Fetch(1))
    stage.expect_silence()


def test_news_do_not_make_it_ask_more_often() -> None:
    stage = learner()
    for step in range(100):
        stage.deliver("p1", heartbeat(B3, watermark=4 + step))
        stage.wait(0.01)

    asked = stage.take(Fetch) + stage.take(FetchVotes, "a1")
    assert 2 <= len(asked) <= 1 + 1.0 / TIMING.retry_s
    stage.set_aside()


def test_values_that_arrive_all_the_time_do_not_hide_a_gap() -> None:
    stage = learner()
    for slot in range(1, 30):
        if slot != 10:
            stage.deliver("p1", Watermark(B3, slot + 1), Chosen(slot, b"v"))
        stage.wait(0.02)

    assert stage.take(Fetch)[0] == ("l2", Fetch(10))
    stage.set_aside()


@pytest.mark.parametrize("word", [heartbeat(B4, 9), Watermark(B4, 9)], ids=lambda word: type(word).__name__)
def test_a_watermark_in_another_name_is_ignored(word: Watermark) -> None:
    stage = learner()
    stage.deliver("p1", word)

    assert stage.agent.watermark == 1
    stage.expect_ignored("message of a foreign ballot")


def test_it_knows_the_latest_leadership_and_the_highest_watermark() -> None:
    stage = learner()
    stage.deliver("p2", heartbeat(B4, 1))
    stage.deliver("p1", heartbeat(B3, 1))

    assert (stage.agent.ballot, stage.agent.watermark) == (B4, 1)


def test_a_learner_that_hears_no_leader_asks_the_others_how_far_they_are() -> None:
    stage = learner()
    stage.wait(TIMING.election_s)
    stage.expect_sent("l2", Fetch(1))
    stage.deliver("l2", Fetched(1, (b"1",), 2))
    stage.expect_chosen(ONE)
    stage.wait(TIMING.election_s * 1.5)
    assert stage.take(FetchVotes, "a1") == [("a1", FetchVotes(2, 2))]
    stage.set_aside()


def asked(stage: Stage[Learner]) -> list[NodeId]:
    """Who was asked for what is missing, since this was looked at last."""
    found = [target for target, _ in [*stage.take(Fetch), *stage.take(FetchVotes)]]
    return [target for target in found if isinstance(target, str)]


def test_who_heard_no_leader_asks_soon_for_what_the_next_one_knows() -> None:
    """The question how far the others are is none for a gap, and says nothing of who answers soon."""
    stage = learner()
    stage.wait(TIMING.election_s)
    assert asked(stage) == ["l2"]
    stage.deliver("p1", heartbeat(Ballot(3, "p1"), 3))
    stage.wait(TIMING.retry_s / 4)
    first = asked(stage)
    stage.wait(TIMING.retry_s / 4)

    assert [first, asked(stage)] == [["a1", "a2", "a3"], ["l2"]]


def test_a_few_slots_are_asked_of_who_leads_where_it_can_tell_them_and_then_of_others() -> None:
    """It is alive; who led before may be the other one."""
    for node, leader in (("r1", "r2"), ("r1", "r3"), ("r2", "r3")):
        stage = learner(node, roles=REPLICAS)
        stage.deliver(leader, heartbeat(Ballot(3, leader), 3))
        stage.wait(TIMING.retry_s / 4)
        first = asked(stage)
        stage.wait(TIMING.retry_s / 4)
        stage.wait(TIMING.retry_s)

        assert first == [leader]
        assert set(REPLICAS) - {node} <= set(asked(stage))


def test_a_learner_that_hears_a_leader_and_misses_nothing_asks_nobody() -> None:
    stage = learner()
    for _ in range(50):
        stage.deliver("p1", heartbeat(B3, 1))
        stage.wait(TIMING.heartbeat_s)

    stage.expect_silence()


# ---- from another learner --------------------------------------------------------------------


def test_pages_of_another_learner_are_handed_on_and_the_next_one_is_asked_for_while_they_are_written() -> None:
    stage = learner()
    behind(stage, watermark=5)
    stage.set_aside()
    stage.deliver("l2", Fetched(1, (b"1", b"2"), 5))
    stage.expect_chosen(ONE, TWO)
    stage.expect_sent("l2", Fetch(3), early=True)
    stage.deliver("l2", Fetched(3, (b"3", b"4"), 5))
    stage.expect_chosen(THREE, FOUR)
    stage.expect_silence()
    stage.set_aside()


def test_a_page_may_hold_more_than_is_held_ahead() -> None:
    stage = learner()
    many = SLOTS_AHEAD_MAX + 10
    behind(stage, watermark=many + 1)
    stage.deliver("l2", Fetched(1, (b"v",) * many, many + 1))

    assert [slot for slot, _ in stage.chosen] == list(range(1, many + 1))
    stage.set_aside()


def test_values_that_were_not_asked_for_are_ignored() -> None:
    stage = learner()
    stage.deliver("l2", Fetched(1, (b"1",), 2))
    behind(stage, watermark=4)
    stage.deliver("l3", Fetched(1, (b"1",), 2))
    stage.deliver("l2", Fetched(2, (b"2",), 2))
    stage.expect_chosen()
    stage.deliver("l2", Fetched(1, (b"1",), 2), Fetched(1, (b"1",), 2))

    stage.expect_chosen(ONE)
    stage.expect_ignored("fetched values that were not asked for", 4)
    stage.set_aside()


def test_a_page_that_overlaps_what_came_meanwhile_is_taken_from_there_on() -> None:
    stage = learner()
    behind(stage, watermark=4)
    stage.deliver("l1", Chosen(*ONE), Chosen(*THREE))
    stage.deliver("l2", Fetched(1, (b"1", b"2", b"3"), 4))

    stage.expect_chosen(ONE, TWO, THREE)
    assert stage.agent.ignored == {}
    stage.set_aside()


def test_a_learner_that_has_nothing_to_give_is_not_asked_again_at_once() -> None:
    stage = learner()
    behind(stage, watermark=4)
    stage.set_aside()
    stage.deliver("l2", Fetched(1, (), 1))
    stage.expect_silence()
    stage.wait(SHORT)

    assert {target for target, _ in stage.take(FetchVotes)} == {"a1", "a2", "a3"}
    stage.expect_silence()


def test_the_watermark_of_another_learner_is_believed() -> None:
    stage = learner()
    stage.wait(TIMING.election_s)
    stage.set_aside()
    stage.deliver("l2", Fetched(1, (b"1",), 3))

    assert stage.agent.watermark == 3
    stage.expect_sent("l2", Fetch(2))
    stage.set_aside()


# ---- from the acceptors ----------------------------------------------------------------------


def test_u19_an_accepted_value_of_one_acceptor_is_not_learned_and_of_a_quorum_the_highest_is() -> None:
    stage = learner(roles=ALONE)
    behind(stage, watermark=2)
    stage.set_aside()
    stage.deliver("a1", *[FetchedVotes(1, 2, 2, (Vote(1, B3, b"old"),), 2)] * 2)
    stage.expect_chosen()
    stage.deliver("a2", FetchedVotes(1, 2, 2, (Vote(1, B4, b"1"),), 2))

    stage.expect_chosen(ONE)
    stage.expect_recorded(Learned(*ONE))


def test_c22_pages_of_the_acceptors_are_handed_on_and_the_next_one_is_asked_for_at_once() -> None:
    stage = learner(roles=ALONE)
    behind(stage, watermark=4)
    stage.set_aside()
    votes = tuple(Vote(slot, B3, b"%d" % slot) for slot in (1, 2, 3))
    stage.deliver("a1", FetchedVotes(1, 4, 3, votes[:2], 4))
    stage.deliver("a2", FetchedVotes(1, 4, 4, votes, 4))
    stage.expect_chosen(ONE, TWO)
    assert {message for _, message in stage.take(FetchVotes)} == {FetchVotes(3, 4)}
    for voter in ("a3", "a2"):
        stage.deliver(voter, FetchedVotes(3, 4, 4, votes[2:], 4))
    stage.expect_chosen(THREE)
    stage.set_aside()


def test_only_slots_below_the_watermark_are_asked_for() -> None:
    stage = learner(roles=ALONE)
    behind(stage, watermark=3)
    stage.deliver("p1", heartbeat(B3, 9))  # after the question left
    asked = {message for _, message in stage.take(FetchVotes)}
    assert asked == {FetchVotes(1, 3)}
    for voter in ("a1", "a2"):
        votes = tuple(Vote(slot, B3, b"%d" % slot) for slot in (1, 2, 3))  # more than was asked for
        stage.deliver(voter, FetchedVotes(1, 3, 3, votes, 9))

    stage.expect_chosen(ONE, TWO)
    stage.set_aside()


def test_the_watermark_of_an_acceptor_is_believed_but_the_votes_are_not() -> None:
    stage = learner()
    stage.deliver("a1", FetchedVotes(1, 9, 9, (Vote(1, B3, b"x"),), 9))

    assert stage.agent.watermark == 9
    stage.expect_chosen()


class Told:
    """A slot through some ballots: in each, the leader is bound by what a quorum told; in the last one, a quorum votes.

    The votes that acceptors are left with are of several ballots, and of one or of several values.
    """

    def __init__(self, slot: Slot, data: st.DataObject) -> None:
        some = st.sets(st.sampled_from(VOTERS), min_size=2)
        any_of_them = st.sets(st.sampled_from(VOTERS))
        self.votes: dict[NodeId, Vote] = {}
        for number in (1, 2, 3):
            known = [self.votes[one] for one in data.draw(some) if one in self.votes]
            value = max(known, key=lambda vote: vote.ballot).value if known else b"%d in ballot %d" % (slot, number)
            voters = data.draw(any_of_them if number < 3 else some)
            self.votes |= {voter: Vote(slot, Ballot(number, "p1"), value) for voter in voters}
        self.chosen = value


VOTERS = ("a1", "a2", "a3")


def votes_of(voter: NodeId, slots: list[Told]) -> list[Record]:
    return [Promised(Ballot(3, "p1")), *(Voted(*told.votes[voter]) for told in slots if voter in told.votes)]


@always_the_same
@given(st.data())
def test_u19_whatever_answers_of_acceptors_are_lost_repeated_late_or_mixed_only_what_is_chosen_is_learned(
    data: st.DataObject,
) -> None:
    Stage.on_stage.clear()  # one that Hypothesis gave up in the middle is not looked at
    slots = [Told(slot, data) for slot in (1, 2, 3)]
    small = Limits(page_bytes_max=data.draw(st.sampled_from((1, 600, 10_000))))
    voters = {voter: acceptor(voter, ALONE, small, votes_of(voter, slots)) for voter in VOTERS}
    stage = learner(roles=ALONE)
    stage.deliver("p1", heartbeat(Ballot(3, "p1"), data.draw(st.integers(2, 4))))
    answers: list[tuple[NodeId, FetchedVotes]] = []
    for step in range(40):
        stage.wait(TIMING.retry_s)
        for voter, question in stage.take(FetchVotes):
            assert isinstance(voter, str)
            voters[voter].deliver("l1", question)
            answers += [(voter, told) for _, told in voters[voter].take(FetchedVotes)]
        if step == 20:
            stage.deliver("p1", heartbeat(Ballot(3, "p1"), 4))
        fair = step > 20
        for _ in range(data.draw(st.integers(0, 3)) if answers and not fair else 0):
            stage.deliver(*data.draw(st.sampled_from(answers)))  # again, late, or out of order; some never
        for answer in answers[-3:] if fair else ():
            stage.deliver(*answer)
        assert stage.chosen == [(slot, told.chosen) for slot, told in enumerate(slots, 1)][: len(stage.chosen)]

    assert len(stage.chosen) == 3
    stage.set_aside()


# ---- helping others --------------------------------------------------------------------------


def test_another_learner_gets_a_page_of_what_is_handed_on_and_durable() -> None:
    page = 2 * (1 + ROW_BYTES)
    stage = learner(limits=Limits(page_bytes_max=page), records=learned(b"1", b"2", b"3"))
    stage.turn()
    stage.turn()
    stage.deliver("p1", heartbeat(B3, 7), Chosen(5, b"5"))
    stage.set_aside()
    for asked in (1, 2, 3, 4, 5):
        stage.deliver("l2", Fetch(asked))

    for first, values in ((1, (b"1", b"2")), (2, (b"2", b"3")), (3, (b"3",)), (4, ()), (5, ())):
        stage.expect_sent("l2", Fetched(first, values, 7), early=False)
    stage.expect_silence()


def test_a_learner_that_still_hands_on_its_history_can_already_help() -> None:
    stage = learner(limits=Limits(page_bytes_max=ROW_BYTES + 1), records=learned(b"1", b"2", b"3"))
    stage.deliver("l2", Fetch(3))

    stage.expect_sent("l2", Fetched(3, (b"3",), 4))
    stage.set_aside()


def test_a_value_above_a_gap_is_not_given_as_the_one_in_the_gap() -> None:
    stage = learner(records=[*learned(b"1"), *learned(b"3", first=3)])
    stage.turn()
    stage.set_aside()
    for asked in (1, 2, 0):
        stage.deliver("l2", Fetch(asked))

    stage.expect_sent("l2", Fetched(1, (b"1",), 2), Fetched(2, (), 2), Fetched(0, (), 2))


@pytest.mark.parametrize("stranger", ["p1", "a1", "l1", "nobody"])
def test_who_is_no_other_learner_gets_nothing(stranger: NodeId) -> None:
    stage = learner(records=learned(b"1"))
    stage.turn()
    stage.set_aside()
    stage.deliver(stranger, Fetch(1))

    stage.expect_silence()
    stage.expect_ignored("fetch by a node that is no learner")


def test_two_learners_that_know_different_halves_complete_each_other() -> None:
    one, other = learner("l1"), learner("l2", records=learned(b"1", b"2"))
    other.turn()
    one.deliver("p1", heartbeat(B3, 4), Chosen(*THREE))
    one.wait(SHORT)
    other.deliver("l1", one.take_one(Fetch, "l2"))
    one.deliver("l2", other.take_one(Fetched, "l1"))

    one.expect_chosen(ONE, TWO, THREE)
    one.set_aside()
    other.set_aside()


def test_o04_a_flood_of_questions_is_answered_with_one_page_each_turn_to_the_latest() -> None:
    stage = learner(limits=Limits(page_bytes_max=2 * ROW_BYTES), records=learned(b"1", b"2", b"3"))
    stage.wait(0.1)
    stage.set_aside()
    stage.deliver("l2", *map(Fetch, [1, 2] * 5000), Fetch(3))

    stage.expect_sent("l2", Fetched(3, (b"3",), 4))
    stage.expect_silence()
