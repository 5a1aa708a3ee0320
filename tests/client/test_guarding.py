"""What is held is watched for its key to go, and stays so where the history of keys was let go of."""

from __future__ import annotations

from typing import Any

import pytest

from paxosd.client.calls import Question
from paxosd.client.clock import Clocks
from paxosd.client.driving import KeyGuard, watch_of
from paxosd.client.engine import Engine
from paxosd.client.errors import ClientClosed, Compacted
from paxosd.client.leases import HeldLease, KeyHold
from paxosd.client.watched import Changed, WatchCall
from paxosd.core.messages import Answer
from paxosd.machine.kv.records import KeyEvent, KeyValue
from paxosd.machine.kv.results import RangeFound, encode_result

KEY, MADE = b"lock/job/1", 70


class Session:
    """Keeps what is asked of it."""

    gateway = "tcp://l1:7100"

    class gateways:  # noqa: N801 (stands in the place of an attribute)
        all_silent, ways = False, 0

    def __init__(self) -> None:
        self.watched: list[WatchCall] = []
        self.asked: list[Question] = []

    def attend(self, watch: WatchCall) -> None:
        self.watched.append(watch)

    def ask(self, question: Question) -> None:
        self.asked.append(question)

    def poll(self, now: float) -> list[Any]:
        return []

    def next_deadline(self) -> None:
        return None


class Guarded:
    """Something that is held, whose guard was told that the history of its key is gone."""

    def __init__(self) -> None:
        self.session = Session()
        engine = Engine(self.session, None, None, lambda state: None, Clocks(lambda: 5.0, lambda: 5.0))  # type: ignore[arg-type]
        self.hold = KeyHold(HeldLease(9, 10_000, 5.0))
        self.watch = watch_of(KEY, b"", MADE + 1, previous=False)
        engine.guard(self.hold, KeyGuard(self.watch, 4.0))
        engine.prepare()
        assert self.session.watched == [self.watch]

    @property
    def is_lost(self) -> bool:
        return self.hold.is_lost(5.0)

    def compact(self) -> None:
        self.watch.fail(Compacted("it is told from 89 on", 89))

    def answer(self, *created: int) -> None:
        """The look finds the key as it was made by this revision, or none."""
        items = tuple([KeyValue(KEY, b"", revision, revision, 1, 9) for revision in created])
        found = encode_result(RangeFound(items, len(items), False, 100))
        self.session.asked[-1].succeed(Answer(1, found, 100))


def test_where_the_history_of_a_guarded_key_is_gone_its_holder_hears_that_it_was_removed_meanwhile() -> None:
    guarded = Guarded()
    guarded.compact()
    assert not guarded.is_lost

    guarded.answer()

    assert guarded.is_lost


def test_a_key_that_another_one_made_anew_is_not_the_one_that_was_guarded() -> None:
    guarded = Guarded()
    guarded.compact()

    guarded.answer(MADE + 20)

    assert guarded.is_lost


def test_a_guarded_key_that_is_there_is_watched_on_from_the_look() -> None:
    guarded = Guarded()
    guarded.compact()

    guarded.answer(MADE)

    assert (guarded.is_lost, guarded.watch.position, guarded.watch.error) == (False, 100, None)
    assert guarded.session.watched == [guarded.watch, guarded.watch]
    guarded.watch.hand([Changed(120, (KeyEvent(KEY, None, None, 120),))], [200], 120)
    assert guarded.is_lost


@pytest.mark.parametrize("given_back", [False, True])
def test_nobody_looks_for_what_was_given_back_or_after_the_end_of_the_client(given_back: bool) -> None:
    guarded = Guarded()
    guarded.watch.closed = given_back
    guarded.compact()
    assert len(guarded.session.asked) == (not given_back)

    for question in guarded.session.asked:
        question.fail(ClientClosed("it is over"))

    assert not guarded.is_lost
    assert len(guarded.session.watched) == 1
