"""Reads at a gateway: who waits for what, and until when."""

from __future__ import annotations

import pytest

from paxosd.core.messages import ReadLog
from paxosd.core.types import ClientAddress, Instant, Revision, Slot
from paxosd.gateway import readers as module
from paxosd.gateway.readers import MOVED_PER_TURN_MAX, REFUSED_AFTER_S, Read, Readers
from tests.core.counting import operations

NOW: Instant = 50.0
ME = b"me"


def read(
    request: int = 1, start: Revision = 1, linearizable: bool = True, seen: Revision = 0, wait_ms: int = 0
) -> ReadLog:
    return ReadLog(request, start, linearizable, seen, wait_ms)


def ready(readers: Readers, next_slot: Slot = 1, revision: Revision = 0, now: Instant = NOW) -> list[int]:
    """The requests that one turn can answer, in the order of their turns."""
    readers.begin_turn()
    readers.move_on(next_slot, revision, revision, now)
    return [read.request for _, read in take_all(readers)]


def take_all(readers: Readers) -> list[tuple[ClientAddress, Read]]:
    return list(iter(readers.take, None))


def test_a_linearizable_read_waits_for_its_round_and_then_for_apply() -> None:
    readers = Readers()
    readers.add(ME, read(), NOW)
    assert readers.unconfirmed
    assert ready(readers, next_slot=9, revision=9) == []
    number = readers.start_round(NOW)
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
    number = readers.start_round(NOW)
    readers.add(ME, read(2), NOW)
    readers.confirm(number, applied=1)

    assert ready(readers) == [1]
    assert readers.unconfirmed


def test_an_answer_to_another_round_confirms_nobody() -> None:
    readers = Readers()
    readers.add(ME, read(), NOW)
    first = readers.start_round(NOW)
    second = readers.start_round(NOW)
    assert not readers.confirm(first, applied=1)
    assert ready(readers) == []
    assert readers.confirm(second, applied=1)
    assert ready(readers) == [1]


def test_an_answer_from_one_who_does_not_lead_confirms_nobody() -> None:
    readers = Readers()
    readers.add(ME, read(), NOW)
    number = readers.start_round(NOW)

    assert readers.confirm(number, applied=0)
    assert ready(readers, next_slot=9, revision=9) == []
    assert readers.unconfirmed


def test_a_read_of_what_is_not_there_yet_waits_until_its_deadline() -> None:
    readers = Readers()
    readers.add(ME, read(start=4, linearizable=False, wait_ms=2000), NOW)
    assert ready(readers, revision=3, now=NOW + 1.9) == []
    assert readers.next_deadline() == NOW + 2
    assert ready(readers, revision=3, now=NOW + 2) == [1]
    assert readers.next_deadline() is None  # what is answered is over


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
    readers.confirm(readers.start_round(NOW), applied=4)  # and now for apply, which may take long
    assert ready(readers, next_slot=3, now=NOW + 1) == [4, 3]
    assert readers.next_deadline() == NOW + REFUSED_AFTER_S


def test_giving_up_names_all_that_wait_for_a_round_and_keeps_the_others() -> None:
    readers = Readers()
    readers.add(ME, read(1), NOW)
    readers.add(b"other", read(2, start=9, linearizable=False, wait_ms=1000), NOW)
    number = readers.start_round(NOW)
    readers.add(b"third", read(3), NOW)

    assert readers.give_up() == [(ME, 1), (b"third", 3)]
    assert not readers.unconfirmed
    readers.confirm(number, applied=1)
    assert ready(readers, revision=9) == [2]


def test_answers_go_to_whoever_asked() -> None:
    readers = Readers()
    readers.add(ME, read(1, linearizable=False), NOW)
    readers.add(b"other", read(1, linearizable=False), NOW)
    readers.move_on(1, 0, 0, NOW)

    assert [client for client, _ in take_all(readers)] == [ME, b"other"]


def test_a_question_that_is_asked_again_waits_once() -> None:
    readers = Readers()
    for _ in range(2):
        assert readers.add(ME, read(1, linearizable=False), NOW) == []

    assert ready(readers) == [1]
    readers.add(ME, read(1, linearizable=False), NOW)
    assert ready(readers) == [1]


# ---- shares ----


def test_clients_are_answered_in_turn_however_many_reads_one_of_them_has() -> None:
    readers = Readers()
    for request in range(1, 5):
        readers.add(ME, read(request, linearizable=False), NOW)
    readers.add(b"other", read(11, linearizable=False), NOW)
    readers.add(b"third", read(21, linearizable=False), NOW)
    readers.add(b"other", read(12, linearizable=False), NOW)

    assert ready(readers) == [1, 11, 21, 2, 12, 3, 4]


