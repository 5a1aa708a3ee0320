"""The iterator of a caller: what it gives, how it waits, and how it ends."""

from __future__ import annotations

import gc
from threading import Thread

import pytest

from paxosd.client.errors import ClientClosed, Compacted
from paxosd.client.watched import Changed, WatchCall
from paxosd.client.watcher import Watcher
from paxosd.machine.kv.events import decode_events


class Hands:
    """The client's side, which does what the test says; `looks` is what the thread was told to look at."""

    def __init__(self) -> None:
        self.call = WatchCall("kv", b"k", b"", 1, False, decode_events)
        self.looks: list[bool] = []
        self.gone: Exception | None = None
        looks = self.looks
        self.watcher = Watcher(self.call, lambda call: looks.append(call.closed), self.check)

    def check(self) -> None:
        if self.gone is not None:
            raise self.gone

    def hand(self, *revisions: int) -> None:
        self.call.hand([Changed(revision, ()) for revision in revisions], [9] * len(revisions), revisions[-1])


def test_it_gives_one_revision_after_the_other_and_says_how_far_it_is() -> None:
    hands = Hands()
    hands.hand(3, 5)
    hands.call.stand_at(9)

    assert hands.watcher.revision == 2
    assert next(hands.watcher) == Changed(3, ())
    assert hands.watcher.revision == 4
    assert hands.watcher.next() == Changed(5, ())
    assert hands.watcher.revision == 9
    assert hands.watcher.next(timeout=0) is None


def test_who_waits_is_woken_by_what_is_handed_in() -> None:
    hands = Hands()
    found: list[Changed | None] = []
    waiting = Thread(target=lambda: found.append(hands.watcher.next(timeout=60)))
    waiting.start()
    while not hands.call.turnstiles:
        pass
    hands.hand(7)
    waiting.join()

    assert found == [Changed(7, ())]
    assert hands.call.turnstiles == []


def test_who_waits_goes_on_when_another_thread_closes_it() -> None:
    hands = Hands()
    found: list[list[Changed]] = []
    waiting = Thread(target=lambda: found.append(list(hands.watcher)))
    waiting.start()
    while not hands.call.turnstiles:
        pass
    hands.watcher.close()
    hands.watcher.close()
    waiting.join()

    assert found == [[]]
    assert hands.looks == [False, True]


def test_what_was_handed_in_before_an_error_is_given_before_it_is_raised_as_often_as_anybody_asks() -> None:
    hands = Hands()
    hands.hand(7)
    hands.call.fail(Compacted("gone", 30))

    assert next(hands.watcher) == Changed(7, ())
    for _ in range(2):
        with pytest.raises(Compacted) as told:
            hands.watcher.next()
        assert told.value is not hands.call.error
        assert told.value.first_available == 30


def test_where_the_clients_thread_is_gone_nobody_waits_for_it() -> None:
    hands = Hands()
    hands.gone = ClientClosed("the thread is gone")

    with pytest.raises(ClientClosed):
        hands.watcher.next()


def test_when_a_resting_watch_is_taken_from_the_thread_is_told() -> None:
    hands = Hands()
    hands.hand(7, 8)
    hands.call.rests = True
    hands.watcher.next()

    assert hands.looks == [False, False]


def test_one_that_everybody_forgot_is_closed() -> None:
    hands = Hands()
    looks, call = hands.looks, hands.call
    del hands
    gc.collect()

    assert call.closed
    assert looks == [False, True]


def test_as_a_context_it_is_closed_at_the_end() -> None:
    hands = Hands()
    with hands.watcher as watcher:
        assert watcher is hands.watcher

    assert hands.call.closed
