"""Catching up: whom to ask in turn, and what the votes of acceptors prove."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.catchup import ACCEPTORS, CatchUp
from paxosd.core.membership import Role
from paxosd.core.messages import Fetch, Fetched, FetchedVotes, FetchVotes
from paxosd.core.quorum import Quorum
from paxosd.core.types import Ballot, NodeId, Slot, Vote
from tests.core.helpers import ROLES, TIMING, always_the_same, born, disk_of, heartbeat, learner, membership

B1, B2 = Ballot(1, "p1"), Ballot(2, "p2")


def catchup(node: NodeId = "l1", quorum: Quorum | None = None, seed: int = 1) -> CatchUp:
    members = membership({**ROLES, "l3": Role.LEARNER}, quorum)
    asking = CatchUp(node, members, Random(seed))
    asking.count_with(born(members))
    return asking


def take(asking: CatchUp, acceptor: NodeId, answer: FetchedVotes) -> list[tuple[Slot, bytes]] | None:
    """This acceptor answers, with its own disk."""
    return asking.take_votes(acceptor, replace(answer, disk=disk_of(acceptor)))


def told(first: Slot, asked_stop: Slot, *votes: Vote, stop: Slot | None = None) -> FetchedVotes:
    return FetchedVotes(first, asked_stop, asked_stop if stop is None else stop, votes, asked_stop)


def page(first: Slot, *values: bytes, floor: Slot = 1) -> Fetched:
    return Fetched(first, values, 9, floor)


# ---- whom to ask -----------------------------------------------------------------------------


def test_the_first_one_that_is_asked_for_a_few_slots_is_waited_for_a_short_time_alone() -> None:
    asking = catchup()

    assert [asking.await_from(first, 10) for first in (8, 8, 8, 9, 9)] == [0.25, 1.0, 1.0, 0.25, 1.0]


def test_pages_of_many_slots_are_waited_for_as_long_as_usual() -> None:
    asking = catchup()

    assert [asking.await_from(first, 1000) for first in (1, 1, 500)] == [1.0, 1.0, 1.0]


def test_after_the_first_one_that_says_nothing_the_next_one_is_asked_soon() -> None:
    stage = learner()
    stage.deliver("p1", heartbeat(Ballot(3, "p1"), 3))
    stage.wait(TIMING.retry_s / 4)
    stage.expect_sent("l2", Fetch(1))
    stage.wait(TIMING.retry_s / 4)

    assert {target for target, _ in stage.take(FetchVotes)} == {"a1", "a2", "a3"}
    stage.expect_silence()


def test_every_other_learner_and_then_the_acceptors_are_asked_in_turn() -> None:
    asking = catchup()
    targets = [asking.next_target() for _ in range(6)]

    assert sorted(targets[:3]) == sorted(["l2", "l3", ACCEPTORS])
    assert targets[2] == ACCEPTORS
    assert targets[3:] == targets[:3]


def test_learners_do_not_all_begin_with_the_same_one() -> None:
    assert {catchup(seed=seed).next_target() for seed in range(10)} == {"l2", "l3"}


def test_a_learner_that_is_alone_asks_the_acceptors() -> None:
    alone = CatchUp("l1", membership({"a1": Role.ACCEPTOR, "l1": Role.LEARNER}), Random(1))

    assert [alone.next_target(), alone.next_target()] == [ACCEPTORS, ACCEPTORS]


# ---- what a learner answers ------------------------------------------------------------------


def test_the_answer_that_is_awaited_is_taken_once() -> None:
    asking = catchup()
    asking.ask_learner("l2", 5)

    assert not asking.take_learner("l3", page(5))
    assert not asking.take_learner("l2", page(4))
    assert asking.take_learner("l2", page(5))
    assert not asking.take_learner("l2", page(5))


def test_a_later_question_ends_an_earlier_one() -> None:
    asking = catchup()
    asking.ask_learner("l2", 5)
    asking.ask_acceptors(5, 9)

    assert not asking.take_learner("l2", page(5))
    asking.ask_learner("l3", 5)
    assert take(asking, "a1", told(5, 9)) is None
    assert take(asking, "a2", told(5, 9)) is None
    assert asking.take_learner("l3", page(5))


# ---- what the votes of acceptors prove -------------------------------------------------------


def test_u19_a_single_acceptors_vote_proves_nothing() -> None:
    asking = catchup()
    assert asking.ask_acceptors(1, 2) == ("a1", "a2", "a3")

    assert take(asking, "a1", told(1, 2, Vote(1, B2, b"v"))) is None
    assert take(asking, "a1", told(1, 2, Vote(1, B2, b"v"))) is None


def test_the_highest_vote_of_a_prepare_quorum_is_the_chosen_value() -> None:
    for first, second in ((B1, B2), (B2, B1)):
        asking = catchup()
        asking.ask_acceptors(1, 2)
        take(asking, "a1", told(1, 2, Vote(1, first, b"%d" % first.round)))

        assert take(asking, "a3", told(1, 2, Vote(1, second, b"%d" % second.round))) == [(1, b"2")]


def test_one_vote_among_a_prepare_quorum_is_enough() -> None:
    asking = catchup()
    asking.ask_acceptors(1, 2)
    take(asking, "a1", told(1, 2))

    assert take(asking, "a2", told(1, 2, Vote(1, B1, b"v"))) == [(1, b"v")]
    assert take(asking, "a3", told(1, 2, Vote(1, B1, b"v"))) is None  # the question is answered


def test_a_flexible_prepare_quorum_is_waited_for() -> None:
    asking = catchup(quorum=Quorum(dict.fromkeys(("a1", "a2", "a3"), 1), prepare=3, accept=1))
    asking.ask_acceptors(1, 2)
    take(asking, "a1", told(1, 2, Vote(1, B1, b"v")))

    assert take(asking, "a2", told(1, 2)) is None
    assert take(asking, "a3", told(1, 2)) == [(1, b"v")]


@pytest.mark.parametrize("other", [told(1, 8, Vote(1, B2, b"x")), told(2, 9, Vote(2, B2, b"x"))])
def test_an_answer_to_another_question_does_not_count(other: FetchedVotes) -> None:
    asking = catchup()
    asking.ask_acceptors(1, 9)
    assert take(asking, "a1", other) is None
    assert take(asking, "a2", told(1, 9, Vote(1, B1, b"v"))) is None

    assert take(asking, "a3", told(1, 9)) == [(1, b"v")]


def test_answers_to_an_earlier_question_do_not_count_in_a_later_one() -> None:
    asking = catchup()
    asking.ask_acceptors(1, 5)
    take(asking, "a1", told(1, 5, Vote(1, B1, b"v")))
    asking.ask_acceptors(1, 9)

    assert take(asking, "a2", told(1, 9)) is None


@pytest.mark.parametrize("stranger", ["l2", "p1", "", "a9"])
def test_an_answer_of_a_stranger_does_not_count(stranger: NodeId) -> None:
    asking = catchup()
    asking.ask_acceptors(1, 2)
    take(asking, stranger, told(1, 2, Vote(1, B2, b"x")))
    take(asking, "a1", told(1, 2, Vote(1, B1, b"v")))

    assert take(asking, "a2", told(1, 2)) == [(1, b"v")]


def test_the_shortest_page_bounds_what_is_known() -> None:
    asking = catchup()
    asking.ask_acceptors(1, 5)
    take(asking, "a1", told(1, 5, Vote(1, B1, b"1"), Vote(2, B1, b"2"), stop=3))

    everything = [Vote(slot, B1, b"%d" % slot) for slot in range(1, 5)]
    # a1 may have voted in a higher ballot in slot 3, and did not tell yet
    assert take(asking, "a2", told(1, 5, *everything)) == [(1, b"1"), (2, b"2")]


def test_what_nobody_voted_for_is_not_invented_and_ends_the_answer() -> None:
    asking = catchup()
    asking.ask_acceptors(1, 5)
    take(asking, "a1", told(1, 5, Vote(1, B1, b"1"), Vote(3, B1, b"3")))

    assert take(asking, "a2", told(1, 5)) == [(1, b"1")]


@always_the_same
@given(st.data())
def test_the_value_that_a_quorum_chose_is_found_whoever_answers(data: st.DataObject) -> None:
    # One slot through three ballots: in each, the leader is bound by what a prepare quorum tells; some vote.
    quorum = Quorum.majority(dict.fromkeys(("a1", "a2", "a3"), 1))
    names = st.sets(st.sampled_from(("a1", "a2", "a3")), min_size=2)
    votes: dict[NodeId, Vote] = {}
    chosen: bytes | None = None
    for number in (1, 2, 3):
        known = [votes[one] for one in data.draw(names) if one in votes]
        value = max(known, key=lambda vote: vote.ballot).value if known else b"of ballot %d" % number
        voters = data.draw(st.sets(st.sampled_from(("a1", "a2", "a3"))))
        votes |= {voter: Vote(1, Ballot(number, "p1"), value) for voter in voters}
        if quorum.can_accept(voters):
            chosen = chosen or value
    if chosen is None:
        return
    asking = catchup()
    asking.ask_acceptors(1, 2)
    answers = [take(asking, one, told(1, 2, *[votes[one]] if one in votes else [])) for one in data.draw(names)]

    assert [(1, chosen)] in answers


# ---- what nobody can tell ----------------------------------------------------------------------


def floored(first: Slot) -> FetchedVotes:
    return replace(told(first, 9), floor=first + 1)


def ask_everybody(asking: CatchUp, first: Slot) -> None:
    """For slot 5, one after the other; two of three acceptors let go of it, and l2 has nothing of it."""
    asking.ask_learner("l2", first)
    asking.take_learner("l2", page(first))
    asking.ask_learner("l3", first)
    asking.ask_acceptors(first, 9)
    for acceptor in ("a1", "a2"):
        take(asking, acceptor, floored(first))


def test_once_everybody_was_asked_it_is_said_what_nobody_can_tell() -> None:
    asking = catchup()
    ask_everybody(asking, 5)
    assert asking.gone(5) == "", "not all of them had time to answer"
    asking.ask_learner("l2", 5)

    assert asking.gone(5) == (
        "slot 5 is chosen, acceptors let go of it, and no learner that is heard has it: start l3 with the directory "
        "that it had; or, if that is gone, stop all nodes: `paxosd rescue --plan` says what is left"
    )
    assert asking.gone(6) == ""


def test_where_every_learner_answered_none_is_to_be_started() -> None:
    asking = catchup()
    ask_everybody(asking, 5)
    asking.ask_learner("l3", 5)
    asking.take_learner("l3", page(5))

    assert asking.gone(5).endswith("has it: stop all nodes: `paxosd rescue --plan` says what is left")


def test_what_some_acceptors_let_go_of_the_others_may_still_tell() -> None:
    asking = catchup()
    asking.ask_acceptors(5, 9)
    take(asking, "a1", floored(5))
    for _ in range(4):
        asking.ask_learner("l2", 5)

    assert asking.gone(5) == ""


def test_who_has_a_state_above_a_slot_does_not_lack_it() -> None:
    asking = catchup()
    ask_everybody(asking, 5)
    asking.ask_learner("l3", 5)
    asking.take_learner("l3", page(5, floor=7))

    assert "start l3" in asking.gone(5)


def test_what_is_known_of_one_slot_says_nothing_of_the_next() -> None:
    asking = catchup()
    ask_everybody(asking, 5)
    asking.ask_learner("l2", 5)
    asking.ask_learner("l2", 6)

    assert (asking.gone(5), asking.gone(6)) == ("", "")


def test_what_nobody_can_tell_is_logged_once() -> None:
    stage = learner()
    stage.deliver("p1", heartbeat(Ballot(3, "p1"), 3))
    logged: list[str] = []
    for _ in range(20):
        stage.wait(TIMING.retry_s)
        for acceptor in dict.fromkeys(str(target) for target, _ in stage.take(FetchVotes)):
            stage.deliver(acceptor, FetchedVotes(1, 3, 3, (), 3, floor=2))
        logged += [event.name for event in stage.events if event.is_warning]
        stage.set_aside()

    assert logged == ["log.gone"]
