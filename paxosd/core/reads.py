"""Read rounds: how a leader makes sure that it still leads before anybody reads (Ongaro's thesis, 6.4).

A round captures the watermark, then a heartbeat sent after that must be answered by an accept quorum. Had a
later ballot finished phase 1 by then, one of these acceptors would have promised it and refused to answer:
every prepare quorum meets every accept quorum. So nothing was chosen elsewhere that the watermark misses.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from paxosd.core.quorum import Quorum
from paxosd.core.types import NodeId, Slot

ROUNDS_OPEN_MAX = 64
"""How many rounds may wait for a quorum; later readers share the next one."""

Reader = tuple[NodeId, int]
"""A gateway and the number of its request."""


@dataclass(slots=True)
class _Round:
    sequence: int
    applied: Slot
    readers: list[Reader]
    voters: set[NodeId] = field(default_factory=set)


class ReadRounds:
    """Reads that wait for a round, and rounds that wait for a quorum, of one ballot."""

    def __init__(self, quorum: Quorum) -> None:
        self._quorum = quorum
        self._waiting: dict[NodeId, int] = {}  # the latest request of each gateway: it asks one at a time
        self._open: deque[_Round] = deque()

    @property
    def waiting(self) -> bool:
        """Whether a round is to be started: somebody waits, and not too many are open."""
        return bool(self._waiting) and len(self._open) < ROUNDS_OPEN_MAX

    def add(self, gateway: NodeId, request: int) -> None:
        self._waiting[gateway] = request

    def start(self, sequence: int, watermark: Slot) -> None:
        """All waiting reads share the round that heartbeat `sequence`, sent after this call, confirms."""
        self._open.append(_Round(sequence, watermark, list(self._waiting.items())))
        self._waiting.clear()

    def confirm(self, voter: NodeId, sequence: int) -> list[tuple[Reader, Slot]]:
        """Count an answer to a heartbeat; the readers that may go on, and how far they must have applied."""
        ready: list[tuple[Reader, Slot]] = []
        for read_round in self._open:
            if read_round.sequence <= sequence:  # an answer to a later heartbeat was given after this one's capture too
                read_round.voters.add(voter)
        while self._open and self._quorum.can_accept(self._open[0].voters):
            done = self._open.popleft()
            ready += [(reader, done.applied) for reader in done.readers]
        return ready

    def drop_all(self) -> list[Reader]:
        """Every read that has no answer yet."""
        dropped = list(self._waiting.items()) + [reader for read_round in self._open for reader in read_round.readers]
        self._waiting.clear()
        self._open.clear()
        return dropped
