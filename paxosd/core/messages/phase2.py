"""Phase 2, a round for each slot, and telling what is chosen."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import NO_DISK, Ballot, DiskId, Slot


@dataclass(frozen=True, slots=True)
class Accept:
    """Leader to acceptor: vote for this value in this slot. Every slot below `watermark` is chosen.

    `decreed`, here and elsewhere: the slot of the latest decree that the sender knows.
    """

    ballot: Ballot
    slot: Slot
    value: bytes
    watermark: Slot
    decreed: Slot = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """Acceptor to leader: my vote for your value in this slot is on my disk."""

    ballot: Ballot
    slot: Slot
    disk: DiskId = NO_DISK


@dataclass(frozen=True, slots=True)
class Chosen:
    """To a learner, from the leader or from the acceptor beside it: this value is chosen in this slot."""

    slot: Slot
    value: bytes


@dataclass(frozen=True, slots=True)
class Watermark:
    """Leader to replicas and learners: every slot below is chosen; those I proposed, with my value."""

    ballot: Ballot
    watermark: Slot
    decreed: Slot = 0
