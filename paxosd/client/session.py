"""What a client does, as a pure machine: commands in, messages out, answers in, results out.

Laws:
1. Commands are numbered 1, 2, 3 … when they are first sent, and always sent in that order; whatever is sent again is
   sent from the first one without a result. The cluster applies each number once, so sending again is always safe.
2. A command counts as "not applied" only if every sending of it was refused by name (`attempt`), or there was none.
3. A command that is given up after it was sent keeps its number and goes on as a withdrawal: if nothing of it reached
   the log by then, nothing ever will.
4. Who waits sleeps: after a `poll`, `next_deadline` is later than now. What is sent again in vain is sent less and
   less often, and less of it (`pacing.py`).
5. A session that the cluster forgot is left for a new one, with exactly those commands of which every sending was
   refused by name. Nobody can tell any more what became of the others.
6. A client is of one history. Where another one answers, it is sought for a moment at the other gateways; then the
   client ends, and tells of each command whether it may have happened. It never goes on in the other history.
7. No clock, no chance, no socket: `now` and a `Random` come in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random

from paxosd.client import settling, verdicts
from paxosd.client.asking import A_WORD, Asking, shown
from paxosd.client.batching import batches, body_of, machine_of
from paxosd.client.calls import Command, Question, Told
from paxosd.client.deadlines import Deadlines
from paxosd.client.errors import PaxosError, WrongCluster, WrongHistory
from paxosd.client.gateways import SILENCE_S, Gateways
from paxosd.client.outbox import Outbox
from paxosd.client.outcomes import Receipt
from paxosd.client.pacing import EVERYWHERE, Pacing
from paxosd.client.seeking import Seeking
from paxosd.client.sendings import Sendings
from paxosd.core.messages import (
    Answer,
    Applied,
    FromClient,
    LogPage,
    OpenSession,
    Propose,
    Refused,
    SessionOpened,
    SlotPage,
    SnapshotPage,
    StatusReport,
    ToClient,
)
from paxosd.core.reasons import Reason
from paxosd.core.types import LOG, NO_SESSION, NO_WISH, SESSION_BYTES, Instant, Revision, Wish

RESEND_FIRST_S, RESEND_MAX_S = 0.5, 2.0


class Session:
    """One client's session with a cluster of gateways, whose addresses it tries in turn. `troubles`: as of its link.

    `draw` gives wishes that nobody can guess; without it they come from `random`.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        random: Random,
        troubles: Mapping[str, str] | None = None,
        draw: Callable[[], Wish] | None = None,
    ) -> None:
        self.gateways = Gateways(endpoints, troubles)
        self.seen: Revision = 0  # the latest revision that this client knows to be applied
        self._draw = draw or (lambda: random.randbytes(SESSION_BYTES))
        self._expired = False  # the cluster forgot the session
        self._wish: Wish = NO_WISH  # for a session, until there is one
        self._opening = False  # whether a gateway was asked for it, and did not refuse
        self._seeking = Seeking()
        self._pacing = Pacing(random)
        self._outbox = Outbox(self._pacing)
        self._sendings = Sendings()
        self._deadlines = Deadlines()
        self._questions = Asking(random)
        self._resend_s = RESEND_FIRST_S
        self._resend_at: Instant | None = None
        self._heard_at: Instant | None = None
        self._refusals = 0
        self._last_refusal: Reason | None = None

    @property
    def gateway(self) -> str:
        """The address to send to."""
        return self.gateways.current

    # ---- in: what the user asks ----

    @property
    def is_full(self) -> bool:
        return self._outbox.is_full

    def propose(self, *commands: Command) -> None:
        """Take commands; `poll` sends them when their turn comes."""
        self._outbox.add(commands)
        self._deadlines.add(*commands)

    def ask(self, question: Question) -> None:
        self._questions.add(question)
        self._deadlines.add(question)

    def close(self, kind: type[PaxosError], why: str) -> None:
        """Fail whatever is not done, with an error of this kind."""
        for command in self._outbox:
            self._outbox.fail(command, verdicts.of_end(kind, why, sent=command.unaccounted > 0))
        for question in self._questions.all():
            question.fail(kind(f"not answered; {why}"))

    # ---- out ----

    def poll(self, now: Instant) -> list[FromClient]:
        """Fail what is overdue, and give what is to be sent to `gateway` now, in order."""
        self._give_up_seeking(now)
        self._expire(now)
        self._resend_if_silent(now)
        if self._expired and self._outbox.is_accounted_for:
            self._begin_anew()
        out: list[FromClient] = []
        if self._has_to_send() and now >= self._pacing.not_before:
            if self.gateways.wants_a_word():
                out.append(A_WORD)
            elif self._outbox.session == NO_SESSION:
                self._open(out)
            else:
                sendable = self._outbox.sendable(lambda command: self._fail_if_late(command, now))
                out += [self._sending(batch, now) for batch in batches(sendable)]
        out += self._questions.due(now)
        if out:
            self.gateways.dialed = self.gateway
            if self._resend_at is None:
                self._heard_at = now
            due = now + self._resend_s + self._held_s()
            self._resend_at = due if self._resend_at is None else min(self._resend_at, due)
        return out

    def _expire(self, now: Instant) -> None:
        for pending in self._deadlines.overdue(now):
            if isinstance(pending, Command):
                sent = pending.unaccounted > 0
                no_turn = Reason.OVERLOADED if not sent and self._pacing.is_served(now) else None  # others are done
                self._outbox.fail(pending, verdicts.of_command(self._last_refusal or no_turn, sent, self.gateways))
            else:
                self._questions.take(pending.key)
                pending.fail(verdicts.of_question(self._last_refusal, self.gateways))

    def next_deadline(self) -> Instant | None:
        """When `poll` has something to do if nothing comes before."""
        times = [self._deadlines.next, self._resend_at, self._seeking.until, *self._questions.next_due()]
        if self._has_to_send():
            times.append(self._pacing.not_before)
        return min((at for at in times if at is not None), default=None)

    def _has_to_send(self) -> bool:
        """Whether there are commands that wait for nothing but the end of a back-off."""
        if self._expired or self.gateways.is_asked:
            return False
        if self._outbox.session == NO_SESSION:
            return self._outbox.waits and not self._opening
        return self._outbox.has_to_send

    def _open(self, out: list[FromClient]) -> None:
        self._wish = self._wish or self._draw()
        self._opening = True
        out.append(OpenSession(self._wish, self._sendings.next_name()))

    def _fail_if_late(self, command: Command, now: Instant) -> None:
        """What a full cluster refused, or had no turn for, is not sent if it would not be done in time."""
        is_full = self._last_refusal in (None, Reason.OVERLOADED) and self._pacing.is_served(now)
        if is_full and not self._pacing.has_time(command.deadline, now):
            self._outbox.fail(command, verdicts.overloaded())

    def _sending(self, batch: list[Command], now: Instant) -> Propose:
        attempt = self._sendings.add(batch, now)
        sending = self._outbox.session, attempt, self._outbox.first_seq, batch[0].seq, len(batch), body_of(batch)
        return Propose(*sending, machine_of(batch[0]) or LOG)

    # ---- in: what the gateway answers ----

    def receive(self, message: ToClient, now: Instant) -> None:
        """Take an answer; what is settled by it is done afterwards."""
        self._heard_at = now
        self.gateways.heard()
        match message:
            case Applied():
                self._on_applied(message, now)
                self._follow_hint(message.hint, now)
            case Refused(reason=Reason.ACKNOWLEDGED):
                pass  # of a sending that came late
            case Refused():
                self._on_refused(message, now)
                self._follow_hint(message.hint, now)
            case SessionOpened(wish, session, hint):
                if wish == self._wish != NO_WISH:
                    self._outbox.session, self._wish, self._opening = session, NO_WISH, False
                    self._seeking.end()
                    self._progress(now)
                self._follow_hint(hint, now)
            case LogPage():
                self._on_page(message, now)
            case Answer():
                self._answer(message.request, message, now)
                self._follow_hint(message.hint, now)
            case SlotPage(request) | SnapshotPage(request) | StatusReport(request):
                self._answer(request, message, now)

    def _on_applied(self, message: Applied, now: Instant) -> None:
        results = settling.results_of(message)
        if message.session != self._outbox.session or not self._outbox.has_numbers or results is None:
            return
        commands, places = self._outbox.numbered(message.first_seq, message.count)
        self._settle(commands, settling.receipts(message, results, places))
        self._outbox.take_settled(now)
        self._sendings.forget_settled()
        self._refusals, self._last_refusal = 0, None
        self._seeking.end()
        if self.gateways.note_leader(message.hint):
            self._outbox.rewind()
        self._progress(now)

    def _settle(self, commands: list[Command], receipts: list[Receipt]) -> None:
        """The log has their numbers: applied, or withdrawn (revision 0)."""
        if receipts:
            self.seen = max(self.seen, receipts[-1].revision)  # before anybody is woken who reads what was seen
        for command, receipt in zip(commands, receipts, strict=True):
            command.settled = True
            if command.done:  # its caller was told something else
                self._outbox.note_late(command, receipt)
                continue
            if (error := settling.of_result(command, receipt)) is not None:
                self._outbox.fail(command, error)
            command.succeed(receipt)

    def _progress(self, now: Instant) -> None:
        self._resend_s = min(max(RESEND_FIRST_S, 3 * self._pacing.quickest_s), RESEND_MAX_S)
        self._expect_answer(now, self._resend_s)

    def _expect_answer(self, now: Instant, within_s: float) -> None:
        """If anything is asked, ask it again unless there is an answer by then."""
        waiting = self._outbox.has_numbers or self._opening or self._questions
        self._resend_at = now + within_s + self._held_s() if waiting else None

    def _held_s(self) -> float:
        """How long silence means nothing, because gateways hold our questions until there is something new."""
        if self._outbox.has_numbers or self._opening:
            return 0.0
        return self._questions.held_s

    def _on_refused(self, message: Refused, now: Instant) -> None:
        if message.reason is Reason.SESSION_UNKNOWN:
            if message.session == self._outbox.session != NO_SESSION:
                self._expired = True
                self._account(message)
            return
        if message.reason is Reason.GAP:
            return self._on_gap(message, now)
        if not message.first_seq:
            if message.session != self._wish or not self._opening:
                return
            self._opening = False
        elif not self._account(message):
            return
        if message.reason not in (Reason.TOO_LARGE, Reason.MALFORMED, Reason.UNKNOWN_MACHINE):
            self._note_refusal(message.reason, message)
        self._pacing.refused(message.reason, now)
        if not self._sendings and not self._questions.awaited:
            self._resend_at = None  # nothing is awaited, so that silence means nothing
        if message.reason not in EVERYWHERE:
            self._count_refusal(now, message.reason)

    def _note_refusal(self, reason: Reason, said: Refused | LogPage) -> None:
        """For what is told if the time runs out."""
        self._last_refusal, self.gateways.lag, self.gateways.why = reason, said.lag, said.why

    def _on_gap(self, message: Refused, now: Instant) -> None:
        """A sending came without an earlier command: send all again from that one on, once for all that tell of it."""
        if message.session != self._outbox.session:
            return
        self._sendings.take(message.attempt)
        another_leads = message.first_seq == message.expected  # each gateway says it, of what it was sent
        tied = message.attempt > 0 or another_leads
        is_news = self._sendings.is_news(message.attempt) if tied else self._pacing.is_new_gap(now)
        if is_news and message.expected >= self._outbox.first_seq:  # otherwise the gap is closed by now
            self._sendings.go_back()
            self._pacing.go_back(now)
            self._outbox.send_from(message.expected)

    def _account(self, message: Refused) -> bool:
        """Note that a sending came to nothing; False if it is not known, or was noted before."""
        batch = self._sendings.take(message.attempt)
        if batch is None:
            return False
        self._outbox.send_from(batch[0].seq)
        for command in batch:
            if (error := settling.of_refusal(command, message)) is not None:
                self._outbox.fail(command, error)
        return True

    def _count_refusal(self, now: Instant, reason: Reason) -> None:
        """Every third time, somebody else may know better; or at once, where this one will not serve soon."""
        self._refusals += 1
        if reason in (Reason.STOPPING, Reason.DIFFERS, Reason.FOREIGN) or self._refusals % 3 == 0:
            with self._turning():
                self.gateways.turn(now, serves_nobody=True)

    def _begin_anew(self) -> None:
        """Ask for a new session, for what certainly did not happen in the old one (law 5)."""
        self._outbox.begin_anew(verdicts.expired)
        self._outbox.session, self._expired = NO_SESSION, False
        self._sendings.clear()
        self._wish, self._opening = NO_WISH, False

    def _on_page(self, message: LogPage, now: Instant) -> None:
        if message.refused in (0, Reason.COMPACTED):  # the caller is told, whoever is asked next
            return self._answer(message.request, message, now)
        self._refused_question(message.request, verdicts.why_unread(message.refused), message, now)

    def _refused_question(self, key: Hashable, reason: Reason, said: Refused | LogPage, now: Instant) -> None:
        """Ask it again soon; elsewhere, unless that would be refused there, too."""
        if self._questions.refused(key, now):
            self._note_refusal(reason, said)
            if reason not in EVERYWHERE:
                self._count_refusal(now, reason)

    def _answer(self, key: Hashable, answer: Told, now: Instant) -> None:
        question = self._questions.take(key)
        self.seen = max(self.seen, shown(answer))
        if not isinstance(answer, StatusReport):
            self._seeking.end()
        if question is not None and not question.done:
            question.succeed(answer)
            self._progress(now)

    # ---- which gateway ----

    def set_aside(self, gateway: str, why: str, now: Instant, of_history: bool = False) -> None:
        """This one is of another cluster, or of another history of ours. Raises `WrongCluster` or `WrongHistory` if no
        other gateway is left."""
        with self._turning():
            self.gateways.set_aside(gateway, why, now)
        if of_history:
            self._seeking.begin(now)
        if self.gateways.none_left and self._seeking.until is None:
            raise WrongCluster(f"no gateway is of this client's cluster: {self.gateways}")
        self._give_up_seeking(now)

    @property
    def _waits_until(self) -> Instant | None:
        """Until when somebody waits, at the earliest; None: nobody does."""
        return self._deadlines.next

    def _give_up_seeking(self, now: Instant) -> None:
        """Raise `WrongHistory` where another history answers, and ours does not within the time of every call."""
        if self._seeking.is_in_vain(now, self.gateways.none_left, self._waits_until):
            raise WrongHistory(verdicts.wrong_history(self.gateways))

    def _follow_hint(self, hint: str, now: Instant) -> None:
        if hint:
            with self._turning():
                self.gateways.follow(hint, now)

    @contextmanager
    def _turning(self) -> Iterator[None]:
        """What has no result is sent again, if the block turns to another gateway."""
        before = self.gateway
        yield
        if self.gateway != before:
            self._rewind()

    def _rewind(self) -> None:
        self._opening = False
        self._questions.rewind()
        self._outbox.rewind()

    def _resend_if_silent(self, now: Instant) -> None:
        if self._resend_at is None or (now < self._resend_at and not self.gateways.leads_nowhere(now)):
            return
        patience_s = SILENCE_S
        if self.gateways.leads_nowhere(now) or self._heard_at is None or now - self._heard_at >= SILENCE_S:
            self._heard_at = now
            self.gateways.found_silent(now)
            if self.gateways.avoids(self.gateway, now):  # all are silent
                self._last_refusal = None
                patience_s = self._grown_patience_s()
        else:
            patience_s = self._grown_patience_s()
        if self._expired:
            self._begin_anew()
        if self._outbox.was_sent:
            self._pacing.lost()
        self._rewind()
        self._expect_answer(now, patience_s)

    def _grown_patience_s(self) -> float:
        self._resend_s = min(self._resend_s * 1.5, RESEND_MAX_S)
        return self._resend_s
