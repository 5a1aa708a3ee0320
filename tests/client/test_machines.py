"""A session and the machines of its cluster: whose commands go together, what they say, and how new answers are."""

from __future__ import annotations

import pytest

from paxosd.client.calls import Command, Question
from paxosd.client.errors import ConfigurationError, ResultDropped
from paxosd.client.outcomes import Receipt
from paxosd.client.reads import LINEARIZABLE, LOCAL, SESSION, AtLeast, MaxAge, query
from paxosd.core.messages import Answer, Applied, LogPage, Query
from paxosd.core.reasons import Reason
from paxosd.core.values import RESULT_DROPPED, UNKNOWN_MACHINE, encode_body
from tests.client.test_session import Bench, opened


def tell(bench: Bench, machine: str, value: bytes = b"v") -> Command:
    command = Command(value, bench.now + 1000.0, machine)
    bench.session.propose(command)
    return command


def test_commands_for_one_machine_go_together_and_keep_their_order() -> None:
    bench = opened()
    for machine in ("kv", "kv", "bank", "log", "kv"):
        tell(bench, machine)

    assert [(sent.machine, sent.first_seq, sent.count) for sent in bench.proposals()] == [
        ("kv", 2, 2), ("bank", 4, 1), ("log", 5, 1), ("kv", 6, 1),
    ]  # fmt: skip


def test_each_command_has_its_own_result() -> None:
    bench = opened()
    commands = [tell(bench, "kv") for _ in range(3)]
    bench.proposals()
    bench.hear(Applied(bench.id, 2, 3, 10, 5, "", encode_body([b"a", b"", b"c"])))

    assert [command.receipt for command in commands] == [Receipt(10, 5, b"a"), Receipt(11, 5), Receipt(12, 5, b"c")]


def test_results_that_nobody_can_read_are_as_if_they_were_lost() -> None:
    bench = opened()
    command = tell(bench, "kv")
    bench.proposals()
    bench.hear(Applied(bench.id, 2, 1, 10, 5, "", b"nonsense"))
    assert not command.done
    bench.hear(Applied(bench.id, 2, 1, 10, 5, "", encode_body([b"a"])))

    assert command.receipt == Receipt(10, 5, b"a")


@pytest.mark.parametrize("by", ["gateway", "log"])
def test_a_machine_that_the_cluster_does_not_have_is_said_to_be_missing_and_others_go_on(by: str) -> None:
    bench = opened()
    command = tell(bench, "nobody")
    (sending,) = bench.proposals()
    if by == "gateway":
        bench.refuse(sending, Reason.UNKNOWN_MACHINE)
    else:
        bench.hear(Applied(bench.id, 2, 1, 2, 2, "", encode_body([UNKNOWN_MACHINE])))

    assert isinstance(command.error, ConfigurationError)
    assert "nobody" in str(command.error)
    after = tell(bench, "kv")
    bench.later(1.0)
    sent = bench.proposals()
    assert [(one.machine, one.body == b"") for one in sent] == [("log", True)] * (by == "gateway") + [("kv", False)]
    bench.hear(Applied(bench.id, 2, 1, 0, 3, ""))
    bench.hear(Applied(bench.id, 3, 1, 3, 3, ""))
    assert after.receipt == Receipt(3, 3)


def test_a_result_that_was_too_much_is_said_to_be_lost_and_the_command_applied() -> None:
    bench = opened()
    command = tell(bench, "kv")
    bench.proposals()
    bench.hear(Applied(bench.id, 2, 1, 10, 5, "", encode_body([RESULT_DROPPED])))

    assert isinstance(command.error, ResultDropped)
    assert (command.error.outcome, command.error.revision) == ("applied", 10)


def test_a_question_is_asked_again_where_it_was_refused_and_answered_once() -> None:
    bench = opened()
    question = Question(Query(1, "kv", b"q", True, 0), 1000.0)
    bench.session.ask(question)
    assert question.message in bench.poll()
    bench.hear(LogPage(1, (), 0, Reason.BEHIND, ""))
    assert not question.done
    bench.later(1.0)
    assert question.message in bench.poll()
    bench.hear(Answer(1, b"a", 7))

    assert question.answer == Answer(1, b"a", 7)
    assert bench.poll() == []


def test_a_client_has_seen_the_latest_of_its_receipts_and_answers() -> None:
    bench = opened()
    assert bench.session.seen == 1
    bench.session.ask(Question(Query(1, "kv", b"q", True, 0), 1000.0))
    bench.poll()
    bench.hear(Answer(1, b"a", 7))
    assert bench.session.seen == 7
    tell(bench, "kv")
    bench.proposals()
    bench.hear(Applied(bench.id, 2, 1, 5, 5, ""))

    assert bench.session.seen == 7


def test_each_read_asks_for_what_it_says() -> None:
    asked = {read: query(1, "kv", b"q", read, 9) for read in (LINEARIZABLE, SESSION, LOCAL, AtLeast(5), MaxAge(0.25))}

    assert {read: (sent.linearizable, sent.seen, sent.max_age_ms) for read, sent in asked.items()} == {
        LINEARIZABLE: (True, 0, -1),
        SESSION: (False, 9, -1),
        LOCAL: (False, 0, -1),
        AtLeast(5): (False, 5, -1),
        MaxAge(0.25): (False, 0, 250),
    }


@pytest.mark.parametrize("read", [AtLeast(-1), MaxAge(-1.0), MaxAge(float("nan"))])
def test_a_read_that_makes_no_sense_is_refused_before_it_is_asked(read: AtLeast | MaxAge) -> None:
    with pytest.raises(ValueError, match="takes a"):
        query(1, "kv", b"q", read, 0)
