"""Coverage marks: things that must be seen to have happened, counted. A night without them proves little.

A mark is hit by what nodes say, by what they make durable, by their events, and by what their agents ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from paxosd.core.agent import Event
from paxosd.core.messages import (
    Accept,
    Accepted,
    Applied,
    Fetch,
    FetchedVotes,
    FetchVotes,
    ForwardRefused,
    LogPage,
    Message,
    Nack,
    Prepare,
    Promise,
    ReadIndexReply,
    Refused,
    Resign,
)
from paxosd.core.reasons import Reason
from paxosd.core.records import Floor, Learned, Record, Voted
from paxosd.core.types import Ballot, NodeId, SessionId, Slot
from paxosd.core.values import is_noop
from paxosd.driver import Driver
from paxosd.wire.frames import ANOTHER_HISTORY

OF_RECIPES = (
    "entry taken",
    "entry got by one who waited for it",
    "entry locked",
    "entry locked again",
    "entry done with",
    "number changed",
    "number changed at the second try",
    "barrier passed",
    "barrier passed by one who waited",
    "double barrier entered by one who waited",
    "double barrier left by one who waited",
    "party joined",
    "party changed",
    "another leader seen",
)
"""What clients must have done with queues and the like, in the seeds of keys."""

EXPECTED = (
    *OF_RECIPES,
    "leader elected",
    "leader elected behind others",
    "duel of 3 ballots",
    "step-down by lost quorum",
    "step-down by a higher ballot",
    "gap filled by no-op",
    "gap filled by recovered value",
    "promise refused after restart",
    "re-ack from disk",
    "promise in several pages",
    "stale ballot frame discarded",
    "frame of an earlier life discarded",
    "window full",
    "client overload reject",
    "learner catches up from a learner",
    "learner catches up from acceptors",
    "votes let go of below a floor",
    "acceptor asked below its floor",
    "snapshot taken up",
    "read refused below what is kept",
    "duplicate command answered from the session table",
    "command withdrawn",
    "session evicted",
    "sequence gap refused",
    "read refused at deposed leader",
    "leadership handed over",
    "crash in a turn",
    "crash in recovery",
    "power loss with unsynced tail",
    "ended by a failed commit",
    "damaged directory refused",
    "garbage dropped",
    "history born",
    "acceptor wiped",
    "two acceptors wiped at once",
    "a copy ran beside its node",
    "storage id mismatch refused",
    "guest heard of its history",
    "new disk admitted",
    "new disk copied",
    "acceptor rolled back",
    "disk that went back in time noticed",
)
"""What a gate of many seeds must have seen, each at least once."""

_IGNORED = {
    "vote of another ballot": "stale ballot frame discarded",
    "promise that is not awaited": "stale ballot frame discarded",
    "heartbeat of an old leader": "stale ballot frame discarded",
}

_EVENTS = {
    "history.born": "history born",
    "disk.admitted": "new disk admitted",
    "disk.copied": "new disk copied",
    "disk.guest": "guest heard of its history",
    "disk.replaced": "replaced disk came back",
    "disk.rolled_back": "disk that went back in time noticed",
    "space.commands_refused": "commands refused for want of room",
    "state.differs": "digest mismatch found",
}

_DROPPED = {
    ANOTHER_HISTORY: "frame of another history refused",
    "old incarnation": "frame of an earlier life discarded",
    "malformed frame": "garbage dropped",
    "malformed message": "garbage dropped",
}


class Marks:
    """The marks of one run."""

    def __init__(self, window_slots: int) -> None:
        self.hits: Counter[str] = Counter()
        self._window_slots = window_slots
        self._answered: set[tuple[SessionId, int]] = set()
        self._ballots: set[Ballot] = set()  # prepared since something was last chosen
        self._recovered_values: dict[Slot, bytes] = {}
        self._voted_in_life: dict[tuple[NodeId, int], set[Slot]] = {}
        self._life: dict[NodeId, int] = {}

    def hit(self, mark: str) -> None:
        """It happened."""
        self.hits[mark] += 1

    # ---- what nodes do ----

    def started(self, node: NodeId, life: int) -> None:
        """A life begins."""
        self._life[node] = life
        self._voted_in_life[node, life] = set()

    def committed(self, node: NodeId, records: Sequence[Record]) -> None:
        """A commit returned."""
        for record in records:
            if isinstance(record, Voted):
                self._voted_in_life[node, self._life[node]].add(record.slot)
            elif isinstance(record, Learned):
                self._ballots.clear()
            elif isinstance(record, Floor):
                self.hit("votes let go of below a floor")

    def event(self, event: Event, watermark: Slot) -> None:
        """What a node reported for its operator, while every slot below `watermark` is chosen."""
        if event.name == "leader.elected":
            self.hit("leader elected")
            if event.fields["watermark"] != watermark:
                self.hit("leader elected behind others")
        elif event.name in _EVENTS:
            self.hit(_EVENTS[event.name])
        elif event.name == "snapshot.installed":
            self.hit("snapshot taken up")
        elif event.name == "leader.lost":
            self.hit(
                "step-down by lost quorum"
                if event.fields["why"] == "a quorum is silent"
                else "step-down by a higher ballot"
            )

    def ended(self, driver: Driver) -> None:
        """A life ended: what its agent ignored and its driver dropped counts."""
        for counted, meaning in ((driver.agent.ignored, _IGNORED), (driver.dropped, _DROPPED)):
            for reason, mark in meaning.items():
                self.hits[mark] += counted[reason]

    # ---- what nodes say ----

    def sent(self, node: NodeId, life: int, message: Message) -> None:
        """A node handed this message to the network."""
        match message:
            case Accepted(_, slot):
                if life > 1 and slot not in self._voted_in_life[node, life]:
                    self.hit("re-ack from disk")
            case Accept(_, slot, value, watermark):
                self._on_accept(slot, value, watermark)
            case Promise():
                self._on_promise(message)
            case Prepare(ballot):
                self._ballots.add(ballot)
                if len(self._ballots) == 3:
                    self.hit("duel of 3 ballots")
            case Nack():
                if life > 1:
                    self.hit("promise refused after restart")
            case Fetch():
                self.hit("learner catches up from a learner")
            case FetchVotes():
                self.hit("learner catches up from acceptors")
            case FetchedVotes(first, floor=floor):
                if floor > first:
                    self.hit("acceptor asked below its floor")
            case ForwardRefused(_, _, _, _, reason):
                if reason is Reason.OVERLOADED:
                    self.hit("client overload reject")
            case ReadIndexReply(_, applied):
                if applied == 0:
                    self.hit("read refused at deposed leader")
            case LogPage() if message.refused == Reason.COMPACTED:
                self.hit("read refused below what is kept")
            case Applied(session, first_seq, _, revision):
                if revision == 0:
                    self.hit("command withdrawn")
                if (session, first_seq) in self._answered:
                    self.hit("duplicate command answered from the session table")
                self._answered.add((session, first_seq))
            case Refused(_, _, _, _, reason):
                if reason is Reason.SESSION_UNKNOWN:
                    self.hit("session evicted")
                elif reason is Reason.GAP:
                    self.hit("sequence gap refused")
            case Resign():
                self.hit("leadership handed over")

    def _on_promise(self, message: Promise) -> None:
        if not message.end:
            self.hit("promise in several pages")
        for vote in message.votes:
            self._recovered_values[vote.slot] = vote.value

    def _on_accept(self, slot: Slot, value: bytes, watermark: Slot) -> None:
        recovered = self._recovered_values.pop(slot, None)
        if recovered == value and not is_noop(value):
            self.hit("gap filled by recovered value")
        elif is_noop(value) and any(above > slot for above in self._recovered_values):
            self.hit("gap filled by no-op")
        if slot == watermark + self._window_slots - 1:
            self.hit("window full")
