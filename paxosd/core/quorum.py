"""Which sets of acceptors may speak for all of them.

Laws:
1. Every set that can finish phase 1 shares an acceptor with every set that can choose a value
   (Howard et al., "Flexible Paxos", section 3). Everything else in Paxos rests on this.
2. Sets hold acceptor identities. Nothing here counts messages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from paxosd.core.types import NodeId


@dataclass(frozen=True, slots=True)
class Quorum:
    """A quorum system over weighted acceptors.

    `weights` maps each acceptor to a positive whole number; a set finishes phase 1 when its weights add
    up to `prepare`, and chooses a value when they add up to `accept`.
    """

    weights: Mapping[NodeId, int]
    prepare: int
    accept: int

    @classmethod
    def majority(cls, weights: Mapping[NodeId, int]) -> Quorum:
        """More than half of the total weight for both phases."""
        half = sum(weights.values()) // 2 + 1
        return cls(dict(weights), half, half)

    def can_prepare(self, voters: Collection[NodeId]) -> bool:
        """Whether these acceptors can finish phase 1, and so know of every value that may be chosen."""
        return self._weight(voters) >= self.prepare

    def can_accept(self, voters: Collection[NodeId]) -> bool:
        """Whether a value is chosen once these acceptors voted for it in one ballot."""
        return self._weight(voters) >= self.accept

    def _weight(self, voters: Collection[NodeId]) -> int:
        return sum(self.weights.get(voter, 0) for voter in set(voters))

    def problems(self) -> list[str]:
        """Why this quorum system is unsafe or can never be met; empty if it is sound."""
        total = sum(self.weights.values())
        found = [
            f"{name}: {size} is not between 1 and {total}, the total weight of the acceptors"
            for name, size in (("prepare", self.prepare), ("accept", self.accept))
            if not 1 <= size <= total
        ]
        return found or self._disjoint_pair(total)

    def _disjoint_pair(self, total: int) -> list[str]:
        # A prepare quorum and an accept quorum are disjoint exactly if some set is heavy enough for the
        # one while what it leaves out is heavy enough for the other. Sums a set can have, as bits:
        reachable = 1
        for weight in self.weights.values():
            reachable |= reachable << weight
        for heavy in range(self.prepare, total - self.accept + 1):
            if reachable >> heavy & 1:
                return [
                    f"prepare: {self.prepare} and accept: {self.accept} need not share an acceptor: one set can "
                    f"weigh {heavy} while the others weigh {total - heavy} (of {total}), and two values "
                    f"could be chosen for one slot"
                ]
        return []
