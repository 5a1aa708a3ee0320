"""A cluster that is restored while nodes of the old one live: two histories of the same names and addresses.

Laws:
1. The directories of the new nodes are made as a restore makes them (`backup/restoring.py`), of what one learner kept.
2. Each node, old or new, has the ghost of its own history and is held against that alone, and so is what clients are
   told of it. So nothing may come from one history into the other: nobody would have submitted it there, no disk of
   the other one counts, and every watermark would be too high.
3. Of each name one process has the address, and is sent what is sent there. The other one may speak all the same.
   Clients find the one that has the address: a connection to the other one is given up at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

from paxosd.backup.file import Header, KeptRows, Position, RevisionRows, Rows, Values
from paxosd.backup.restoring import fill
from paxosd.core.plausible import SLOT_MAX
from paxosd.core.types import LOG, NodeId
from paxosd.machine.ledger import LEDGER
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.check.invariants import ensure
from paxosd.sim.disk import ENDLESS
from paxosd.sim.witness import WITNESSED_KEY
from paxosd.sim.world import SimNode, World
from paxosd.storage.memory import MemoryStore


class KeptSource:
    """What a learner kept, as a backup of every slot below that."""

    def __init__(self, world: World, learner: NodeId) -> None:
        self._store: MemoryStore = world.nodes[learner].disk.written.copy()
        self.watermark = self._store.kept_slot()
        self.revision = int(dict(self._store.kept_rows(LOG))[WITNESSED_KEY])
        history, first = world.ghost.history.hex(), self._store.learned_start()
        self.header = Header(world.config.cluster, history, first=first, kept=self.watermark)
        self.position = Position(self.watermark, self.revision, 0, "")
        found = self._store.learned(first, self.watermark, ENDLESS)
        self._values = [value for _, value in found]
        self.last_value = self._values[-1]
        self.largest_value = max(map(len, self._values))

    def rows(self) -> Iterator[Rows]:
        """All of it, in the order of a backup."""
        yield KeptRows([(owner, *row) for owner in (LEDGER, LOG) for row in self._store.kept_rows(owner)])
        first = next(revision for revision in range(1, self.revision + 1) if self._store.revisions(revision, 1))
        yield RevisionRows(list(self._store.revisions(first, SLOT_MAX)))
        yield Values(self.header.first, self._values)


def restore(world: World, learner: NodeId) -> None:
    """Make a new cluster of what this learner kept, some revision at least. `world.nodes` are its nodes from now on,
    and nobody started them yet; `world.twins` are the old ones, which live on and have the addresses."""
    source = KeptSource(world, learner)
    old, past = world.nodes, world.ghost
    world.ghosts.append(world.new_ghost())
    world.ghost.begin_with(past, source.watermark, source.revision)
    world.nodes = {name: SimNode(world, name, Random(world.random.getrandbits(64))) for name in old}
    world.twins = dict(old)
    for name, node in world.nodes.items():
        for _ in fill(source, world.config, name, node.disk.written):
            pass
        node.disk.settle()
    world.note("----", "restored what %s kept below slot %d", learner, source.watermark)


def take_address(world: World, name: NodeId, is_new: bool) -> None:
    """From now on the new process of this name has its address, or the old one again."""
    world.note("----", "the address of %s is that of the %s one", name, "new" if is_new else "old")
    world.twins[name].has_address = not is_new


def check_apart(past: Ghost, newest: Ghost) -> None:
    """At the end: the two logs have what was restored in common, and nothing else."""
    ensure(past.history != newest.history, "35 two histories", "a restored cluster goes on as the old one")
    twice = [command for command, count in Counter(past.order.log + newest.order.log).items() if count > 1]
    restored = past.order.log[: len(twice)]
    ensure(set(twice) == set(restored), "35 two histories", "a command was applied in both")
