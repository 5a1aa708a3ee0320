"""Which disks of acceptors a simulated cluster can do without, which of them vote, and how long: by the ghost state."""

from __future__ import annotations

from collections.abc import Collection

from paxosd.core.records import Disk as DiskRecord
from paxosd.core.records import Seen
from paxosd.core.types import NO_DISK, DiskId, NodeId
from paxosd.sim.plan import VOTING
from paxosd.sim.world import World
from paxosd.storage.memory import MemoryStore

MAY_BE_NAMED_T_E = 12
"""For how many election timeouts a leader may name a guest that is gone: it counts as speaking for one of them after it
was heard, and a leader that stands still hears it up to ten of them late."""


def can_prepare(world: World, nodes: Collection[NodeId]) -> bool:
    """Whether these acceptors are enough for phase 1 by the plan: counted here, or a wrong count would hide itself."""
    return _weight(world, nodes) >= world.plan.quorum[0]


def can_accept(world: World, nodes: Collection[NodeId]) -> bool:
    """The same for phase 2."""
    return _weight(world, nodes) >= world.plan.quorum[1]


def _weight(world: World, nodes: Collection[NodeId]) -> int:
    plan = world.plan
    return sum(plan.weights.get(node, 1) for node in {*nodes} if plan.roles[node] in VOTING)


def votes(world: World, node: NodeId, disk_knows: bool = True) -> bool:
    """Whether this acceptor has the disk that the newest voters name; `disk_knows`: one that knows all it must."""
    known = world.nodes[node]
    voter = world.ghost.safety.electorate.newest.voter(node)
    if voter is None or known.lost or known.disk.damaged:
        return False
    found = next((record for record in known.disk.written.records() if isinstance(record, DiskRecord)), None)
    is_named = found is not None and found.disk == voter.disk and not world.ghost.safety.is_condemned(voter.disk)
    born_with = voter.since == world.ghost.safety.electorate.newest.birth
    return is_named and (not disk_knows or born_with or (found is not None and found.copied))


def may_lose_its_place(world: World, node: NodeId) -> bool:
    """Whether the acceptor may be told yet that another disk has the place of its own, and that one is gone: a decree
    says so of which nobody knows whether it is chosen, or a leader heard that disk of late. It is one that lost its
    disk then: what the others cannot do without it, they cannot do. The same where its disk went back in time: it is
    given up if anybody has seen one commit more, whatever that was."""
    disk = world.nodes[node].disk.written.disk
    if disk in world.went_back or world.ghost.safety.may_be_replaced(disk):
        return True
    lost_at, reigns = world.guests_lost.get(node, (0.0, []))
    lead_on = any(other.leads_in in reigns for other in world.nodes.values())
    return lead_on and world.now < lost_at + MAY_BE_NAMED_T_E * world.plan.election_s


def are_spare(world: World, nodes: Collection[NodeId]) -> bool:
    """Whether the loss of these disks can be made good: a quorum of the other acceptors has to know what they knew, and
    all that acceptors let go of has to be with another learner, too."""
    if not _can_vote_without(world, nodes):
        return False
    if not any(node in world.config.membership.learners for node in nodes):
        return True
    return any(other not in nodes and has_all_below_floors(world, other) for other in world.nodes)


def has_all_below_floors(world: World, node: NodeId) -> bool:
    """Whether this learner has on its disk what acceptors may have let go of: it can help every other one."""
    known, membership = world.nodes[node], world.config.membership
    if node not in membership.learners or known.lost or known.disk.damaged:
        return False
    floors = [world.nodes[acceptor].disk.written.floor() for acceptor in membership.acceptors]
    return known.disk.written.learned_stop() >= max(floors)


def _can_vote_without(world: World, nodes: Collection[NodeId]) -> bool:
    """Whether enough other acceptors know what these know, and can choose the next ones."""
    membership = world.config.membership
    lost = [node for node in nodes if node in membership.acceptors]
    if not lost:
        return True
    if world.ghost.safety.electorate.newest.named:
        others = [other for other in membership.acceptors if other not in lost and votes(world, other)]
    else:  # a birth may name all of these disks by now, and with too few of them it is never chosen, nor given up
        others = [other for other in membership.acceptors if other not in lost and other not in world.lost_unborn]
    return can_prepare(world, others) and can_accept(world, others)


def note_gone(world: World, node: NodeId, gone: MemoryStore) -> None:
    """A disk with which this node ran is lost for good. If it was a guest, who leads now may name it all the same."""
    voter = world.ghost.safety.electorate.newest.voter(node)
    if voter is not None and gone.disk > NO_DISK and gone.disk != voter.disk:
        reigns = [other.leads_in for other in world.nodes.values() if other.leads_in]
        world.guests_lost[node] = world.now, reigns


def would_notice(world: World, node: NodeId, copy: MemoryStore) -> bool:
    """Whether whoever is asked about this disk will have seen more commits than this copy of it has."""
    membership = world.config.membership
    disk, voter = copy.disk, world.ghost.safety.electorate.newest.voter(node)
    is_in_use = disk == world.nodes[node].disk.written.disk or (voter is not None and voter.disk == disk)
    if node not in membership.acceptors or not is_in_use:
        return True
    witnesses = [
        other for other in membership.acceptors if other != node and _has_seen(world, other, disk) > copy.commits
    ]
    return not can_accept(world, [other for other in membership.acceptors if other not in witnesses])


def _has_seen(world: World, node: NodeId, disk: DiskId) -> int:
    records = world.nodes[node].disk.synced.records()
    return max((dict(record.commits).get(disk, 0) for record in records if isinstance(record, Seen)), default=0)


def note_rolled_back(world: World, node: NodeId, copy: MemoryStore) -> None:
    """The disk of this node goes back in time, to this copy, and must not vote any more if it told more than that."""
    present = world.nodes[node].disk.written
    if (copy.disk, copy.commits) != (present.disk, present.commits):
        world.went_back.add(copy.disk)
    if node in world.config.membership.acceptors and world.ghost.safety.told_more_than(copy):
        world.ghost.marks.hit("acceptor rolled back")
        world.ghost.safety.condemn(copy.disk)
        _note_lost(world, node)


def note_wiped(world: World, node: NodeId) -> None:
    """The disk of this node is lost."""
    if node in world.config.membership.acceptors:
        world.ghost.marks.hit("acceptor wiped")
        _note_lost(world, node)


def _note_lost(world: World, node: NodeId) -> None:
    if not world.ghost.safety.electorate.newest.named:
        world.lost_unborn.add(node)
