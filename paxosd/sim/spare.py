"""Which disks of acceptors a simulated cluster can do without, and which of them vote, by the ghost state."""

from __future__ import annotations

from paxosd.core.records import Disk as DiskRecord
from paxosd.core.records import Seen
from paxosd.core.types import DiskId, NodeId
from paxosd.sim.world import World
from paxosd.storage.memory import MemoryStore


def votes(world: World, node: NodeId, disk_knows: bool = True) -> bool:
    """Whether this acceptor has the disk that the newest voters name; `disk_knows`: one that knows all it must."""
    known = world.nodes[node]
    voter = world.safety.electorate.newest.voter(node)
    if voter is None or known.lost or known.disk.damaged:
        return False
    found = next((record for record in known.disk.written.records() if isinstance(record, DiskRecord)), None)
    is_named = found is not None and found.disk == voter.disk and not world.safety.is_condemned(voter.disk)
    born_with = voter.since == world.safety.electorate.newest.birth
    return is_named and (not disk_knows or born_with or (found is not None and found.copied))


def can_do_without(world: World, node: NodeId) -> bool:
    """Whether the disk of this node may be lost: enough others know what it knows, and can choose the next one."""
    membership = world.config.membership
    if node not in membership.acceptors:
        return True
    if not world.safety.electorate.newest.named:  # some accept quorum may be all that knows of a birth
        return not membership.quorum.can_accept({node} | world.wiped_unborn)
    others = [other for other in membership.acceptors if other != node and votes(world, other)]
    return membership.quorum.can_prepare(others) and membership.quorum.can_accept(others)


def would_notice(world: World, node: NodeId, copy: MemoryStore) -> bool:
    """Whether whoever is asked about this disk will have seen more commits than this copy of it has."""
    membership = world.config.membership
    disk = world.nodes[node].disk.written.disk
    if node not in membership.acceptors or copy.disk != disk:
        return True
    witnesses = [
        other for other in membership.acceptors if other != node and _has_seen(world, other, disk) > copy.commits
    ]
    return not membership.quorum.can_accept([other for other in membership.acceptors if other not in witnesses])


def _has_seen(world: World, node: NodeId, disk: DiskId) -> int:
    records = world.nodes[node].disk.synced.records()
    return max((dict(record.commits).get(disk, 0) for record in records if isinstance(record, Seen)), default=0)


def note_rolled_back(world: World, node: NodeId) -> None:
    """The disk of this node goes back in time, and must not vote any more."""
    if node in world.config.membership.acceptors:
        world.marks.hit("acceptor rolled back")
        world.safety.condemn(world.nodes[node].disk.written.disk)


def note_wiped(world: World, node: NodeId) -> None:
    """The disk of this node is lost."""
    if node in world.config.membership.acceptors:
        world.marks.hit("acceptor wiped")
        if not world.safety.electorate.newest.named:
            world.wiped_unborn.add(node)
