"""What every role has in common: messages and time go in, an `Output` comes out.

Laws:
1. An agent has no clock, no randomness of its own, no file, socket, thread or log. The same calls with
   the same arguments give the same outputs.
2. What claims nothing about this node's disk may leave at once (`send_early`); what does claim something
   leaves after this turn's records are durable (`send`). The driver keeps that order, and nothing else can
   send: a promise or a vote that is told before it is on disk cannot be written here.
3. A broken invariant of our own raises `InvariantBroken` and ends the process. A peer's bytes never do: a
   message that does not fit the state is dropped, counted and named (`ignore`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar

from paxosd.core.messages import Message, Refused
from paxosd.core.records import Record
from paxosd.core.types import (
    NO_HISTORY,
    NO_LAG,
    ClientAddress,
    HistoryId,
    Instant,
    Lag,
    NodeId,
    Outcome,
    Revision,
    Sending,
    Slot,
    Source,
)
from paxosd.core.voters import Known, Voters


class InvariantBroken(AssertionError):
    """This node's own state contradicts the protocol. It must stop before it tells anybody anything."""


def require(holds: bool, sentence: str) -> None:
    """Raise `InvariantBroken` with this sentence unless it holds; stays on in production."""
    if not holds:
        raise InvariantBroken(sentence)


def earliest(*times: Instant | None) -> Instant | None:
    """The first of these, None if there is none; asked at every turn, so it makes nothing."""
    first = None
    for at in times:
        if at is not None and (first is None or at < first):
            first = at
    return first


@dataclass(frozen=True, slots=True)
class Event:
    """Something that an operator wants to read in the log, with a stable name such as `leader.elected`."""

    name: str
    fields: dict[str, object]
    is_warning: bool = False


@dataclass(slots=True)
class Output:
    """What one turn asks of the world, in this order."""

    early: list[tuple[Source, Message]] = field(default_factory=list)
    """Claims nothing about this node's disk: may leave at once."""
    records: list[Record] = field(default_factory=list)
    """Made durable in one commit."""
    messages: list[tuple[Source, Message]] = field(default_factory=list)
    """Claims something: leaves after the commit."""
    chosen: list[tuple[Slot, bytes]] = field(default_factory=list)
    """Applied in slot order without gaps, each slot once per life of the node, then answered."""
    events: list[Event] = field(default_factory=list)
    """For the operator's log; changes nothing."""
    installed: bool = False
    """With these records another state is kept: it is read anew before anything is applied."""

    def __bool__(self) -> bool:
        return bool(self.early or self.records or self.messages or self.chosen or self.events)


class Timer(Enum):
    """Everything that an agent waits for. A timer is data: it can be printed and compared."""

    ELECTION = auto()
    PREPARE = auto()
    HEARTBEAT = auto()
    QUORUM = auto()
    RETRY = auto()
    FILL = auto()
    TELL = auto()
    FETCH = auto()
    PAGE = auto()
    SYNC = auto()
    SNAPSHOT = auto()
    OFFER = auto()
    REPLAY = auto()
    ANSWER = auto()
    STATUS = auto()
    PING = auto()
    READS = auto()
    FAREWELL = auto()
    RECALL = auto()


