"""Who takes part: the static membership as every role sees it, without addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from paxosd.core.quorum import Quorum
from paxosd.core.types import NodeId


class Role(Enum):
    """What a node does. A replica is a proposer, an acceptor and a learner in one process."""

    PROPOSER = "proposer"
    ACCEPTOR = "acceptor"
    LEARNER = "learner"
    REPLICA = "replica"


@dataclass(frozen=True, slots=True)
class Membership:
    """The nodes of one cluster and its quorum system; the same on every node."""

    roles: Mapping[NodeId, Role]
    quorum: Quorum

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        return tuple(self.roles)

    @property
    def proposers(self) -> tuple[NodeId, ...]:
        return self.having(Role.PROPOSER)

    @property
    def acceptors(self) -> tuple[NodeId, ...]:
        return self.having(Role.ACCEPTOR)

    @property
    def learners(self) -> tuple[NodeId, ...]:
        return self.having(Role.LEARNER)

    @property
    def pure_learners(self) -> tuple[NodeId, ...]:
        """Learners without an acceptor of their own: only these must be sent the chosen values."""
        return tuple(node for node, role in self.roles.items() if role is Role.LEARNER)

    @property
    def replicas(self) -> tuple[NodeId, ...]:
        return tuple(node for node, role in self.roles.items() if role is Role.REPLICA)

    def having(self, wanted: Role) -> tuple[NodeId, ...]:
        """The nodes that do this, replicas among them."""
        return tuple(node for node, role in self.roles.items() if role in (wanted, Role.REPLICA))
