"""The proposer: gets elected, then puts commands into slots, many at a time.

    FOLLOWING --silence--> CANVASSING --quorum would promise--> PREPARING --quorum promised--> LEADING
        ^                      |                                    |                             |
        +------ refused, or a quorum is silent, or a higher ballot is about, or it resigns -------+

Laws:
1. The round of a ballot is durable before the first Prepare of that ballot leaves, and every life of a
   proposer uses rounds above all that it made durable: no ballot is used twice.
2. Phase 1 happens once per leadership and covers every slot from `from_slot` on.
3. In a slot for which phase 1 told votes, it proposes the value of the highest; it invents a no-op only in
   a slot below such a one for which its whole quorum told nothing.
4. It serves reads only after a value of its own ballot is chosen, and after a quorum confirmed this round.
5. A leader that a quorum did not answer for an election timeout stops leading, whoever still hears it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from random import Random
from typing import get_args

from paxosd.core.agent import Agent, Timer, require
from paxosd.core.intake import Intake
from paxosd.core.membership import Membership
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Forward,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Message,
    Nack,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    ProposerInbound,
    ReadIndex,
    ReadIndexReply,
    Reason,
    Resign,
    Watermark,
)
from paxosd.core.options import Limits, Timing
from paxosd.core.phase1 import PhaseOne
from paxosd.core.phase2 import PhaseTwo
from paxosd.core.plausible import LOG_TIME_MAX_MS, LOG_TIME_REACH_MS, ROUND_MAX, Ceiling
from paxosd.core.reads import ReadRounds
from paxosd.core.records import Record, Round
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, Instant, NodeId, Slot, Source
from paxosd.core.values import COMMANDS_MAX, encode_value, readable_stamp_ms

ELECTION_SPREAD = 0.5
"""Campaigns start after 1 to 1 + this many election timeouts of silence, at random, so that few collide."""


class Phase(Enum):
    """Where a proposer is in its life."""

    FOLLOWING = "following"
    CANVASSING = "canvassing"
    PREPARING = "preparing"
    LEADING = "leading"


class Proposer(Agent):
    """Campaigns when nobody leads, and leads while a quorum follows."""

    inbound = get_args(ProposerInbound)

    def __init__(self, node_id: NodeId, membership: Membership, timing: Timing, limits: Limits, random: Random) -> None:
        super().__init__(node_id)
        self._nodes = membership.nodes
        self._acceptors = membership.acceptors
        self._other_replicas = tuple(node for node in membership.replicas if node != node_id)
        self._told_of_chosen = membership.pure_learners + ((node_id,) if node_id in membership.replicas else ())
        self._others = tuple(node for node in membership.nodes if node != node_id)
        self._quorum = membership.quorum
        self._timing = timing
        self._limits = limits
        self._random = random
        self.phase = Phase.FOLLOWING
        self.ballot: Ballot = NO_BALLOT  # ours while canvassing, preparing or leading; the one we follow otherwise
        self.watermark: Slot = FIRST_SLOT
        self._round = 0  # the highest round of ours that is durable
        self._highest: Ballot = NO_BALLOT  # the highest ballot seen anywhere
        self._log_time_ms = 0  # the latest stamp we know of
        self._log_time_at: Instant = 0.0  # when we learned it
        self._log_times = Ceiling(LOG_TIME_REACH_MS, LOG_TIME_MAX_MS)
        self._supporters: set[NodeId] = set()  # who would promise our ballot (canvassing)
        self._phase1: PhaseOne | None = None
        self._phase2: PhaseTwo | None = None
        self._recovered_stop: Slot = FIRST_SLOT  # slots below are bound by phase 1; at it we open with our own no-op
        self._intake = Intake(limits.pending_bytes_max, limits.value_bytes_max)
        self._reads = ReadRounds(self._quorum)
        self._heard_at: dict[NodeId, Instant] = {}  # when each acceptor last answered our ballot
        self._sequence = 0
        self._watermark_told: Slot = FIRST_SLOT
        self._draining = False

    @property
    def leading(self) -> bool:
        return self.phase is Phase.LEADING

    def restore(self, records: Iterable[Record], now: Instant) -> None:
        for record in records:
            if isinstance(record, Round):
                self._round = record.round
        self._log_time_at = now
        if self._round >= ROUND_MAX:
            self.report("rounds.exhausted", round=self._round, advice="this node can lead no more; see plausible.py")
        # With nobody leading yet there is nothing to wait for, except for the others not to start at once too.
        self.arm(Timer.ELECTION, now + self._random.uniform(0.1, 1.0) * self._timing.election_s)

    def receive(self, source: Source, message: Message, now: Instant) -> None:
        assert isinstance(source, str)
        match message:
            case Accepted(ballot, slot):
                self._on_accepted(source, ballot, slot, now)
            case Forward():
                self._on_forward(source, message)
            case HeartbeatReply(ballot, sequence):
                self._on_heartbeat_reply(source, ballot, sequence, now)
            case Heartbeat():
                self._on_heartbeat(source, message, now)
            case PreVoteReply():
                self._on_pre_vote_reply(source, message, now)
            case Promise():
                self._on_promise(source, message, now)
            case Nack():
                self._on_nack(message, now)
            case ReadIndex(request):
                self._on_read_index(source, request)
            case Resign(ballot):
                self._on_resign(source, ballot, now)

    def on_timer(self, timer: Timer, now: Instant) -> None:
        match timer:
            case Timer.ELECTION:
                self._canvass(now)
            case Timer.PREPARE:
                self._ask_promises()
                self.arm(Timer.PREPARE, now + self._timing.retry_s)
            case Timer.HEARTBEAT:
                self._heartbeat(now)
            case Timer.QUORUM:
                self._check_quorum(now)
            case Timer.RETRY:
                self._retry(now)
            case Timer.FAREWELL:
                pass  # drained

    def tick(self, now: Instant) -> None:
        super().tick(now)
        if self._phase2 is not None:
            self._fill_window(self._phase2, now)
            self._confirm_reads(now)
            self._tell_watermark(self._phase2)
            self._hand_over_when_idle(self._phase2, now)

    # ---- stopping ----

    def drain(self, now: Instant) -> None:
        self._draining = True
        if self.phase in (Phase.CANVASSING, Phase.PREPARING):
            self._follow("stopping", now)

    @property
    def drained(self) -> bool:
        return self._draining and not self.leading and Timer.FAREWELL not in self._deadlines

    def _hand_over_when_idle(self, phase2: PhaseTwo, now: Instant) -> None:
        """Stop leading once all that was taken is chosen, and spare the others the wait for our silence."""
        if self._draining and not self._intake and phase2.in_flight == 0:
            for node in self._others:
                self.send_early(node, Resign(self.ballot))
            self._follow("resigned", now)
            self.arm(Timer.FAREWELL, now + self._timing.retry_s)  # what crosses it on the way is refused, not lost

    # ---- following ----

    def _on_heartbeat(self, source: NodeId, message: Heartbeat, now: Instant) -> None:
        if source != message.ballot.proposer:
            return self.ignore("message of a foreign ballot")
        if message.ballot < self.ballot and self.phase is not Phase.CANVASSING:  # a canvassed ballot is only a wish
            return self.ignore("heartbeat of an old leader")
        self._see(message.ballot)
        if source == self.node_id:
            return
        if self.phase is not Phase.FOLLOWING:
            self._follow(f"{source} leads", now)
        self.ballot = message.ballot
        self.watermark = max(self.watermark, message.watermark)
        self._learn_log_time(message.log_time_ms, now)
        self._await_silence(now)

    def _await_silence(self, now: Instant) -> None:
        spread = self._random.uniform(1.0, 1.0 + ELECTION_SPREAD)
        self.arm(Timer.ELECTION, now + spread * self._timing.election_s)

    def _on_resign(self, source: NodeId, ballot: Ballot, now: Instant) -> None:
        if source == ballot.proposer and ballot == self.ballot and self.phase is Phase.FOLLOWING:
            self.arm(Timer.ELECTION, now + self._random.uniform(0.0, 0.2) * self._timing.election_s)

    def _see(self, ballot: Ballot) -> None:
        self._highest = max(self._highest, ballot)

    def _follow(self, why: str, now: Instant) -> None:
        """Stop whatever leads to leading, and wait."""
        if self.phase is Phase.LEADING:
            self.report("leader.lost", ballot=str(self.ballot), why=why)
        for gateway, forward in self._intake.drop_all():
            self._refuse(gateway, forward, Reason.NOT_LEADER)  # never proposed, so certainly not in the log
        for gateway, request in self._reads.drop_all():
            self.send_early(gateway, ReadIndexReply(request, 0))
        self.phase = Phase.FOLLOWING
        self.ballot = NO_BALLOT
        self._phase1 = self._phase2 = None
        for timer in (Timer.PREPARE, Timer.HEARTBEAT, Timer.QUORUM, Timer.RETRY):
            self.disarm(timer)
        self._await_silence(now)

    # ---- getting elected ----

    def _canvass(self, now: Instant) -> None:
        """Ask whether a quorum would follow, before a ballot is used up and a working leader disturbed."""
        if self._draining or self._next_ballot().round > ROUND_MAX:
            return
        if self.phase is not Phase.FOLLOWING:
            self._follow("no quorum in time", now)
        self.phase = Phase.CANVASSING
        self.ballot = self._next_ballot()
        self._supporters = set()
        for acceptor in self._acceptors:
            self.send_early(acceptor, PreVote(self.ballot))
        self._await_silence(now)

    def _next_ballot(self) -> Ballot:
        return Ballot(max(self._round, self._highest.round) + 1, self.node_id)

    def _on_pre_vote_reply(self, source: NodeId, message: PreVoteReply, now: Instant) -> None:
        self._see(message.promised)
        self.watermark = max(self.watermark, message.watermark) if self._phase2 is None else self.watermark
        if self.phase is not Phase.CANVASSING or message.ballot != self.ballot or not message.granted:
            return self.ignore("pre-vote that does not count")
        self._supporters.add(source)
        # A leader needs accept quorums too; without one it would be elected again and again, in vain.
        if self._quorum.can_prepare(self._supporters) and self._quorum.can_accept(self._supporters):
            self._prepare(now)

    def _prepare(self, now: Instant) -> None:
        self.ballot = self._next_ballot()
        require(self.ballot.round > self._round, f"round {self.ballot.round} was used before")
        self._round = self.ballot.round
        self.record(Round(self._round))
        self.phase = Phase.PREPARING
        # One slot below the watermark, so that a quorum tells a stamp of log time even if nothing is in flight.
        from_slot = max(FIRST_SLOT, self.watermark - 1)
        self._phase1 = PhaseOne(self.ballot, from_slot, self._acceptors, self._quorum)
        self._ask_promises()
        self.arm(Timer.PREPARE, now + self._timing.retry_s)
        self._await_silence(now)

    def _ask_promises(self) -> None:
        assert self._phase1 is not None
        for acceptor, slot in self._phase1.missing().items():
            self.send(acceptor, Prepare(self.ballot, slot))

    def _on_promise(self, source: NodeId, message: Promise, now: Instant) -> None:
        phase1 = self._phase1
        if self.phase is not Phase.PREPARING or phase1 is None or not phase1.take(source, message):
            return self.ignore("promise that is not awaited")
        if phase1.complete:
            return self._lead(phase1, now)
        if not message.end:
            self.send(source, Prepare(self.ballot, message.stop))
        self._await_silence(now)  # pages are coming in: no reason to begin again

    def _on_nack(self, message: Nack, now: Instant) -> None:
        self._see(message.promised)
        if self.phase in (Phase.PREPARING, Phase.LEADING) and message.ballot == self.ballot < message.promised:
            self._follow(f"ballot {message.promised} is about", now)

    # ---- leading ----

    def _lead(self, phase1: PhaseOne, now: Instant) -> None:
        self.phase = Phase.LEADING
        self.watermark = max(self.watermark, phase1.watermark)
        for value in phase1.values():
            self._learn_log_time(readable_stamp_ms(value), now)
        self._recovered_stop = max(phase1.stop, self.watermark)
        limits = self._limits
        self._phase2 = PhaseTwo(self._quorum, self.watermark, limits.window_slots_max, limits.window_bytes_max)
        self._heard_at = dict.fromkeys(self._acceptors, now)
        self._sequence = 0
        self._watermark_told = FIRST_SLOT
        self.disarm(Timer.PREPARE)
        self.disarm(Timer.ELECTION)
        self.arm(Timer.QUORUM, now + self._timing.election_s)
        self.arm(Timer.RETRY, now + self._timing.retry_s)
        self._heartbeat(now)
        self.report("leader.elected", ballot=str(self.ballot), watermark=self.watermark, next_slot=self._recovered_stop)

    def _fill_window(self, phase2: PhaseTwo, now: Instant) -> None:
        while phase2.has_room:
            slot = phase2.next_slot
            if slot <= self._recovered_stop:
                self._propose(phase2, self._bound_value(slot, now), now)
            elif self._intake:
                self._propose(phase2, encode_value(self._stamp(now), self._intake.take(slot)), now)
            else:
                return

    def _bound_value(self, slot: Slot, now: Instant) -> bytes:
        """What phase 1 binds this slot to, or a no-op: to fill a hole, and once to open the leadership."""
        assert self._phase1 is not None
        bound = self._phase1.value(slot)
        return encode_value(self._stamp(now)) if bound is None else bound

    def _propose(self, phase2: PhaseTwo, value: bytes, now: Instant) -> None:
        slot = phase2.propose(value, now)
        accept = Accept(self.ballot, slot, value, phase2.watermark)
        for acceptor in self._acceptors:
            self.send_early(acceptor, accept)
        self._watermark_told = phase2.watermark

    def _on_accepted(self, source: NodeId, ballot: Ballot, slot: Slot, now: Instant) -> None:
        phase2 = self._phase2
        if phase2 is None or ballot != self.ballot or source not in self._quorum.weights:
            return self.ignore("vote of another ballot")
        self._heard_at[source] = now
        value = phase2.vote(source, slot)
        if value is None:
            return
        self.watermark = phase2.watermark
        self._intake.chosen(slot)
        chosen = Chosen(slot, value)
        for learner in self._told_of_chosen:
            self.send_early(learner, chosen)

    def _tell_watermark(self, phase2: PhaseTwo) -> None:
        """An Accept carries the watermark for free; where none left this turn, say it: somebody waits for it."""
        if phase2.watermark > self._watermark_told:
            self._watermark_told = phase2.watermark
            told = Watermark(self.ballot, phase2.watermark)
            for replica in self._other_replicas:
                self.send_early(replica, told)

    def _retry(self, now: Instant) -> None:
        """Send a value in flight again, the same value, to those who did not vote."""
        assert self._phase2 is not None
        for slot, proposal in self._phase2.overdue(now, self._timing.retry_s):
            accept = Accept(self.ballot, slot, proposal.value, self._phase2.watermark)
            for acceptor in self._acceptors:
                if acceptor not in proposal.voters:
                    self.send_early(acceptor, accept)
        self.arm(Timer.RETRY, now + self._timing.retry_s / 2)

    # ---- staying leader ----

    def _heartbeat(self, now: Instant) -> None:
        self._sequence += 1
        message = Heartbeat(self.ballot, self._sequence, self.watermark, self._stamp(now))
        for node in self._nodes:
            self.send_early(node, message)
        self.arm(Timer.HEARTBEAT, now + self._timing.heartbeat_s)

    def _on_heartbeat_reply(self, source: NodeId, ballot: Ballot, sequence: int, now: Instant) -> None:
        if not self.leading or ballot != self.ballot or source not in self._quorum.weights:
            return self.ignore("heartbeat reply of another ballot")
        if sequence > self._sequence:
            return self.ignore("reply to a heartbeat that was not sent")
        self._heard_at[source] = now
        for (gateway, request), applied in self._reads.confirm(source, sequence):
            self.send_early(gateway, ReadIndexReply(request, applied))

    def _check_quorum(self, now: Instant) -> None:
        # A stopped process finds all its peers silent when it goes on; what they said meanwhile is still in its
        # queue and was read before this timer fired, so only true silence counts.
        heard = {acceptor for acceptor, at in self._heard_at.items() if now - at < self._timing.election_s}
        if not self._quorum.can_accept(heard):
            return self._follow("a quorum is silent", now)
        self.arm(Timer.QUORUM, now + self._timing.election_s / 4)

    # ---- commands and reads ----

    def _on_forward(self, source: NodeId, message: Forward) -> None:
        if self._draining or not self.leading:
            return self._refuse(source, message, Reason.NOT_LEADER)
        refused = self._impossible(message) or self._intake.add(source, message)
        if refused is not None:
            self._refuse(source, message, refused)

    def _impossible(self, forward: Forward) -> Reason | None:
        """Why this fits no slot; a gateway that knows the limits has refused it already."""
        if len(forward.body) > self._limits.body_bytes_max:
            return Reason.TOO_LARGE
        return Reason.MALFORMED if forward.count > COMMANDS_MAX else None

    def _refuse(self, gateway: NodeId, forward: Forward, reason: Reason) -> None:
        refusal = ForwardRefused(forward.session, forward.attempt, forward.first_seq, forward.count, reason)
        self.send_early(gateway, refusal)

    def _on_read_index(self, source: NodeId, request: int) -> None:
        if self.leading:
            self._reads.add(source, request)
        else:
            self.send_early(source, ReadIndexReply(request, 0))

    def _confirm_reads(self, now: Instant) -> None:
        """Start one round for all reads that wait, once a value of our own ballot is chosen."""
        if self._reads.waiting and self.watermark > self._recovered_stop:
            self._reads.start(self._sequence + 1, self.watermark)
            self._heartbeat(now)

    # ---- log time ----

    def _learn_log_time(self, log_time_ms: int, now: Instant) -> None:
        if log_time_ms <= self._stamp(now):
            return
        if not self._log_times.admits(log_time_ms, now):
            return self.ignore("log time far above what is known")
        self._log_time_ms, self._log_time_at = log_time_ms, now

    def _stamp(self, now: Instant) -> int:
        """Log time goes on with the monotonic clock of whoever leads, from the latest stamp that is known."""
        return min(LOG_TIME_MAX_MS, self._log_time_ms + int((now - self._log_time_at) * 1000))
