"""How far a gateway's node is behind, and what counts as that."""

from __future__ import annotations

from paxosd.core.options import BEHIND_SLOTS
from paxosd.gateway.progress import STANDS_S, Progress
from tests.core.helpers import NOON


def test_a_few_slots_behind_is_how_every_learner_is() -> None:
    progress = Progress()

    assert progress.note(10, 10 + BEHIND_SLOTS - 1, NOON) == ""
    assert progress.note(11, 11 + BEHIND_SLOTS, NOON + 1) == "learner.catches_up"
    assert (progress.lag.applied, progress.lag.chosen) == (11, 11 + BEHIND_SLOTS)


def test_who_stands_at_one_slot_for_long_is_behind_whatever_it_lacks() -> None:
    progress = Progress()

    assert progress.note(10, 11, NOON) == ""
    assert progress.note(10, 12, NOON + STANDS_S - 0.1) == ""
    assert progress.note(10, 12, NOON + STANDS_S) == "learner.catches_up"
    assert progress.note(12, 12, NOON + STANDS_S + 0.1) == "learner.caught_up"


def test_who_goes_on_slot_by_slot_is_not_behind_for_that() -> None:
    progress = Progress()

    assert [progress.note(slot, 99, NOON + slot * STANDS_S * 0.9) for slot in range(1, 9)] == [""] * 8


def test_a_process_that_stood_still_while_nothing_was_missing_is_not_behind_when_it_goes_on() -> None:
    progress = Progress()
    progress.note(10, 10, NOON)

    assert progress.note(10, 11, NOON + 60) == ""
