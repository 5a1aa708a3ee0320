"""Faults of disks: lost, put back, swapped, copied. What the others cannot make good does not happen (`spare.py`)."""

from __future__ import annotations

from collections.abc import Collection

from paxosd.sim.plan import Fault
from paxosd.sim.spare import are_spare, note_gone, note_rolled_back, note_wiped, would_notice
from paxosd.sim.twins import copy_and_run, end_twin
from paxosd.sim.world import SimNode, World
from paxosd.storage.memory import MemoryStore


def lose(world: World, fault: Fault) -> None:
    """Let this fault, "wipe", "wipe-leader", "lose-two", "roll-back", "roll-back-leader", "swap" or "copy",
    happen now."""
    nodes = [world.nodes[name] for name in fault.targets]
    if fault.kind in ("wipe-leader", "roll-back-leader"):
        nodes = [] if world.leader is None else [world.leader]
    if not all(_is_own(node) for node in nodes):
        return
    match fault.kind:
        case "wipe" | "wipe-leader" | "lose-two":
            _wipe(world, nodes, fault.for_s)
        case "copy":
            t_e = world.plan.election_s
            copy_and_run(world, nodes[0], fault.for_s, 8 * fault.amount * t_e, round(1000 * fault.amount) % 2 == 0)
        case "swap":
            _swap(world, nodes, fault.for_s)
        case _:
            for node in nodes:
                world.later(fault.for_s, _roll_back, world, node, node.disk.written.copy(), node.count)


def _wipe(world: World, nodes: Collection[SimNode], for_s: float) -> None:
    """They start from empty directories, all of them or none."""
    if not are_spare(world, [node.id for node in nodes]):
        return
    for node in nodes:
        node.end(True, "its directory is wiped")
        note_gone(world, node.id, node.disk.written)
        node.disk.wipe()
        node.count = 0
        world.ghost.safety.wiped(node.id)
        note_wiped(world, node.id)
        world.later(for_s, node.start)
    if len(nodes) > 1 and all(node.id in world.config.membership.acceptors for node in nodes):
        world.ghost.marks.hit("two acceptors wiped at once")


def _roll_back(world: World, node: SimNode, copy: MemoryStore, count: int) -> None:
    """It starts from its directory as it was some time ago."""
    if world.healed or not _is_own(node):
        return
    if not are_spare(world, [node.id]) or not would_notice(world, node.id, copy):
        return
    note_rolled_back(world, node.id, copy)
    node.end(True, "its directory is put back as it was")
    note_gone(world, node.id, node.disk.written)
    node.disk.put_back(copy)
    node.count = count
    world.ghost.safety.wiped(node.id)
    world.later(world.plan.election_s, node.start)


def _swap(world: World, nodes: Collection[SimNode], for_s: float) -> None:
    """Each finds the other's directory where its own was, until somebody sees what was done."""
    one, other = nodes
    for node in nodes:
        node.end(True, "its directory is swapped")
    one.disk, other.disk = other.disk, one.disk
    for node in nodes:
        world.later(for_s, node.start)
    world.later(for_s + world.plan.election_s, put_right, world)


def put_right(world: World) -> None:
    """Every node has its own directory again, and no copy of one runs."""
    for twin in list(world.twins.values()):
        end_twin(world, twin)
    disks = {node.disk.node: node.disk for node in world.nodes.values()}
    for node in world.nodes.values():
        if not _is_own(node):
            node.end(True, "its directory is its own again")
            node.disk = disks[node.id]
            world.later(0.0, node.start)


def _is_own(node: SimNode) -> bool:
    return node.disk.node == node.id
