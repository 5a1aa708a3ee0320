"""Reads at a gateway: who waits for what, and until when."""

from __future__ import annotations

import pytest

from paxosd.core import readers as module
from paxosd.core.messages import ReadLog
from paxosd.core.readers import Readers
from paxosd.core.types import Instant, Revision, Slot

NOW: Instant = 50.0
ME = b"me"


def read(
    request: int = 1, start: Revision = 1, linearizable: bool = True, seen: Revision = 0, wait_ms: int = 0
) -> ReadLog:
    return ReadLog(request, start, linearizable, seen, wait_ms)


def ready(readers: Readers, next_slot: Slot = 1, revision: Revision = 0, now: Instant = NOW) -> list[int]:
    return [found.request for _, found in readers.ready(next_slot, revision, now)]


def test_a_linearizable_read_waits_for_its_round_and_then_for_apply() -> None:
    readers = Readers()
    readers.add(ME, read(), NOW)
    assert readers.unconfirmed
    assert ready(readers, next_slot=9, revision=9) == []
    number = readers.start_round()
    assert ready(readers, next_slot=9, revision=9) == []
    assert readers.confirm(number, applied=6)
    assert not readers.unconfirmed
    assert ready(readers, next_slot=5, revision=3) == []
    assert ready(readers, next_slot=6, revision=3) == [1]
    assert ready(readers, next_slot=9, revision=9) == []  # answered once


def test_a_cheap_read_waits_for_no_round() -> None:
    readers = Readers()
    readers.add(ME, read(linearizable=False), NOW)

    assert not readers.unconfirmed
    assert ready(readers) == [1]


def test_l14_a_cheap_read_waits_for_what_its_session_has_seen() -> None:
    readers = Readers()
    readers.add(ME, read(linearizable=False, seen=4), NOW)

    assert ready(readers, revision=3, now=NOW + 9) == []
    assert ready(readers, revision=4, now=NOW + 9) == [1]


def test_a_read_that_came_after_its_round_began_is_not_confirmed_by_it() -> None:
    readers = Readers()
    readers.add(ME, read(1), NOW)
    number = readers.start_round()
    readers.add(ME, read(2), NOW)
    readers.confirm(number, applied=1)

    assert ready(readers) == [1]
    assert readers.unconfirmed


def test_an_answer_to_another_round_confirms_nobody() -> None:
    readers = Readers()
    readers.add(ME, read(), NOW)
    first = readers.start_round()
    second = readers.start_round()
    assert not readers.confirm(first, applied=1)
    assert ready(readers) == []
    assert readers.confirm(second, applied=1)
    assert ready(readers) == [1]


def test_an_answer_from_one_who_does_not_lead_confirms_nobody() -> None:
    readers = Readers()
    readers.add(ME, read(), NOW)
    number = readers.start_round()

    assert readers.confirm(number, applied=0)
    assert ready(readers, next_slot=9, revision=9) == []
    assert readers.unconfirmed


def test_a_read_of_what_is_not_there_yet_waits_until_its_deadline() -> None:
    readers = Readers()
    readers.add(ME, read(start=4, linearizable=False, wait_ms=2000), NOW)
    assert ready(readers, revision=3, now=NOW + 1.9) == []
    assert readers.next_deadline() == NOW + 2
    assert ready(readers, revision=3, now=NOW + 2) == [1]
    assert readers.next_deadline() is None


def test_a_read_of_what_is_not_there_yet_goes_on_as_soon_as_it_is() -> None:
    readers = Readers()
    readers.add(ME, read(start=4, linearizable=False, wait_ms=2000), NOW)

    assert ready(readers, revision=4) == [1]


def test_only_a_read_that_waits_for_a_next_entry_has_a_deadline() -> None:
    readers = Readers()
    readers.add(ME, read(1, wait_ms=100), NOW)  # waits for its round
    readers.add(ME, read(2, linearizable=False, seen=9), NOW)  # waits for what its session has seen
    readers.add(ME, read(3, start=9, linearizable=False, wait_ms=800), NOW)
    readers.add(ME, read(4, start=9, linearizable=False, wait_ms=500), NOW)

    assert ready(readers, now=NOW + 0.3) == []
    assert readers.next_deadline() == NOW + 0.5
    readers.confirm(readers.start_round(), applied=4)  # and now for apply, which may take long
    assert ready(readers, next_slot=3, now=NOW + 1) == [3, 4]
    assert readers.next_deadline() is None


def test_giving_up_names_all_that_wait_for_a_round_and_keeps_the_others() -> None:
    readers = Readers()
    readers.add(ME, read(1), NOW)
    readers.add(b"other", read(2, start=9, linearizable=False, wait_ms=1000), NOW)
    number = readers.start_round()
    readers.add(b"third", read(3), NOW)

    assert readers.give_up() == [(ME, 1), (b"third", 3)]
    assert not readers.unconfirmed
    readers.confirm(number, applied=1)
    assert ready(readers, revision=9) == [2]


def test_answers_go_to_whoever_asked() -> None:
    readers = Readers()
    readers.add(ME, read(1, linearizable=False), NOW)
    readers.add(b"other", read(1, linearizable=False), NOW)

    assert [client for client, _ in readers.ready(1, 0, NOW)] == [ME, b"other"]


def test_m09_one_turn_answers_so_many_reads_and_the_next_turns_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWERED_PER_TURN_MAX", 2)
    readers = Readers()
    for request in range(1, 6):
        readers.add(ME, read(request, linearizable=False), NOW)
    turns = []
    for _ in range(3):
        found = ready(readers)
        assert ready(readers) == []
        turns.append((found, readers.next_deadline()))
        readers.begin_turn()

    assert turns == [([1, 2], NOW), ([3, 4], NOW), ([5], None)]


def test_the_longest_waiting_read_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READERS_MAX", 2)
    readers = Readers()
    for request in (1, 2, 3):
        readers.add(ME, read(request, linearizable=False), NOW)

    assert ready(readers) == [2, 3]
