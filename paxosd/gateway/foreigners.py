"""Nodes of the membership file that speak of another history than this gateway: somebody has the wrong directory.

Laws:
1. They are named: in `status`, and wherever something is refused for it.
2. A gateway that hears no leader, and as many others of another history as of its own (itself included), may be the one
   with the wrong directory. It gives nothing out of its log then, not even to who asks for what it has at hand.
3. One that most others contradict leaves the status to them, too.
"""

from __future__ import annotations

from collections.abc import Collection

from paxosd.core.standstill import names
from paxosd.core.types import NO_HISTORY, HistoryId, Instant, NodeId, Sentence


class Foreigners:
    """Those that the gateway of `node_id` hears; a frame of theirs counts for `counts_s`."""

    def __init__(self, node_id: NodeId, counts_s: float) -> None:
        self._node_id = node_id
        self._counts_s = counts_s
        self._heard: dict[NodeId, tuple[Instant, HistoryId]] = {}

    def hear(self, node: NodeId, history: HistoryId, now: Instant) -> None:
        """A frame of this node was refused, for it names this history."""
        self._heard[node] = now, history

    def now(self, now: Instant) -> dict[NodeId, HistoryId]:
        """Those that speak, with the history that each names."""
        return {node: history for node, (at, history) in self._heard.items() if now - at < self._counts_s}

    def alarm(self, node: NodeId, ours: HistoryId, now: Instant) -> Sentence:
        """What there is to say of this node; empty if it speaks of no other history than `ours`."""
        theirs = self.now(now).get(node, NO_HISTORY)
        if theirs in (NO_HISTORY, ours):
            return ""
        here = f"the others are of {_text(ours)}" if ours else "that one is over here"
        return (
            f"{node} has a directory of history {_text(theirs)}, and {here}: stop it, and start it with the directory "
            "that it had, or with an empty one"
        )

    def contradiction(self, ours: HistoryId, alike: Collection[NodeId], now: Instant) -> Sentence:
        """Why nothing may be given out of a log of `ours` (law 2); `alike`: who speaks and is of the same history."""
        foreign = self._others_of(ours, now)
        if not foreign or len(foreign) < 1 + len(set(alike) - {self._node_id}):
            return ""
        told = names([f"{node} of {_text(theirs)}" for node, theirs in sorted(foreign.items())])
        return (
            f"{self._node_id} has a directory of history {_text(ours)}, and other nodes have others ({told}), so it "
            f"gives nothing out of its log: start {self._node_id} with an empty directory, or the others with those "
            "that they had"
        )

    def outnumber(self, ours: HistoryId, alike: Collection[NodeId], now: Instant) -> bool:
        """Whether more nodes contradict this one than agree with it (law 3)."""
        return len(self._others_of(ours, now)) > 1 + len(set(alike) - {self._node_id})

    def _others_of(self, ours: HistoryId, now: Instant) -> dict[NodeId, HistoryId]:
        return {} if ours == NO_HISTORY else {node: each for node, each in self.now(now).items() if each != ours}


def _text(history: HistoryId) -> str:
    return history.hex()[:8]
