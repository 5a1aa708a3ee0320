"""Which disks a simulated cluster can do without before it is born: its birth may name all of them already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paxosd.core.types import NodeId
from paxosd.sim.draw import draw
from paxosd.sim.spare import are_spare, note_rolled_back, note_wiped
from paxosd.sim.world import World

REPLICAS = ("r1", "r2", "r3", "r4")


def unborn(weights: dict[NodeId, int], quorum: tuple[int, int]) -> World:
    """A cluster in which nobody was started."""
    roles = dict.fromkeys(REPLICAS[: len(weights)], "replica")
    return World(replace(draw(0, "quiet"), roles=roles, weights=weights, quorum=quorum, faults=()))


def test_a_disk_without_which_no_quorum_is_left_is_not_lost_though_it_is_none_itself() -> None:
    """Seed 343: two disks had voted for a birth that named the third, which weighs as much as both, and was wiped."""
    world = unborn({"r1": 1, "r2": 2, "r3": 1}, quorum=(3, 3))

    assert not are_spare(world, ["r2"])
    assert are_spare(world, ["r1"])


def test_four_disks_alike_can_do_without_one_and_not_without_two() -> None:
    world = unborn({"r1": 1, "r2": 1, "r3": 1, "r4": 1}, quorum=(3, 3))

    assert are_spare(world, ["r1"])
    assert not are_spare(world, ["r1", "r2"])


def test_what_was_wiped_before_the_birth_stays_lost_until_then() -> None:
    world = unborn({"r1": 1, "r2": 1, "r3": 1, "r4": 1}, quorum=(3, 3))
    note_wiped(world, "r1")

    assert not are_spare(world, ["r2"])
    assert are_spare(world, ["r1"])


def test_what_went_back_in_time_before_the_birth_stays_lost_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    world = unborn({"r1": 1, "r2": 1, "r3": 1, "r4": 1}, quorum=(3, 3))
    monkeypatch.setattr(world.ghost.safety, "told_more_than", lambda copy: True)
    note_rolled_back(world, "r1", world.nodes["r1"].disk.written.copy())

    assert not are_spare(world, ["r2"])
    assert are_spare(world, ["r1"])
