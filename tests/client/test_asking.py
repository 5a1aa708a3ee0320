"""Questions of a client: what one turn does does not grow with how many were asked already."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from paxosd.client.asking import Asking
from paxosd.client.calls import Question
from paxosd.core.messages import Query, ReadLog
from tests.core.counting import operations

NOW = 10.0


def asking(count: int) -> Asking:
    """So many that a gateway was asked, and none that it was not."""
    made = Asking(Random(1))
    for request in range(1, count + 1):
        made.add(question(request))
    made.due(NOW)
    return made


def question(request: int) -> Question:
    return Question(Query(request, "kv", b"", True, 0), NOW + 60)


def numbers(asked: Sequence[object]) -> list[int]:
    assert all(isinstance(message, Query) for message in asked)
    return [message.request for message in asked if isinstance(message, Query)]


def test_a_turn_costs_the_same_however_many_questions_wait_for_their_answer() -> None:
    few, many = asking(10), asking(1000)

    assert operations(lambda: many.due(NOW)) == operations(lambda: few.due(NOW))
    assert operations(many.next_due) == operations(few.next_due)
    assert operations(lambda: many.held_s) == operations(lambda: few.held_s)


def test_what_was_refused_is_asked_again_after_its_pause_and_all_others_when_another_gateway_has_its_turn() -> None:
    three = asking(3)
    three.refused(2, NOW)

    assert three.due(NOW) == []
    assert numbers(three.due(NOW + 1)) == [2]
    three.take(1)
    three.rewind()
    assert numbers(three.due(NOW + 1)) == [2, 3]
    assert three.awaited


def test_nothing_is_awaited_of_who_was_asked_nothing() -> None:
    one = asking(1)
    one.refused(1, NOW)

    assert (one.awaited, len(one.next_due())) == (False, 1)
    one.take(1)
    assert (bool(one), one.next_due()) == (False, [])


def held(request: int, held_s: float) -> Question:
    """A question that a gateway may hold so long."""
    return Question(ReadLog(request, 1, True, 0, wait_ms=round(1000 * held_s)), NOW + 60)


def test_questions_are_held_as_long_as_the_one_that_is_held_least_while_there_is_no_other_one() -> None:
    made = Asking(Random(1))
    assert made.held_s == 0.0
    made.add(held(1, 3.0))
    made.add(held(2, 2.0))
    assert made.held_s == 2.0
    made.add(question(3))
    assert made.held_s == 0.0
    made.take(3)
    made.take(2)
    assert made.held_s == 3.0


def test_a_question_in_the_place_of_one_that_was_held_is_not_held() -> None:
    made = Asking(Random(1))
    made.add(held(1, 3.0))
    made.add(question(1))

    assert made.held_s == 0.0
