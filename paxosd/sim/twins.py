"""A copy of a node's directory that runs somewhere else for a while, beside the node itself.

Law: what the copy holds it holds under the id of another disk, which goes on. So to the checks (`check/invariants.py`)
it is a disk that nobody knows, until it draws an id of its own: whoever counts it before is found out.
"""

from __future__ import annotations

from random import Random

from paxosd.core.types import DiskId
from paxosd.sim.spare import note_gone, would_notice
from paxosd.sim.world import SimNode, World
from paxosd.storage.memory import MemoryStore

LIVES_OF_A_TWIN = 1000
"""Lives of twins are counted from a multiple of this on, so that none has the number of another."""


class _CopiedStore(MemoryStore):
    """The records of a copied directory, whose disk had this id."""

    def __init__(self, of: MemoryStore, copied: DiskId) -> None:
        super().__init__()
        self.__dict__.update(of.__dict__)
        self._copied = copied

    @property
    def disk(self) -> DiskId:
        found = super().disk
        return -found if found == self._copied else found

    def copy(self) -> MemoryStore:
        return _CopiedStore(super().copy(), self._copied)


def copy_and_run(world: World, node: SimNode, after_s: float, for_s: float, has_address: bool) -> None:
    """Copy its directory now, and run the copy for a while later; `has_address`: what is sent to it goes there."""
    world.later(after_s, _run, world, node, node.disk.written.copy(), node.count, for_s, has_address)


def _run(world: World, node: SimNode, copy: MemoryStore, count: int, for_s: float, has_address: bool) -> None:
    if world.healed or node.id in world.twins or not would_notice(world, node.id, copy):
        return
    world.ghost.marks.hit("a copy ran beside its node")
    twin = SimNode(world, node.id, Random(world.random.getrandbits(64)), LIVES_OF_A_TWIN * (world.faults.total() + 1))
    twin.disk.put_back(_CopiedStore(copy, copy.disk))
    twin.count = count
    twin.has_address = has_address
    world.twins[node.id] = twin
    twin.start()
    world.later(for_s, end_twin, world, twin)


def end_twin(world: World, twin: SimNode) -> None:
    """The copy is stopped, and never starts again."""
    twin.end(False, "the copy is stopped")
    twin.lost = True
    if world.twins.get(twin.id) is twin:
        del world.twins[twin.id]
        note_gone(world, twin.id, twin.disk.written)
