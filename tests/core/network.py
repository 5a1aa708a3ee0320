"""A whole cluster of agents in one thread, with disks in memory and real ledgers.

Messages travel by value, so no two nodes share an object, and only as far as the links let them. After every commit
the network looks at all disks: in no slot may two values ever be chosen. For one agent alone see `helpers.py`.
"""

from __future__ import annotations

import copy
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from paxosd.core.acceptor import Acceptor
from paxosd.core.learner import Learner
from paxosd.core.membership import Role
from paxosd.core.messages import Message, OpenSession, Propose, SessionOpened
from paxosd.core.node import Node
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.records import Disk, Record, Voted
from paxosd.core.types import NO_HISTORY, Ballot, Instant, NodeId, SessionId, Slot, Source
from paxosd.core.values import encode_body
from paxosd.gateway.gateway import Gateway
from paxosd.machine.ledger import Ledger
from paxosd.machine.log import Log
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import LIMITS, NOON, ROLES, TIMING, Steady, born, disk_of, membership, session_id


class Member:
    """One node of a `Network`: what a driver would hold of it."""

    def __init__(self, node: NodeId, network: Network) -> None:
        self.node, self._network = node, network
        self.disk = MemoryStore()
        if network.is_born:
            self.disk.commit([born(network.membership), Disk(disk_of(node), copied=False, used=True)])
        self.lives = 0
        self.begin()

    def begin(self) -> None:
        """A process starts with what is on the disk."""
        node, members, disk = self.node, self._network.membership, self.disk
        self.lives += 1
        chance = Steady(f"{node} {self.lives}")
        self.own: deque[Message] = deque()
        self.ledger = Ledger(disk, {"log": Log()}, 100, 10_000)
        proposes, votes, learns = (node in some for some in (members.proposers, members.acceptors, members.learners))
        self.proposer = Proposer(node, members, TIMING, LIMITS, chance) if proposes else None
        self.acceptor = Acceptor(node, members, TIMING, LIMITS, disk, chance) if votes else None
        self.learner = Learner(node, members, TIMING, LIMITS, disk, chance) if learns else None
        self.gateway = Gateway(node, "test", members, TIMING, LIMITS, {}, self.ledger) if learns else None
        self.agent = Node(
            node,
            members,
            LIMITS,
            proposer=self.proposer,
            acceptor=self.acceptor,
            learner=self.learner,
            gateway=self.gateway,
        )
        self.agent.restore(disk.records(), self._network.now)

    def turn(self, inbound: Sequence[tuple[Source, Message]] = ()) -> None:
        """What `driver.py` does: receive, tick, send early, commit, send, apply, reply."""
        now, send = self._network.now, self._network.send
        for _ in range(len(self.own)):
            self.agent.receive(self.node, self.own.popleft(), now)
        for source, message in inbound:
            if isinstance(source, str) and self.agent.history == NO_HISTORY:
                self.agent.meet_history(source, self._network.members[source].agent.history, now)
            self.agent.receive(source, message, now)
        self.agent.tick(now)
        output = self.agent.take_output()
        send(self, output.early)
        self.disk.commit(output.records)
        self._network.watch(self.node, output.records)
        send(self, output.messages)
        for slot, chosen in output.chosen:
            assert self._network.chosen[slot] == chosen, f"{self.node} learned in slot {slot} what was not chosen"
            self.agent.applied(slot, self.ledger.apply(slot, chosen), now)
        answers = self.agent.take_output()
        assert not answers.records
        assert not answers.chosen
        send(self, answers.early + answers.messages)


