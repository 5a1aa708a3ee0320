"""What a client does, as a pure machine: commands in, messages out, answers in, results out.

Laws:
1. Commands are numbered 1, 2, 3 … and always sent in that order; whatever is sent again is sent from the first
   one without a result. The cluster applies each number once, so sending again is always safe.
2. A command counts as "not applied" only if every sending of it was refused by name (`attempt`), or there was none.
3. A command that is given up keeps its number and goes on as a withdrawal: if nothing of it reached the log by
   then, nothing ever will.
4. A session that the cluster forgot is left for a new one, with exactly those commands of which every sending was
   refused by name. Nobody can tell any more what became of the others.
5. No clock, no chance, no socket: `now` and a `Random` come in.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import NamedTuple, TypeVar

from paxosd.client.errors import (
    NoQuorum,
    Overloaded,
    PaxosError,
    ProposeTimeout,
    ReadTimeout,
    SessionExpired,
    TooLarge,
    Unavailable,
)
from paxosd.core.messages import (
    Applied,
    FromClient,
    GetStatus,
    LogPage,
    OpenSession,
    Propose,
    ReadLog,
    Reason,
    Refused,
    SessionOpened,
    StatusReport,
    ToClient,
)
from paxosd.core.types import Instant, Revision, SessionId, Slot
from paxosd.core.values import NO_SESSION, encode_body

T = TypeVar("T")

BATCH_COMMANDS_MAX = 4096
BATCH_BYTES_MAX = 256 * 1024
WINDOW_COMMANDS_MAX = 16384
WINDOW_BYTES_MAX = 16 * 1024 * 1024
RESEND_FIRST_S = 0.5
RESEND_MAX_S = 4.0
SILENCE_S = 0.4
"""How long a gateway may say nothing, while it was asked something, before the next one is tried."""
BACKOFF_FIRST_S = 0.02
BACKOFF_MAX_S = 0.3
HINT_EVERY_S = 1.0


class Receipt(NamedTuple):
    """Where a command stands in the log."""

    revision: Revision
    slot: Slot


class Command:
    """One proposed value on its way. `error` or `receipt` is set once it is done."""

    __slots__ = ("deadline", "error", "receipt", "seq", "settled", "unaccounted", "value")

    def __init__(self, value: bytes, deadline: Instant) -> None:
        self.value: bytes | None = value  # None: withdrawn
        self.deadline = deadline
        self.seq = 0
        self.settled = False  # the log has its number, whatever the caller was told
        self.unaccounted = 0  # sendings that were not refused: any of them may still reach the log
        self.receipt: Receipt | None = None
        self.error: PaxosError | None = None

    @property
    def done(self) -> bool:
        return self.receipt is not None or self.error is not None


class Question:
    """A read or a status request on its way; repeated until it is answered."""

    __slots__ = ("answer", "deadline", "error", "message", "not_before")

    def __init__(self, message: ReadLog | GetStatus, deadline: Instant) -> None:
        self.message = message
        self.deadline = deadline
        self.not_before: Instant = 0.0
        self.answer: LogPage | StatusReport | None = None
        self.error: PaxosError | None = None

    @property
    def done(self) -> bool:
        return self.answer is not None or self.error is not None


class Session:
    """One client's session with a cluster of gateways, whose addresses it tries in turn."""

    def __init__(self, endpoints: Sequence[str], random: Random) -> None:
        self._endpoints = list(endpoints)
        self._random = random
        self.gateway = self._endpoints[0]
        self._session: SessionId = NO_SESSION
        self._expired = False  # the cluster forgot the session
        self._nonce = 0
        self._attempt = 0
        self._commands: deque[Command] = deque()  # with numbers, in order, the first without a result in front
        self._bytes = 0
        self._next_seq = 1
        self._send_from = 1  # commands from this number on are to be sent
        self._attempts: OrderedDict[int, list[Command]] = OrderedDict()  # sendings that may still be refused
        self._deadlines: list[tuple[Instant, int, Command | Question]] = []
        self._count = 0
        self._questions: dict[int, Question] = {}
        self._asked: set[int] = set()  # questions that were sent since the last rewind
        self._not_before: Instant = 0.0
        self._backoff_s = BACKOFF_FIRST_S
        self._resend_s = RESEND_FIRST_S
        self._resend_at: Instant | None = None
        self._heard_at: Instant | None = None
        self._hinted_at: Instant = float("-inf")
        self._refusals = 0
        self._last_refusal: Reason | None = None

    # ---- in: what the user asks ----

    @property
    def is_full(self) -> bool:
        return len(self._commands) >= WINDOW_COMMANDS_MAX or self._bytes >= WINDOW_BYTES_MAX

    def propose(self, command: Command) -> None:
        """Number a command; `poll` sends it."""
        self._append(command)
        self._expect(command)

    def ask(self, question: Question) -> None:
        self._questions[question.message.request] = question
        self._expect(question)

    def _expect(self, pending: Command | Question) -> None:
        self._count += 1
        heapq.heappush(self._deadlines, (pending.deadline, self._count, pending))

    # ---- out ----

    def poll(self, now: Instant) -> list[FromClient]:
        """Fail what is overdue, and give what is to be sent to `gateway` now, in order."""
        self._expire(now)
        self._resend_if_silent(now)
        if self._expired and not any(command.unaccounted for command in self._commands):
            self._begin_anew()
        out: list[FromClient] = []
        if now >= self._not_before:
            if self._commands and self._session == NO_SESSION:
                self._open(out)
            elif self._session != NO_SESSION:
                self._send_commands(out)
        for request, question in self._questions.items():
            if request not in self._asked and now >= question.not_before:
                self._asked.add(request)
                out.append(question.message)
        if out and self._resend_at is None:
            self._resend_at = now + self._resend_s
            self._heard_at = now
        return out

    def next_deadline(self) -> Instant | None:
        """When `poll` has something to do if nothing comes before."""
        while self._deadlines and self._deadlines[0][2].done:
            heapq.heappop(self._deadlines)
        times = [question.not_before for key, question in self._questions.items() if key not in self._asked]
        if self._deadlines:
            times.append(self._deadlines[0][0])
        if self._resend_at is not None:
            times.append(self._resend_at)
        if self._send_from < self._next_seq or (self._commands and self._session == NO_SESSION and not self._nonce):
            times.append(self._not_before)
        return min(times, default=None)

    def _open(self, out: list[FromClient]) -> None:
        if not self._nonce:
            self._nonce = self._random.getrandbits(63) | 1
            self._attempt += 1
            out.append(OpenSession(self._nonce, self._attempt))

    def _send_commands(self, out: list[FromClient]) -> None:
        if self._send_from >= self._next_seq or not self._commands or self._expired:
            return
        first = self._commands[0].seq
        self._send_from = max(self._send_from, first)
        batch: list[Command] = []
        size = 0
        for command in islice(self._commands, self._send_from - first, None):
            withdrawn = command.value is None
            grown = size + len(command.value or b"")
            full = len(batch) == BATCH_COMMANDS_MAX or grown > BATCH_BYTES_MAX
            if batch and (full or withdrawn != (batch[0].value is None)):
                out.append(self._sending(batch))
                batch, grown = [], len(command.value or b"")
            size = grown
            batch.append(command)
        if batch:
            out.append(self._sending(batch))
        self._send_from = self._next_seq

    def _sending(self, batch: list[Command]) -> Propose:
        self._attempt += 1
        self._attempts[self._attempt] = batch
        for command in batch:
            command.unaccounted += 1
        values = [command.value for command in batch if command.value is not None]
        body = encode_body(values) if values else b""
        return Propose(self._session, self._attempt, self._commands[0].seq, batch[0].seq, len(batch), body)

    # ---- in: what the gateway answers ----

    def receive(self, message: ToClient, now: Instant) -> None:
        """Take an answer; what is settled by it is done afterwards."""
        self._heard_at = now
        match message:
            case Applied():
                self._on_applied(message, now)
                self._follow_hint(message.hint, now)
            case Refused():
                self._on_refused(message, now)
                self._follow_hint(message.hint, now)
            case SessionOpened(nonce, session, hint):
                if nonce == self._nonce:
                    self._session, self._nonce = session, 0
                    self._progress(now)
                self._follow_hint(hint, now)
            case LogPage():
                self._on_page(message, now)
            case StatusReport(request):
                self._answer(request, message, now)

    def _on_applied(self, message: Applied, now: Instant) -> None:
        if message.session != self._session or not self._commands:
            return
        first = self._commands[0].seq
        for offset in range(max(0, first - message.first_seq), message.count):
            index = message.first_seq + offset - first
            if index >= len(self._commands):
                break
            command = self._commands[index]
            if not command.done:
                command.receipt = Receipt(message.revision + offset, message.slot)
            command.settled = True
        while self._commands and self._commands[0].settled:
            self._bytes -= len(self._commands.popleft().value or b"")
        while self._attempts and next(iter(self._attempts.values()))[-1].settled:
            self._attempts.popitem(last=False)
        self._backoff_s = BACKOFF_FIRST_S
        self._refusals = 0
        self._last_refusal = None
        self._progress(now)

    def _progress(self, now: Instant) -> None:
        self._resend_s = RESEND_FIRST_S
        waiting = self._commands or self._asked
        self._resend_at = now + self._resend_s if waiting else None

    def _on_refused(self, message: Refused, now: Instant) -> None:
        if message.reason is Reason.SESSION_UNKNOWN:
            if message.session == self._session != NO_SESSION:
                self._expired = True
                self._account(message)
            return
        if message.reason is Reason.GAP:
            if message.session == self._session:
                self._send_from = min(self._send_from, message.expected)
            return
        if message.session == NO_SESSION:
            if message.first_seq != self._nonce:
                return
            self._nonce = 0
        elif not self._account(message):
            return
        self._last_refusal = message.reason
        self._back_off(message.reason, now)

    def _account(self, message: Refused) -> bool:
        """Note that a sending came to nothing; False if it is not known, or was noted before."""
        batch = self._attempts.pop(message.attempt, None)
        if batch is None:
            return False
        for command in batch:
            command.unaccounted -= 1
        if message.reason in (Reason.TOO_LARGE, Reason.MALFORMED):
            for command in batch:
                self._fail(command, TooLarge(_TOO_LARGE))
        self._send_from = min(self._send_from, batch[0].seq)
        return True

    def _back_off(self, reason: Reason, now: Instant) -> None:
        self._not_before = now + self._random.uniform(0.5, 1.0) * self._backoff_s
        self._backoff_s = min(self._backoff_s * 1.5, BACKOFF_MAX_S)
        self._refusals += 1
        if reason is Reason.STOPPING or self._refusals % 3 == 0:
            self._turn_to(self._next_endpoint())

    def _begin_anew(self) -> None:
        """Ask for a new session, for what certainly did not happen in the old one (law 4)."""
        kept = [command for command in self._commands if command.value is not None and not command.unaccounted]
        for command in self._commands:
            if command.unaccounted:
                self._fail(command, SessionExpired(_EXPIRED))
        self._commands.clear()
        self._attempts.clear()
        self._bytes = 0
        self._session, self._next_seq, self._send_from, self._expired = NO_SESSION, 1, 1, False
        for command in kept:
            self._append(command)

    def _append(self, command: Command) -> None:
        assert command.value is not None
        command.seq = self._next_seq
        self._next_seq += 1
        self._commands.append(command)
        self._bytes += len(command.value)

    def _on_page(self, message: LogPage, now: Instant) -> None:
        if not message.refused:
            return self._answer(message.request, message, now)
        question = self._questions.get(message.request)
        if question is not None:
            self._last_refusal = Reason.NO_LEADER
            self._asked.discard(message.request)
            question.not_before = now + self._random.uniform(0.05, 0.15)
            self._refusals += 1
            if self._refusals % 3 == 0:
                self._turn_to(self._next_endpoint())

    def _answer(self, request: int, answer: LogPage | StatusReport, now: Instant) -> None:
        question = self._questions.pop(request, None)
        self._asked.discard(request)
        if question is not None and not question.done:
            question.answer = answer
            self._progress(now)

    # ---- which gateway ----

    def _follow_hint(self, hint: str, now: Instant) -> None:
        if hint and now - self._hinted_at >= HINT_EVERY_S:
            self._hinted_at = now
            self._turn_to(hint if "://" in hint else f"tcp://{hint}")

    def _next_endpoint(self) -> str:
        known = self._endpoints
        at = known.index(self.gateway) if self.gateway in known else -1
        return known[(at + 1) % len(known)]

    def _turn_to(self, gateway: str) -> None:
        """Talk to this gateway from now on; what has no result is sent again, to it."""
        if gateway != self.gateway:
            self.gateway = gateway
            self._rewind()

    def _rewind(self) -> None:
        self._nonce = 0
        self._asked.clear()
        if self._commands:
            self._send_from = self._commands[0].seq

    def _resend_if_silent(self, now: Instant) -> None:
        if self._resend_at is None or now < self._resend_at:
            return
        if self._heard_at is None or now - self._heard_at >= SILENCE_S:
            self._heard_at = now
            self._turn_to(self._next_endpoint())
        if self._expired:
            self._begin_anew()
        self._rewind()
        self._resend_s = min(self._resend_s * 2, RESEND_MAX_S) if self._session else RESEND_FIRST_S
        self._resend_at = now + min(self._resend_s, SILENCE_S) if self._commands or self._questions else None

    # ---- giving up ----

    def _expire(self, now: Instant) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            pending = heapq.heappop(self._deadlines)[2]
            if pending.done:
                continue
            if isinstance(pending, Command):
                self._fail(pending, self._verdict(pending))
            else:
                self._questions.pop(pending.message.request, None)
                self._asked.discard(pending.message.request)
                pending.error = NoQuorum(_NO_READ) if self._last_refusal else ReadTimeout(_READ_TIMEOUT)

    def _verdict(self, command: Command) -> PaxosError:
        if command.unaccounted:
            return ProposeTimeout(_UNKNOWN)
        if self._last_refusal is Reason.OVERLOADED:
            return Overloaded(_OVERLOADED)
        return NoQuorum(_NO_QUORUM) if self._last_refusal is not None else Unavailable(_UNAVAILABLE)

    def _fail(self, command: Command, error: PaxosError) -> None:
        if not command.done:
            command.error = error
        if command.value is not None:
            self._bytes -= len(command.value)
            command.value = None
            self._send_from = min(self._send_from, command.seq)

    def close(self, closed: type[PaxosError]) -> None:
        """Fail whatever is not done."""
        for command in self._commands:
            if not command.done:
                command.error = closed("the client was closed before there was a result")
                command.error.outcome = "unknown" if command.unaccounted else "not_applied"
        for question in self._questions.values():
            question.error = closed("the client was closed before there was an answer")


_UNKNOWN = (
    "no result in time: the command was sent and may have been applied, or may not; "
    "read the log before proposing it again"
)
_NO_QUORUM = (
    "not applied: nobody leads the cluster, because too few acceptors, or no proposer, reach each other; "
    "look at `paxosctl status`, bring nodes back, and propose again"
)
_UNAVAILABLE = (
    "not applied: no gateway could be reached in time; check the endpoints and whether their daemons run, "
    "and propose again"
)
_OVERLOADED = "not applied: the leader holds as many commands as it may; propose again later, or more slowly"
_TOO_LARGE = "not applied: the value is over the cluster's limit (limits.command_bytes); propose a smaller one"
_EXPIRED = (
    "the cluster forgot this client's session, so it cannot tell whether the command was applied; read the log before "
    "proposing it again"
)
_NO_READ = "nobody leads the cluster, so a read cannot be confirmed; bring nodes back, or read with linearizable=False"
_READ_TIMEOUT = "no gateway answered in time; check the endpoints and whether their daemons run, and read again"
