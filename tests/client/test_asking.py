"""Questions of a client: what one turn does does not grow with how many were asked already."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from paxosd.client.asking import Asking
from paxosd.client.calls import Question
from paxosd.core.messages import Query
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
