"""How much may wait at a leader: what it serves within a moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from paxosd.core.options import QUEUE_S
from paxosd.core.room import Room

LEAST, MOST = 1_000, 100_000


def serve(room: Room, bytes_per_s: float, until: float, since: float = 0.0) -> None:
    """So many bytes leave the queue, every 10 ms."""
    for tick in range(int(since * 100), int(until * 100)):
        room.left(int(bytes_per_s / 100), tick / 100)


def admits(room: Room, waiting: int, size: int, now: float) -> bool:
    """Where one gateway holds all that waits."""
    return room.admits("l1", waiting, waiting, size, now)


def most_admitted(room: Room, now: float, size: int = 100) -> int:
    """How many bytes come to wait if more are offered than fit."""
    waiting = 0
    while admits(room, waiting, size, now):
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
    assert not admits(room, LEAST, 100, 0.0)

    assert not admits(room, int(LEAST * 0.8), 100, 0.0)  # what comes after the refused one would be a gap
    assert admits(room, int(LEAST * 0.5), 100, 0.0)
    assert admits(room, int(LEAST * 0.8), 100, 0.0)


def test_whatever_its_size_one_may_wait() -> None:
    assert admits(Room(LEAST, MOST), 0, 10 * MOST, 0.0)


def flooded(room: Room, gateways: Sequence[str], held: Counter[str], size: int = 10) -> None:
    """Each of these forwards without end, in turns."""
    while [
        one for one in gateways if room.admits(one, held[one], held.total(), size, 0.0) and not held.update({one: size})
    ]:
        pass


def test_a_gateway_that_forwards_without_end_leaves_a_place_for_others() -> None:
    room, held = Room(LEAST, MOST), Counter[str]()
    flooded(room, ["greedy"], held)
    assert held["greedy"] == LEAST

    assert room.admits("quiet", 0, LEAST, LEAST // 6, 0.0)


def test_gateways_that_forward_without_end_come_to_have_alike_shares() -> None:
    room, held = Room(LEAST, MOST), Counter[str]()
    flooded(room, ["early"], held)
    for _ in range(50):  # a tenth leaves the queue, whoever it is of
        held = Counter({gateway: int(bytes_ * 0.9) for gateway, bytes_ in held.items()})
        flooded(room, ["early", "late"], held)

    assert 0.7 <= held["late"] / held["early"] <= 1.4


def test_however_many_gateways_there_are_all_together_hold_a_quarter_more_than_one_at_most() -> None:
    room, held = Room(LEAST, MOST), Counter[str]()
    for number in range(50):
        flooded(room, [f"l{number}"], held)

    assert LEAST <= held.total() <= 1.25 * LEAST
