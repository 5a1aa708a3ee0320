"""A session that finds out what became of commands, of its own or of any other session.

To ask is to withdraw: the number of the command is used up by an empty command, unless the log has it already. So the
answer is a fact of the log, and whoever asks is told the same.

Laws:
1. "Not applied" is said only where the log has the number as withdrawn. Any copy of the command that gets there later
   finds its number used, whatever it is, whoever leads.
2. "No longer known" is said only where a gateway proved that the log has no such session (any more), or that its client
   has acknowledged the result. The id of a session never comes back, so neither does the command.
3. What lies between the end of a session and the command is withdrawn with it: commands happen in their order, so what
   is not withdrawn could still bring it about. That is never done to commands of our own: they are waited for.
4. One question at a time. It is asked again until it is answered, as any: whatever is lost or comes twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from paxosd.client import settling, verdicts
from paxosd.client.calls import Question
from paxosd.client.errors import PaxosError
from paxosd.client.outbox import WINDOW_COMMANDS_MAX
from paxosd.client.outcomes import CommandOutcome, NoLongerKnown, outcome_of
from paxosd.client.session import Session
from paxosd.core.messages import Applied, FromClient, Propose, Refused, ToClient
from paxosd.core.reasons import Reason
from paxosd.core.types import Instant, SessionId, Wish


class Inquiry(Question):
    """What became of this command?"""

    __slots__ = ("seq", "session")

    def __init__(self, session: SessionId, seq: int, deadline: Instant) -> None:
        super().__init__(Propose(session, 0, 0, seq, 1, b""), deadline)
        self.session = session
        self.seq = seq

    @property
    def key(self) -> tuple[SessionId, int]:
        return self.session, self.seq

    @property
    def sending(self) -> Propose:
        """The withdrawal that asks."""
        assert isinstance(self.message, Propose)
        return self.message

    def concerns(self, message: Applied | Refused) -> bool:
        """Whether this answer is about it."""
        if message.session != self.session:
            return False
        if isinstance(message, Refused) and message.attempt:
            return message.attempt == self.sending.attempt
        return message.first_seq <= self.seq < message.first_seq + message.count

    def withdraw_from(self, seq: int) -> bool:
        """The log lacks this one and all that follow: withdraw them, too. False: they are too many, so that no client
        can have given a number to the command that is asked for."""
        if not 0 <= self.seq - seq < WINDOW_COMMANDS_MAX:
            return False
        self.message = replace(self.sending, first_seq=seq, count=self.seq - seq + 1)
        return True


class InquiringSession(Session):
    """As a `Session`, which resolves outcomes, too."""

    def __init__(
        self,
        endpoints: Sequence[str],
        random: Random,
        troubles: Mapping[str, str] | None = None,
        draw: Callable[[], Wish] | None = None,
    ) -> None:
        super().__init__(endpoints, random, troubles, draw)
        self._inquiries: deque[Inquiry] = deque()  # those that are not answered, of which the first one is asked

    def ask(self, question: Question) -> None:
        if not isinstance(question, Inquiry):
            return super().ask(question)
        question.message = replace(question.sending, attempt=self._sendings.next_name())
        self._inquiries.append(question)
        self._deadlines.add(question)
        return None

    def poll(self, now: Instant) -> list[FromClient]:
        while self._inquiries and not self._is_on_its_way(self._inquiries[0]):
            self._inquiries.popleft()
        return super().poll(now)

    def _is_on_its_way(self, inquiry: Inquiry) -> bool:
        """Whether it has still no answer; it is asked, unless the command is one of ours that has no result yet."""
        if inquiry.session == self._outbox.session and inquiry.seq >= self._outbox.next_seq:
            inquiry.fail(verdicts.no_such_command(inquiry.seq))
        if not inquiry.done and (known := self._outbox.late.of(*inquiry.key)) is not None:
            self._questions.take(inquiry.key)
            inquiry.succeed(known)
        if inquiry.done:
            return False
        if inquiry not in self._questions and not self._awaits(inquiry):
            self._questions.add(inquiry)
        return True

    def _awaits(self, inquiry: Inquiry) -> bool:
        """Whether the command is one of ours that has no result yet."""
        return inquiry.session == self._outbox.session and inquiry.seq >= self._outbox.first_seq

    def receive(self, message: ToClient, now: Instant) -> None:
        super().receive(message, now)
        if self._inquiries and isinstance(message, Applied | Refused):
            inquiry = self._inquiries[0]
            if inquiry in self._questions and inquiry.concerns(message):
                self._hear(inquiry, message, now)

    def _hear(self, inquiry: Inquiry, message: Applied | Refused, now: Instant) -> None:
        if isinstance(message, Refused):
            return self._hear_refusal(inquiry, message, now)
        results = settling.results_of(message)
        if results is not None:
            place = inquiry.seq - message.first_seq
            [receipt] = settling.receipts(message, results, range(place, place + 1))
            self._tell(inquiry, outcome_of(receipt), now)
        return None

    def _hear_refusal(self, inquiry: Inquiry, message: Refused, now: Instant) -> None:
        match message.reason:
            case Reason.SESSION_UNKNOWN:
                self._tell(inquiry, NoLongerKnown(verdicts.SESSION_GONE), now)
            case Reason.ACKNOWLEDGED:
                self._tell(inquiry, NoLongerKnown(verdicts.RESULT_GONE), now)
            case Reason.GAP if inquiry.withdraw_from(message.expected):
                self._questions.refused(inquiry.key, now)
            case Reason.GAP:
                inquiry.fail(verdicts.no_such_command(inquiry.seq))
            case _:
                self._refused_question(inquiry.key, message.reason, message, now)

    def _tell(self, inquiry: Inquiry, outcome: CommandOutcome, now: Instant) -> None:
        self._inquiries.popleft()
        self._answer(inquiry.key, outcome, now)

    def close(self, kind: type[PaxosError], why: str) -> None:
        super().close(kind, why)
        for inquiry in self._inquiries:
            inquiry.fail(kind(f"not answered; {why}"))
