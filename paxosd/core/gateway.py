"""The gateway: what a learner does for clients. It forwards, waits for apply, and answers from its own state.

Laws:
1. It answers `Applied` only for what its own ledger applied, and never decides anything itself.
2. It keeps no command: the client sends again what was lost. So a refusal says which sending it is about,
   and a client knows whether any sending of a command can still reach the log.
3. A linearizable read waits for a round of the leader that was started after the read came in.
4. Everything it remembers about clients is bounded, and forgetting costs a repetition, never a wrong answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Protocol, get_args

from paxosd.core.agent import Agent, Timer
from paxosd.core.membership import Membership
from paxosd.core.messages import (
    Applied,
    Forward,
    ForwardRefused,
    FromClient,
    GatewayInbound,
    GetStatus,
    Heartbeat,
    LogPage,
    Message,
    OpenSession,
    Ping,
    Pong,
    Propose,
    ReadIndex,
    ReadIndexReply,
    ReadLog,
    Reason,
    Refused,
    Resign,
    SessionOpened,
    StatusReport,
)
from paxosd.core.options import Limits, Timing
from paxosd.core.readers import Readers
from paxosd.core.records import Record
from paxosd.core.status import StatusBoard
from paxosd.core.types import (
    NO_BALLOT,
    Ballot,
    ClientAddress,
    Entry,
    Instant,
    NodeId,
    Outcome,
    Revision,
    SessionId,
    Slot,
    Source,
)
from paxosd.core.values import COMMANDS_MAX, NO_SESSION, MalformedValue, commands


class Replicated(Protocol):
    """What a gateway reads of the state that the log makes (see `machine/ledger.py`)."""

    @property
    def revision(self) -> Revision:
        """The latest revision applied; 0: none."""
        ...

    @property
    def next_slot(self) -> Slot:
        """Every slot below is applied."""
        ...

    def stored(self, session: SessionId, first_seq: int, count: int) -> list[Outcome] | None:
        """The results of these commands; None unless all of them are applied."""
        ...

    def forgot(self, session: SessionId) -> bool:
        """Whether this session was opened once and is not remembered any more."""
        ...

    def entries(self, start: Revision, bytes_max: int) -> tuple[Entry, ...]:
        """The commands from this revision on, as many as fit."""
        ...


class Gateway(Agent):
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
        super().__init__(node_id)
        self._timing = timing
        self._limits = limits
        self._endpoints = endpoints
        self._replicated = replicated
        self._ballot: Ballot = NO_BALLOT
        self._leader_heard_at: Instant | None = None
        self._clients: OrderedDict[SessionId, ClientAddress] = OrderedDict()
        self._opening: OrderedDict[int, ClientAddress] = OrderedDict()
        self._readers = Readers()
        self._board = StatusBoard(node_id, cluster, membership)
        self._read_asked_at: Instant | None = None
        self._draining = False

    def restore(self, records: Iterable[Record], now: Instant) -> None:
        self.arm(Timer.PING, now)

    def receive(self, source: Source, message: Message, now: Instant) -> None:
        if isinstance(source, bytes):
            assert isinstance(message, FromClient)
            return self._receive_client(source, message, now)
        match message:
            case Heartbeat(ballot):
                self._hear_leader(source, ballot, now)
            case Resign(ballot):
                self._on_resign(source, ballot)
            case ForwardRefused():
                self._on_forward_refused(message, now)
            case ReadIndexReply(request, applied):
                self._on_read_index_reply(request, applied)
            case Pong():
                self._board.hear(source, message, now)
        return None

    def _receive_client(self, client: ClientAddress, message: FromClient, now: Instant) -> None:
        match message:
            case Propose():
                self._on_propose(client, message, now)
            case OpenSession():
                self._on_open_session(client, message, now)
            case ReadLog():
                self._readers.add(client, message, now)
            case GetStatus(request):
                self._board.ask(client, request)

    def on_timer(self, timer: Timer, now: Instant) -> None:
        match timer:
            case Timer.PING:
                self._ping(now)
            case Timer.STATUS:
                self._report_status(now)
            case Timer.FAREWELL:
                pass  # drained
            case Timer.READS:
                self._read_asked_at = None  # the question or its answer is lost; ask again in this tick

    def tick(self, now: Instant) -> None:
        super().tick(now)
        self._readers.begin_turn()
        self._ask_read_index(now)
        self._answer_reads(now)
        if self._board.asked and Timer.STATUS not in self._deadlines:
            self._ping(now)
            self.arm(Timer.STATUS, now + self._timing.retry_s)

    def drain(self, now: Instant) -> None:
        self._draining = True
        self.arm(Timer.FAREWELL, now + self._timing.retry_s)  # for the results of what it forwarded

    @property
    def drained(self) -> bool:
        return self._draining and Timer.FAREWELL not in self._deadlines

    # ---- who leads ----

    def _hear_leader(self, source: NodeId, ballot: Ballot, now: Instant) -> None:
        if source != ballot.proposer or (ballot < self._ballot and self._leader(now) is not None):
            return self.ignore("heartbeat of an old leader")
        self._ballot, self._leader_heard_at = ballot, now

    def _on_resign(self, source: NodeId, ballot: Ballot) -> None:
        """Nobody leads: what is asked meanwhile is refused at once, for whoever resigned would not answer."""
        if source == ballot.proposer and ballot == self._ballot:
            self._leader_heard_at = None
            self._read_asked_at = None
            self.disarm(Timer.READS)

    def _leader(self, now: Instant) -> NodeId | None:
        """Who leads, as far as is known here; None: nobody was heard for an election timeout."""
        heard_at = self._leader_heard_at
        return None if heard_at is None or now - heard_at > self._timing.election_s else self._ballot.proposer

    def _hint(self, now: Instant) -> str:
        """Where a client would be beside the leader; empty if it is, or if the leader serves no clients."""
        leader = self._leader(now)
        return "" if leader is None or leader == self.node_id else self._endpoints.get(leader, "")

    # ---- commands ----

    def _on_open_session(self, client: ClientAddress, message: OpenSession, now: Instant) -> None:
        forward = Forward(NO_SESSION, message.attempt, 0, message.nonce, 1, b"")
        if not message.nonce:
            return self._refuse(client, forward, Reason.MALFORMED, now)
        self._remember(self._opening, message.nonce, client)
        return self._forward(client, forward, now)

    def _on_propose(self, client: ClientAddress, message: Propose, now: Instant) -> None:
        if _is_impossible(message):
            return self._refuse(client, message, Reason.MALFORMED, now)
        self._remember(self._clients, message.session, client)
        known = self._replicated.stored(message.session, message.first_seq, message.count)
        if known is not None:
            return self._answer(known, now)
        refused = Reason.SESSION_UNKNOWN if self._replicated.forgot(message.session) else self._objection(message)
        if refused is not None:
            return self._refuse(client, message, refused, now)
        forward = Forward(
            message.session, message.attempt, message.acknowledged, message.first_seq, message.count, message.body
        )
        return self._forward(client, forward, now)

    def _objection(self, message: Propose) -> Reason | None:
        """Why this can never enter the log: it is the last chance to say so to the one who sent it."""
        if not message.body:
            return None  # withdrawn
        if len(message.body) > self._limits.body_bytes_max:
            return Reason.TOO_LARGE
        try:
            largest = max(map(len, commands(message.body, message.count)))
        except MalformedValue:
            return Reason.MALFORMED
        return Reason.TOO_LARGE if largest > self._limits.command_bytes_max else None

    def _forward(self, client: ClientAddress, forward: Forward, now: Instant) -> None:
        leader = self._leader(now)
        if self._draining:
            self._refuse(client, forward, Reason.STOPPING, now)
        elif leader is None:
            self._refuse(client, forward, Reason.NO_LEADER, now)
        else:
            self.send_early(leader, forward)

    def _refuse(
        self, client: ClientAddress, message: Propose | Forward | ForwardRefused, reason: Reason, now: Instant
    ) -> None:
        expected = self._limits.command_bytes_max if reason is Reason.TOO_LARGE else 0
        about = message.session, message.attempt, message.first_seq, message.count
        self.send_early(client, Refused(*about, reason, expected, self._hint(now)))

    def _on_forward_refused(self, message: ForwardRefused, now: Instant) -> None:
        if message.session == NO_SESSION:
            client = self._opening.get(message.first_seq)
        else:
            client = self._clients.get(message.session)
        if client is None:
            return self.ignore("refusal for a client that is gone")
        self._refuse(client, message, message.reason, now)

    def _remember(self, table: OrderedDict[int, ClientAddress], key: int, client: ClientAddress) -> None:
        table[key] = client
        table.move_to_end(key)
        if len(table) > self._limits.sessions_max:
            table.popitem(last=False)

    # ---- results ----

    def applied(self, slot: Slot, outcomes: list[Outcome], now: Instant) -> None:
        self._answer(outcomes, now)
        self._answer_reads(now)

    def _answer(self, outcomes: list[Outcome], now: Instant) -> None:
        for outcome in outcomes:
            if outcome.kind == "opened":
                opener = self._opening.pop(outcome.first_seq, None)
                if opener is not None:
                    self.send(opener, SessionOpened(outcome.first_seq, outcome.session, self._hint(now)))
            elif (client := self._clients.get(outcome.session)) is not None:
                self.send(client, self._result(outcome, now))

    def _result(self, outcome: Outcome, now: Instant) -> Applied | Refused:
        session, first_seq, count = outcome.session, outcome.first_seq, outcome.count
        if outcome.kind == "applied":
            return Applied(session, first_seq, count, outcome.revision, outcome.slot, self._hint(now))
        reason = Reason.GAP if outcome.kind == "gap" else Reason.SESSION_UNKNOWN
        return Refused(session, 0, first_seq, count, reason, outcome.expected, self._hint(now))

    # ---- reads ----

    def _ask_read_index(self, now: Instant) -> None:
        """One question to the leader for all reads that came since the last one."""
        if self._read_asked_at is not None or not self._readers.unconfirmed:
            return
        leader = self._leader(now)
        if leader is None:
            for client, request in self._readers.give_up():
                self.send_early(client, LogPage(request, (), 0, Reason.NO_LEADER, ""))
            return
        self._read_asked_at = now
        self.arm(Timer.READS, now + self._timing.retry_s)
        self.send_early(leader, ReadIndex(self._readers.start_round()))

    def _on_read_index_reply(self, request: int, applied: Slot) -> None:
        if not self._readers.confirm(request, applied):
            return self.ignore("read index that is not awaited")
        if applied:
            self._read_asked_at = None
            self.disarm(Timer.READS)
        # otherwise it does not lead: the timer asks again, by then perhaps somebody else

    def _answer_reads(self, now: Instant) -> None:
        replicated = self._replicated
        for client, read in self._readers.ready(replicated.next_slot, replicated.revision, now):
            entries = replicated.entries(read.start, self._limits.page_bytes_max)
            self.send(client, LogPage(read.request, entries, replicated.revision, 0, self._hint(now)))

    def next_deadline(self) -> Instant | None:
        deadlines = (super().next_deadline(), self._readers.next_deadline())
        return min((at for at in deadlines if at is not None), default=None)

    # ---- status ----

    def _ping(self, now: Instant) -> None:
        for node in self._board.others:
            self.send_early(node, Ping(self._board.next_sequence()))
        self.send_early(self.node_id, Ping(self._board.next_sequence()))
        self.arm(Timer.PING, now + self._timing.ping_s)

    def _report_status(self, now: Instant) -> None:
        leader = self._leader(now) or ""
        # Everybody was pinged a ping ago at most, and again for this report: a node may miss one of the two.
        rows = self._board.rows(now, silent_after_s=self._timing.ping_s + self._timing.retry_s)
        mine = next(row for row in rows if row.node == self.node_id)
        watermark = max(row.watermark for row in rows)
        for client, request in self._board.take_asked():
            self.send(
                client,
                StatusReport(
                    request,
                    self._board.cluster,
                    self.node_id,
                    leader,
                    self._ballot,
                    watermark,
                    mine.applied,
                    self._replicated.revision,
                    rows,
                ),
            )


def _is_impossible(message: Propose) -> bool:
    """Whether a client that numbers its commands 1, 2, 3 … within a session cannot have sent this."""
    numbered = message.session != NO_SESSION and 0 < message.count <= COMMANDS_MAX
    return not numbered or not message.first_seq or message.acknowledged > message.first_seq
