"""Backups through a gateway: clients take turns at the snapshot of the learner beside it."""

from __future__ import annotations

from paxosd.core.messages import (
    FetchSnapshot,
    ReadSnapshot,
    SnapshotPage,
    SnapshotPart,
)
from paxosd.gateway.backups import ASKED_MAX, Backups

PART = SnapshotPart(b"id", 5, 9, b"digest", 3, b"data")


def backups() -> Backups:
    return Backups("demo", retry_s=0.4)


def test_a_part_that_a_client_asks_for_is_asked_of_the_learner_and_told_to_that_client() -> None:
    desk = backups()
    assert desk.ask(b"me", ReadSnapshot(7, b"id", 3))

    assert desk.next_question(0.0) == FetchSnapshot(b"id", 3, above=0)
    assert desk.answer(PART) == (b"me", SnapshotPage(7, b"id", 5, 9, b"digest", 3, b"data"))
    assert desk.answer(PART) is None


def test_clients_take_turns_one_part_at_a_time() -> None:
    desk = backups()
    desk.ask(b"me", ReadSnapshot(1, b"", 0))
    desk.ask(b"other", ReadSnapshot(2, b"", 10))
    desk.ask(b"me", ReadSnapshot(3, b"", 20))  # instead of its first one, in the same place

    assert desk.next_question(0.0) == FetchSnapshot(b"", 20, 0)
    assert desk.next_question(0.0) is None
    assert desk.answer(PART) is not None
    assert desk.next_question(0.0) == FetchSnapshot(b"", 10, 0)


def test_a_learner_that_does_not_answer_keeps_nobody_waiting_for_ever() -> None:
    desk = backups()
    desk.ask(b"me", ReadSnapshot(1, b"", 0))
    desk.next_question(0.0)
    assert desk.deadline is None
    desk.ask(b"other", ReadSnapshot(2, b"", 10))

    assert desk.deadline == 0.4
    assert desk.next_question(0.3) is None
    assert desk.next_question(0.4) == FetchSnapshot(b"", 10, 0)


def test_who_is_one_too_many_is_told() -> None:
    desk = backups()
    for number in range(ASKED_MAX):
        assert desk.ask(b"%d" % number, ReadSnapshot(1, b"", 0))

    assert not desk.ask(b"one more", ReadSnapshot(1, b"", 0))
    assert desk.ask(b"0", ReadSnapshot(2, b"", 0))
