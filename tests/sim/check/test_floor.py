"""The check of floors: what learners have, synced, and nothing else counts."""

from __future__ import annotations

import pytest

from paxosd.core.records import Floor, Learned
from paxosd.sim.check.invariants import Safety, Violation
from paxosd.storage.memory import MemoryStore

SLOTS = 5


def learner() -> MemoryStore:
    """The disk of a learner, with some slots."""
    disk = MemoryStore()
    disk.commit([Learned(slot, b"v%d" % slot) for slot in range(1, SLOTS + 1)])
    return disk


@pytest.fixture
def safety() -> Safety:
    """In which these slots are chosen, and nobody has learned any."""
    made = Safety({"a1": 1}, 64, 100, ["l1", "l2"])
    made.watermark = SLOTS + 1
    made.chosen = {slot: b"v%d" % slot for slot in range(1, SLOTS + 1)}
    return made


def test_votes_that_one_learner_has_alone_may_not_go(safety: Safety) -> None:
    safety.committed("l1", [], learner())

    with pytest.raises(Violation, match="14 floor"):
        safety.committed("a1", [Floor(SLOTS)], MemoryStore())


def test_what_a_life_finds_at_its_start_is_synced_and_counts(safety: Safety) -> None:
    safety.committed("l1", [], learner())
    safety.recovered_from("l2", learner())

    safety.committed("a1", [Floor(SLOTS)], MemoryStore())
