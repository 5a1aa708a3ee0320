"""Catching up by a copy of the whole state (see `core/snapshots.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import Slot
from paxosd.core.voters import NO_VOTERS, Voters


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
