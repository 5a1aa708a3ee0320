"""How fast a learner that is behind asks for pages."""

from __future__ import annotations

from paxosd.core.learner import Learner
from paxosd.core.messages import Chosen, Fetch, Fetched, FetchVotes
from paxosd.core.pace import MANY_SLOTS, REST, Pace
from paxosd.core.types import Ballot
from tests.core.helpers import NOON, TIMING, Stage, heartbeat, learner

BALLOT = Ballot(3, "p1")
FAR = 10 * MANY_SLOTS
WORK_S = 0.25
"""How long it takes to write and apply a page."""


def test_it_rests_for_as_long_as_the_work_took_times_the_rest() -> None:
    pace = Pace()
    pace.page_came("l2", 1, FAR, NOON)

    assert pace.page_came("l2", 10, FAR + 1, NOON)
    assert pace.rests_until(NOON + WORK_S) == NOON + WORK_S + REST * WORK_S
    assert pace.rests_until(NOON + 10 * WORK_S) == NOON + WORK_S + REST * WORK_S, "the work is what the first turn took"


def test_it_does_not_rest_while_the_watermark_stands_still() -> None:
    pace = Pace()
    pace.page_came("l2", 1, FAR, NOON)

    assert not pace.page_came("l2", 10, FAR, NOON)


def test_it_does_not_rest_while_it_falls_back_further() -> None:
    pace = Pace()
    pace.page_came("l2", 1, FAR, NOON)

    assert not pace.page_came("l2", 10, FAR + 9, NOON)
    assert pace.page_came("l2", 20, FAR + 10, NOON)


def test_it_does_not_rest_when_it_misses_few() -> None:
    pace = Pace()
    pace.page_came("l2", 1, FAR, NOON)

    assert not pace.page_came("l2", FAR - MANY_SLOTS, FAR, NOON)


def is_told(stage: Stage[Learner], count: int, watermark: int, work_s: float = 0.0) -> None:
    """The page for which it asked last comes; to write and apply it takes so long."""
    stage.deliver("l2", Fetched(stage.agent.next_slot, (b"v",) * count, watermark))
    stage.now += work_s
    stage.turn()


def far_behind() -> Stage[Learner]:
    """A learner that got a first page while the watermark moves, and asked for the second one at once."""
    stage = learner()
    stage.deliver("p1", heartbeat(BALLOT, FAR))
    stage.wait(TIMING.retry_s / 4 + 0.001)
    stage.set_aside()
    is_told(stage, 10, FAR)
    stage.set_aside()
    return stage


def test_a_learner_far_behind_rests_between_two_pages_and_asks_the_same_one_again() -> None:
    stage = far_behind()
    is_told(stage, 10, FAR + 1, WORK_S)
    stage.wait(REST * WORK_S - 0.001)
    assert stage.take(Fetch) == []
    stage.wait(0.002)

    stage.expect_sent("l2", Fetch(21), early=False)
    stage.set_aside()


def test_while_it_rests_nobody_else_is_asked() -> None:
    stage = far_behind()
    is_told(stage, 10, FAR + 1, TIMING.retry_s)
    stage.wait(REST * TIMING.retry_s - 0.001)

    assert (stage.take(Fetch), stage.take(FetchVotes)) == ([], [])
    stage.set_aside()


def test_what_comes_by_itself_while_it_rests_is_not_asked_for() -> None:
    stage = far_behind()
    is_told(stage, FAR - 100, FAR + 1, WORK_S)
    first = stage.agent.next_slot
    stage.deliver("p1", *(Chosen(slot, b"v") for slot in range(first, FAR + 1)))
    stage.set_aside()
    stage.wait(REST * WORK_S)

    assert stage.take(Fetch) == []
    stage.set_aside()
