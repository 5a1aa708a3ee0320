"""A session at gateways that are behind or have no room for it: it gets through elsewhere or later, or says why."""

from __future__ import annotations

import pytest

from paxosd.client.calls import Question
from paxosd.client.errors import NoQuorum, NoSpace, Overloaded, ProposeTimeout, ReadTimeout, Unavailable
from paxosd.client.outcomes import Receipt
from paxosd.core.messages import Applied, LogPage, OpenSession, ReadLog, Refused
from paxosd.core.reasons import Reason
from tests.client.test_session import FAR, GATEWAYS, Bench, opened


def test_a_command_that_a_gateway_refuses_because_it_is_behind_is_sent_again_and_then_to_another_one() -> None:
    bench = opened()
    before = bench.session.gateway
    command = bench.propose()
    refused = 0
    while bench.session.gateway == before:
        for sending in bench.proposals():
            bench.refuse(sending, Reason.BEHIND)
            refused += 1
        assert not bench.poll()
        assert bench.sleeps()
        bench.later(0.05)
        assert bench.now < 2.0
    (sending,) = bench.proposals()
    bench.hear(Applied(bench.id, sending.first_seq, 1, 2, 5, ""))

    assert refused == 3
    assert sending.session == bench.id
    assert command.receipt == Receipt(2, 5)


def test_a_command_that_only_gateways_refused_that_are_behind_is_not_applied_and_that_is_said() -> None:
    bench = opened()
    command = bench.propose(timeout_s=1.0)
    while not command.done:
        for sending in bench.proposals():
            bench.refuse(sending, Reason.BEHIND)
        bench.later(0.05)

    assert isinstance(command.error, Unavailable)
    assert "is behind" in str(command.error)


def test_o09_a_command_that_was_refused_for_want_of_space_is_not_applied_and_the_gateway_is_kept() -> None:
    bench = opened()
    before = bench.session.gateway
    command = bench.propose(timeout_s=3.0)
    sent = 0
    while not command.done:
        for sending in bench.proposals():
            bench.refuse(sending, Reason.NO_SPACE)
            sent += 1
        bench.later(0.05)

    assert isinstance(command.error, NoSpace)
    assert command.error.outcome == "not_applied"
    assert "make room" in str(command.error)
    assert bench.session.gateway == before  # all ask the same leader
    assert sent < 15


def test_a_command_that_is_taken_again_when_there_is_room_is_applied_as_if_nothing_had_been() -> None:
    bench = opened()
    command = bench.propose(timeout_s=3.0)
    for _ in range(4):
        for sending in bench.proposals():
            bench.refuse(sending, Reason.NO_SPACE)
        bench.later(0.5)
    (sending,) = bench.proposals()
    bench.hear(Applied(bench.id, sending.first_seq, 1, 2, 5, ""))

    assert command.receipt == Receipt(2, 5)


def test_a_command_that_was_sent_before_a_gateway_was_behind_stays_unknown() -> None:
    bench = opened()
    command = bench.propose(timeout_s=2.0)
    bench.proposals()
    bench.later(0.6)
    while not command.done:
        for sending in bench.proposals():
            bench.refuse(sending, Reason.BEHIND)
        bench.later(0.05)

    assert isinstance(command.error, ProposeTimeout)
    assert "is behind" in str(command.error)


def test_u07_a_session_of_an_older_cluster_is_replaced_as_soon_as_a_gateway_is_sure() -> None:
    bench = opened()
    command = bench.propose(b"to a new cluster")
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.BEHIND)
    bench.later(0.05)
    (sending,) = bench.proposals()
    bench.refuse(sending, Reason.SESSION_UNKNOWN)
    bench.open()
    (again,) = bench.proposals()
    bench.hear(Applied(bench.id, again.first_seq, 1, 1, 2, ""))

    assert command.receipt == Receipt(1, 2)


def test_a_wish_for_a_session_that_is_refused_is_repeated_and_named_if_it_stays_so() -> None:
    bench = Bench()
    command = bench.propose(timeout_s=1.0)
    wishes = 0
    while not command.done:
        for message in bench.poll():
            if isinstance(message, OpenSession):
                wishes += 1
                bench.hear(Refused(message.wish, message.attempt, 0, 1, Reason.OVERLOADED, 0, ""))
        bench.later(0.05)

    assert wishes > 2
    assert isinstance(command.error, Overloaded)


@pytest.mark.parametrize(
    ("reason", "error", "words"),
    [
        (Reason.OVERLOADED, ReadTimeout, "as many reads"),
        (Reason.BEHIND, ReadTimeout, "is behind"),
        (Reason.NO_LEADER, NoQuorum, "nobody leads"),
        (Reason.FOREIGN, ReadTimeout, "not answered"),
        (99, ReadTimeout, "as many reads"),  # of a newer gateway
    ],
)
def test_a_read_that_was_refused_until_its_time_was_over_says_why(
    reason: int, error: type[Exception], words: str
) -> None:
    bench = Bench()
    question = Question(ReadLog(1, 1, True, 0, 0), 1.0)
    bench.session.ask(question)
    while not question.done:
        for _ in bench.poll():
            bench.hear(LogPage(1, (), 0, reason, ""))
        assert question.done or bench.sleeps()
        bench.later(0.05)

    assert isinstance(question.error, error)
    assert words in str(question.error)


def test_what_a_gateway_knows_to_keep_everybody_from_leading_is_what_the_error_says() -> None:
    bench = Bench()
    question = Question(ReadLog(1, 1, True, 0, 0), 1.0)
    command = bench.propose(timeout_s=1.0)
    bench.session.ask(question)
    while not question.done or not command.done:
        for message in bench.poll():
            if isinstance(message, OpenSession):
                about = message.wish, message.attempt, 0, 1
                bench.hear(Refused(*about, Reason.NO_LEADER, 0, "", why="the cluster is not born yet"))
            else:
                bench.hear(LogPage(1, (), 0, Reason.NO_LEADER, "", why="the cluster is not born yet"))
        bench.later(0.05)

    assert str(question.error).startswith("not answered: the cluster is not born yet, or read")
    assert str(command.error).startswith("not applied: the cluster is not born yet")


def test_a_read_that_the_gateway_has_no_room_for_is_asked_again_there_and_not_elsewhere() -> None:
    bench = Bench()
    question = Question(ReadLog(1, 1, True, 0, 0), FAR)
    bench.session.ask(question)
    for _ in range(10):
        bench.later(0.16)
        assert len(bench.poll()) == 1
        bench.hear(LogPage(1, (), 0, Reason.OVERLOADED, ""))
        assert bench.session.gateway == GATEWAYS[0]
    bench.later(0.16)
    bench.poll()
    bench.hear(LogPage(1, (), 4, 0, ""))

    assert question.answer == LogPage(1, (), 4, 0, "")
