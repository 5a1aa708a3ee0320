"""The proposer: once it is elected (`candidate.py`) it puts commands into slots, many at a time.

Laws: those of `bound.py`, and:
1. It serves reads only after a value of its own ballot is chosen, and after a quorum confirmed this round.
2. A leader that a quorum did not answer for an election timeout stops leading, whoever still hears it.
3. A turn proposes so many bytes and leaves the rest to the next one, which serves the peers first.
4. It takes no command that could not be written without those whose disks are nearly full (`space.py`).
5. What is chosen is told at once to whoever may wait for it, and else with the next Accept (`watermarks.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import get_args

from paxosd.core.agent import Timer
from paxosd.core.bound import Bound
from paxosd.core.candidate import Phase
from paxosd.core.floor import DurableSlots
from paxosd.core.intake import Intake
from paxosd.core.membership import Membership
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    DiskSpace,
    Durable,
    Forward,
    ForwardRefused,
    Heartbeat,
    HeartbeatReply,
    Message,
    Nack,
    Outdated,
    PreVoteReply,
    Promise,
    ProposerInbound,
    ReadIndex,
    ReadIndexReply,
    Resign,
    Trim,
    WantTime,
    Watermark,
)
from paxosd.core.options import PROPOSED_PER_TURN_BYTES_MAX, Limits, Timing
from paxosd.core.phase1 import PhaseOne
from paxosd.core.phase2 import PhaseTwo
from paxosd.core.reads import ReadRounds
from paxosd.core.reasons import Reason
from paxosd.core.seen import hear
from paxosd.core.space import SpaceBoard, space_of
from paxosd.core.types import Instant, NodeId, Slot, Source
from paxosd.core.values import COMMANDS_MAX, DIGESTS, encode_value
from paxosd.core.wanted import WantedTime
from paxosd.core.watermarks import TELL_WITHIN_S, Watermarks

_OF_A_LEADER = (Timer.HEARTBEAT, Timer.QUORUM, Timer.RETRY, Timer.FILL, Timer.TELL)


class Proposer(Bound):
    """Campaigns when nobody leads, and leads while a quorum follows."""

    inbound = get_args(ProposerInbound)

    def __init__(
        self,
        node_id: NodeId,
        membership: Membership,
        timing: Timing,
        limits: Limits,
        random: Random,
        without: Collection[NodeId] = (),
    ) -> None:
        super().__init__(node_id, membership, timing, random, without)
        self._nodes = membership.nodes
        self._told_of_chosen = membership.pure_learners + ((node_id,) if node_id in membership.replicas else ())
        self._others = tuple(node for node in membership.nodes if node != node_id)
        self._limits = limits
        self._phase2: PhaseTwo | None = None
        self._intake = Intake(limits.pending_bytes_max, min(limits.value_bytes_max, PROPOSED_PER_TURN_BYTES_MAX))
        self._reads = ReadRounds(membership.quorum)
        self._wanted = WantedTime()
        self._space = SpaceBoard(node_id, membership)
        self._no_space = ""  # why no command is taken for want of room; empty: there is room
        self._heard_at: dict[NodeId, Instant] = {}  # when each acceptor last answered our ballot
        self._sequence = 0
        self._watermarks = Watermarks(tuple(node for node in membership.replicas if node != node_id))
        self._durable = DurableSlots(membership.learners, len(membership.acceptors))

    def receive(self, source: Source, message: Message, now: Instant) -> None:
        assert isinstance(source, str)
        self._notice_voters(now)
        match message:
            case Accepted():
                self._on_accepted(source, message, now)
            case Forward():
                self._on_forward(source, message, now)
            case Accept(ballot) | Watermark(ballot):
                self._on_leaders_word(source, ballot, now)
            case HeartbeatReply():
                self._on_heartbeat_reply(source, message, now)
            case Heartbeat():
                self._on_heartbeat(source, message, now)
            case PreVoteReply():
                self._on_pre_vote_reply(source, message, now)
            case Promise():
                self._on_promise(source, message, now)
            case Nack():
                self._on_nack(message, now)
            case Outdated():
                self._on_outdated(message, now)
            case ReadIndex(request):
                self._on_read_index(source, request, now)
            case WantTime(log_time_ms):
                self._watermarks.asks(source, now)
                self._wanted.want(log_time_ms, self._log_time.stamp(now))
            case Durable(slot):
                self._on_durable(source, slot, now)
            case Resign(ballot):
                self._on_resign(source, ballot, now)
            case DiskSpace(space):
                self._space.hear(source, space_of(space), now)

    def on_timer(self, timer: Timer, now: Instant) -> None:
        match timer:
            case Timer.ELECTION:
                if not self._listens_once_more(timer, now):
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
            case Timer.TELL:
                self._tell_watermark(self._watermarks.tells(self.watermark))
            case Timer.FILL | Timer.FAREWELL:
                pass  # the window is filled in each tick; drained

    def tick(self, now: Instant) -> None:
        self._notice_voters(now)
        super().tick(now)
        if self._phase2 is not None:
            self._look_for_space(now)
        if self._phase2 is not None:
            self._fill_window(self._phase2, now)
            self._confirm_reads(now)
            self._tell_those_who_wait(now)
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
            self._hand_over("resigned", now)
            self.arm(Timer.FAREWELL, now + self._timing.retry_s)  # what crosses it on the way is refused, not lost

    def _hand_over(self, why: str, now: Instant) -> None:
        self._tell_watermark(self._watermarks.tells(self.watermark))
        self.send_early_to_all(self._others, Resign(self.ballot))
        self._follow(why, now)

    # ---- leading ----

    def _lead(self, phase1: PhaseOne, now: Instant) -> None:
        self.watermark = max(self.watermark, phase1.watermark)
        if not self._settle_who_votes(phase1, now):
            return
        self.loss = self.lost = ""
        event = "leader.renewed" if self._renewing else "leader.elected"
        self.phase, self._renewing = Phase.LEADING, False
        if not self._log_time.begin(self.ballot, phase1.votes(), now):
            self.ignore("log time far above what is known")
        self._bind(phase1, now)
        limits = self._limits
        quorum = self._voting.quorum
        self._phase2 = PhaseTwo(quorum, self.watermark, limits.window_slots_max, limits.window_bytes_max)
        self._reads = ReadRounds(quorum)
        self._wanted = WantedTime()
        self._heard_at = dict.fromkeys(self._acceptors, now)
        self._sequence = 0
        self._watermarks.forget()
        self._durable.forget()
        self.disarm(Timer.PREPARE)
        self.disarm(Timer.ELECTION)
        self.arm(Timer.QUORUM, now + self._timing.election_s)
        self.arm(Timer.RETRY, now + self._timing.retry_s)
        self._heartbeat(now)
        self.report(event, ballot=str(self.ballot), watermark=self.watermark, next_slot=self._recovered_stop)

    def _fill_window(self, phase2: PhaseTwo, now: Instant) -> None:
        left = PROPOSED_PER_TURN_BYTES_MAX
        while phase2.has_room and (value := self._next_value(phase2, now)) is not None:
            self._propose(phase2, value, now)
            left -= len(value)
            if left <= 0:  # go on in the next turn, which serves the peers first
                return self.arm(Timer.FILL, now)

    def _next_value(self, phase2: PhaseTwo, now: Instant) -> bytes | None:
        slot = phase2.next_slot
        if self._decree is not None:
            return None
        if slot <= self._recovered_stop:
            return self._bound_value(slot, now)
        heard = self._heard(now)
        decree = self._decree_about_guests(slot, heard, now)
        if decree is not None:
            return decree
        if not (self._intake or self._wanted.is_due(phase2.in_flight) or self._guests_want_votes(heard, now)):
            return None
        return encode_value(self._wanted.propose(self._log_time.stamp(now)), self._intake.take(slot, now))

    def _propose(self, phase2: PhaseTwo, value: bytes, now: Instant) -> None:
        slot = phase2.propose(value, now)
        accept = Accept(self.ballot, slot, value, phase2.watermark, self.voters.decreed)
        self.send_early_to_all(self._acceptors, accept)
        self._watermarks.carried(phase2.watermark)
        self.disarm(Timer.TELL)

    def _on_accepted(self, source: NodeId, message: Accepted, now: Instant) -> None:
        phase2, slot = self._phase2, message.slot
        if phase2 is None or message.ballot != self.ballot:
            return self.ignore("vote of another ballot")
        if not self._voting.counts(source, message.disk):
            return self.ignore("vote of a disk that does not count")
        self._heard_at[source] = now
        self._took_part.add(source)
        value = phase2.vote(source, slot)
        if value is None:
            return
        self.watermark = phase2.watermark
        self._intake.chosen(slot)
        chosen = Chosen(slot, value)
        self.send_early_to_all(self._told_of_chosen, chosen)
        if self._decree is not None and phase2.watermark > self._decree[0]:
            slot, decree = self._decree
            self._take_up_decree(slot, decree)
            self._renew(now)

    def _renew(self, now: Instant) -> None:
        """Lead on with new voters, who know it from us."""
        self._heartbeat(now)  # in the ballot of their votes, so that replicas know what was chosen
        self._drop_reads()
        self._stop_phase2()
        self._renewing = True
        self._prepare(now)

    def _tell_those_who_wait(self, now: Instant) -> None:
        if self._watermarks.is_untold(self.watermark):
            if Timer.TELL not in self._deadlines:
                self.arm(Timer.TELL, now + TELL_WITHIN_S)
            self._tell_watermark(self._watermarks.hurries(self.watermark, now))

    def _tell_watermark(self, replicas: Sequence[NodeId]) -> None:
        if replicas:
            self.send_early_to_all(replicas, Watermark(self.ballot, self.watermark, self.voters.decreed))

    def _retry(self, now: Instant) -> None:
        """Send a value in flight again, the same value, to those who did not vote."""
        assert self._phase2 is not None
        for slot, proposal in self._phase2.overdue(now, self._timing.retry_s):
            accept = Accept(self.ballot, slot, proposal.value, self._phase2.watermark, self.voters.decreed)
            for acceptor in self._acceptors:
                if acceptor not in proposal.voters:
                    self.send_early(acceptor, accept)
        self.arm(Timer.RETRY, now + self._timing.retry_s / 2)

    def _stop_leading(self, why: str) -> None:
        self.report("leader.lost", ballot=str(self.ballot), why=why)
        for gateway, forward in self._intake.drop_all():
            self._refuse(gateway, forward, Reason.NOT_LEADER)  # never proposed, so certainly not in the log
        self._drop_reads()
        self._stop_phase2()

    def _drop_reads(self) -> None:
        for gateway, request in self._reads.drop_all():
            self.send_early(gateway, ReadIndexReply(request, 0))

    def _stop_phase2(self) -> None:
        self._phase2, self._birth, self._decree, self._no_space = None, None, None, ""
        for timer in _OF_A_LEADER:
            self.disarm(timer)

    # ---- staying leader ----

    def _on_durable(self, learner: NodeId, slot: Slot, now: Instant) -> None:
        self._durable.tell(learner, slot)
        self._told_chosen.tell(learner, slot)
        phase2 = self._phase2
        if phase2 is not None and slot > max(phase2.next_slot, self._recovered_stop):  # `loss.py`, law 4
            self._follow(f"{learner} knows slot {slot - 1} to be chosen, which this ballot did not propose", now)

    def _heartbeat(self, now: Instant) -> None:
        self._sequence += 1
        seen = tuple(sorted(self.known.seen.items()))
        message = Heartbeat(self.ballot, self._sequence, self.watermark, self._log_time.stamp(now), self.voters, seen)
        self.send_early_to_all(self._nodes, message)
        if (floor := self._durable.news(self.watermark, self._sequence)) is not None:
            self.send_early_to_all(self._acceptors, Trim(self.ballot, *floor))
        self.arm(Timer.HEARTBEAT, now + self._timing.heartbeat_s)

    def _on_heartbeat_reply(self, source: NodeId, message: HeartbeatReply, now: Instant) -> None:
        if not self.leading or message.ballot != self.ballot:
            return self.ignore("heartbeat reply of another ballot")
        if message.sequence > self._sequence:
            return self.ignore("reply to a heartbeat that was not sent")
        self._guests.hear(source, message.disk, now)
        if not self._voting.counts(source, message.disk):
            return self.ignore("heartbeat reply of a disk that does not vote")
        self._heard_at[source] = now
        answer = hear(self.known, (message.disk, message.commits))
        if answer is not None:
            self.send_early(*answer)
        for (gateway, request), applied in self._reads.confirm(source, message.sequence):
            self.send_early(gateway, ReadIndexReply(request, applied))

    def _heard(self, now: Instant) -> set[NodeId]:
        """The acceptors that answered of late."""
        return {acceptor for acceptor, at in self._heard_at.items() if now - at < self._timing.election_s}

    def _check_quorum(self, now: Instant) -> None:
        if not self._voting.quorum.can_accept(self._heard(now)):
            if not self._listens_once_more(Timer.QUORUM, now):
                self._follow("a quorum is silent", now)
            return
        self._pause_forgiven = False
        self.arm(Timer.QUORUM, now + self._timing.election_s / 4)

    # ---- commands and reads ----

    def _on_forward(self, source: NodeId, message: Forward, now: Instant) -> None:
        if message.session != DIGESTS:
            self._watermarks.asks(source, now)
        if self._draining or not (self.leading or self._renewing):
            return self._refuse(source, message, Reason.NOT_LEADER)
        full = Reason.NO_SPACE if self._no_space else None
        refused = self._impossible(message) or full or self._intake.add(source, message, now)
        if refused is not None:
            self._refuse(source, message, refused)

    @property
    def refuses_for_space(self) -> bool:
        """Whether it leads and takes no commands, because disks are nearly full."""
        return self.leading and bool(self._no_space)

    def _look_for_space(self, now: Instant) -> None:
        """Begin to refuse commands for want of room, those that wait first, or end it."""
        if not self._space.somebody_is_short and not self._no_space:
            return None
        heard, quorum = self._heard(now), self._voting.quorum
        if self._space.hands_over(heard, quorum, now):
            return self._hand_over("its disk is nearly full, and another proposer has room", now)
        before, self._no_space = self._no_space, self._space.objection(heard, quorum)
        if self._no_space and not before:
            self.warn("space.commands_refused", why=self._no_space)
            for gateway, forward in self._intake.drop_waiting():
                self._refuse(gateway, forward, Reason.NO_SPACE)
        elif before and not self._no_space:
            self.report("space.commands_taken", why="there is room again")
        return None

    def _impossible(self, forward: Forward) -> Reason | None:
        """Why this fits no slot; a gateway that knows the limits has refused it already."""
        if len(forward.body) > self._limits.body_bytes_max:
            return Reason.TOO_LARGE
        return Reason.MALFORMED if forward.count > COMMANDS_MAX else None

    def _refuse(self, gateway: NodeId, forward: Forward, reason: Reason) -> None:
        refusal = ForwardRefused(forward.session, forward.attempt, forward.first_seq, forward.count, reason)
        self.send_early(gateway, refusal)

    def _on_read_index(self, source: NodeId, request: int, now: Instant) -> None:
        self._watermarks.asks(source, now)
        if self.leading:
            self._reads.add(source, request)
        else:
            self.send_early(source, ReadIndexReply(request, 0))

    def _confirm_reads(self, now: Instant) -> None:
        """Start one round for all reads that wait, once a value of our own ballot is chosen."""
        if self._reads.waiting and self.watermark > self._recovered_stop:
            self._reads.start(self._sequence + 1, self.watermark)
            self._heartbeat(now)
