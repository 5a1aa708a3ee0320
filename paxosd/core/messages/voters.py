"""Who votes, and which disk is which (see `core/voters.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from paxosd.core.types import Ballot, DiskId, Slot
from paxosd.core.voters import Voters

SeenCommits: TypeAlias = tuple[DiskId, int]
"""A disk, and how many durable commits it told."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """Acceptor to proposer: your `ballot` counts with older voters than these. Acceptor or proposer to an acceptor that
    starts: you know older ones; then there is no ballot."""

    ballot: Ballot
    promised: Ballot
    voters: Voters


@dataclass(frozen=True, slots=True)
class Recall:
    """Acceptor that starts, to every other node: what have you seen of this disk of mine, which voters name that I know
    from the slot `decreed`?"""

    disk: DiskId
    decreed: Slot


@dataclass(frozen=True, slots=True)
class Recalled:
    """To an acceptor: so many commits I know of that disk; 0: I never heard of it. Unasked: it told fewer since."""

    disk: DiskId
    commits: int
