"""The messages about what is kept of the log, and no longer: a part of `messages.py`, whose laws hold here too.

proposer (leader)   acceptor    learner
  |<-----------Durable-------------|     how far its state is synced
  |-------Trim------->|            |     votes below may go

learner            learner
  |---FetchSnapshot-->|                  catching up by a copy of the state
  |<--SnapshotPart----|
"""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import Ballot, Slot
from paxosd.core.voters import NO_VOTERS, Voters

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


# ---- snapshots (see `snapshots.py`) ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FetchSnapshot:
    """Learner to learner: send me `snapshot` from the byte `offset` on; one of yours if you do not have that one.

    `snapshot` is empty if I have nothing of any. One that is not above the slot `above` is of no use to me.
    """

    snapshot: bytes
    offset: int
    above: Slot


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """Learner to learner: the bytes of `snapshot` from `offset` on, as many as fit.

    It is the state at `slot`, has `size` bytes, and `digest` is of all of them; `voters`: those that I know. If
    `snapshot` is empty I have none to tell now: if my `slot` is above yours I make one, else I have nothing for you.
    """

    snapshot: bytes
    slot: Slot
    size: int
    digest: bytes
    offset: int
    data: bytes
    voters: Voters = NO_VOTERS
