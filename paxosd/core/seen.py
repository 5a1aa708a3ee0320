"""What every node remembers of the disks of acceptors: how many durable commits each of them told.

The leader hears it (`HeartbeatReply`) and passes it on to all nodes (`Heartbeat.seen`). Whoever remembers more of a
disk than is told now tells the acceptor (`Recalled`), which judges by what its disk has at that moment: messages that
overtake each other do no harm. What is remembered is kept, lazily, also where nothing else is written.
"""

from __future__ import annotations

import math

from paxosd.core.messages import Outdated, Recall, Recalled, SeenCommits
from paxosd.core.records import Seen
from paxosd.core.types import NO_BALLOT, Instant, NodeId
from paxosd.core.voters import Known

SEEN_EVERY_S = 1.0
"""How often at most a node writes down how far disks are. An idle cluster tells nothing new, and writes nothing."""


class Memory:
    """Decides when to write down what this node knows."""

    def __init__(self) -> None:
        self._recorded: tuple[SeenCommits, ...] = ()
        self._recorded_at: Instant = -math.inf

    def restore(self, record: Seen, known: Known) -> None:
        """An earlier life wrote this down."""
        for disk, commits in record.commits:
            known.see(disk, commits)
        self._recorded = tuple(sorted(known.seen.items()))

    def record(self, known: Known, now: Instant) -> Seen | None:
        """What to write down now, if anything."""
        if now - self._recorded_at < SEEN_EVERY_S:
            return None
        seen = tuple(sorted(known.seen.items()))
        if seen == self._recorded:
            return None
        self._recorded, self._recorded_at = seen, now
        return Seen(seen)


def hear(known: Known, told: SeenCommits) -> tuple[NodeId, Recalled] | None:
    """Remember what was told of a disk; if more of it is remembered, what to tell to whom."""
    disk, commits = told
    remembered = known.seen.get(disk, 0)
    if commits >= remembered:
        known.see(disk, commits)
        return None
    node = next((voter.node for voter in known.voters.named if voter.disk == disk), None)
    return None if node is None else (node, Recalled(disk, remembered))


def recalled(known: Known, asked: Recall) -> Recalled | Outdated | None:
    """What to tell an acceptor that asks for its disk.

    Only of a disk that the voters name anything is remembered. Of one that earlier voters named it was forgotten, and
    of one that later voters name nothing is known yet: to say that no more was seen of it would vouch for it.
    """
    if any(voter.disk == asked.disk for voter in known.voters.named):
        return Recalled(asked.disk, known.seen.get(asked.disk, 0))
    if known.told.decreed > asked.decreed:
        return Outdated(NO_BALLOT, NO_BALLOT, known.told)
    return None
