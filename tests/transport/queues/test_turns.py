"""Frames of clients are handed out in turns."""

from __future__ import annotations

from paxosd.transport.queues.turns import Turns


def test_who_sends_many_waits_longest_and_each_client_keeps_its_order() -> None:
    turns = Turns()
    for frame in (b"1", b"2", b"3"):
        turns.add(b"busy", frame)
    turns.add(b"other", b"1")
    taken = [turns.take() for _ in range(len(turns))]

    assert taken == [(b"busy", b"1"), (b"other", b"1"), (b"busy", b"2"), (b"busy", b"3")]
    assert (len(turns), turns.bytes) == (0, 0)


def test_what_a_client_sent_can_be_forgotten() -> None:
    turns = Turns()
    turns.add(b"a", b"1")
    turns.add(b"b", b"2")
    turns.forget(b"a")
    turns.forget(b"nobody")

    assert (len(turns), turns.bytes) == (1, 1)
    assert turns.take() == (b"b", b"2")
