"""How learners and new disks catch up on what is chosen and on votes."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import FIRST_SLOT, NO_BALLOT, NO_DISK, Ballot, DiskId, Slot, Vote
from paxosd.core.voters import NO_VOTERS, Voters


@dataclass(frozen=True, slots=True)
class Fetch:
    """Learner to learner: send me what is chosen from this slot on."""

    first: Slot


@dataclass(frozen=True, slots=True)
class Fetched:
    """Learner to learner: what is chosen from slot `first` on, as much as fits. I can tell none below `floor`."""

    first: Slot
    values: tuple[bytes, ...]
    watermark: Slot
    floor: Slot = FIRST_SLOT
    decreed: Slot = 0
    voters: Voters = NO_VOTERS


@dataclass(frozen=True, slots=True)
class FetchVotes:
    """Learner to acceptor: send me your votes in [first, stop); I know that all of these slots are chosen.

    A new disk of an acceptor asks the others in the same way.
    """

    first: Slot
    stop: Slot


@dataclass(frozen=True, slots=True)
class FetchedVotes:
    """Acceptor to learner: all my votes in [first, stop), but for those below `floor`, as in `Promise`. `stop` may be
    lower than the one asked for; `asked_stop` repeats that, so that this is not taken for an answer to another one."""

    first: Slot
    asked_stop: Slot
    stop: Slot
    votes: tuple[Vote, ...]
    watermark: Slot
    floor: Slot = FIRST_SLOT
    disk: DiskId = NO_DISK
    decreed: Slot = 0
    promised: Ballot = NO_BALLOT
