"""Whether this node's state is that of the others, as they tell it through the log.

After every so many slots each learner puts the digest of its state into the log, with the slot that it is of. So all
see the same digests in the same order, and each holds them against its own.

Laws:
1. A learner whose digest is not the one that most learners told of the same slot differs. So does each of two that
   differ, or of any number without a majority: nobody can say who is right.
2. Who differs stops serving, for the rest of this life: it may not answer from a state that the log does not make.
3. What is remembered is bounded: the digests of a few slots, one of each learner. A slot that is not remembered, as of
   before a restart, proves nothing.
"""

from __future__ import annotations

from collections import Counter

from paxosd.core.messages import Forward
from paxosd.core.types import NodeId, Outcome, Slot
from paxosd.core.values import DIGESTS

DIGEST_EVERY_SLOTS = 256
SLOTS_REMEMBERED = 16
"""How many of these slots are remembered; what is told of older ones comes too late to count."""


ADVICE = (
    "it serves nothing any more: stop it, move its data directory away for inspection, and start it with an empty one"
)


class Agreement:
    """The digests of the latest slots: this node's own, and what each of the `learners` told."""

    def __init__(self, node_id: NodeId, learners: tuple[NodeId, ...]) -> None:
        self.differs = False
        self._node_id = node_id
        self._learners = learners
        self._own: dict[Slot, bytes] = {}
        self._told: dict[Slot, dict[NodeId, bytes]] = {}

    def note(self, slot: Slot, digest: bytes) -> Forward:
        """This node's own digest after this slot; returns what puts it into the log."""
        self._own[slot] = digest
        for old in sorted(self._own)[:-SLOTS_REMEMBERED]:
            del self._own[old]
            self._told.pop(old, None)
        return Forward(DIGESTS, 0, slot, 1 + self._learners.index(self._node_id), 1, digest)

    def hear(self, outcome: Outcome) -> str:
        """A learner told its digest. Returns what is wrong, when that is found; empty: nothing is, or it is known."""
        slot, number = outcome.expected, outcome.first_seq
        if self.differs or slot not in self._own or not 1 <= number <= len(self._learners):
            return ""
        told = self._told.setdefault(slot, {})
        told[self._learners[number - 1]] = outcome.wish
        own, most = self._own[slot], len(self._learners) // 2 + 1
        counts = Counter(told.values())
        agreed = next((of for of, count in counts.items() if count >= most), None)
        if agreed == own or (agreed is None and len(told) < len(self._learners)):
            return ""
        self.differs = True
        others = ", ".join(f"{node} {of.hex()[:8]}" for node, of in sorted(told.items()))
        return f"after slot {slot} the state here has the digest {own.hex()[:8]}, and the learners told: {others}"
