"""Whom a leader tells how far all is chosen, and when."""

from __future__ import annotations

import pytest

from paxosd.core.agent import Timer
from paxosd.core.messages import Accepted, Forward, Message, ReadIndex, WantTime, Watermark
from paxosd.core.types import Slot
from paxosd.core.values import DIGESTS
from paxosd.core.watermarks import ASKED_OF_LATE_S, TELL_WITHIN_S, Watermarks
from tests.core.helpers import REPLICAS, elect, forward, proposer

OTHERS = ("r2", "r3")


@pytest.mark.parametrize("question", [forward(), ReadIndex(1), WantTime(1)], ids=lambda asked: type(asked).__name__)
def test_a_replica_that_asked_for_something_of_late_is_told_at_once(question: Message) -> None:
    stage = proposer("r1", REPLICAS)
    ballot = elect(stage, {"r1": [], "r2": []})
    stage.deliver("r2", question)
    stage.set_aside()
    stage.deliver("r1", Accepted(ballot, 1))
    stage.deliver("r3", Accepted(ballot, 1))

    assert [target for target, _ in stage.take(Watermark)] == ["r2"]
    stage.set_aside()


def test_the_digest_of_a_replica_is_nothing_that_a_client_waits_for() -> None:
    stage = proposer("r1", REPLICAS)
    ballot = elect(stage, {"r1": [], "r2": []})
    stage.deliver("r2", Forward(DIGESTS, 0, 256, 2, 1, b"digest"))
    stage.set_aside()
    stage.deliver("r1", Accepted(ballot, 1))
    stage.deliver("r3", Accepted(ballot, 1))

    assert stage.take(Watermark) == []
    stage.set_aside()


def test_nobody_is_told_at_once_who_asked_for_nothing() -> None:
    assert Watermarks(OTHERS).hurries(5, 10.0) == []


def test_who_asked_is_told_each_watermark_once() -> None:
    told = Watermarks(OTHERS)
    told.asks("r3", 10.0)

    assert [list(told.hurries(slot, 10.0)) for slot in (5, 5, 6)] == [["r3"], [], ["r3"]]


def test_who_asked_long_ago_is_told_later() -> None:
    told = Watermarks(OTHERS)
    told.asks("r3", 10.0)

    assert told.hurries(5, 10.0 + ASKED_OF_LATE_S) == []


@pytest.mark.parametrize(("carried", "tells"), [(4, OTHERS), (5, ())])
def test_what_an_accept_carried_is_told_to_nobody_again(carried: Slot, tells: tuple[str, ...]) -> None:
    told = Watermarks(OTHERS)
    told.carried(carried)

    assert told.tells(5) == tells
    assert told.tells(5) == ()


def test_where_there_are_no_other_replicas_nothing_is_left_to_tell() -> None:
    alone = Watermarks(())
    alone.asks("l1", 10.0)

    assert not alone.is_untold(5)


def test_a_new_leadership_tells_everything_anew() -> None:
    told = Watermarks(OTHERS)
    told.carried(5)
    told.forget()

    assert told.tells(5) == OTHERS


def test_what_is_chosen_bit_by_bit_is_told_no_later_for_it() -> None:
    stage = proposer("r1", REPLICAS)
    ballot = elect(stage, {"r1": [], "r2": []})
    stage.deliver("r1", Accepted(ballot, 1))
    stage.deliver("r1", forward())
    stage.deliver("r3", Accepted(ballot, 1))
    stage.set_aside()
    stage.deliver("r1", Accepted(ballot, 2))
    stage.deliver("r3", Accepted(ballot, 2))
    stage.wait(TELL_WITHIN_S * 0.9)
    assert stage.take(Watermark) == []
    stage.wait(TELL_WITHIN_S * 0.2)

    assert {message.watermark for _, message in stage.take(Watermark)} == {stage.agent.watermark}
    stage.set_aside()


def test_what_an_accept_told_brings_about_no_turn_of_its_own() -> None:
    stage = proposer("r1", REPLICAS)
    ballot = elect(stage, {"r1": [], "r2": []})
    stage.deliver("r1", Accepted(ballot, 1))
    stage.deliver("r3", Accepted(ballot, 1))
    assert Timer.TELL in stage.agent._deadlines
    stage.deliver("r1", forward())

    assert Timer.TELL not in stage.agent._deadlines
    stage.set_aside()
