"""Questions to machines at a gateway: each dial of a read, its age, its bounds, and what is refused."""

from __future__ import annotations

import pytest

from paxosd.core.messages import Answer, LogPage, Query, ReadIndex, ReadIndexReply
from paxosd.core.reasons import Reason
from paxosd.core.types import SENTENCE_CHARS_MAX, Revision
from paxosd.gateway import readers
from paxosd.gateway.freshness import TOLD_EVERY_S, Freshness
from tests.core.helpers import TIMING
from tests.gateway.test_gateway import ME, OTHER, Desk


def ask(
    request: int = 1, question: bytes = b"what", linearizable: bool = True, seen: Revision = 0, **more: int
) -> Query:
    return Query(request, "bank", question, linearizable, seen, **more)


def answer(question: bytes, revision: Revision, age_ms: int = 0, request: int = 1) -> Answer:
    return Answer(request, b"bank: %b at %d" % (question, revision), revision, age_ms)


def confirmed(desk: Desk, applied: int = 1) -> None:
    """The leader answers the round that is asked for."""
    desk.deliver("p1", ReadIndexReply(desk.take_one(ReadIndex, "p1").request, applied))


def test_a_linearizable_question_is_answered_after_its_round_and_after_apply_only() -> None:
    desk = Desk()
    desk.deliver(ME, ask())
    confirmed(desk, applied=3)
    desk.expect_silence()
    desk.state.revision = 2
    desk.apply(2)

    desk.expect_sent(ME, answer(b"what", 2), early=False)


def test_a_question_waits_for_what_its_client_has_seen() -> None:
    desk = Desk()
    desk.deliver(ME, ask(linearizable=False, seen=2))
    desk.expect_silence()
    desk.state.revision = 2
    desk.apply(1)

    desk.expect_sent(ME, answer(b"what", 2, -1), early=False)
    desk.set_aside()


def test_a_local_question_needs_no_leader_and_its_age_is_not_known() -> None:
    desk = Desk(hears=None)
    desk.deliver(ME, ask(linearizable=False), ask(2))

    desk.expect_sent(ME, answer(b"what", 0, -1), early=False)
    desk.expect_sent(ME, LogPage(2, (), 0, Reason.NO_LEADER, ""))


def test_an_age_counts_from_the_beginning_of_a_round_and_not_from_its_end() -> None:
    desk = Desk()
    desk.deliver(ME, ask())
    desk.wait(TIMING.retry_s / 2)
    confirmed(desk)
    desk.take(Answer)
    desk.deliver(ME, ask(2, linearizable=False))

    assert desk.take_one(Answer).age_ms == pytest.approx(TIMING.retry_s * 500, abs=2)


def test_who_is_told_an_age_makes_the_gateway_ask_so_that_the_next_one_is_known() -> None:
    desk = Desk()
    desk.wait(TOLD_EVERY_S)
    desk.set_aside()
    desk.hear_leader()
    desk.deliver(ME, ask(linearizable=False))
    assert desk.take_one(Answer).age_ms == -1
    desk.turn()
    confirmed(desk)
    desk.deliver(ME, ask(2, linearizable=False))

    assert 0 <= desk.take_one(Answer).age_ms <= 2
    desk.turn()
    desk.expect_silence()


def test_a_question_for_a_young_state_is_answered_at_once_if_this_is_one_and_after_a_round_if_not() -> None:
    desk = Desk()
    desk.deliver(ME, ask(max_age_ms=100, linearizable=False))
    confirmed(desk)
    desk.expect_sent(ME, answer(b"what", 0), early=False)
    desk.deliver(ME, ask(2, max_age_ms=100, linearizable=False))
    assert desk.take_one(Answer).request == 2
    desk.wait(0.15)
    desk.deliver(ME, ask(3, max_age_ms=100, linearizable=False))
    assert desk.take(Answer) == []
    confirmed(desk)

    assert desk.take_one(Answer).request == 3


def test_a_round_that_is_not_applied_yet_makes_the_state_no_younger() -> None:
    fresh = Freshness()
    fresh.round_begins(5.0)
    fresh.confirm(10)

    assert fresh.age_ms(9, 6.0) == -1
    assert fresh.age_ms(10, 6.0) == 1001


def test_a_machine_that_is_not_mounted_and_a_question_that_makes_no_sense_are_refused_for_good() -> None:
    desk = Desk()
    desk.deliver(ME, Query(1, "nobody", b"what", False, 0), ask(2, b"nonsense", linearizable=False))

    desk.expect_sent(ME, Answer(1, b"", 0, -1, Reason.UNKNOWN_MACHINE))
    desk.expect_sent(ME, Answer(2, b"", 0, -1, Reason.QUERY_REFUSED, "the bank does not know"), early=False)


def test_what_a_machine_says_against_a_question_is_cut_to_what_people_may_be_shown() -> None:
    desk = Desk()
    desk.state.complaint = "\x1b[31m" + "a" * 10_000
    desk.deliver(ME, ask(1, b"nonsense", linearizable=False))
    why = desk.take_one(Answer).why

    assert why.isprintable()
    assert len(why) == SENTENCE_CHARS_MAX


def test_questions_that_wait_are_bounded_in_bytes_for_each_client_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "QUESTIONS_PER_CLIENT_BYTES_MAX", 100)
    monkeypatch.setattr(readers, "QUESTIONS_BYTES_MAX", 250)
    waiting = readers.Readers()

    assert waiting.add(ME, ask(1, bytes(500)), 0.0) == [(ME, 1)]  # more than all may have
    assert [waiting.add(ME, ask(number, bytes(60)), 0.0) for number in (2, 3)] == [[], [(ME, 3)]]
    assert waiting.add(OTHER, ask(1, bytes(60)), 0.0) == []
    waiting.confirm(waiting.start_round(0.0), 1)
    waiting.begin_turn()
    waiting.move_on(1, 0, 0, 0.0)
    assert waiting.take() == (ME, ask(2, bytes(60)))
    assert waiting.add(ME, ask(4, bytes(100)), 0.0) == []


def test_a_turn_answers_many_questions_and_no_more() -> None:
    desk = Desk()
    desk.deliver(ME, *[ask(number, linearizable=False) for number in range(1, 701)])
    first = len(desk.take(Answer))
    desk.turn()

    desk.take(ReadIndex)
    assert 500 < first < 600
    assert first + len(desk.take(Answer)) == 700
