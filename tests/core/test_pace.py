"""How fast a learner that is behind asks for pages."""

from __future__ import annotations

import pytest

from paxosd.core.learner import Learner
from paxosd.core.messages import Chosen, Fetch, Fetched, FetchVotes
from paxosd.core.pace import MANY_SLOTS, REST, REST_S_MAX, Pace
from paxosd.core.types import Ballot
from tests.core.helpers import NOON, TIMING, Stage, heartbeat, learner

BALLOT = Ballot(3, "p1")
FAR = 10 * MANY_SLOTS
WORK_S = 0.25
"""How long it takes to write and apply a page."""


def paced(page: int = 10, cycle_s: float = WORK_S, grown: int = 1) -> Pace:
    """A learner that got two pages, in this time from one to the other, while the log grew by so much."""
    pace = Pace()
    pace.page_came("l2", 1, FAR, NOON - cycle_s)
    assert pace.page_came("l2", 1 + page, FAR + grown, NOON)
    return pace


def test_it_rests_for_as_long_as_the_work_took_times_the_rest() -> None:
    pace = paced()

    assert pace.rests_until(NOON + WORK_S) == NOON + WORK_S + REST * WORK_S
    assert pace.rests_until(NOON + 10 * WORK_S) == NOON + WORK_S + REST * WORK_S, "the work is what the first turn took"


def test_it_does_not_rest_while_the_watermark_stands_still() -> None:
    pace = Pace()
    pace.page_came("l2", 1, FAR, NOON)

    assert not pace.page_came("l2", 10, FAR, NOON + WORK_S)


def test_it_does_not_rest_where_it_is_not_twice_as_fast_as_the_log_grows() -> None:
    pace = Pace()
    pace.page_came("l2", 1, FAR, NOON)

    assert not pace.page_came("l2", 11, FAR + 6, NOON + WORK_S)
    assert pace.page_came("l2", 21, FAR + 10, NOON + 2 * WORK_S)


def test_it_does_not_rest_when_it_misses_few() -> None:
    pace = paced(page=FAR // 2)

    assert not pace.page_came("l2", FAR + 2 - MANY_SLOTS, FAR + 2, NOON + WORK_S)


def test_a_process_that_stood_still_did_no_work_for_that_long() -> None:
    pace = paced(page=FAR // 2)

    assert pace.rests_until(NOON + 60.0) == NOON + 60.0 + REST_S_MAX


def test_the_rest_before_a_page_is_no_work_of_it() -> None:
    pace = paced(page=16, grown=2)
    came = pace.rests_until(NOON + WORK_S) + WORK_S
    assert pace.page_came("l2", 33, FAR + 10, came)

    assert pace.rests_until(came + WORK_S) == came + WORK_S + REST * WORK_S


@pytest.mark.parametrize("speed", [1.05, 1.5, 1.95, 2.05, 3.0, 10.0])
def test_it_arrives_wherever_it_is_faster_than_the_log_grows(speed: float) -> None:
    """Pages of 1000 slots that take 0.1 s each, and a log that grows all the time."""
    pace, now, next_slot, work_s, behind = Pace(), NOON, 1.0, 0.1, 100_000
    grows = 1000 / work_s / speed
    at_full_speed_s = behind / (1000 / work_s - grows)

    while (watermark := behind + (now - NOON) * grows) - next_slot > MANY_SLOTS:
        now, next_slot = now + work_s, next_slot + 1000
        if pace.page_came("l2", int(next_slot), int(watermark), now - work_s / 2):
            now = pace.rests_until(now)
        assert now - NOON <= max(1.1 * at_full_speed_s, 1.1 * behind / grows), "it fell back further, or too slowly"


def is_told(stage: Stage[Learner], count: int, watermark: int, work_s: float = 0.0) -> None:
    """The page for which it asked last comes after as long; to write and apply it takes so long."""
    stage.now += WORK_S
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
    stage.deliver("p1", heartbeat(BALLOT, FAR + 2))
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
