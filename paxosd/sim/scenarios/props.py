"""What scripts handle: calm clusters, a chronicle of who led, messages caught on their way, disks that fail on cue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from paxosd.core.agent import Event
from paxosd.core.messages import Message, Prepare
from paxosd.core.records import Record
from paxosd.core.types import NO_HISTORY, Ballot, HistoryId, NodeId, Slot
from paxosd.sim.check.marks import Marks
from paxosd.sim.disk import SimDisk
from paxosd.sim.draw import draw
from paxosd.sim.network import Name
from paxosd.sim.plan import Plan
from paxosd.sim.world import World

LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "3 replicas": ("r1", "r2", "r3"),
    "5 replicas": ("r1", "r2", "r3", "r4", "r5"),
    "roles": ("p1", "p2", "a1", "a2", "a3", "l1", "l2"),
    "roles, 5 acceptors": ("p1", "p2", "a1", "a2", "a3", "a4", "a5", "l1", "l2"),
}
"""By name, the nodes of a cluster; the first letter of a node is its role's."""

ROLE_OF = {"p": "proposer", "a": "acceptor", "l": "learner", "r": "replica"}


@dataclass(frozen=True, slots=True)
class Report:
    """What a scenario came to: how long until a command was acknowledged again, how often the leader changed, and by
    how many rounds the ballots grew."""

    recovered_t_e: float = 0.0
    leader_changes: int = 0
    ballots: int = 0
    text: str = ""


def calm(seed: int, layout: str, **changes: Any) -> Plan:
    """A plan in which nothing goes wrong by itself; the seed draws how fast clocks, links and disks are."""
    random = Random(f"scenario-{layout}-{seed}")
    nodes = LAYOUTS[layout]
    voters = sum(node[0] in "ar" for node in nodes)
    election_s = random.choice((0.6, 1.0, 1.5))
    plan = replace(
        draw(seed, "quiet"),
        roles={node: ROLE_OF[node[0]] for node in nodes},
        weights={},
        quorum=(voters // 2 + 1, voters // 2 + 1),
        election_s=election_s,
        heartbeat_s=election_s / random.choice((3, 4, 5)),
        retry_s=election_s / random.choice((2, 4)),
        ping_s=10.0,
        window_slots=64,
        value_bytes=1000,
        page_bytes=2000,
        pending_bytes=1 << 20,
        sessions=64,
        delay_s=random.choice((0.0002, 0.001, 0.01)),
        jitter_s=random.choice((0.0, 0.001)),
        loss=0.0,
        repeat=0.0,
        sync_s=random.choice((0.0002, 0.002)),
        drift=0.0,
        clients=2,
        think_s=0.3 * election_s,
        timeout_s=12 * election_s,
        command_bytes=20,
    )
    return replace(plan, **changes)


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
    """The marks of a world, what was told of it, and who led and who prepared when."""

    def __init__(self, world: World) -> None:
        super().__init__(world.plan.window_slots)
        self.reigns: list[Reign] = []
        self.prepared: dict[Ballot, float] = {}
        self.told: list[Event] = []  # whatever operators could read
        self._world = world

    def event(self, event: Event, watermark: Slot) -> None:
        super().event(event, watermark)
        self.told.append(event)
        now = self._world.now
        if event.name == "leader.elected":
            number, _, node = str(event.fields["ballot"]).partition(".")
            self.reigns.append(Reign(node, self._world.nodes[node].life, int(number), now))
        elif event.name == "leader.renewed":  # the same leadership, with the voters that it has just decreed
            number, _, node = str(event.fields["ballot"]).partition(".")
            next(reign for reign in reversed(self.reigns) if reign.node == node).round = int(number)
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
    """A message on its way, the life that sent it, and the history that its frame named."""

    source: Name
    target: Name
    message: Message
    incarnation: int
    at_s: float
    history: HistoryId = NO_HISTORY


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

    def __init__(self, node: NodeId, random: Random, sync_s: float) -> None:
        super().__init__(node, random, sync_s)
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