def test_whose_turn_it_is_goes_on_in_the_next_turn() -> None:
    readers = Readers()
    for request in (1, 2):
        readers.add(ME, read(request, linearizable=False), NOW)
    readers.add(b"other", read(11, linearizable=False), NOW)
    readers.move_on(1, 0, 0, NOW)
    assert readers.take() == (ME, read(1, linearizable=False))
    assert readers.next_deadline() == NOW  # for there is more to answer

    assert ready(readers) == [11, 2]
    assert readers.next_deadline() is None


def test_what_a_client_asks_above_its_share_is_refused_at_once_and_costs_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "READERS_PER_CLIENT_MAX", 2)
    readers = Readers()
    refused = [readers.add(ME, read(request, linearizable=False), NOW) for request in (1, 2, 3)]

    assert refused == [[], [], [(ME, 3)]]
    assert readers.add(b"other", read(3, linearizable=False), NOW) == []
    assert sorted(ready(readers)) == [1, 2, 3]
    assert readers.add(ME, read(3, linearizable=False), NOW) == []


@pytest.mark.parametrize("linearizable", [True, False])
def test_where_all_have_too_many_the_client_with_the_most_loses_its_oldest(
    monkeypatch: pytest.MonkeyPatch, linearizable: bool
) -> None:
    monkeypatch.setattr(module, "READERS_MAX", 4)
    readers = Readers()
    for request in (1, 2, 3):
        readers.add(ME, read(request, linearizable=linearizable), NOW)
    readers.add(b"other", read(11, linearizable=linearizable), NOW)

    assert readers.add(b"third", read(21, linearizable=linearizable), NOW) == [(ME, 1)]
    assert readers.add(ME, read(4, linearizable=linearizable), NOW) == [(ME, 2)]
    readers.confirm(readers.start_round(NOW), applied=1)
    assert sorted(ready(readers)) == [3, 4, 11, 21]


def test_a_read_that_waits_for_apply_too_long_is_named() -> None:
    readers = Readers()
    readers.add(ME, read(1, linearizable=False, seen=99), NOW)
    readers.add(ME, read(2, linearizable=False, seen=99), NOW + 1)
    due = readers.next_deadline()
    assert due == NOW + REFUSED_AFTER_S
    assert ready(readers, now=due) == []

    assert list(readers.overdue(due)) == [(ME, 1)]
    assert list(readers.overdue(due)) == []
    assert ready(readers, revision=99, now=due) == [2]


# ---- what a turn costs ----


def filled(waiting: int) -> Readers:
    """So many reads of as many clients wait, each in one of the ways in which a read can wait."""
    readers = Readers()
    for number in range(waiting):
        client = b"%d" % number
        kinds = (
            read(1, linearizable=False, seen=99 + number),
            read(1, start=99 + number, linearizable=False, wait_ms=9000),
            read(1, start=99, linearizable=False, seen=99),
        )
        readers.add(client, kinds[number % 3], NOW)
    for _ in range(waiting // MOVED_PER_TURN_MAX + 1):
        assert ready(readers) == []
    for number in range(waiting):
        readers.add(b"%d" % number, read(2), NOW)
    readers.confirm(readers.start_round(NOW), applied=50)
    for number in range(waiting):
        readers.add(b"%d" % number, read(3), NOW)
    return readers


def test_a_turn_costs_the_same_however_many_reads_wait() -> None:
    few, many = filled(10), filled(4000)

    assert operations(lambda: ready(many)) == operations(lambda: ready(few))
    assert operations(many.next_deadline) == operations(few.next_deadline)
    assert operations(lambda: many.start_round(NOW)) == operations(lambda: few.start_round(NOW))


def test_a_turn_moves_so_many_reads_on_and_the_next_turns_come_at_once() -> None:
    readers = Readers()
    for number in range(3 * MOVED_PER_TURN_MAX):
        readers.add(b"%d" % (number % 16), read(number, start=5, linearizable=False, wait_ms=9000), NOW)
    turns = []
    for _ in range(4):
        assert ready(readers) == []
        turns.append(readers.next_deadline() == NOW)
    found = []
    for _ in range(4):
        found.append(len(ready(readers, revision=5)))
        turns.append(readers.next_deadline() == NOW)

    assert found == [MOVED_PER_TURN_MAX] * 3 + [0]
    assert turns == [True, True, True, False, True, True, False, False]


def test_nothing_is_left_of_reads_that_were_answered_or_refused() -> None:
    readers = Readers()
    for request in range(20_000):
        kind = read(request, start=request, linearizable=False, wait_ms=9000)
        readers.add(b"%d" % (request % 50), kind, NOW)
        if request % 100 == 99:
            ready(readers, revision=request - 100)
    held = [len(queue._heap) for queue in (readers._by_entry, readers._by_deadline)]

    assert max(held) < 4 * len(readers._waiting) + 2 * module.SPARE
    assert len(readers._waiting) < 300
