"""A node: the roles of one process behind one agent.

A message to oneself takes the same way as one to a peer. What may leave early is handed over at once; what
claims something durable goes out through the `Output` and comes back after the commit. So a replica is a
composition of the three roles, and not a fourth protocol.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from paxosd.core.acceptor import Acceptor
from paxosd.core.admission import WITH_VOTERS, Admission
from paxosd.core.agent import Agent, Output, earliest
from paxosd.core.hearsay import Hearsay, is_taken
from paxosd.core.learner import Learner
from paxosd.core.membership import Membership
from paxosd.core.messages import (
    DiskSpace,
    Heartbeat,
    Message,
    Ping,
    Pong,
    Recall,
    Recalled,
    Refused,
)
from paxosd.core.options import Limits
from paxosd.core.proposer import Proposer
from paxosd.core.records import Record, Seen
from paxosd.core.seen import Memory, hear, recalled
from paxosd.core.space import Space, space_of
from paxosd.core.types import (
    FIRST_SLOT,
    NO_BALLOT,
    NO_DISK,
    NO_LAG,
    SENTENCE_CHARS_MAX,
    Ballot,
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
from paxosd.core.voters import Voters

NAMES_CHARS_MAX = 200
"""How much of a list of names is told."""

LEADER_TOLD_EVERY_S = 1.0
"""How often a new leadership is reported at most: whoever claims a higher one all the time must not fill the log."""

_ADVICE = {
    Space.UNKNOWN: "it is not looked at any more",
    Space.ENOUGH: "there is room again",
    Space.LOW: "the disk is nearly full: make room, or raise storage.quota; new commands may be refused",
    Space.FULL: "the disk is full: make room, or raise storage.quota; this node takes nothing new until then",
}


class Node(Agent):
    """One or more roles of one node; each message goes to every role that takes it."""

    def __init__(
        self,
        node_id: NodeId,
        membership: Membership,
        limits: Limits,
        *,
        proposer: Proposer | None = None,
        acceptor: Acceptor | None = None,
        learner: Learner | None = None,
        gateway: Agent | None = None,
    ) -> None:
        super().__init__(node_id)
        self._admission = Admission(membership, limits)
        self._proposer, self._acceptor, self._learner, self._gateway = proposer, acceptor, learner, gateway
        # A turn goes down this list: what a gateway forwards early is proposed, and what a proposer proposes
        # early is voted for, in the same turn.
        parts: list[Agent | None] = [gateway, proposer, acceptor, learner]
        self._parts = [part for part in parts if part is not None]
        if self._parts:
            self.known = self._parts[0].known  # one for all: what one role knows, the others know too
        self._takers: defaultdict[type, list[Agent]] = defaultdict(list)
        for part in self._parts:
            part.ignored = self.ignored
            part.known = self.known
            part.share_output(self._output)
            for message_type in part.inbound:
                self._takers[message_type].append(part)
        self._early_seen = 0  # early messages of this turn that are known to be for others
        self._heard: Ballot = NO_BALLOT  # the latest leadership heard of
        self._told: Ballot = NO_BALLOT  # the latest one that was reported
        self._told_at: Instant = -math.inf
        self._pings: dict[Source, int] = {}  # the latest of each node, answered in this turn
        self._revision: Revision = 0
        self._told_of_space = tuple(dict.fromkeys((*membership.proposers, *membership.learners)))
        self._space = Space.UNKNOWN
        self._now: Instant = 0.0
        self._told_of_other_end = False
        self._memory = Memory()  # of nodes without an acceptor, which has its own
        self._others = tuple(node for node in membership.nodes if node != node_id)
        self._hearsay = Hearsay(self._others)

    def restore(self, records: Iterable[Record], now: Instant) -> None:
        durable = tuple(records)
        self.known.restore(durable)
        for part in self._parts:
            part.restore(durable, now)
        for record in durable:
            if isinstance(record, Seen):
                self._memory.restore(record, self.known)
        self._admission.restore(durable, self._watermark, self.known.voters.history)

    def resume(self, revision: Revision) -> None:
        self._revision = revision

    def receive(self, source: Source, message: Message, now: Instant) -> None:
        if isinstance(source, str) and source != self.node_id:
            refusal = self._admission.refusal(source, message, now)
            if refusal:
                return self.ignore(refusal)
            if self.known.is_hearsay and not is_taken(message):
                return self.ignore("message of a history that is only heard of")
        if isinstance(message, Ping):
            self._pings[source] = message.sequence
            return None
        if isinstance(message, WITH_VOTERS) and not self.known.is_same_history(message.voters):
            self._tell_of_other_end(message.voters)
            return self.ignore("voters of another history")
        if isinstance(message, DiskSpace) and source == self.node_id:
            message = self._tell_space(message)
        if isinstance(message, Heartbeat) and message.ballot > self._heard:
            self._heard = message.ballot
        if self._acceptor is None and self._witnesses(source, message):
            return None
        takers = self._takers.get(type(message))
        if takers is None and isinstance(message, Pong):
            return None  # that it was said is all it is about (`hearsay.py`)
        if takers is None:
            return self.ignore(f"{type(message).__name__} is for another role")
        for part in takers:
            part.receive(source, message, now)
        return None

    def meet_history(self, source: NodeId, history: HistoryId, now: Instant) -> None:
        super().meet_history(source, history, now)
        if self.known.is_hearsay:
            self._hearsay.hear(source, history)

    def meet_foreign(self, source: NodeId, history: HistoryId, now: Instant) -> None:
        for part in self._parts:
            part.meet_foreign(source, history, now)

    def _look_at_hearsay(self, now: Instant) -> None:
        """Forget what was heard of once nobody has it; ask for that, and say so if it lasts."""
        hearsay, history = self._hearsay, self.voters.history
        if not self.known.is_hearsay:
            return hearsay.end()
        if hearsay.is_over:
            hearsay.end()
            self.known.forget_hearsay()
            self.record(self.voters)
            return self.report("history.forgotten", history=history.hex(), why="no node has it")
        if hearsay.next_round(history, now):
            self.warn("history.heard_of", history=history.hex(), what=hearsay.alarm)
        if hearsay.asks(now):
            for node in self._others:
                self.send_early(node, Ping(0))
        return None

    def _tell_of_other_end(self, voters: Voters) -> None:
        """A restored node that hears of a history which was born elsewhere says so, once."""
        continues = self.known.continues
        if continues is None or voters.history == continues.history or self._told_of_other_end:
            return
        self._told_of_other_end = True
        self.warn(
            "history.not_joined",
            history=voters.history.hex(),
            born=voters.birth,
            restored_to=continues.watermark,
            advice="restore this node from the very backup, and to the very end, from which the others were",
        )

    def _witnesses(self, source: Source, message: Message) -> bool:
        """Remember what is told of disks, and answer acceptors that ask for it; whether that was all it is about."""
        if isinstance(message, Recall):
            known = recalled(self.known, message)
            if isinstance(known, Recalled) or (known is not None and self._proposer is not None):
                self.send_early(source, known)
            return True
        if isinstance(message, Heartbeat) and source == message.ballot.proposer != self.node_id:
            for told in message.seen:
                if (answer := hear(self.known, told)) is not None:
                    self.send_early(*answer)
        return False

    def sheds(self, now: Instant) -> bool:
        return self._gateway is not None and self._gateway.sheds(now)

    def shed(self, client: ClientAddress, sending: Sending, now: Instant) -> Refused | None:
        return None if self._gateway is None else self._gateway.shed(client, sending, now)

    def tick(self, now: Instant) -> None:
        self._now = now
        self._look_at_hearsay(now)
        for part in self._parts:
            if self._early_seen < len(self._output.early):
                self._hand_over_early()
            part.tick(now)
        self._answer_pings()
        self._report_leader(now)
        if self._acceptor is None and (seen := self._memory.record(self.known, now)) is not None:
            self.record(seen)

    def next_deadline(self) -> Instant | None:
        return earliest(self._hearsay.deadline, *[part.next_deadline() for part in self._parts])

    def take_output(self) -> Output:
        if self._early_seen < len(self._output.early):
            self._hand_over_early()
        output = super().take_output()
        self._early_seen = 0
        for part in self._parts:
            part.share_output(self._output)
        return output

    def applied(self, slot: Slot, outcomes: list[Outcome], now: Instant) -> None:
        for outcome in outcomes:
            if outcome.revision:
                self._revision = max(self._revision, outcome.revision + outcome.count - 1)
        for part in self._parts:
            part.applied(slot, outcomes, now)

    def drain(self, now: Instant) -> None:
        for part in self._parts:
            part.drain(now)

    @property
    def lag(self) -> Lag:
        return next((part.lag for part in self._parts if part.lag), NO_LAG)

    @property
    def drained(self) -> bool:
        return all(part.drained for part in self._parts)

    def _hand_over_early(self) -> None:
        """Take what the roles sent early to this node itself out of the output, and hand it over at once."""
        early = self._output.early
        while self._early_seen < len(early):
            target, message = early[self._early_seen]
            if target == self.node_id:
                del early[self._early_seen]
                self.receive(target, message, self._now)
            else:
                self._early_seen += 1

    def _report_leader(self, now: Instant) -> None:
        """Once for each leadership, and not more often than every `LEADER_TOLD_EVERY_S`, whatever is claimed."""
        if self._heard > self._told and now - self._told_at >= LEADER_TOLD_EVERY_S:
            self._told, self._told_at = self._heard, now
            self.report("leader.heard", leader=self._heard.proposer, ballot=str(self._heard))

    def _tell_space(self, found: DiskSpace) -> DiskSpace:
        """Tell everybody whom it concerns how our disk is, and the log when that has changed."""
        refuses = self._proposer is not None and self._proposer.refuses_for_space
        told = DiskSpace(found.space, found.data_bytes, found.room_bytes, refuses)
        for node in self._told_of_space:
            if node != self.node_id:
                self.send_early(node, told)
        space = space_of(found.space)
        if space is not self._space and (space.is_short or self._space.is_short):
            tell = self.warn if space.is_short else self.report
            tell(f"space.{space.name.lower()}", data_bytes=found.data_bytes, advice=_ADVICE[space])
        self._space = space
        return told

    def _answer_pings(self) -> None:
        for source, sequence in self._pings.items():
            self.send(source, self._pong(sequence))
        self._pings.clear()

    @property
    def _watermark(self) -> Slot:
        parts = (self._acceptor, self._proposer, self._learner)
        return max((part.watermark for part in parts if part is not None), default=FIRST_SLOT)

    def _pong(self, sequence: int) -> Pong:
        ballot, watermark, applied = NO_BALLOT, FIRST_SLOT, 0
        if self._acceptor is not None:
            ballot, watermark = self._acceptor.promised, self._acceptor.watermark
        if self._proposer is not None:
            ballot, watermark = max(ballot, self._proposer.ballot), max(watermark, self._proposer.watermark)
        if self._learner is not None:
            ballot, watermark = max(ballot, self._learner.ballot), max(watermark, self._learner.watermark)
            applied = self._learner.next_slot
        leading = self._proposer is not None and self._proposer.leading
        disk = NO_DISK if self._acceptor is None else self._acceptor.standing.disk
        standing = "" if self._acceptor is None else self._acceptor.standing_text
        waits_for = "" if self._proposer is None else ", ".join(self._proposer.waits_for)[:NAMES_CHARS_MAX]
        wrong = [self.known.difference, self._hearsay.alarm]
        if self._proposer is not None:
            wrong = [self._proposer.loss, self._proposer.lost, *wrong]
        if self._learner is not None:
            wrong.append(self._learner.gone)
        alarm = "; ".join(filter(None, wrong))[:SENTENCE_CHARS_MAX]
        facts = sequence, leading, ballot, watermark, applied, self._revision
        return Pong(*facts, self.history, disk, standing, waits_for, alarm)


class Replica(Node):
    """A proposer, an acceptor and a learner in one process, usually with a gateway."""

    def __init__(
        self,
        node_id: NodeId,
        membership: Membership,
        limits: Limits,
        proposer: Proposer,
        acceptor: Acceptor,
        learner: Learner,
        gateway: Agent | None = None,
    ) -> None:
        super().__init__(
            node_id, membership, limits, proposer=proposer, acceptor=acceptor, learner=learner, gateway=gateway
        )
