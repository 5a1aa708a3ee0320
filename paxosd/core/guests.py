"""Guests that a leader hears: acceptors whose disk is another one than the voters name.

A guest takes the place of the disk before it by a decree, once it is clear that this one does not come back: it was
silent for some time while the guest spoke. Nobody is asked. What is safe does not rest on that silence: a disk that
comes back later finds that it was replaced (`standing.py`, law 3).

No decree is proposed that would leave too few: the others, without the new disk, have to be a prepare quorum that took
part in this very ballot. Otherwise the new disk could not copy what it must, and no later ballot could begin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from paxosd.core.decrees import Replace
from paxosd.core.types import DiskId, Instant, NodeId
from paxosd.core.voters import Count

SILENT_T_E = 2
"""For how many election timeouts a disk is silent before another one takes its place."""


class Guests:
    """The guests of one leadership, which began at `now`; an election timeout lasts `election_s`."""

    def __init__(self, count: Count, election_s: float, now: Instant) -> None:
        self._count = count
        self._election_s = election_s
        self._began_at = now
        self._heard: dict[NodeId, tuple[DiskId, Instant]] = {}  # the latest guest of each node
        self._named_at: dict[NodeId, Instant] = {}  # when the disk that is named was heard last

    def hear(self, node: NodeId, disk: DiskId, now: Instant) -> None:
        """An acceptor spoke with this disk."""
        if self._count.counts(node, disk):
            self._named_at[node] = now
        elif self._count.voters.voter(node) is not None:
            self._heard[node] = disk, now

    def decree(self, takes_part: Collection[NodeId], now: Instant) -> Replace | None:
        """What is to be decreed now, if anything; `takes_part`: who voted or promised in this ballot, and speaks."""
        for node, (disk, at) in self._heard.items():
            old = self._count.voters.disk_of(node)
            silent_s = now - self._named_at.get(node, self._began_at)
            others = [other for other in takes_part if other != node]
            speaks = now - at < self._election_s
            if speaks and silent_s >= SILENT_T_E * self._election_s and self._count.quorum.can_prepare(others):
                return Replace(node, old, disk)
        return None

    def seen(self) -> Mapping[NodeId, DiskId]:
        """The guests that were heard, by node."""
        return {node: disk for node, (disk, _) in self._heard.items()}
