"""One node of an explored world: a real agent and its records, moved by the production driver.

Laws:
1. Every step is a `Driver.turn` of a real role over a `MemoryStore`: received frames are decoded, messages leave as
   frames, and what left before the commit is told apart from what left after it.
2. A state is a value: a turn works on a fork of it, and states of equal identity do the same in every turn.
3. Time stands still; what is due is a choice. Exactly the timer that is named fires, however early or late that is.
   Each proposer stands at an instant of its own, so that two leaders stamp different no-ops.
4. Where time decides, more is allowed than a real cluster can do: an acceptor's patience is zero, so it never refuses
   a pre-vote because it hears another leader; a leader whose quorum timer fires finds its quorum silent; a value in
   flight is always due to be sent again; and the disk that a guest stands for was silent for long. No letter says to
   which history it belongs, so none is refused for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from random import Random
from typing import NamedTuple, TypeAlias

from paxosd.core.acceptor import Acceptor
from paxosd.core.agent import Timer, require
from paxosd.core.log_time import LogTime
from paxosd.core.membership import Membership, Role
from paxosd.core.messages import Message
from paxosd.core.node import Node
from paxosd.core.options import Limits, Timing
from paxosd.core.proposer import Proposer
from paxosd.core.records import Disk as DiskRecord
from paxosd.core.records import Record
from paxosd.core.types import NO_DISK, NO_HISTORY, Ballot, DiskId, Instant, NodeId, Revision, RevisionRow, Slot, Vote
from paxosd.core.values import readable_stamp_ms
from paxosd.core.voters import Voter, Voters
from paxosd.driver import Driver
from paxosd.sim.explore.values import fork, frozen
from paxosd.storage.memory import MemoryStore
from paxosd.transport.base import Connection, Inbound
from paxosd.wire.frames import Codec, Envelope

PATIENCE_S = 1.0
_NEVER: Instant = inf
DISKS_OF_A_NODE = 15
"""The bits of a disk's id that tell the disks of one node apart: the first one has none."""
_DIGEST = b"explored"
_HISTORY = b"a history of old"
_FRAME_BYTES_MAX = 1_000_000

Agent: TypeAlias = Acceptor | Proposer


