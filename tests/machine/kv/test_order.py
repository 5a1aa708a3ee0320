"""Keys are in order, in whatever order and in whatever crowds they come and go."""

from __future__ import annotations

import random

import pytest

from paxosd.machine.kv import order
from paxosd.machine.kv.order import KeyOrder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of few keys, which are divided soon."""
    monkeypatch.setattr(order, "PART_KEYS", 4)
    monkeypatch.setattr(order, "FEW", 3)
    monkeypatch.setattr(order, "WAITING_MAX", 10)


def key_of(chance: random.Random) -> bytes:
    return b"%02d" % chance.randrange(60)


def end_of(chance: random.Random) -> bytes | None:
    return None if chance.random() < 0.2 else key_of(chance)


def within(keys: set[bytes], low: bytes, high: bytes | None) -> list[bytes]:
    return sorted(key for key in keys if key >= low and (high is None or key < high))


@pytest.mark.parametrize("seed", range(30))
def test_every_range_has_its_keys_in_order_and_their_number(seed: int) -> None:
    chance = random.Random(seed)
    keys = {key_of(chance) for _ in range(chance.randrange(20))}
    ordered = KeyOrder(keys)
    for _ in range(300):
        new = sorted({key_of(chance) for _ in range(chance.choice([1, 1, 2, 15]))} - keys)
        chance.shuffle(new)
        ordered.add_all(new)
        keys.update(new)
        for _ in range(chance.choice([0, 1, 1, 30])):
            if keys:
                gone = chance.choice(sorted(keys))
                ordered.remove(gone)
                keys.remove(gone)
        if chance.random() < 0.5:
            low, high = key_of(chance), end_of(chance)
            expected = within(keys, low, high)
            assert ordered.count(low, high) == len(expected)
            assert list(ordered.between(low, high)) == expected
            assert list(ordered.between(low, high, descending=True)) == expected[::-1]


def test_keys_that_come_one_by_one_are_there_at_once() -> None:
    ordered = KeyOrder()
    for number in range(9):
        ordered.add(b"%d" % (8 - number))
        assert list(ordered.between(b"\0", None)) == [b"%d" % each for each in range(8 - number, 9)]


def test_no_part_grows_without_end() -> None:
    ordered = KeyOrder()
    for begin in range(0, 1000, 20):
        ordered.add_all([b"%04d" % number for number in range(begin, begin + 20)])
    for number in range(1000):
        ordered.add(b"0500/%04d" % number)
    ordered.count(b"\0", None)

    assert max(map(len, ordered._parts)) < 2 * order.PART_KEYS
