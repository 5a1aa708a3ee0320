"""The gateway: what a learner does for clients. It forwards, waits for apply, and answers from its own state.

What it does for those who read is in `reading.py`, for those who watch in `announcing.py`.

Laws:
1. It answers `Applied` only for what its own ledger applied, and never decides anything itself.
2. It keeps no command: the client sends again what was lost. So a refusal says which sending it is about,
   and a client knows whether any sending of a command can still reach the log.
3. It forwards commands only of sessions that its own ledger knows: others would cost a slot and change nothing. It may
   be behind, so it says that a session is in no log only when a round of the leader proved it (see `strangers.py`).
4. A command that lacks an earlier one is refused here, where that is certain, and takes no slot (see `gaps.py`).
5. Everything it remembers about clients is bounded, and forgetting costs a repetition, never a wrong answer. Where
   clients share a bound, the one that holds the most is the first to lose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from paxosd.core.agent import Timer
from paxosd.core.membership import Membership
from paxosd.core.messages import (
    Applied,
    DiskSpace,
    Forward,
    ForwardRefused,
    FromClient,
    GatewayInbound,
    GetStatus,
    Heartbeat,
    Message,
    OpenSession,
    Pong,
    Propose,
    Query,
    ReadIndexReply,
    ReadLog,
    ReadSlots,
    ReadSnapshot,
    Refused,
    Resign,
    SessionOpened,
    SnapshotPart,
    Unwatch,
    WatchKeys,
    WatchTaken,
)
from paxosd.core.options import Limits, Timing
from paxosd.core.reasons import Reason
from paxosd.core.records import Record
from paxosd.core.types import (
    NO_SESSION,
    Ballot,
    ClientAddress,
    Instant,
    Lag,
    NodeId,
    Outcome,
    Sending,
    SessionId,
    Slot,
    Source,
)
from paxosd.core.values import is_old
from paxosd.gateway.addresses import Addresses
from paxosd.gateway.agreement import ADVICE, DIGEST_EVERY_SLOTS, Agreement
from paxosd.gateway.gaps import Gaps
from paxosd.gateway.objections import is_impossible, objection
from paxosd.gateway.openings import Openings
from paxosd.gateway.refusing import Refusing
from paxosd.gateway.repetitions import Repetitions
from paxosd.gateway.replicated import Replicated
from paxosd.gateway.reporting import Reporting

_READS = (Query, ReadLog, ReadSlots, ReadSnapshot, GetStatus)


class Gateway(Reporting):
    """Serves the clients of one node.

    `endpoints` maps the nodes that serve clients to the address that clients dial.
    """

    inbound = get_args(GatewayInbound)

    def __init__(
        self,
        node_id: NodeId,
        cluster: str,
        membership: Membership,
        timing: Timing,
        limits: Limits,
        endpoints: Mapping[NodeId, str],
        replicated: Replicated,
    ) -> None:
        super().__init__(node_id, cluster, membership, timing, limits, endpoints, replicated)
        self._limits = limits
        self._clients = Addresses(limits.sessions_max)  # by session
        self._openings = Openings(node_id)
        self._gaps = Gaps()
        self._repetitions = Repetitions()
        self._refusing = Refusing()
        self._agreement = Agreement(node_id, membership.learners)

    def restore(self, records: Iterable[Record], now: Instant) -> None:
        self.arm(Timer.PING, now)
        self._note_progress(now)

    def receive(self, source: Source, message: Message, now: Instant) -> None:
        if isinstance(source, bytes):
            assert isinstance(message, FromClient)
            return self._receive_client(source, message, now)
        match message:
            case Heartbeat(ballot):
                before = self._leadership.ballot
                if not self._leadership.hear(source, ballot, message.watermark, now):
                    return self.ignore("heartbeat of an old leader")
                self._due.hear(message.log_time_ms, now)
                if ballot != before:
                    self._have_sent_again(now)
            case Resign(ballot):
                self._on_resign(source, ballot)
            case ForwardRefused():
                self._on_forward_refused(message, now)
            case ReadIndexReply(request, applied):
                self._on_read_index_reply(source, request, applied)
            case SnapshotPart():
                self._on_snapshot_part(source, message)
            case Pong():
                self._board.hear(source, message, now)
            case DiskSpace():
                self._board.hear_space(source, message)
                self._is_short = self._board.is_short
        return None

    def _receive_client(self, client: ClientAddress, message: FromClient, now: Instant) -> None:
        if isinstance(message, _READS) and self._refuses_for_history(client, message, now):
            return
        match message:
            case Propose():
                self._on_propose(client, message, now)
            case Query() | ReadLog() | ReadSlots() | ReadSnapshot() if self.known.difference:
                self._refuse_reads([(client, message.request)], Reason.DIFFERS)
            case Query():
                self._add_query(client, message, now)
            case OpenSession():
                self._on_open_session(client, message, now)
            case ReadLog(linearizable=True) if self._progress.lag:
                self._refuse_reads([(client, message.request)], Reason.BEHIND)
            case ReadLog() | ReadSlots():
                self._add_read(client, message, now)
            case ReadSnapshot():
                self._add_backup(client, message)
            case WatchKeys() | Unwatch() | WatchTaken():
                self._on_watch(client, message, now)
            case GetStatus(request):
                if not self._board.ask(client, request):
                    self.ignore("status request above its client's share")

    def on_timer(self, timer: Timer, now: Instant) -> None:
        match timer:
            case Timer.FAREWELL:
                pass  # drained
            case _:
                super().on_timer(timer, now)

    def tick(self, now: Instant) -> None:
        self._leadership.listened(now)
        self._note_progress(now)
        super().tick(now)
        self._serve_reads(now)
        self._serve_status(now)
        self._repetitions.begin_turn()

    def _note_progress(self, now: Instant) -> None:
        applied, chosen = self._replicated.next_slot, max(self._replicated.known_stop, self._leadership.watermark)
        if news := self._progress.note(applied, chosen, now):
            self.report(news, slot=applied, of=max(applied, chosen), per_s=self._progress.lag.per_s)

    @property
    def lag(self) -> Lag:
        return self._progress.lag

    def drain(self, now: Instant) -> None:
        self._draining = True
        self.arm(Timer.FAREWELL, now + self._timing.retry_s)  # for the results of what it forwarded

    @property
    def drained(self) -> bool:
        return self._draining and Timer.FAREWELL not in self._deadlines

    # ---- who leads ----

    def _on_resign(self, source: NodeId, ballot: Ballot) -> None:
        """Nobody leads: what is asked meanwhile is refused at once, for whoever resigned would not answer."""
        if self._leadership.resign(source, ballot):
            self._await_no_index()

    def _have_sent_again(self, now: Instant) -> None:
        """Another one leads: who waits for what the one before was sent sends it again, and at once."""
        hint = self._leadership.hint(now)
        for session, expected in self._gaps.lacking(self._replicated.next_seq):
            client = self._clients.of(session)
            if client is not None:
                about = session, 0, expected, 1
                self.send_early(client, Refused(*about, Reason.GAP, expected, hint, self._progress.lag))

    # ---- commands ----

    def _on_open_session(self, client: ClientAddress, message: OpenSession, now: Instant) -> None:
        wish = message.wish
        forward = Forward(wish, message.attempt, 0, 0, 1, self._openings.tag(client))
        if is_old(wish):  # which nobody draws
            return self._refuse(client, forward, Reason.MALFORMED, now)
        if self.known.difference or self._progress.lag:
            return self._refuse(client, forward, Reason.DIFFERS if self.known.difference else Reason.BEHIND, now)
        if self._serves(now) and (
            self._refusing.refuses(NO_SESSION, 0, 0, now) or not self._openings.ask(client, wish, now)
        ):
            return self._refuse(client, forward, Reason.OVERLOADED, now)
        return self._forward(client, forward, now)

    def _on_propose(self, client: ClientAddress, message: Propose, now: Instant) -> None:
        if is_impossible(message):
            return self._refuse(client, message, Reason.MALFORMED, now)
        if self.known.difference:
            return self._refuse(client, message, Reason.DIFFERS, now)
        if not self._replicated.knows(message.session):
            return self._refuse(client, message, self._why_unknown(client, message.session, now), now)
        self._clients.note(message.session, client)
        stored = self._replicated.stored(message.session, message.first_seq, message.count)
        if stored is not None:
            return self._repeat(client, message, stored, now)
        refused = Reason.BEHIND if self._progress.lag else self._objection(message, now)
        if refused is not None:
            return self._refuse(client, message, refused, now)
        if self._serves(now):
            session, first_seq = message.session, message.first_seq
            next_seq = self._replicated.next_seq(session)
            missing = self._gaps.expected(session, message.acknowledged, first_seq, next_seq)
            if missing:
                return self._refuse(client, message, Reason.GAP, now, missing)
            self._gaps.forwarded(session, first_seq, message.count)
        return self._forward(client, _forward_of(message), now)

    def sheds(self, now: Instant) -> bool:
        return self._refusing.refuses_everything(now) and not (self.known.difference or self._progress.lag)

    def shed(self, client: ClientAddress, sending: Sending, now: Instant) -> Refused | None:
        """Whatever `_on_propose` would say but that the leader is full is left to it."""
        session, first_seq = sending.session, sending.first_seq
        next_seq = self._replicated.next_seq(session)
        if not 0 < next_seq <= first_seq or is_impossible(sending):
            return None
        if not self._refusing.refuses(session, sending.acknowledged, first_seq, now):
            return None
        if self._clients.of(session) != client:
            self._clients.note(session, client)
        about = session, sending.attempt, first_seq, sending.count
        return Refused(*about, Reason.OVERLOADED, 0, self._leadership.hint(now))

    def _serves(self, now: Instant) -> bool:
        """Whether what clients ask goes on to a leader."""
        return self._leadership.leader(now) is not None and not self._draining

    def _why_unknown(self, client: ClientAddress, session: SessionId, now: Instant) -> Reason:
        """Why this session is not in the ledger: the log does not have it (any more), or we are behind."""
        replicated, strangers = self._replicated, self._strangers
        if strangers.is_of_another_log(client, session, replicated.next_slot):
            return Reason.SESSION_UNKNOWN
        if self._leadership.leader(now) is None:
            return self._why_no_leader(now)
        strangers.name(client, session, self._readers.next_round)
        return Reason.BEHIND

    def _repeat(self, client: ClientAddress, message: Propose, stored: Iterator[Outcome], now: Instant) -> None:
        """Tell again what is applied already; what this turn has no room for is refused, to be asked for again, and so
        is what nobody can tell any more."""
        told: list[Outcome] = []
        refused = Reason.ACKNOWLEDGED
        for outcome in stored:
            if not self._repetitions.tell(client, outcome):
                refused = Reason.OVERLOADED
                break
            told.append(outcome)
        if not told:
            self._repetitions.none(client)
        if not told or refused is Reason.OVERLOADED:
            self._refuse(client, message, refused, now)
        self._answer(told, now)

    def _objection(self, message: Propose, now: Instant) -> Reason | None:
        """Why this does not enter the log, now or ever: it is the last chance to say so to the one who sent it."""
        if self._refusing.refuses(message.session, message.acknowledged, message.first_seq, now):
            return Reason.OVERLOADED  # before it is looked into: refusing must cost less than serving
        if message.body and self._replicated.machine(message.machine) is None:
            return Reason.UNKNOWN_MACHINE
        return objection(message, self._limits)

    def _forward(self, client: ClientAddress, forward: Forward, now: Instant) -> None:
        leader = self._leadership.leader(now)
        if self._draining:
            self._refuse(client, forward, Reason.STOPPING, now)
        elif leader is None:
            self._refuse(client, forward, self._why_no_leader(now), now)
        else:
            self.send_early(leader, forward)

    def _refuse(
        self,
        client: ClientAddress,
        message: Propose | Forward | ForwardRefused,
        reason: Reason,
        now: Instant,
        expected: int = 0,
    ) -> None:
        if reason is Reason.TOO_LARGE:
            expected = self._limits.command_bytes_max
        about = message.session, message.attempt, message.first_seq, message.count
        why = self._standstill(now) if reason in (Reason.NO_LEADER, Reason.FOREIGN) else ""
        hint = self._leadership.hint(now)
        self.send_early(client, Refused(*about, reason, expected, hint, self._progress.lag, why))

    def _on_forward_refused(self, message: ForwardRefused, now: Instant) -> None:
        opens = not message.first_seq
        self._gaps.missing(message.session, message.first_seq)
        self._refusing.heard(message.reason, NO_SESSION if opens else message.session, message.first_seq, now)
        client = (self._openings.asker if opens else self._clients.of)(message.session)
        if client is None:
            return self.ignore("refusal for a client that is gone")
        self._refuse(client, message, message.reason, now)

    # ---- results ----

    def applied(self, slot: Slot, outcomes: list[Outcome], now: Instant) -> None:
        self._compare(slot, outcomes, now)
        if self.known.difference:
            return
        self._answer(outcomes, now)
        self._answer_reads(now)

    def _compare(self, slot: Slot, outcomes: list[Outcome], now: Instant) -> None:
        """Hold our state against those of the others; ours is told if anybody leads and we are not behind."""
        if slot % DIGEST_EVERY_SLOTS == 0:
            told = self._agreement.note(slot, self._replicated.state_digest())
            if (leader := self._leadership.leader(now)) is not None and not self._progress.lag:
                self.send(leader, told)  # that it is lost does no harm
        for outcome in outcomes:
            if outcome.kind == "digest" and (wrong := self._agreement.hear(outcome)):
                self.warn("state.differs", what=self.known.differ(wrong), advice=ADVICE)

    def _answer(self, outcomes: list[Outcome], now: Instant) -> None:
        for outcome in outcomes:
            if outcome.kind == "opened":
                opener = self._openings.opened(outcome.wish)
                if opener is not None:
                    self.send(opener, SessionOpened(outcome.wish, outcome.session, self._leadership.hint(now)))
            elif (client := self._clients.of(outcome.session)) is not None:
                self.send(client, self._result(outcome, now))

    def _result(self, outcome: Outcome, now: Instant) -> Applied | Refused:
        session, first_seq, count = outcome.session, outcome.first_seq, outcome.count
        if outcome.kind == "applied":
            hint = self._leadership.hint(now)
            return Applied(session, first_seq, count, outcome.revision, outcome.slot, hint, outcome.said)
        reason = Reason.GAP if outcome.kind == "gap" else Reason.SESSION_UNKNOWN
        self._gaps.missing(session, outcome.expected)
        return Refused(session, 0, first_seq, count, reason, outcome.expected, self._leadership.hint(now))


def _forward_of(message: Propose) -> Forward:
    sending = message.session, message.attempt, message.acknowledged
    return Forward(*sending, message.first_seq, message.count, message.body, message.machine)
