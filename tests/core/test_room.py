"""How much may wait at a leader: what it serves within a moment."""

from __future__ import annotations

from paxosd.core.options import QUEUE_S
from paxosd.core.room import Room

LEAST, MOST = 1_000, 100_000


def serve(room: Room, bytes_per_s: float, until: float, since: float = 0.0) -> None:
    """So many bytes leave the queue, every 10 ms."""
    for tick in range(int(since * 100), int(until * 100)):
        room.left(int(bytes_per_s / 100), tick / 100)


def most_admitted(room: Room, now: float, size: int = 100) -> int:
    """How many bytes come to wait if more are offered than fit."""
    waiting = 0
    while room.admits(waiting, size, now):
        waiting += size
    return waiting


def test_a_quiet_leader_takes_the_least() -> None:
    assert most_admitted(Room(LEAST, MOST), now=5.0) == LEAST


def test_what_waits_is_served_within_a_moment() -> None:
    for rate in (10_000, 50_000, 200_000):
        room = Room(LEAST, MOST)
        serve(room, rate, until=2.0)

        assert 0.8 * QUEUE_S <= most_admitted(room, now=2.0) / rate <= QUEUE_S


def test_however_fast_it_is_the_queue_has_a_bound() -> None:
    room = Room(LEAST, MOST)
    serve(room, 10_000_000, until=1.0)

    assert most_admitted(room, now=1.0) == MOST


def test_a_leader_that_serves_nothing_any_more_soon_takes_the_least_again() -> None:
    room = Room(LEAST, MOST)
    serve(room, 100_000, until=1.0)

    assert most_admitted(room, now=1.0 + QUEUE_S) == LEAST


def test_once_it_refuses_it_goes_on_until_a_good_part_has_left() -> None:
    room = Room(LEAST, MOST)
    assert not room.admits(LEAST, 100, 0.0)

    assert not room.admits(int(LEAST * 0.8), 100, 0.0)  # what comes after the refused one would be a gap
    assert room.admits(int(LEAST * 0.5), 100, 0.0)
    assert room.admits(int(LEAST * 0.8), 100, 0.0)


def test_whatever_its_size_one_may_wait() -> None:
    assert Room(LEAST, MOST).admits(0, 10 * MOST, 0.0)
