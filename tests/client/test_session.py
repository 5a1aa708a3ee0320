"""The session as a pure machine, against a scripted gateway and against an adversary with a real ledger."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.client.calls import Command, Question
from paxosd.client.errors import (
    ClientClosed,
    ConfigurationError,
    NoQuorum,
    Overloaded,
    ProposeTimeout,
    SessionExpired,
    TooLarge,
    Unavailable,
    WrongCluster,
)
from paxosd.client.outcomes import Receipt
from paxosd.client.pacing import GAP_FIRST_S
from paxosd.client.session import RESEND_MAX_S, Session
from paxosd.core.messages import (
    Answer,
    Applied,
    FromClient,
    LogPage,
    OpenSession,
    Propose,
    ReadLog,
    Refused,
    SessionOpened,
    ToClient,
)
from paxosd.core.reasons import Reason
from paxosd.core.types import NO_SESSION, SessionId
from paxosd.core.values import Batch, encode_value
from paxosd.machine.ledger import Ledger
from paxosd.machine.log import Log
from paxosd.storage.memory import MemoryStore
from paxosd.transport.base import REFUSES
from tests.core.helpers import session_id

GATEWAYS = ["tcp://l1:7100", "tcp://l2:7100"]
FAR = 1000.0


class Bench:
    """A session with a clock; `sent` is what its last poll gave."""

    def __init__(self) -> None:
        self.session = Session(GATEWAYS, Random(1))
        self.now = 0.0
        self.sent: list[FromClient] = []
        self.id: SessionId = NO_SESSION  # that was opened last
        self.now_opened = 7

    def propose(self, value: bytes = b"v", timeout_s: float = FAR) -> Command:
        command = Command(value, self.now + timeout_s)
        self.session.propose(command)
        return command

    def poll(self) -> list[FromClient]:
        self.sent = self.session.poll(self.now)
        return self.sent

    def open(self) -> SessionId:
        (opening,) = [message for message in self.poll() if isinstance(message, OpenSession)]
        self.id = session_id(self.now_opened)
        self.now_opened += 1
        self.hear(SessionOpened(opening.wish, self.id, ""))
        return self.id

    def hear(self, message: ToClient) -> None:
        self.session.receive(message, self.now)

    def proposals(self) -> list[Propose]:
        return [message for message in self.poll() if isinstance(message, Propose)]

    def later(self, seconds: float) -> None:
        self.now += seconds

    def sleeps(self) -> bool:
        """Whether nothing is due now, after a poll."""
        due = self.session.next_deadline()
        return due is None or due > self.now

    def refuse(self, proposal: Propose, reason: Reason, attempt: int | None = None, expected: int = 0) -> None:
        named = proposal.attempt if attempt is None else attempt
        self.hear(Refused(proposal.session, named, proposal.first_seq, proposal.count, reason, expected, ""))


def opened() -> Bench:
    bench = Bench()
    first = bench.propose(b"first")
    bench.open()
    (sending,) = bench.proposals()
    bench.hear(Applied(bench.id, sending.first_seq, 1, 1, 1, ""))
    assert first.receipt == Receipt(1, 1)
    return bench


def test_a_session_is_opened_once_and_everything_that_waits_goes_out_in_one_batch() -> None:
    bench = Bench()
    commands = [bench.propose(b"%d" % number) for number in range(5)]
    bench.open()
    (sending,) = bench.proposals()
    bench.hear(Applied(bench.id, 1, 5, 10, 3, ""))

    assert (sending.first_seq, sending.count, sending.session) == (1, 5, bench.id)
    assert [command.receipt for command in commands] == [Receipt(10 + number, 3) for number in range(5)]


def test_what_was_not_answered_is_sent_again_from_the_first_one_on() -> None:
    bench = opened()
    bench.propose(b"a")
    (first,) = bench.proposals()
    bench.propose(b"b")
    (second,) = bench.proposals()
    bench.later(5.0)
    (again,) = bench.proposals()

    assert (first.first_seq, second.first_seq) == (2, 3)
    assert (again.first_seq, again.count) == (2, 2)


def test_what_was_sent_to_an_old_leader_is_sent_again_when_a_new_one_answers() -> None:
    bench = opened()
    for value in (b"taken by the old one", b"lost with it"):
        bench.propose(value)
        bench.poll()
    bench.hear(Applied(bench.id, 2, 1, 2, 2, "where-this-client-was-not-sent:7100"))

    assert [proposal.first_seq for proposal in bench.proposals()] == [3]
    assert bench.session.gateway == GATEWAYS[0]


def test_where_nobody_listens_the_next_gateway_is_asked_at_once() -> None:
    troubles: dict[str, str] = {}
    bench = Bench()
    bench.session = Session(GATEWAYS, Random(1), troubles)
    bench.propose(b"v")
    bench.poll()
    assert (bench.session.gateway, bench.poll()) == (GATEWAYS[0], [])
    troubles[GATEWAYS[0]] = REFUSES

    assert [type(message) for message in bench.poll()] == [OpenSession]
    assert bench.session.gateway == GATEWAYS[1]


def test_l06_a_command_that_was_sent_and_not_refused_is_unknown_when_its_time_is_over() -> None:
    bench = opened()
    command = bench.propose(timeout_s=1.0)
    bench.proposals()
    bench.later(1.1)
    bench.poll()

    assert isinstance(command.error, ProposeTimeout)
    assert command.error.outcome == "unknown"


def test_a_command_of_which_every_sending_was_refused_is_not_applied() -> None:
    bench = opened()
    command = bench.propose(timeout_s=1.0)
    while bench.now < 1.1:
        for sending in bench.proposals():
            bench.refuse(sending, Reason.NO_LEADER)
        bench.later(0.05)
    bench.poll()

    assert isinstance(command.error, NoQuorum)
    assert command.error.outcome == "not_applied"


def test_one_sending_without_an_answer_leaves_it_unknown_whatever_was_refused_before_and_after() -> None:
    bench = opened()
    command = bench.propose(timeout_s=20.0)
    sendings: list[Propose] = []
    while bench.now < 21.0:
        for sending in bench.proposals():
            sendings.append(sending)
            if len(sendings) != 2:
                bench.refuse(sending, Reason.NO_LEADER)
        bench.later(0.2)
    bench.poll()

    assert len(sendings) > 3
    assert isinstance(command.error, ProposeTimeout)


def test_a_refusal_that_comes_twice_counts_once() -> None:
    bench = opened()
    command = bench.propose(timeout_s=2.0)
    (first,) = bench.proposals()
    bench.later(1.5)
    bench.proposals()  # sent again, and this one is never answered
    bench.refuse(first, Reason.NO_LEADER)
    bench.refuse(first, Reason.NO_LEADER)
    bench.later(1.0)
    bench.session.poll(bench.now)

    assert isinstance(command.error, ProposeTimeout)


def test_without_any_gateway_a_command_is_not_applied_and_the_reason_is_named() -> None:
    bench = Bench()
    command = bench.propose(timeout_s=3.0)
    while not command.done:
        bench.poll()
        bench.later(0.1)

    assert isinstance(command.error, Unavailable)
    assert command.error.outcome == "not_applied"


def test_a_full_leader_is_named_as_overloaded() -> None:
    bench = opened()
    command = bench.propose(timeout_s=0.5)
    while not command.done:
        for sending in bench.proposals():
            bench.refuse(sending, Reason.OVERLOADED)
        bench.later(0.05)

    assert isinstance(command.error, Overloaded)


def test_o05_a_value_that_the_cluster_calls_too_large_is_too_large_at_once_and_named_with_the_limit() -> None:
    bench = opened()
    command = bench.propose(b"four")
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.TOO_LARGE, expected=3)

    assert isinstance(command.error, TooLarge)
    assert "has 4 bytes, and the cluster takes 3" in str(command.error)


def test_o05_of_a_batch_only_what_is_too_large_fails_whatever_became_of_the_others() -> None:
    bench = opened()
    small = bench.propose(b"small")
    bench.proposals()  # applied, and the answer is lost
    large = [bench.propose(b"too large"), bench.propose(b"too large by more")]
    bench.later(1.0)
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.TOO_LARGE, expected=5)

    assert sending.count == 3
    assert all(isinstance(command.error, TooLarge) for command in large)
    assert small.error is None
    bench.hear(Applied(bench.id, 2, 1, 2, 2, ""))
    assert small.receipt == Receipt(2, 2)


def test_o05_a_value_that_was_given_up_does_not_make_a_smaller_one_too_large() -> None:
    bench = opened()
    bench.propose(b"too large", timeout_s=0.1)
    small = bench.propose(b"small")
    (sending,) = bench.proposals()
    bench.later(0.2)
    bench.poll()
    bench.refuse(sending, Reason.TOO_LARGE, expected=5)

    assert small.error is None


def test_a_sending_that_no_gateway_can_read_fails_what_was_never_sent_otherwise() -> None:
    bench = opened()
    unsure = bench.propose(b"unsure", timeout_s=3.0)
    bench.proposals()
    bench.later(1.0)
    sure = bench.propose(b"sure", timeout_s=3.0)
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.MALFORMED)
    bench.later(5.0)
    bench.poll()

    assert isinstance(sure.error, ConfigurationError)
    assert isinstance(unsure.error, ProposeTimeout)


def test_a_command_that_was_given_up_is_withdrawn_under_its_number() -> None:
    bench = opened()
    bench.propose(b"gone", timeout_s=1.0)
    bench.proposals()
    kept = bench.propose(b"kept")
    bench.later(1.1)
    bench.poll()
    bench.later(5.0)
    sendings = [message for message in [*bench.sent, *bench.poll()] if isinstance(message, Propose)]

    assert [(sending.first_seq, sending.body == b"") for sending in sendings[-2:]] == [(2, True), (3, False)]
    assert not kept.done


def test_l04_a_gap_is_sent_again_from_the_expected_number() -> None:
    bench = opened()
    bench.propose(b"a")
    bench.proposals()
    bench.propose(b"b")
    (second,) = bench.proposals()
    bench.hear(Refused(bench.id, 0, second.first_seq, 1, Reason.GAP, 2, ""))

    (again,) = bench.proposals()
    assert (again.first_seq, again.count) == (2, 2)


def test_l04_many_sendings_that_tell_of_one_gap_are_sent_again_once() -> None:
    bench = opened()
    sent: list[Propose] = []
    for number in range(20):
        bench.propose(b"%d" % number)
        sent += bench.proposals()
    lost, *late = sent
    for sending in late:
        bench.refuse(sending, Reason.GAP, expected=lost.first_seq)
    again = bench.proposals()
    bench.later(0.01)
    bench.refuse(late[-1], Reason.GAP, attempt=0, expected=lost.first_seq)  # in the log, of the same gap

    assert [(sending.first_seq, sending.count) for sending in again] == [(lost.first_seq, 20)]
    assert bench.proposals() == []


def test_what_two_gateways_say_of_one_new_leader_is_sent_again_for_each_of_them() -> None:
    """The second one did not know the leader yet when it was sent what the first one had said is missing."""
    bench = opened()
    bench.propose(b"a")
    (lost,) = bench.proposals()
    another_leads = Refused(bench.id, 0, lost.first_seq, 1, Reason.GAP, lost.first_seq, "")
    bench.hear(another_leads)
    first = bench.proposals()
    bench.later(0.001)
    bench.hear(another_leads)
    bench.later(GAP_FIRST_S)
    second = bench.proposals()

    assert [sending.first_seq for sending in first + second] == [lost.first_seq, lost.first_seq]


def test_l04_a_gap_that_never_closes_is_not_sent_again_at_wire_speed() -> None:
    bench = opened()
    bench.propose(b"a", timeout_s=10.0)
    bench.propose(b"b", timeout_s=10.0)
    sent = 0
    while bench.now < 10.0:
        for sending in bench.proposals():
            sent += 1
            bench.refuse(sending, Reason.GAP, expected=2)
        assert sent < 20
        due = bench.session.next_deadline()
        bench.now = 10.0 if due is None else due

    assert sent > 5


def test_l04_a_command_that_only_ever_lacked_an_earlier_one_was_not_applied() -> None:
    bench = opened()
    lost = bench.propose(b"a", timeout_s=1.0)
    bench.proposals()
    refused = bench.propose(b"b", timeout_s=1.0)
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.GAP, expected=2)
    bench.later(1.0)
    bench.poll()

    assert [one.error.outcome for one in (lost, refused) if one.error] == ["unknown", "not_applied"]


def test_l04_a_gap_that_is_closed_by_now_sends_nothing_again() -> None:
    bench = opened()
    bench.propose(b"a")
    (sending,) = bench.proposals()
    bench.hear(Applied(bench.id, sending.first_seq, 1, 2, 2, ""))
    bench.propose(b"b")
    bench.proposals()
    bench.refuse(sending, Reason.GAP, attempt=0, expected=2)

    assert bench.proposals() == []


# ---- which gateway ---------------------------------------------------------------------------


def test_n20_a_gateway_that_says_nothing_is_left_for_the_next_one() -> None:
    bench = opened()
    bench.propose()
    before = bench.session.gateway
    bench.proposals()
    asked = set()
    while bench.now < 6.0:
        bench.later(0.1)
        if bench.poll():
            asked.add(bench.session.gateway)

    assert before in GATEWAYS
    assert asked == set(GATEWAYS)


def test_a_hint_is_followed_and_what_waits_is_sent_there() -> None:
    bench = opened()
    bench.later(5.0)
    bench.propose(b"a")
    (first,) = bench.proposals()
    bench.propose(b"b")
    bench.proposals()
    bench.hear(Applied(bench.id, first.first_seq, 1, 2, 2, "l2:7100"))

    assert bench.session.gateway == "tcp://l2:7100"
    assert [sending.first_seq for sending in bench.proposals()] == [3]


def test_n20_a_gateway_that_was_silent_is_paid_for_once() -> None:
    bench = opened()
    bench.propose(b"a")
    bench.proposals()
    bench.later(1.0)
    (sending,) = bench.proposals()
    assert bench.session.gateway == GATEWAYS[1]
    for revision in range(2, 12):
        bench.hear(Applied(bench.id, sending.first_seq, 1, revision, revision, "l1:7100"))  # which is silent
        bench.propose(b"next")
        bench.later(0.9)
        (sending,) = bench.proposals()
        assert bench.session.gateway == GATEWAYS[1]


def test_a_gateway_that_holds_the_question_of_a_follower_is_not_silent() -> None:
    bench = Bench()
    bench.session.ask(Question(ReadLog(1, 9, False, 0, 1000), FAR))
    asked = len(bench.poll())
    while bench.now < 1.2:
        bench.later(0.05)
        asked += len(bench.poll())

    assert asked == 1
    assert bench.session.gateway == GATEWAYS[0]
    while bench.now < 2.0:
        bench.later(0.05)
        asked += len(bench.poll())
    assert (asked, bench.session.gateway) == (2, GATEWAYS[1])


def test_a_command_beside_the_question_of_a_follower_is_sent_elsewhere_as_soon_as_any() -> None:
    bench = opened()
    bench.session.ask(Question(ReadLog(1, 9, False, 0, 1000), FAR))
    bench.poll()
    bench.later(0.2)
    bench.propose()
    bench.poll()
    bench.later(0.5)

    assert len(bench.proposals()) == 1
    assert bench.session.gateway == GATEWAYS[1]


@pytest.mark.parametrize("talks", [False, True])
def test_what_is_sent_again_in_vain_is_sent_less_and_less_often(talks: bool) -> None:
    bench = opened()
    bench.propose()
    times: list[float] = []
    while bench.now < 20.0:
        if bench.proposals():
            times.append(bench.now)
        if talks:
            bench.hear(LogPage(99, (), 0, 0, ""))
        bench.later(0.01)
    waits = [after - before for before, after in pairwise(times)]

    assert waits[0] == pytest.approx(0.5, abs=0.02)
    assert waits[-1] == pytest.approx(RESEND_MAX_S, abs=0.02)
    assert len(times) < 16


def test_sending_again_begins_anew_after_a_result() -> None:
    bench = opened()
    bench.propose()
    while bench.now < 20.0:
        for sending in bench.proposals():
            last = sending
        bench.later(0.1)
    bench.hear(Applied(bench.id, last.first_seq, 1, 2, 2, ""))
    bench.propose()
    bench.poll()
    bench.later(0.6)

    assert len(bench.proposals()) == 1


def test_u07_a_gateway_of_another_cluster_is_left_for_one_of_ours() -> None:
    bench = Bench()
    command = bench.propose()
    bench.poll()
    bench.session.set_aside(GATEWAYS[0], "its digest is another one", bench.now)
    bench.open()
    (sending,) = bench.proposals()
    bench.hear(Applied(bench.id, sending.first_seq, 1, 1, 1, "l1:7100"))

    assert bench.session.gateway == GATEWAYS[1]
    assert command.receipt == Receipt(1, 1)


def test_u07_when_no_gateway_is_of_our_cluster_all_of_them_are_named_with_the_reason() -> None:
    bench = Bench()
    command = bench.propose()
    bench.poll()
    bench.session.set_aside(GATEWAYS[0], "digest aa", bench.now)
    with pytest.raises(WrongCluster) as lost:
        bench.session.set_aside(GATEWAYS[1], "digest bb", bench.now)
    bench.session.close(WrongCluster, str(lost.value))

    assert all(word in str(command.error) for word in (*GATEWAYS, "digest aa", "digest bb", "not applied"))
    assert isinstance(command.error, WrongCluster)
    assert command.error.outcome == "not_applied"


# ---- what is said at the end ---------------------------------------------------------------------


def test_a_command_that_may_be_applied_is_told_why_there_is_no_result_and_what_to_do() -> None:
    bench = opened()
    refused = bench.propose(timeout_s=2.0)
    (first,) = bench.proposals()
    bench.later(0.6)
    (second,) = bench.proposals()
    bench.refuse(second, Reason.NO_LEADER)
    bench.later(2.0)
    bench.poll()
    bench.hear(Applied(bench.id, first.first_seq, 1, 2, 2, ""))
    unanswered = bench.propose(timeout_s=5.0)
    while not unanswered.done:
        bench.poll()
        bench.later(0.1)

    for command, why in ((refused, "nobody leads"), (unanswered, "no gateway answered")):
        assert all(words in str(command.error) for words in ("unknown:", why, "read the log"))


def test_a_cluster_that_refused_and_then_died_is_said_to_be_silent() -> None:
    bench = opened()
    command = bench.propose(timeout_s=5.0)
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.NO_LEADER)
    bench.later(5.1)
    while not command.done:
        bench.poll()
        bench.later(0.1)

    assert isinstance(command.error, NoQuorum)  # it slept through: the last word is all that is known

    command = bench.propose(timeout_s=5.0)
    while not command.done:
        bench.poll()
        bench.later(0.1)
    assert "no gateway answered" in str(command.error)


def test_what_is_open_when_the_client_is_closed_is_unknown_only_if_it_was_sent() -> None:
    bench = opened()
    sent = bench.propose()
    bench.poll()
    unsent = bench.propose()
    question = Question(ReadLog(1, 1, True, 0, 0), FAR)
    bench.session.ask(question)
    bench.session.close(ClientClosed, "the client was closed")

    assert [command.error.outcome for command in (sent, unsent) if command.error] == ["unknown", "not_applied"]
    assert isinstance(question.error, ClientClosed)


# ---- a session that is forgotten ---------------------------------------------------------------


def test_a_session_that_was_forgotten_while_idle_is_replaced_and_the_next_command_just_works() -> None:
    bench = opened()
    command = bench.propose(b"after a long time")
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.SESSION_UNKNOWN)
    before, after = bench.id, bench.open()
    (again,) = bench.proposals()
    bench.hear(Applied(after, again.first_seq, 1, 2, 9, ""))

    assert before != after
    assert (again.session, again.first_seq) == (after, 1)
    assert command.receipt == Receipt(2, 9)


def test_l01_a_command_whose_answer_may_be_lost_is_not_sent_again_in_a_new_session() -> None:
    bench = opened()
    unsure = bench.propose(b"unsure")
    bench.proposals()  # no answer: applied, perhaps
    bench.later(0.1)
    sure = bench.propose(b"sure")
    (second,) = bench.proposals()
    bench.refuse(second, Reason.SESSION_UNKNOWN)
    while not any(isinstance(message, OpenSession) for message in bench.poll()):
        bench.later(0.1)
    bench.hear(SessionOpened(next(one.wish for one in bench.sent if isinstance(one, OpenSession)), session_id(8), ""))
    sent = [sending.count for sending in bench.proposals()]

    assert isinstance(unsure.error, SessionExpired)
    assert unsure.error.outcome == "unknown"
    assert sure.error is None
    assert sent == [1]


def test_a_forgotten_session_that_is_found_in_the_log_accounts_for_nothing() -> None:
    bench = opened()
    command = bench.propose()
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.SESSION_UNKNOWN, attempt=0)
    for _ in range(100):
        bench.later(0.1)
        bench.poll()

    assert isinstance(command.error, SessionExpired)


# ---- bounds ------------------------------------------------------------------------------------


def test_o02_a_steady_window_is_remembered_and_no_more() -> None:
    bench = opened()
    bench.propose(b"0")
    bench.proposals()
    for number in range(1, 3000):
        bench.propose(b"%d" % number)
        (sending,) = bench.proposals()
        bench.hear(Applied(bench.id, sending.first_seq - 1, 1, number, number, ""))
        bench.later(0.001)

    assert len(bench.session._sendings._open) < 10
    assert len(bench.session._outbox) < 10


def test_a_read_is_asked_again_until_it_is_answered() -> None:
    bench = Bench()
    question = Question(ReadLog(1, 1, True, 0, 0), FAR)
    bench.session.ask(question)
    first = bench.poll()
    bench.later(5.0)
    again = bench.poll()
    bench.hear(LogPage(1, (), 0, 0, ""))

    assert first == again == [question.message]
    assert question.answer == LogPage(1, (), 0, 0, "")


# ---- it sleeps while it waits --------------------------------------------------------------------


def test_l13_a_client_that_waits_for_its_session_sleeps() -> None:
    bench = Bench()
    bench.propose()
    bench.poll()

    assert bench.sleeps()


def test_l13_a_client_whose_calls_are_over_sleeps_whatever_comes_late() -> None:
    bench = opened()
    bench.propose(b"a")
    (first,) = bench.proposals()
    bench.propose(b"b")
    bench.proposals()
    bench.later(1.0)
    (again,) = bench.proposals()
    bench.hear(Applied(bench.id, again.first_seq, 2, 2, 2, ""))
    bench.refuse(first, Reason.NO_LEADER)
    bench.hear(Refused(bench.id, 0, 3, 1, Reason.GAP, 2, ""))
    bench.later(1.0)

    assert bench.poll() == []
    assert bench.sleeps()


def test_l13_a_client_that_waits_for_the_last_answers_of_a_lost_session_sleeps() -> None:
    bench = opened()
    bench.propose(b"unsure")
    bench.proposals()
    bench.propose(b"sure")
    (second,) = bench.proposals()
    bench.refuse(second, Reason.SESSION_UNKNOWN)
    bench.poll()

    assert bench.sleeps()


def test_l13_a_client_of_a_dead_cluster_whose_calls_are_over_sends_nothing_more() -> None:
    bench = Bench()
    command = bench.propose(timeout_s=3.0)
    while not command.done:
        bench.poll()
        bench.later(0.1)
    bench.later(10.0)
    bench.poll()

    assert bench.poll() == []
    assert bench.session.next_deadline() is None


# ---- an adversary ------------------------------------------------------------------------------


class Cluster:
    """One leader with a real ledger behind an adversary that loses, delays and refuses as it is told."""

    def __init__(self, sessions_max: int) -> None:
        self.store = MemoryStore()
        self.ledger = Ledger(self.store, {"log": Log()}, sessions_max, 1 << 20)
        self.log: list[bytes] = []

    def take(self, message: FromClient) -> list[ToClient]:
        """Put it into the log, and answer what became of it."""
        if isinstance(message, OpenSession):
            return self._apply(Batch(message.wish, 0, 0, 1, b""), 0)
        assert isinstance(message, Propose)
        if not self.ledger.knows(message.session):
            return [self.refuse(message, Reason.SESSION_UNKNOWN)]
        batch = Batch(message.session, message.acknowledged, message.first_seq, message.count, message.body)
        return self._apply(batch, message.attempt)

    def _apply(self, batch: Batch, attempt: int) -> list[ToClient]:
        del attempt
        answers: list[ToClient] = []
        for outcome in self.ledger.apply(self.ledger.next_slot, encode_value(1, [batch])):
            if outcome.kind == "opened":
                answers.append(SessionOpened(outcome.wish, outcome.session, ""))
            elif outcome.kind == "applied":
                answers.append(
                    Applied(outcome.session, outcome.first_seq, outcome.count, outcome.revision, outcome.slot, "")
                )
            else:
                reason = Reason.GAP if outcome.kind == "gap" else Reason.SESSION_UNKNOWN
                answers.append(
                    Refused(outcome.session, 0, outcome.first_seq, outcome.count, reason, outcome.expected, "")
                )
        return answers

    @staticmethod
    def refuse(message: OpenSession | Propose, reason: Reason) -> Refused:
        if isinstance(message, OpenSession):
            return Refused(message.wish, message.attempt, 0, 1, reason, 0, "")
        return Refused(message.session, message.attempt, message.first_seq, message.count, reason, 0, "")


class Recorded(Log):
    """The log, kept."""

    def __init__(self, kept: list[bytes]) -> None:
        super().__init__()
        self._kept = kept

    def apply(self, first_revision: int, commands: list[bytes], log_time_ms: int) -> tuple[()]:
        assert first_revision == len(self._kept) + 1
        self._kept += commands
        return ()


def run_against_an_adversary(draw: Callable[[int], int], sessions_max: int) -> tuple[list[Command], list[bytes]]:
    kept: list[bytes] = []
    cluster = Cluster(sessions_max)
    cluster.ledger = Ledger(cluster.store, {"log": Recorded(kept)}, sessions_max, 1 << 20)
    bench = Bench()
    commands: list[Command] = []
    to_cluster: list[FromClient] = []
    to_client: list[ToClient] = []
    for step in range(120):
        if step < 80 and draw(3) == 0:
            commands.append(bench.propose(b"%d" % len(commands), timeout_s=[0.5, 3.0, 100.0][draw(3)]))
        if draw(10) == 0:
            cluster.take(OpenSession(session_id(step), 1))  # somebody else: it may push our session out
        to_cluster += bench.poll()
        assert bench.sleeps()
        if to_cluster and draw(2):
            message = to_cluster.pop(draw(len(to_cluster)))
            fate = draw(6)
            if fate == 0:
                pass  # lost
            elif fate == 1 and isinstance(message, OpenSession | Propose):
                to_client.append(cluster.refuse(message, [Reason.NO_LEADER, Reason.OVERLOADED][draw(2)]))
            elif isinstance(message, OpenSession | Propose):
                to_client += cluster.take(message)
        if to_client and draw(2):
            answer = to_client.pop(draw(len(to_client)))
            if draw(5):
                bench.hear(answer)
        bench.later([0.0, 0.05, 0.7][draw(3)])
    bench.session.close(ClientClosed, "closed")
    return commands, kept


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 50]))
def test_l12_whatever_is_lost_late_or_refused_every_verdict_is_true(seed: int, sessions_max: int) -> None:
    random = Random(seed)
    commands, log = run_against_an_adversary(random.randrange, sessions_max)

    assert len(set(log)) == len(log)
    assert [int(value) for value in log] == sorted(int(value) for value in log)
    for number, command in enumerate(commands):
        value = b"%d" % number
        if command.receipt is not None:
            assert log[command.receipt.revision - 1] == value
        elif command.error is not None and command.error.outcome == "not_applied":
            assert value not in log


# ---- a full cluster --------------------------------------------------------------------------


def refused_by_a_full_leader(bench: Bench) -> list[Propose]:
    """What it sends next, all of which is refused."""
    sent = bench.proposals()
    for sending in sent:
        bench.refuse(sending, Reason.OVERLOADED)
    return sent


def test_o01_a_full_cluster_is_sent_less_and_less_and_nobody_is_left_for_it() -> None:
    bench = opened()
    for _ in range(200):
        bench.propose(bytes(10_000))
    before = bench.session.gateway
    sizes = []
    for _ in range(20):
        sizes.append(sum(len(sending.body) for sending in refused_by_a_full_leader(bench)))
        bench.later(1.1)

    assert sizes[0] > 10 * sizes[-1]
    assert 0 < sizes[-1] < 20_000
    assert bench.session.gateway == before  # all gateways ask the same leader


def test_o01_what_is_given_up_does_not_send_everything_behind_it_again() -> None:
    bench = opened()
    for number in range(100):
        bench.propose(timeout_s=0.1 + number / 1000)
    for _ in range(50):
        bench.propose()
    bench.proposals()
    sent = 0
    for _ in range(200):
        bench.later(0.001)
        sent += len(bench.proposals())

    assert sent == 0  # it is on its way; if it was lost, so was what is behind it, and that is noticed


def test_o01_with_too_little_time_left_a_full_cluster_is_not_asked_once_more() -> None:
    bench = opened()
    late, patient = bench.propose(timeout_s=0.3), bench.propose()
    refused_by_a_full_leader(bench)
    bench.later(0.05)
    (withdrawal, sending) = bench.proposals()

    assert isinstance(late.error, Overloaded)
    assert late.error.outcome == "not_applied"
    assert (withdrawal.body, sending.first_seq) == (b"", withdrawal.first_seq + 1)
    assert not patient.done


def test_what_had_no_turn_in_time_while_others_were_served_is_overloaded() -> None:
    bench = opened()
    bench.propose(bytes(600_000))
    waits = bench.propose(bytes(600_000), timeout_s=0.3)
    assert len(bench.proposals()) == 1  # the share is used up
    bench.later(0.31)
    bench.poll()

    assert isinstance(waits.error, Overloaded)


def test_what_the_client_saw_of_the_log_or_in_an_answer_counts_as_seen() -> None:
    bench = opened()
    bench.session.ask(Question(ReadLog(1, 0, True, 0, 0), FAR))
    bench.poll()

    bench.hear(LogPage(1, (), 7, 0, ""))
    assert bench.session.seen == 7

    bench.hear(LogPage(2, (), 0, Reason.BEHIND, ""))
    bench.hear(Answer(3, b"", 9))
    assert bench.session.seen == 9
