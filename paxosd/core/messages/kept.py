"""What learners have on disk, and which votes may go for it (see `core/floor.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import Ballot, Slot


@dataclass(frozen=True, slots=True)
class Durable:
    """Learner to proposers: my state below this slot is on my disk, synced."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Trim:
    """Leader to acceptors: what is below `safe` is durable with enough learners, below `everywhere` with all."""

    ballot: Ballot
    safe: Slot
    everywhere: Slot
