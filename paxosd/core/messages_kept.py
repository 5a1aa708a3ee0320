"""The messages about what is kept of the log, and no longer: a part of `messages.py`, whose laws hold here too.

proposer (leader)   acceptor    learner
  |<-----------Durable-------------|    how far its state is synced
  |-------Trim------->|            |    votes below may go
"""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import Ballot, Slot

# ---- the floor (see `floor.py`) --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Durable:
    """Learner to leader: my state below this slot is on my disk, synced."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Trim:
    """Leader to acceptors: what is below `safe` is durable with enough learners, below `everywhere` with all."""

    ballot: Ballot
    safe: Slot
    everywhere: Slot