class Agent(ABC):
    """A participant. The driver calls `receive` per message, then `tick`, then `take_output`, once a turn."""

    inbound: ClassVar[tuple[type, ...]] = ()
    """The messages that this agent takes; the driver hands it no other."""

    def __init__(self, node_id: NodeId) -> None:
        self.node_id = node_id
        self.ignored: Counter[str] = Counter()
        self.known = Known()
        self._output = Output()
        self._deadlines: dict[Timer, Instant] = {}
        self._fired: tuple[Timer | None, Instant] = None, 0.0  # the timer that fires now, and when it was due

    # ---- what the driver calls ----

    @abstractmethod
    def restore(self, records: Iterable[Record], now: Instant) -> None:
        """Take up what an earlier life made durable; called once, before anything else."""

    def resume(self, revision: Revision) -> None:  # noqa: B027 (most roles apply nothing)
        """Earlier lives applied all up to this revision, and that is kept; called before `restore`."""

    @abstractmethod
    def receive(self, source: Source, message: Message, now: Instant) -> None:
        """Handle one message from this node or client."""

    def tick(self, now: Instant) -> None:
        """Fire what is due, and still is when its turn comes: a timer may disarm another, or put it off."""
        deadlines = self._deadlines
        if not deadlines or min(deadlines.values()) > now:
            return
        due = sorted((at, timer.value, timer) for timer, at in deadlines.items() if at <= now)
        for _, _, timer in due:
            if deadlines.get(timer, math.inf) <= now:
                self._fired = timer, deadlines.pop(timer)
                self.on_timer(timer, now)
        self._fired = None, 0.0

    def next_deadline(self) -> Instant | None:
        """When `tick` has something to do if no message comes before; None: never."""
        deadlines = self._deadlines
        return min(deadlines.values()) if deadlines else None

    def take_output(self) -> Output:
        """What the calls since the last time ask of the world; empties it."""
        output, self._output = self._output, Output()
        return output

    def share_output(self, output: Output) -> None:
        """Write what is asked for into this output from now on: that of the node of which this role is a part."""
        self._output = output

    @property
    def history(self) -> HistoryId:
        """The history to which this node belongs; empty as long as it does not know who votes in any."""
        return NO_HISTORY if self.known.is_hearsay else self.known.voters.history

    def meet_history(self, source: NodeId, history: HistoryId, now: Instant) -> None:
        """A frame of another node, which belongs to this history (or to none), while this one belongs to none yet.

        One that was restored has to hear first where that was born (`continuing.py`).
        """
        if history != NO_HISTORY and self.known.hear_of(history):
            self.record(self.voters)

    def meet_foreign(self, source: NodeId, history: HistoryId, now: Instant) -> None:  # noqa: B027 (gateways tell it)
        """A frame of another node was refused, for it is of this history, and we of another one."""

    def refuses_history(self, history: HistoryId) -> bool:
        """Whether whoever belongs to this history is not heard, though this node may belong to none yet."""
        return self.known.refuses(history)

    def applied(self, slot: Slot, outcomes: list[Outcome], now: Instant) -> None:  # noqa: B027 (most roles apply nothing)
        """The driver applied a chosen value of an earlier output; gateways answer their clients here."""

    def sheds(self, now: Instant) -> bool:
        """Whether commands of clients are refused at the moment, whatever they are, so that nobody need read them."""
        return False

    def shed(self, client: ClientAddress, sending: Sending, now: Instant) -> Refused | None:
        """The refusal of this sending, of which nobody has read the commands; None: it has to be received as usual."""
        return None

    def drain(self, now: Instant) -> None:  # noqa: B027 (most roles have nothing to finish)
        """Take no new work and finish what was taken: the node is about to stop."""

    @property
    def lag(self) -> Lag:
        """How far this node is behind what is known to be chosen; empty if it is not, or applies nothing."""
        return NO_LAG

    @property
    def drained(self) -> bool:
        """Whether nothing is left to finish after `drain`."""
        return True

    # ---- what a role uses ----

    @property
    def voters(self) -> Voters:
        """The newest that are known."""
        return self.known.voters

    def take_up(self, voters: Voters) -> bool:
        """Know these voters from now on, durably, if they are newer; whether they are."""
        if not self.known.take_up(voters):
            return False
        self.record(voters)
        return True

    def _learn_voters(self, voters: Voters, now: Instant) -> None:
        """Take up who votes, as another node says."""
        self.take_up(voters)
        self._notice_voters(now)

    def _notice_voters(self, now: Instant) -> None:  # noqa: B027 (gateways count nobody's votes)
        """Do what it means for this role that others vote, if they do. Another role may have learned it, too."""

    def on_timer(self, timer: Timer, now: Instant) -> None:
        """A timer that this role armed is due; it is disarmed before the call."""
        raise InvariantBroken(f"{type(self).__name__} armed {timer} and does not handle it")

    def late_s(self, timer: Timer, now: Instant) -> float:
        """How late this timer, which fires now, is: so long this process did nothing, or something else."""
        fired, due_at = self._fired
        return now - due_at if fired is timer else 0.0

    def arm(self, timer: Timer, at: Instant) -> None:
        self._deadlines[timer] = at

    def disarm(self, timer: Timer) -> None:
        self._deadlines.pop(timer, None)

    def send_early(self, target: Source, message: Message) -> None:
        self._output.early.append((target, message))

    def send_early_to_all(self, targets: Iterable[NodeId], message: Message) -> None:
        self._output.early += [(target, message) for target in targets]

    def send(self, target: Source, message: Message) -> None:
        self._output.messages.append((target, message))

    def record(self, record: Record) -> None:
        self._output.records.append(record)

    def report(self, event: str, **fields: object) -> None:
        self._output.events.append(Event(event, fields))

    def warn(self, event: str, **fields: object) -> None:
        """Report what somebody should look at."""
        self._output.events.append(Event(event, fields, is_warning=True))

    def ignore(self, reason: str) -> None:
        """Drop a message, for a named reason that shows in the counters."""
        self.ignored[reason] += 1
