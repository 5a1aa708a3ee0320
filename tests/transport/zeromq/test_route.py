"""Which number of a name is dialled next."""

from __future__ import annotations

from paxosd.transport.zeromq.route import Route

A, B, C = "tcp://10.0.0.1:1", "tcp://10.0.0.2:1", "tcp://10.0.0.3:1"


def route(*numbers: str) -> Route:
    made = Route()
    made.learn(numbers)
    return made


def dial_in_vain(way: Route, times: int) -> list[str | None]:
    dialled = []
    for _ in range(times):
        number = way.start()
        dialled.append(number)
        assert number is not None
        way.silent(number)
    return dialled


def test_numbers_are_dialled_in_the_order_given_and_then_from_the_first_again() -> None:
    assert dial_in_vain(route(A, B, C), 5) == [A, B, C, A, B]


def test_whoever_comes_back_goes_on_where_it_stopped() -> None:
    way = route(A, B, C)
    way.silent(A)
    way.learn([A, B, C])

    assert way.start() == B


def test_the_one_that_answered_is_dialled_first_for_ever_after() -> None:
    way = route(A, B)
    dial_in_vain(way, 1)
    way.answered(B)
    way.learn([A, B])
    assert way.start() == B
    way.silent(B)

    assert dial_in_vain(way, 3) == [A, B, A]


def test_one_that_answered_and_is_no_more_behind_the_name_is_not_dialled() -> None:
    way = route(A, B)
    way.answered(B)
    way.learn([C])

    assert way.start() == C


def test_when_nobody_knows_the_name_any_more_what_was_known_stays() -> None:
    way = route(A)
    way.learn([])

    assert way.start() == A
    assert Route().start() is None


def test_one_that_leads_to_somebody_else_is_left_for_the_others() -> None:
    way = route(A, B)
    way.answered(A)
    way.misleads(A)

    assert way.start() == B


def test_time_is_short_only_while_there_are_others_to_try() -> None:
    way = route(A, B)
    assert way.hurries
    dial_in_vain(way, 3)
    assert not way.hurries
    way.answered(A)

    assert way.hurries
    assert not route(A).hurries
