"""What scripts handle: a chronicle of who led, messages that are caught on their way, disks that fail on cue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from paxosd.core.agent import Event
from paxosd.core.messages import Message, Prepare
from paxosd.core.records import Record
from paxosd.core.types import Ballot, NodeId, Slot
from paxosd.sim.disk import SimDisk
from paxosd.sim.marks import Marks
from paxosd.sim.network import Name
from paxosd.sim.world import World


@dataclass(frozen=True, slots=True)
class Report:
    """What a scenario came to: how long until a command was acknowledged again, how often the leader changed, and by
    how many rounds the ballots grew."""

    recovered_t_e: float = 0.0
    leader_changes: int = 0
    ballots: int = 0
    text: str = ""


# ---- who led when ------------------------------------------------------------------------------


@dataclass(slots=True)
class Reign:
    """A leadership: from when, and until when its leader thought so."""

    node: NodeId
    life: int
    round: int
    began_s: float
    ended_s: float = float("inf")


class Chronicle(Marks):
    """The marks of a world, and who led and who prepared when."""

    def __init__(self, world: World) -> None:
        super().__init__(world.plan.window_slots)
        self.reigns: list[Reign] = []
        self.prepared: dict[Ballot, float] = {}
        self._world = world

    def event(self, event: Event, watermark: Slot) -> None:
        super().event(event, watermark)
        now = self._world.now
        if event.name == "leader.elected":
            number, _, node = str(event.fields["ballot"]).partition(".")
            self.reigns.append(Reign(node, self._world.nodes[node].life, int(number), now))
        elif event.name == "leader.lost":
            number, _, node = str(event.fields["ballot"]).partition(".")
            next(reign for reign in self.reigns if (reign.round, reign.node) == (int(number), node)).ended_s = now

    def sent(self, node: NodeId, life: int, message: Message) -> None:
        super().sent(node, life, message)
        if isinstance(message, Prepare):
            self.prepared.setdefault(message.ballot, self._world.now)

    def reigning(self) -> list[Reign]:
        """Who thinks now that it leads, the highest ballot last."""
        now, nodes = self._world.now, self._world.nodes
        alive = [
            reign
            for reign in self.reigns
            if reign.ended_s > now and (node := nodes[reign.node]).driver is not None and node.life == reign.life
        ]
        return sorted(alive, key=lambda reign: (reign.round, reign.node))


# ---- messages and disks under a script's hand ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caught:
    """A message on its way, and the life that sent it."""

    source: Name
    target: Name
    message: Message
    incarnation: int
    at_s: float


@dataclass(slots=True)
class Catch:
    """Messages that a script is after. `keeps`: they go no further."""

    wanted: Callable[[Caught], bool]
    keeps: bool
    on_catch: Callable[[Caught], None]
    found: list[Caught] = field(default_factory=list)
    over: bool = False

    def take(self, caught: Caught) -> bool:
        """Whether this message goes no further."""
        if self.over or not self.wanted(caught):
            return False
        self.found.append(caught)
        self.on_catch(caught)
        return self.keeps


class ScriptedDisk(SimDisk):
    """A disk on which a script may stop a process at a step of its commit, by raising there.

    `on_write`, `on_sync` and `on_synced` are called with the records: before they are written, before and after what
    is written is synced.
    """

    def __init__(self, random: Random, sync_s: float) -> None:
        super().__init__(random, sync_s)
        self.history: list[Record] = []  # all that was ever written
        self._latest: Sequence[Record] = ()
        self.mend()

    def mend(self) -> None:
        """From now on nothing stops here any more."""
        self.on_write: Callable[[Sequence[Record]], None] = _nothing
        self.on_sync: Callable[[Sequence[Record]], None] = _nothing
        self.on_synced: Callable[[Sequence[Record]], None] = _nothing

    def write(self, records: Sequence[Record]) -> None:
        self.on_write(records)
        super().write(records)
        self.history += records
        self._latest = records

    def fail_sync(self, records: Sequence[Record]) -> None:
        super().fail_sync(records)
        self.history += records

    def sync(self) -> None:
        self.on_sync(self._latest)
        super().sync()
        self.on_synced(self._latest)


def _nothing(records: Sequence[Record]) -> None:
    pass