class Letter(NamedTuple):
    """A message on its way to a node."""

    target: NodeId
    message: Message


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A node between two turns. Nobody changes it."""

    agent: Agent
    disk: MemoryStore
    identity: object


class Turn(NamedTuple):
    """What a turn did, in this order, and the state that it left."""

    early: tuple[Letter, ...]
    records: tuple[Record, ...]
    late: tuple[Letter, ...]
    state: State


class Post:
    """Letters to frames and back, for all nodes."""

    def __init__(self, nodes: Iterable[NodeId]) -> None:
        self.codecs = {node: Codec(_DIGEST, node, 0, _FRAME_BYTES_MAX) for node in nodes}
        self._opened: dict[bytes, list[Message]] = {}

    def frame(self, sender: NodeId, message: Message) -> bytes:
        """A frame that holds this message alone."""
        codec = self.codecs[sender]
        return codec.frames([codec.pack(message)])[0]

    def open(self, sender: NodeId, sent: Iterable[tuple[NodeId, bytes]]) -> tuple[Letter, ...]:
        """What a node sent, message by message."""
        return tuple(Letter(target, message) for target, frame in sent for message in self._messages(sender, frame))

    def _messages(self, sender: NodeId, frame: bytes) -> list[Message]:
        if frame not in self._opened:
            self._opened[frame] = self.codecs[sender].from_peer(frame).messages
        return self._opened[frame]


class _Driver(Driver):
    """Of a world in which there is one history at most (law 4)."""

    def _heard_of(self, envelope: Envelope) -> Envelope:
        return envelope


class Player:
    """Takes the turns of one node, whatever state it is in; a proposer takes them at the instant `now`."""

    def __init__(
        self, node: NodeId, membership: Membership, limits: Limits, now: Instant, post: Post, unborn: bool = False
    ) -> None:
        self.node = node
        self._unborn = unborn
        self._chance = _NoChance(int(now))
        self.acceptors = membership.acceptors
        self._membership = membership
        self._limits = limits
        self._now = now
        self._post = post

    def disk(self) -> MemoryStore:
        """The records of a node of a cluster that was born before the first slot, or never, and did nothing since."""
        if self._unborn:
            return self._blank(_disk_of(self.node))
        quorum = self._membership.quorum
        named = tuple(Voter(node, _disk_of(node), 0, weight) for node, weight in quorum.weights.items())
        store = MemoryStore()
        store.commit([Voters(_HISTORY, 0, 0, quorum.prepare, quorum.accept, named)])
        if self.node in quorum.weights:
            store.commit([DiskRecord(_disk_of(self.node), copied=False, used=True)])
        return store

    def _blank(self, disk: DiskId) -> MemoryStore:
        store = MemoryStore()
        if self.node in self._membership.acceptors:
            store.commit([DiskRecord(disk, copied=False, used=False)])
        return store

    def wiped(self, disk: MemoryStore) -> MemoryStore:
        """An empty directory in the place of this one: another disk, after its first turn."""
        return self._blank(disk_in(disk) + 1)

    def start(self, disk: MemoryStore) -> State:
        """A new life over what earlier ones made durable."""
        disk = fork(disk, {})
        self._chance.draws(disk)
        agent = self._agent(disk)
        wire = _Wire(())
        self._driver(agent, _Disk(disk, wire), wire, 0.0).recover()
        self._post.codecs[self.node].belong_to(NO_HISTORY)
        if isinstance(agent, Acceptor):  # no disk goes back in time here, and nobody is asked
            agent.standing.sure = True
            agent.disarm(Timer.RECALL)
            agent.take_output()
        return _settled(agent, disk)

    def receive(self, state: State, *frames: bytes) -> Turn:
        """A turn that takes in these frames."""
        return self._turn(state, frames, None)

    def fire(self, state: State, timer: Timer) -> Turn:
        """A turn in which this timer is due, and no other."""
        return self._turn(state, (), timer)

    def _turn(self, state: State, frames: Sequence[bytes], timer: Timer | None) -> Turn:
        agent, memory = fork([state.agent, state.disk], {})
        self._chance.draws(memory)
        wire = _Wire(frames)
        disk = _Disk(memory, wire)
        if timer is not None:
            agent.arm(timer, self._now)
        now = self._now + PATIENCE_S if timer is Timer.QUORUM else self._now
        self._driver(agent, disk, wire, now).turn()
        self._post.codecs[self.node].belong_to(NO_HISTORY)
        early, late = wire.sent[: disk.sent_before], wire.sent[disk.sent_before :]
        return Turn(
            self._post.open(self.node, early),
            tuple(disk.committed),
            self._post.open(self.node, late),
            _settled(agent, memory),
        )

    def _agent(self, disk: MemoryStore) -> Agent:
        if self._membership.roles[self.node] is Role.ACCEPTOR:
            return Acceptor(self.node, self._membership, Timing(election_s=0.0), self._limits, disk, self._chance)
        timing = Timing(heartbeat_s=PATIENCE_S, election_s=PATIENCE_S, retry_s=0.0)
        proposer = Proposer(self.node, self._membership, timing, self._limits, self._chance)
        proposer._log_time = _LogTime(int(self._now * 1000))
        return proposer

    def _driver(self, agent: Agent, disk: _Disk, wire: _Wire, now: Instant) -> _Driver:
        members, node_id = self._membership, self.node
        if isinstance(agent, Proposer):
            node = Node(node_id, members, self._limits, proposer=agent)
        else:
            node = Node(node_id, members, self._limits, acceptor=agent)
        return _Driver(node, self._post.codecs[self.node], disk, wire, lambda: now, self._membership.nodes)


def _disk_of(node: NodeId) -> DiskId:
    return int.from_bytes(node.encode(), "big") << 4


def disk_in(records: MemoryStore) -> DiskId:
    """The disk that these records name as their own; none are those of a proposer."""
    return next((record.disk for record in records.records() if isinstance(record, DiskRecord)), NO_DISK)


def voter_in(disk: MemoryStore) -> Voter | None:
    """What these records say of their own disk, if it is named."""
    own = disk_in(disk)
    voters = [record for record in disk.records() if isinstance(record, Voters)]
    return next((voter for known in voters for voter in known.named if voter.disk == own), None)


def copies(disk: MemoryStore) -> bool:
    """Whether this is a new disk that is named, and has not copied yet."""
    return is_new(disk) and not any(record.copied for record in disk.records() if isinstance(record, DiskRecord))


def is_new(disk: MemoryStore) -> bool:
    """Whether a later decree than the birth names this disk."""
    named = voter_in(disk)
    births = [record.birth for record in disk.records() if isinstance(record, Voters)]
    return named is not None and named.since > max(births)


def armed(state: State) -> Sequence[Timer]:
    """The timers that may fire."""
    return sorted(state.agent._deadlines, key=lambda timer: timer.value)


def _settled(agent: Agent, disk: MemoryStore) -> State:
    """The state between two turns: of a timer only counts that it is armed."""
    for timer in agent._deadlines:
        agent.arm(timer, _NEVER)
    if isinstance(agent, Proposer):
        agent._guests._began_at = -_NEVER
    return State(agent, disk, (frozen(agent), frozen(disk)))


class _LogTime(LogTime):
    """Of a proposer whose clock went on, before it stamps anything, up to an instant of its own (law 3). Of all that is
    told of log time it knows the latest, whoever said it: what follows from log time is not explored."""

    def __init__(self, own_ms: int) -> None:
        self._own_ms = own_ms
        super().__init__()

    def hear(self, ballot: Ballot, log_time_ms: int, now: Instant) -> bool:
        self._ms = max(self._ms, log_time_ms)
        return True

    def begin(self, ballot: Ballot, votes: Iterable[Vote], now: Instant) -> bool:
        self._ms = max([self._ms, *(readable_stamp_ms(vote.value) for vote in votes)])
        return True

    def end(self, now: Instant) -> None:
        """Nothing is known that was not known."""

    def stamp(self, now: Instant) -> int:
        return max(self._ms, self._own_ms)


class _NoChance(Random):
    """Draws the same number every time: choices, not chance, say when something happens. Ids follow from the records:
    a disk is the one after the disk that is there, and a history belongs to one ballot."""

    def __init__(self, number: int) -> None:
        super().__init__(0)
        self._number = number
        self._drawn = 0

    def draws(self, records: MemoryStore) -> None:
        """What ids come from in the next turn."""
        self._drawn = disk_in(records) or records.round() << 8 | self._number

    def getrandbits(self, k: int) -> int:
        return self._drawn

    def uniform(self, a: float, b: float) -> float:
        return b

    def randint(self, a: int, b: int) -> int:
        return a


class _Wire:
    """A transport that brings one turn's frames and notes what is sent."""

    def __init__(self, frames: Iterable[bytes]) -> None:
        self.dropped: Counter[str] = Counter()
        self.sent: list[tuple[NodeId, bytes]] = []
        self._inbound = [Inbound(None, frame) for frame in frames]

    def send(self, target: NodeId, frame: bytes) -> None:
        self.sent.append((target, frame))

    def reply(self, client: bytes, frame: bytes) -> None:
        require(False, "a node without a gateway answered a client")

    def wait(self, timeout_s: float | None) -> None: ...

    def drain(self, frames_max: int) -> Iterator[Inbound]:
        return iter(self._inbound)

    def vouch(self, connection: Connection) -> None: ...

    def hang_up(self, connection: Connection) -> None: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...


