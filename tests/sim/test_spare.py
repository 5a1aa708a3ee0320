"""Which disks a simulated cluster can do without, and on which of its acceptors it can count in the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paxosd.core.decrees import Birth, Replace, encode_decree
from paxosd.core.messages import Accept, Prepare
from paxosd.core.records import Disk, Promised, Round
from paxosd.core.types import Ballot, DiskId, NodeId
from paxosd.core.values import encode_value
from paxosd.sim.draw import draw
from paxosd.sim.run import choose_core
from paxosd.sim.spare import MAY_BE_NAMED_T_E, are_spare, note_gone, note_rolled_back, note_wiped
from paxosd.sim.world import World
from paxosd.storage.memory import MemoryStore

REPLICAS = ("r1", "r2", "r3", "r4")


def unborn(weights: dict[NodeId, int], quorum: tuple[int, int]) -> World:
    """A cluster in which nobody was started."""
    roles = dict.fromkeys(REPLICAS[: len(weights)], "replica")
    return World(replace(draw(0, "quiet"), roles=roles, weights=weights, quorum=quorum, faults=()))


def born() -> World:
    """Three replicas that vote with the disks that their birth names, 1, 2 and 3. Nobody was started."""
    world = unborn(dict.fromkeys(REPLICAS[:3], 1), quorum=(2, 2))
    birth = Birth(bytes(15) + b"h", b"", 2, 2, tuple((f"r{disk}", disk, 1) for disk in (1, 2, 3)))
    electorate = world.ghost.safety.electorate
    assert electorate.choose(1, encode_decree(0, birth))
    for disk, node in enumerate(world.nodes.values(), 1):
        node.disk.written.commit([Disk(disk, copied=False, used=True), electorate.newest])
    return world


def cores(world: World) -> set[frozenset[NodeId] | None]:
    """All that chance makes of it."""
    return {choose_core(world) for _ in range(50)}


def guest(disk: DiskId) -> MemoryStore:
    """A directory whose disk nobody named."""
    store = MemoryStore()
    store.commit([Disk(disk, copied=False, used=False)])
    return store


def propose(world: World, slot: int, value: bytes) -> None:
    """r1 leads with the promises of r1 and r2, and asks for votes for this value."""
    ballot, safety = Ballot(slot, "r1"), world.ghost.safety
    store = world.nodes["r1"].disk.synced
    store.commit([Round(ballot.round)])
    safety.sent(("r1", 1), Prepare(ballot, slot, safety.electorate.newest), store)
    for node in ("r1", "r2"):
        promised = world.nodes[node].disk.written.copy()
        promised.commit([Promised(ballot)])
        safety.committed(node, [Promised(ballot)], promised)
    safety.sent(("r1", 1), Accept(ballot, slot, value, watermark=1, decreed=1), store)


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


def test_any_two_of_three_are_a_core() -> None:
    assert cores(born()) == {frozenset(pair) for pair in (("r1", "r2"), ("r1", "r3"), ("r2", "r3"))}


def test_no_core_needs_an_acceptor_of_which_a_leader_heard_a_copy_that_is_gone() -> None:
    """Seed 273 of disks: the leader had heard a copy as a guest, and named its disk once the copy was stopped and the
    third acceptor was away for good. The acceptor had lost its disk, and there was nobody left to copy from."""
    world = born()
    world.nodes["r1"].leads_in = "7.r1"
    note_gone(world, "r2", guest(22))

    assert cores(world) == {frozenset(("r1", "r3"))}


@pytest.mark.parametrize("leads_in", ["", "8.r1"])
def test_who_leads_anew_has_heard_no_guest_of_before(leads_in: str) -> None:
    world = born()
    world.nodes["r1"].leads_in = "7.r1"
    note_gone(world, "r2", guest(22))
    world.nodes["r1"].leads_in = leads_in

    assert len(cores(world)) == 3


def test_a_leader_names_no_guest_that_is_gone_for_long() -> None:
    world = born()
    world.nodes["r1"].leads_in = "7.r1"
    note_gone(world, "r2", guest(22))
    world.run_until(MAY_BE_NAMED_T_E * world.plan.election_s)

    assert len(cores(world)) == 3


def test_a_copy_that_still_has_the_id_of_its_node_was_no_guest() -> None:
    world = born()
    world.nodes["r1"].leads_in = "7.r1"
    note_gone(world, "r2", guest(2))
    note_gone(world, "r2", guest(-2))

    assert len(cores(world)) == 3


def test_no_core_needs_an_acceptor_in_whose_place_a_decree_may_put_another_disk() -> None:
    """Seed 498 of disks: a copy led, and proposed that its own disk takes the place of that of its node. It was gone
    when a later leader found the vote for it, and had to propose it again."""
    world = born()
    propose(world, 2, encode_decree(0, Replace("r3", 3, 33)))

    assert cores(world) == {frozenset(("r1", "r2"))}


def test_a_decree_in_whose_slot_something_else_is_chosen_replaces_nobody() -> None:
    world = born()
    propose(world, 2, encode_decree(0, Replace("r3", 3, 33)))
    world.ghost.safety.chosen[2] = encode_value(0)

    assert len(cores(world)) == 3


def test_no_core_needs_an_acceptor_whose_disk_went_back_though_what_is_missing_was_told_to_nobody() -> None:
    """Seed 1274 of disks: the votes that were missing were those that a leader gave to itself. The others had seen that
    its disk has more commits, and it was given up."""
    world = born()
    copy = world.nodes["r2"].disk.written.copy()
    world.nodes["r2"].disk.written.commit([Promised(Ballot(2, "r2"))])
    note_rolled_back(world, "r2", copy)

    assert cores(world) == {frozenset(("r1", "r3"))}
