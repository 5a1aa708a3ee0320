"""Rates: a few times at once, and then now and then."""

from __future__ import annotations

from paxosd.gateway.rates import Rate

NOW = 100.0


def taken(rate: Rate[str], key: str, times: int, now: float) -> int:
    return sum(rate.take(key, now) for _ in range(times))


def test_so_many_at_once_and_then_one_for_every_while() -> None:
    rate: Rate[str] = Rate(burst=4, every_s=0.5)

    assert taken(rate, "a", 10, NOW) == 4
    assert taken(rate, "a", 10, NOW + 0.4) == 0
    assert taken(rate, "a", 10, NOW + 0.5) == 1
    assert taken(rate, "a", 10, NOW + 1.6) == 2
    assert taken(rate, "a", 10, NOW + 60) == 4


def test_keys_are_counted_apart() -> None:
    rate: Rate[str] = Rate(burst=2, every_s=0.5)

    assert [taken(rate, key, 3, NOW) for key in "abc"] == [2, 2, 2]


def test_a_key_is_forgotten_once_all_has_grown_again() -> None:
    rate: Rate[str] = Rate(burst=2, every_s=0.5)
    for number in range(100):
        rate.take(str(number), NOW + number)
    assert len(rate) == 1

    taken(rate, "greedy", 2, NOW + 100)
    assert not rate.take("greedy", NOW + 100.4)