class _Disk:
    """A store that notes what is committed, and how much was sent before."""

    def __init__(self, memory: MemoryStore, wire: _Wire) -> None:
        self.committed: list[Record] = []
        self.sent_before = 0
        self._memory = memory
        self._wire = wire

    @property
    def commits(self) -> int:
        return self._memory.commits

    def commit(self, records: Sequence[Record]) -> None:
        require(not self.committed, "a turn commits once")
        self._memory.commit(records)
        self.committed += records
        self.sent_before = len(self._wire.sent)

    def records(self) -> Sequence[Record]:
        return self._memory.records()

    def votes(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[Vote]:
        return self._memory.votes(first, stop, bytes_max)

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        return self._memory.learned(first, stop, bytes_max)

    def learned_stop(self) -> Slot:
        return self._memory.learned_stop()

    def learned_start(self) -> Slot:
        return self._memory.learned_start()

    def offered(self) -> None: ...

    def offer(self) -> None: ...

    def part(self, offset: int, bytes_max: int) -> bytes:
        return b""

    def withdraw(self) -> None: ...

    def incoming(self) -> None: ...

    def kept_slot(self) -> Slot:
        return self._memory.kept_slot()

    def kept_rows(self, owner: str) -> Iterable[tuple[bytes, bytes]]:
        return self._memory.kept_rows(owner)

    def revisions(self, revision: Revision, rows_max: int) -> Sequence[RevisionRow]:
        return self._memory.revisions(revision, rows_max)

    def close(self) -> None: ...
