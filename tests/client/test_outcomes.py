"""What became of a command: asked by its own client or by any other, answered by a real ledger, whatever is lost."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.client import arguments, outcomes
from paxosd.client.calls import Command
from paxosd.client.errors import ClientClosed, ProposeTimeout, QuestionRefused, ReadTimeout, Withdrawn
from paxosd.client.inquiring import Inquiry
from paxosd.client.outbox import WINDOW_COMMANDS_MAX
from paxosd.client.outcomes import (
    CommandOutcome,
    LateResults,
    NeverApplied,
    NoLongerKnown,
    Receipt,
    WasApplied,
    outcome_of,
)
from paxosd.client.watching import WatchingSession
from paxosd.core.messages import Applied, FromClient, OpenSession, Propose, Refused, SessionOpened, ToClient
from paxosd.core.reasons import Reason
from paxosd.core.types import NO_SESSION, Instant, Outcome, SessionId
from paxosd.core.values import RESULT_DROPPED, UNKNOWN_MACHINE, Batch, encode_value
from paxosd.machine.ledger import Ledger
from paxosd.machine.log import Log
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import session_id

GATEWAYS = ["tcp://l1:7100", "tcp://l2:7100"]
FAR = 1000.0


class Gateway:
    """A gateway beside a leader, with a real ledger: what it takes is in the log at once."""

    def __init__(self, sessions_max: int = 50) -> None:
        self.ledger = Ledger(MemoryStore(), {"log": Log()}, sessions_max, 1 << 20)
        self.log: list[tuple[SessionId, int]] = []  # which commands are applied, by revision

    def open(self, number: int) -> SessionId:
        (opened,) = self.take(OpenSession(session_id(number), 1))
        assert isinstance(opened, SessionOpened)
        return opened.session

    def take(self, message: FromClient) -> list[ToClient]:
        if isinstance(message, OpenSession):
            return self._apply(Batch(message.wish, 0, 0, 1, b""))
        assert isinstance(message, Propose)
        if not self.ledger.knows(message.session):
            return [refused(message, Reason.SESSION_UNKNOWN)]
        stored = self.ledger.stored(message.session, message.first_seq, message.count)
        if stored is not None:
            told = [applied(outcome) for outcome in stored]
            return list(told) or [refused(message, Reason.ACKNOWLEDGED)]
        told_so_far = message.acknowledged, message.first_seq, message.count, message.body
        return self._apply(Batch(message.session, *told_so_far))

    def _apply(self, batch: Batch) -> list[ToClient]:
        answers: list[ToClient] = []
        before = self.ledger.revision
        for outcome in self.ledger.apply(self.ledger.next_slot, encode_value(1, [batch])):
            if outcome.kind == "opened":
                answers.append(SessionOpened(outcome.wish, outcome.session, ""))
            elif outcome.kind == "applied":
                answers.append(applied(outcome))
            else:
                reason = Reason.GAP if outcome.kind == "gap" else Reason.SESSION_UNKNOWN
                about = outcome.session, 0, outcome.first_seq, outcome.count
                answers.append(Refused(*about, reason, outcome.expected, ""))
        stop = batch.first_seq + batch.count
        self.log += [(batch.session, seq) for seq in range(stop - (self.ledger.revision - before), stop)]
        return answers


def applied(told: Outcome) -> Applied:
    return Applied(told.session, told.first_seq, told.count, told.revision, told.slot, "", told.said)


def refused(message: Propose, reason: Reason, expected: int = 0) -> Refused:
    return Refused(message.session, message.attempt, message.first_seq, message.count, reason, expected, "")


class Bench:
    """A client with a clock. What it sends reaches a gateway when a test says so."""

    def __init__(self, seed: int = 1) -> None:
        self.session = WatchingSession(GATEWAYS, Random(seed))
        self.now: Instant = 0.0

    def propose(self, value: bytes = b"v", timeout_s: float = FAR) -> Command:
        command = Command(value, self.now + timeout_s)
        self.session.propose(command)
        return command

    def ask(self, session: SessionId, seq: int, timeout_s: float = FAR) -> Inquiry:
        inquiry = Inquiry(session, seq, self.now + timeout_s)
        self.session.ask(inquiry)
        return inquiry

    def poll(self) -> list[FromClient]:
        return self.session.poll(self.now)

    def hear(self, *messages: ToClient) -> None:
        for message in messages:
            self.session.receive(message, self.now)

    def later(self, seconds: float) -> None:
        self.now += seconds

    def run(self, gateway: Gateway) -> None:
        """Let everything reach the gateway, and all answers come back, until nothing is to be said."""
        while messages := self.poll():
            for message in messages:
                self.hear(*gateway.take(message))
            self.later(0.2)  # what was refused is asked again


def answer_of(inquiry: Inquiry) -> CommandOutcome:
    assert isinstance(inquiry.answer, CommandOutcome)
    return inquiry.answer


def sent(bench: Bench, gateway: Gateway, count: int) -> list[Propose]:
    """So many commands, on their way: the gateway has none of them."""
    bench.propose(b"first")
    bench.run(gateway)
    sendings = []
    for number in range(count):
        bench.propose(b"%d" % number)
        sendings += [message for message in bench.poll() if isinstance(message, Propose)]
    return sendings


# ---- asked by another client ---------------------------------------------------------------------


def test_a_command_that_is_in_the_log_was_applied_and_has_its_receipt() -> None:
    gateway, owner, asker = Gateway(), Bench(1), Bench(2)
    (sending,) = sent(owner, gateway, 1)
    gateway.take(sending)
    inquiry = asker.ask(sending.session, sending.first_seq)
    asker.run(gateway)

    assert answer_of(inquiry) == WasApplied(Receipt(2, 3))
    assert gateway.ledger.revision == 2


def test_a_command_that_is_not_in_the_log_never_will_be_once_that_was_said() -> None:
    gateway, owner, asker = Gateway(), Bench(1), Bench(2)
    (sending,) = sent(owner, gateway, 1)
    inquiry = asker.ask(sending.session, sending.first_seq)
    asker.run(gateway)
    answers = gateway.take(sending)  # the copy that was late

    assert answer_of(inquiry) == NeverApplied()
    assert gateway.log == [(sending.session, 1)]
    assert answers == [Applied(sending.session, 2, 1, 0, 3, "")]


def test_earlier_commands_that_are_not_in_the_log_are_withdrawn_with_it() -> None:
    gateway, owner, asker = Gateway(), Bench(1), Bench(2)
    sendings = sent(owner, gateway, 3)
    inquiry = asker.ask(sendings[2].session, sendings[2].first_seq)
    asker.run(gateway)
    for sending in sendings:
        gateway.take(sending)

    assert answer_of(inquiry) == NeverApplied()
    assert gateway.log == [(sendings[0].session, 1)]


def test_the_client_whose_commands_were_withdrawn_is_told_and_goes_on() -> None:
    gateway, owner, asker = Gateway(), Bench(1), Bench(2)
    owner.propose(b"first")
    owner.run(gateway)
    lost = owner.propose(b"lost")
    owner.poll()
    asker.ask(owner.session._outbox.session, 2)
    asker.run(gateway)
    owner.later(5.0)
    owner.run(gateway)
    next_one = owner.propose(b"next")
    owner.run(gateway)

    assert isinstance(lost.error, Withdrawn)
    assert (lost.error.outcome, lost.error.retryable) == ("not_applied", True)
    assert next_one.receipt == Receipt(2, 4)


def test_a_command_of_a_session_that_the_cluster_forgot_is_forgotten() -> None:
    gateway, owner, asker = Gateway(sessions_max=1), Bench(1), Bench(2)
    (sending,) = sent(owner, gateway, 1)
    gateway.open(99)
    inquiry = asker.ask(sending.session, sending.first_seq)
    asker.run(gateway)

    assert isinstance(answer_of(inquiry), NoLongerKnown)
    assert "does not know this session" in answer_of(inquiry).why  # type: ignore[union-attr]
    assert gateway.take(sending) == [refused(sending, Reason.SESSION_UNKNOWN)]


def test_a_command_whose_client_acknowledged_the_result_is_forgotten() -> None:
    gateway, owner, asker = Gateway(), Bench(1), Bench(2)
    for value in (b"1", b"2", b"3"):
        owner.propose(value)
        owner.run(gateway)
    inquiry = asker.ask(owner.session._outbox.session, 1)
    asker.run(gateway)

    assert isinstance(answer_of(inquiry), NoLongerKnown)
    assert "acknowledged" in answer_of(inquiry).why  # type: ignore[union-attr]


def test_a_number_that_nobody_can_have_given_is_refused_and_withdraws_nothing() -> None:
    gateway, owner, asker = Gateway(), Bench(1), Bench(2)
    (sending,) = sent(owner, gateway, 1)
    inquiry = asker.ask(sending.session, 2 + WINDOW_COMMANDS_MAX)
    asker.run(gateway)
    near = asker.ask(sending.session, 1 + WINDOW_COMMANDS_MAX)
    gateway.take(sending)
    asker.run(gateway)

    assert isinstance(inquiry.error, QuestionRefused)
    assert gateway.ledger.revision == 2
    assert answer_of(near) == NeverApplied()


def test_what_is_asked_in_vain_is_asked_again_and_ends_in_time() -> None:
    asker = Bench()
    inquiry = asker.ask(session_id(7), 3, timeout_s=5.0)
    times = 0
    while not inquiry.done:
        for message in asker.poll():
            times += 1
            assert isinstance(message, Propose)
            asker.hear(refused(message, Reason.BEHIND))
        asker.later(0.05)

    assert isinstance(inquiry.error, ReadTimeout)
    assert 20 < times < 120
    asker.later(10.0)
    assert asker.poll() == []
    assert asker.session.next_deadline() is None


def test_one_question_at_a_time_is_asked_in_their_order() -> None:
    gateway, owner, asker = Gateway(), Bench(1), Bench(2)
    sendings = sent(owner, gateway, 2)
    session = sendings[0].session
    first, second = asker.ask(session, 2), asker.ask(session, 3)
    asked = asker.poll()
    asker.hear(*gateway.take(asked[0]))
    asker.run(gateway)

    assert [message.first_seq for message in asked if isinstance(message, Propose)] == [2]
    assert [answer_of(first), answer_of(second)] == [NeverApplied(), NeverApplied()]


def test_what_is_asked_when_the_client_is_closed_is_not_answered() -> None:
    asker = Bench()
    first, second = asker.ask(session_id(7), 1), asker.ask(session_id(7), 2)
    asker.poll()
    asker.session.close(ClientClosed, "the client was closed")

    assert isinstance(first.error, ClientClosed)
    assert isinstance(second.error, ClientClosed)


# ---- asked by the client of the command ---------------------------------------------------------------


def test_an_error_of_unknown_outcome_has_the_name_of_its_command_and_tells_it() -> None:
    gateway, owner = Gateway(), Bench()
    owner.propose(b"first")
    owner.run(gateway)
    command = owner.propose(b"unsure", timeout_s=1.0)
    owner.poll()
    owner.later(1.0)
    owner.poll()

    assert isinstance(command.error, ProposeTimeout)
    assert (command.error.session, command.error.seq) == (owner.session._outbox.session, 2)
    assert f"(this was command 2 of session {command.error.session.hex()})" in str(command.error)


def test_an_error_that_is_certain_names_no_command() -> None:
    owner = Bench()
    command = owner.propose(timeout_s=1.0)
    owner.later(1.0)
    owner.poll()

    assert command.error is not None
    assert (command.error.session, command.error.seq) == (NO_SESSION, 0)
    assert "session" not in str(command.error)


@pytest.mark.parametrize("arrives", [True, False])
def test_what_came_late_is_remembered_by_the_client_that_acknowledged_it(arrives: bool) -> None:
    gateway, owner = Gateway(), Bench()
    owner.propose(b"first")
    owner.run(gateway)
    unsure = owner.propose(b"unsure", timeout_s=1.0)
    (sending,) = owner.poll()
    if arrives:
        gateway.take(sending)
    owner.later(1.0)
    owner.run(gateway)
    for _ in range(3):  # each of which acknowledges what came before
        owner.propose(b"later")
        owner.run(gateway)
    assert unsure.error is not None
    inquiry = owner.ask(unsure.error.session, unsure.error.seq)
    owner.run(gateway)

    assert answer_of(inquiry) == (WasApplied(Receipt(2, 3)) if arrives else NeverApplied())


def test_a_command_of_ours_that_is_under_way_is_waited_for_and_withdraws_none_before_it() -> None:
    gateway, owner = Gateway(), Bench()
    owner.propose(b"first")
    owner.run(gateway)
    patient = owner.propose(b"patient")
    unsure = owner.propose(b"unsure", timeout_s=1.0)
    sendings = owner.poll()
    owner.later(1.0)
    owner.poll()
    assert unsure.error is not None
    inquiry = owner.ask(unsure.error.session, unsure.error.seq)
    assert not any(isinstance(message, Propose) and not message.body for message in owner.poll())
    for sending in sendings:
        owner.hear(*gateway.take(sending))
    owner.run(gateway)

    assert patient.receipt == Receipt(2, 3)
    assert answer_of(inquiry) == WasApplied(Receipt(3, 3))


def test_a_number_that_this_client_never_gave_is_refused_at_once() -> None:
    gateway, owner = Gateway(), Bench()
    owner.propose(b"first")
    owner.run(gateway)
    inquiry = owner.ask(owner.session._outbox.session, 2)
    owner.run(gateway)

    assert isinstance(inquiry.error, QuestionRefused)


def test_a_session_that_was_forgotten_and_left_is_asked_for_like_any_other() -> None:
    gateway, owner = Gateway(sessions_max=1), Bench()
    owner.propose(b"first")
    owner.run(gateway)
    unsure = owner.propose(b"unsure")
    owner.poll()  # and its answer is lost
    gateway.open(99)
    owner.later(3.0)
    owner.run(gateway)
    owner.later(3.0)
    owner.run(gateway)
    assert unsure.error is not None
    assert unsure.error.outcome == "unknown"
    inquiry = owner.ask(unsure.error.session, unsure.error.seq)
    owner.run(gateway)

    assert isinstance(answer_of(inquiry), NoLongerKnown)


# ---- whatever happens ------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 50]))
def test_whatever_is_lost_late_or_repeated_no_answer_is_ever_false(seed: int, sessions_max: int) -> None:
    random = Random(seed)
    gateway, owner = Gateway(sessions_max), Bench(seed)
    askers = [Bench(seed + 1), Bench(seed + 2)]
    commands: list[Command] = []
    copies: list[FromClient] = []  # of all that was ever sent: any may arrive at any time, and again
    inquiries: list[Inquiry] = []
    for step in range(100):
        if random.random() < 0.3:
            commands.append(owner.propose(b"%d" % len(commands), timeout_s=random.choice([0.3, 2.0, FAR])))
        for command in commands:
            if command.seq and random.random() < 0.03:
                asker = random.choice([*askers, owner])
                inquiries.append(asker.ask(owner.session._outbox.session or session_id(1), command.seq))
        if random.random() < 0.05:
            gateway.open(1000 + step)  # which may push another one out
        for bench in (owner, *askers):
            copies += bench.poll()
            for _ in range(random.randrange(3)):
                answers = gateway.take(random.choice(copies)) if copies else []
                for hearer in (owner, *askers):
                    if random.random() < 0.7:
                        hearer.hear(*answers)
            bench.later(random.choice([0.0, 0.05, 0.7]))
    for copy in copies + copies[::-1]:  # all that is still on its way arrives
        gateway.take(copy)

    assert len(set(gateway.log)) == len(gateway.log)
    for inquiry in inquiries:
        match inquiry.answer:
            case WasApplied(Receipt(revision)):
                assert gateway.log[revision - 1] == inquiry.key
            case NeverApplied():
                assert inquiry.key not in gateway.log
    for command in commands:
        if command.receipt is not None:
            assert command.seq == gateway.log[command.receipt.revision - 1][1]


# ---- what is told ------------------------------------------------------------------------------------


def test_what_the_ledger_says_instead_of_a_machine_is_no_result() -> None:
    assert outcome_of(Receipt(0, 4)) == NeverApplied()
    assert outcome_of(Receipt(3, 4, UNKNOWN_MACHINE)) == NeverApplied()
    assert outcome_of(Receipt(3, 4, RESULT_DROPPED)) == WasApplied(Receipt(3, 4), result_dropped=True)
    assert outcome_of(Receipt(3, 4, b"said")) == WasApplied(Receipt(3, 4, b"said"))


def test_what_came_late_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "LATE_MAX", 3)
    monkeypatch.setattr(outcomes, "LATE_BYTES_MAX", 10)
    late = LateResults()
    for seq in range(1, 6):
        late.note(session_id(1), seq, Receipt(seq, seq))
    assert [late.of(session_id(1), seq) is None for seq in range(1, 6)] == [True, True, False, False, False]

    late.note(session_id(1), 6, Receipt(6, 6, bytes(6)))
    late.note(session_id(1), 6, Receipt(6, 6, bytes(6)))  # which comes again
    late.note(session_id(1), 7, Receipt(7, 7, bytes(6)))
    assert late.of(session_id(1), 6) is None
    assert late.of(session_id(1), 7) == WasApplied(Receipt(7, 7, bytes(6)))


def test_a_command_is_named_by_bytes_or_digits_and_a_number() -> None:
    session = session_id(3)
    assert arguments.command_name(session, 1) == arguments.command_name(session.hex(), 1) == (session, 1)
    for wrong in ("", "xyz", session.hex()[2:], session + b"\0", b""):
        with pytest.raises(ValueError, match="bytes, or twice as many"):
            arguments.command_name(wrong, 1)
    for number in (0, -1, 2**63):
        with pytest.raises(ValueError):
            arguments.command_name(session, number)
    with pytest.raises(TypeError):
        arguments.command_name(None, 1)  # type: ignore[arg-type]


def test_a_refusal_of_another_sending_says_nothing() -> None:
    asker = Bench()
    inquiry = asker.ask(session_id(7), 3)
    (message,) = asker.poll()
    assert isinstance(message, Propose)
    asker.hear(refused(replace(message, attempt=message.attempt + 1), Reason.SESSION_UNKNOWN))

    assert not inquiry.done
