"""Worlds in which decrees say who votes: every law holds in each, and each finds the bugs that it is there for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from paxosd.core.decrees import Decree
from paxosd.core.phase1 import PhaseOne
from paxosd.core.phase2 import PhaseTwo
from paxosd.core.proposer import Proposer
from paxosd.core.standing import Standing
from paxosd.core.types import DiskId, Instant, NodeId, Slot, Vote
from paxosd.core.voters import Count, Voters
from paxosd.sim.explore.bounds import WORLDS
from paxosd.sim.explore.search import explore

Plant = Callable[[pytest.MonkeyPatch], None]

WHOLE = [
    ("birth", 11_822, ["a birth was chosen", "a node voted with two disks"]),
    ("birth again", 83_618, ["a birth was chosen", "a node voted with two disks", "a lower ballot was refused"]),
    ("empty disk", 93_554, ["a lower ballot was refused"]),
    ("admission", 40_666, ["a disk was admitted", "a new disk helped to choose"]),
    ("passed over", 18_688, ["a decree was passed over"]),
]


@pytest.mark.parametrize(("world", "states", "marks"), WHOLE, ids=[world for world, _, _ in WHOLE])
def test_a_world_about_voters_is_visited_whole(world: str, states: int, marks: list[str]) -> None:
    report = explore(WORLDS[world])

    assert (report.complete, report.violation) == (True, None)
    assert report.distinct_states == states
    assert [mark for mark in marks if report.seen[mark] is None] == []


@pytest.mark.slow
def test_two_hundred_thousand_worlds_in_which_another_proposer_campaigns_meanwhile_keep_every_law() -> None:
    report = explore(WORLDS["admission, two proposers"], 200_000)

    assert report.violation is None
    assert report.distinct_states >= 200_000
    assert report.seen["a disk was admitted"] is not None


# ---- bugs ------------------------------------------------------------------------------------


def the_disk_is_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Count, "counts", lambda self, node, disk: self.voters.voter(node) is not None)


def an_empty_disk_votes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Standing, "votes", lambda self, voters: True)
    the_disk_is_not_looked_at(patch)


def a_quorum_is_enough_for_a_birth(patch: pytest.MonkeyPatch) -> None:
    complete = PhaseOne.complete.fget  # type: ignore[attr-defined]

    def enough(self: PhaseOne) -> bool:
        return bool(complete(self)) if self._count.voters.are_named else len(self.done) >= 2

    patch.setattr(PhaseOne, "complete", property(enough))


def a_told_birth_is_not_repeated(patch: pytest.MonkeyPatch) -> None:
    def none(self: PhaseOne, first: Slot) -> tuple[Slot, Decree] | None:
        return None

    patch.setattr(PhaseOne, "decree", none)
    patch.setattr(PhaseOne, "value", none)


def a_decree_does_not_end_the_ballot(patch: pytest.MonkeyPatch) -> None:
    next_value = Proposer._next_value

    def go_on(self: Proposer, phase2: PhaseTwo, now: Instant) -> bytes | None:
        before, self._decree = self._decree, None
        value = next_value(self, phase2, now)
        self._decree = self._decree or before
        return value

    patch.setattr(Proposer, "_next_value", go_on)


def a_new_disk_votes_before_it_copied(patch: pytest.MonkeyPatch) -> None:
    def votes(self: Standing, voters: Voters) -> bool:
        return self.is_named(voters) if voters.are_named else not voters.history

    patch.setattr(Standing, "votes", votes)


def a_new_disk_copies_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Standing, "_is_new", lambda self, voters: False)


def a_disk_counts_for_the_one_before_it(patch: pytest.MonkeyPatch) -> None:
    counts = Count.counts

    def early(self: Count, node: NodeId, disk: DiskId) -> bool:
        return counts(self, node, disk) or counts(self, node, disk - 1)

    patch.setattr(Count, "counts", early)
    a_new_disk_votes_before_it_copied(patch)
    patch.setattr(Standing, "is_named", lambda self, voters: True)


def a_passed_over_decree_is_proposed_again(patch: pytest.MonkeyPatch) -> None:
    def never(self: PhaseOne, decree: Vote) -> bool:
        return False

    patch.setattr(PhaseOne, "_is_passed_over", never)


FOUND: list[tuple[Plant, str, str]] = [
    (the_disk_is_not_looked_at, "birth", "what is called chosen is chosen"),
    (an_empty_disk_votes, "empty disk", "agreement"),
    (a_quorum_is_enough_for_a_birth, "birth", "agreement"),
    (a_told_birth_is_not_repeated, "birth", "one birth"),
    (a_decree_does_not_end_the_ballot, "admission", "nothing above a decree"),
    (a_new_disk_votes_before_it_copied, "admission", "a new disk copies before it votes"),
    (a_new_disk_copies_nothing, "admission", "a new disk copies before it votes"),
    (a_disk_counts_for_the_one_before_it, "empty disk", "agreement"),
    (a_passed_over_decree_is_proposed_again, "passed over", "a decree was not passed over"),
]


@pytest.mark.parametrize(("plant", "world", "law"), FOUND, ids=[plant.__name__ for plant, _, _ in FOUND])
def test_a_planted_bug_about_voters_is_found(
    plant: Plant, world: str, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    report = explore(WORLDS[world], laws=[law] if law == "agreement" else None)

    assert report.violation is not None
    assert report.violation.law == law
    assert report.violation.lines
