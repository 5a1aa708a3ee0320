"""Room on the disks: who is short of it, and what that means for new commands and for what a node still takes.

Every node looks at its own disk (`storage/space.py`) and tells proposers and gateways how it is, once a second.

Laws:
1. What a node told last is believed until it tells something else. Who never told anything has room.
2. A leader takes new commands only while they can be written without anybody who is short: the acceptors that it hears
   and that have room can accept, it has room itself, and no more than half of the learners are short. All else goes on
   whoever is short: heartbeats, elections, reads, and what is in flight.
3. Refusing begins well before a disk is full, and what is refused was never proposed. So what a disk still has to take
   is bounded: the values in flight, and little records.
4. A node whose disk is as good as full votes for, and learns, 1 MiB more and then nothing new until there is room.
   An acceptor may always leave a message unanswered, and a learner asks again later: whoever lacks room falls behind,
   and its process need not end.
5. A leader that is short itself hands over to a proposer that is not, now and then, so that one full disk of three
   stops nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import IntEnum

from paxosd.core.history import ROW_BYTES
from paxosd.core.membership import Membership
from paxosd.core.quorum import Quorum
from paxosd.core.types import Instant, NodeId

TOLD_EVERY_S = 1.0
"""How often a node tells how its disk is."""
ALIVE_S = 3.0
"""Who told how its disk is within so long can take over."""
HANDED_OVER_EVERY_S = 60.0
"""How often a leader that is short tries to hand over: who should take over may not be able to."""
FULL_TAKES_BYTES = 1024 * 1024
"""How much each role takes of new values after its disk was as good as full. For both roles, and with the journal, it
fits into a ballast; and it is enough for the no-ops of thousands of elections."""

NO_ROOM = "no room on the disk"


class Space(IntEnum):
    """How much room a node's disk has."""

    UNKNOWN = 0
    """It does not look, or said nothing yet."""
    ENOUGH = 1
    LOW = 2
    """Near the quota, or into the reserve: no new commands."""
    FULL = 3
    """At the quota, or into the last of the reserve: nothing new at all, but for 1 MiB."""

    @property
    def is_short(self) -> bool:
        return self >= Space.LOW


def space_of(number: int) -> Space:
    """What a message says; a newer version may tell finer."""
    return Space(min(number, Space.FULL))


class SpaceBoard:
    """What a proposer knows of everybody's room."""

    def __init__(self, node_id: NodeId, membership: Membership) -> None:
        self._node = node_id
        self._proposers = frozenset(membership.proposers) - {node_id}
        self._learners = frozenset(membership.learners)
        self._short: dict[NodeId, Space] = {}
        self._told_at: dict[NodeId, Instant] = {}
        self._handed_over_at: Instant = float("-inf")

    def hear(self, node: NodeId, space: Space, now: Instant) -> None:
        """A node of the cluster tells how its disk is."""
        self._told_at[node] = now
        if space.is_short:
            self._short[node] = space
        else:
            self._short.pop(node, None)

    @property
    def somebody_is_short(self) -> bool:
        return bool(self._short)

    def objection(self, heard: Iterable[NodeId], quorum: Quorum) -> str:
        """Why no command is taken now, `heard` being the acceptors that answer; empty: nothing speaks against it."""
        if self._node in self._short:
            return f"the disk of {self._node}, which leads, is nearly full"
        short_voters = self._short.keys() & quorum.weights.keys()
        if short_voters and not _can_accept_without(short_voters, heard, quorum):
            return f"the disks of {_names(short_voters)} are nearly full, and the others are no quorum"
        short_learners = self._short.keys() & self._learners
        if 2 * len(short_learners) > len(self._learners):
            return f"the disks of most learners are nearly full: {_names(short_learners)}"
        return ""

    def hands_over(self, heard: Iterable[NodeId], quorum: Quorum, now: Instant) -> bool:
        """Whether this leader, short itself, leaves it to a proposer that has room, and to acceptors that do."""
        if self._node not in self._short or now - self._handed_over_at < HANDED_OVER_EVERY_S:
            return False
        heirs = [node for node in self._proposers if node not in self._short and self._lives(node, now)]
        if not heirs or not _can_accept_without(self._short, heard, quorum):
            return False
        self._handed_over_at = now
        return True

    def _lives(self, node: NodeId, now: Instant) -> bool:
        return now - self._told_at.get(node, float("-inf")) < ALIVE_S


def _can_accept_without(short: Collection[NodeId], heard: Iterable[NodeId], quorum: Quorum) -> bool:
    return quorum.can_accept([node for node in heard if node not in short])


def _names(nodes: Iterable[NodeId]) -> str:
    return ", ".join(sorted(nodes))


class Allowance:
    """What a role takes of new values while its node's disk is as good as full (law 4)."""

    def __init__(self) -> None:
        self._left_bytes: int | None = None

    def hear(self, space: Space) -> None:
        """The own disk is so."""
        if space is not Space.FULL:
            self._left_bytes = None
        elif self._left_bytes is None:
            self._left_bytes = FULL_TAKES_BYTES

    @property
    def is_spent(self) -> bool:
        """Whether nothing new is taken."""
        return self._left_bytes is not None and self._left_bytes <= 0

    def takes(self, value: bytes) -> bool:
        """Whether this value is taken; it counts then."""
        if self._left_bytes is None:
            return True
        if self.is_spent:
            return False
        self._left_bytes -= len(value) + ROW_BYTES
        return True
