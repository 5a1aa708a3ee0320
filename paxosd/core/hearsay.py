"""A history that a node has heard of, and of which it has nothing: what it does until it knows who votes there.

Laws:
1. Who has heard of a history does not help to begin another one (`standing.py`, law 1). It keeps the name, durably.
2. It does not tell the name on: of a history only those speak that know who votes there. Otherwise a few nodes could
   remind each other for ever of what nobody has.
3. It takes nothing from others but who votes (and questions). So there is nothing of that history in it, and the first
   voters that it is told are those it goes on with, whatever name it had heard.
4. It forgets the name once every other node of the membership file has been heard since some moment, and none of them
   spoke of a history. Then nobody in the cluster has anything of it: who had it was started with an empty directory.
   As long as one node is away nothing is forgotten, for that one may have it all.

No vote is undone by that: a disk that voted in a history knows its voters. A directory that lay aside meanwhile is of
another history than the one that is born then, and is refused by name, as it would be had nobody ever heard of it.
"""

from __future__ import annotations

from collections.abc import Collection

from paxosd.core.messages import (
    DiskSpace,
    Fetched,
    Heartbeat,
    Message,
    Outdated,
    Ping,
    Pong,
    Prepare,
    PreVote,
    PreVoteReply,
    Recall,
    Recalled,
    SnapshotPart,
)
from paxosd.core.standstill import names
from paxosd.core.types import NO_HISTORY, HistoryId, Instant, NodeId

ASKED_EVERY_S = 1.0
"""How often the others are asked, by a ping, to say something."""
ROUND_S = 5.0
"""Within this time all others have to be heard."""

_QUESTIONS = (DiskSpace, Ping, Pong, Recall, Recalled)


def is_taken(message: Message) -> bool:
    """Whether a node that has only heard of a history takes this message of another one (law 3)."""
    if isinstance(message, Fetched | Heartbeat | Outdated | Prepare | PreVote | PreVoteReply | SnapshotPart):
        return message.voters.are_named or isinstance(message, Prepare | PreVote | PreVoteReply)
    return isinstance(message, _QUESTIONS)


class Hearsay:
    """Of one node, while it has only heard of a history; `others` are all other nodes of the membership file."""

    def __init__(self, others: Collection[NodeId]) -> None:
        self.alarm = ""  # what is to be told if it lasts
        self._others = tuple(others)
        self._quiet: set[NodeId] = set()  # who was heard in this round and spoke of no history
        self._speakers: dict[NodeId, HistoryId] = {}  # who spoke of one
        self._round_until: Instant | None = None
        self._ask_at: Instant = 0.0

    @property
    def deadline(self) -> Instant | None:
        """When `tick` has something to do; None: there is no hearsay."""
        return None if self._round_until is None else min(self._round_until, self._ask_at)

    def hear(self, node: NodeId, history: HistoryId) -> None:
        """A frame of another node spoke of this history, or of none."""
        if history == NO_HISTORY:
            self._quiet.add(node)
        else:
            self._speakers[node] = history

    @property
    def is_over(self) -> bool:
        """Whether nobody has that history (law 4)."""
        return not self._speakers and self._quiet.issuperset(self._others)

    def asks(self, now: Instant) -> bool:
        """Whether all others are to be asked now to say something."""
        due = now >= self._ask_at
        if due:
            self._ask_at = now + ASKED_EVERY_S
        return due

    def next_round(self, history: HistoryId, now: Instant) -> bool:
        """Begin a new round if the one before brought nothing; whether it is the first time that this is to be told."""
        if self._round_until is not None and now < self._round_until:
            return False
        before = self.alarm
        if self._round_until is not None:
            self.alarm = self._told(history)
        self._quiet, self._speakers, self._round_until = set(), {}, now + ROUND_S
        return bool(self.alarm) and not before

    def end(self) -> None:
        """Who votes is known, or the name is forgotten."""
        self.alarm, self._round_until = "", None
        self._quiet.clear()
        self._speakers.clear()

    def _told(self, history: HistoryId) -> str:
        told = f"this node has heard of history {history.hex()[:8]}, has nothing of it, and begins no other one"
        if self._speakers:
            speakers = names(self._speakers)
            return (
                f"{told}; {speakers} {'has' if len(self._speakers) == 1 else 'have'} a directory of one: start its "
                f"acceptors with the directories that they had; or, to give it up, start {speakers} with an empty one"
            )
        missing = [node for node in self._others if node not in self._quiet]
        return (
            f"{told}; it is forgotten once every node of the membership file is heard and none speaks of it: start "
            f"{names(missing)}; or stop all nodes, and start all with empty directories"
        )