class Network:
    """A cluster. A link is a pair (from, to); what goes over a cut one, or to a dead node, is lost.

    `weather` decides what becomes of each message: it arrives once, after each of these delays; None: at once.
    """

    def __init__(
        self, roles: Mapping[NodeId, Role] = ROLES, quorum: Quorum | None = None, is_born: bool = True
    ) -> None:
        self.membership = membership(roles, quorum)
        self.is_born = is_born
        self.now = NOON
        self.weather: Callable[[], Sequence[float]] | None = None
        self.cut: set[tuple[NodeId, NodeId]] = set()
        self.dead: set[NodeId] = set()
        self.to_clients: list[tuple[NodeId, Message]] = []
        self.chosen: dict[Slot, bytes] = {}  # what a quorum has on disk, in one ballot
        self._voters: defaultdict[tuple[Slot, Ballot, bytes], set[NodeId]] = defaultdict(set)
        self._wire: deque[tuple[NodeId, NodeId, Message]] = deque()
        self._late: list[tuple[Instant, NodeId, NodeId, Message]] = []
        self.members = {node: Member(node, self) for node in roles}

    # ---- what goes on between the nodes ----

    def send(self, member: Member, outgoing: Iterable[tuple[Source, Message]]) -> None:
        for target, message in outgoing:
            sealed = copy.deepcopy(message)
            if target == member.node:
                member.own.append(sealed)
            elif isinstance(target, bytes):
                self.to_clients.append((member.node, sealed))
            elif self.weather is None:
                self._wire.append((member.node, target, sealed))
            else:
                self._late += [(self.now + delay, member.node, target, sealed) for delay in self.weather()]

    def watch(self, node: NodeId, records: Iterable[Record]) -> None:
        """Only a single value is chosen: whatever else a test is about, this holds after every commit."""
        for record in records:
            if isinstance(record, Voted):
                voters = self._voters[record.slot, record.ballot, record.value]
                voters.add(node)
                if self.membership.quorum.can_accept(voters):
                    chosen = self.chosen.setdefault(record.slot, record.value)
                    assert chosen == record.value, f"two values are chosen in slot {record.slot}"

    def cut_off(self, node: NodeId, *others: NodeId) -> None:
        """No message passes between a node and these others, or anybody, in either direction."""
        for other in others or self.members:
            self.cut |= {(node, other), (other, node)}

    def crash(self, *nodes: NodeId) -> None:
        self.dead |= set(nodes)

    def restart(self, *nodes: NodeId) -> None:
        for node in nodes:
            self.members[node].begin()
            self.dead.discard(node)

    # ---- time ----

    def settle(self) -> None:
        """Deliver what is on its way, and what that leads to, without time passing."""
        self._wire.extend(late[1:] for late in self._late if late[0] <= self.now)
        self._late = [late for late in self._late if late[0] > self.now]
        while self._wire or any(member.own for member in self._alive()):
            inbound: dict[NodeId, list[tuple[Source, Message]]] = {}
            while self._wire:
                source, target, message = self._wire.popleft()
                if (source, target) not in self.cut and not {source, target} & self.dead:
                    inbound.setdefault(target, []).append((source, message))
            for member in self._alive():
                if member.own or member.node in inbound:
                    member.turn(inbound.get(member.node, ()))

    def run(self, seconds: float) -> None:
        """Time passes in steps of a hundredth of a second."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.01
            for member in self._alive():
                due = member.agent.next_deadline()
                if due is not None and due <= self.now:
                    member.turn()
            self.settle()

    def run_until(self, holds: Callable[[], object], seconds: float = 20.0) -> None:
        """Time passes until this holds; it must, within so many seconds."""
        until = self.now + seconds
        while not holds():
            assert self.now < until, "it did not happen in time"
            self.run(0.01)

    def _alive(self) -> list[Member]:
        return [member for node, member in self.members.items() if node not in self.dead]

    # ---- looking at it ----

    def leaders(self) -> list[NodeId]:
        return [member.node for member in self._alive() if member.proposer is not None and member.proposer.leading]

    def log_of(self, node: NodeId) -> list[bytes]:
        """The commands that this learner applied, in order."""
        return [entry.value for entry in self.members[node].ledger.entries(1, 1 << 30)]

    # ---- a client ----

    def ask(self, gateway: NodeId, message: Message) -> None:
        """A client's message comes in at this gateway."""
        self.members[gateway].turn([(b"client", message)])
        self.settle()

    def open_session(self, gateway: NodeId) -> SessionId:
        """A client's session, once there is a leader who can give it."""

        def opened() -> list[SessionId]:
            return [told.session for _, told in self.to_clients if isinstance(told, SessionOpened)]

        self.run_until(self.leaders)
        self.run(0.3)
        self.ask(gateway, OpenSession(session_id(7), 1))
        self.run_until(opened)
        return opened()[-1]

    def propose(self, gateway: NodeId, session: SessionId, seq: int, command: bytes, attempt: int = 1) -> None:
        self.ask(gateway, Propose(session, attempt, 1, seq, 1, encode_body([command])))


def rough(chance: Random, lost: float = 0.1, repeated: float = 0.1, late_s: float = 0.3) -> Callable[[], list[float]]:
    """Weather in which messages are lost, repeated, delayed and overtaken by others."""

    def delays() -> list[float]:
        if chance.random() < lost:
            return []
        copies = 2 if chance.random() < repeated else 1
        return [chance.choice((0.0, 0.0, chance.uniform(0.0, late_s))) for _ in range(copies)]

    return delays
