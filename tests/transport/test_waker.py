"""A wake is never lost, whenever it comes."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest

from paxosd.transport.waker import Waker, milliseconds


@pytest.fixture
def waker() -> Iterator[Waker]:
    waker = Waker()
    yield waker
    waker.close()


def is_awake(waker: Waker) -> bool:
    return bool(select.select([waker], [], [], 0)[0])


def test_it_is_readable_from_the_first_wake_until_it_is_cleared(waker: Waker) -> None:
    before = is_awake(waker)
    waker.wake()
    waker.wake()
    woken = is_awake(waker)
    waker.clear()

    assert (before, woken, is_awake(waker)) == (False, True, False)


def test_a_wake_in_the_middle_of_a_clear_does_not_deafen_it_to_all_later_ones(
    waker: Waker, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.read

    def woken_before_read(descriptor: int, size: int) -> bytes:
        waker.wake()
        return read(descriptor, size)

    waker.wake()
    monkeypatch.setattr(os, "read", woken_before_read)
    waker.clear()
    monkeypatch.undo()
    waker.wake()

    assert is_awake(waker)


def test_many_wakes_do_not_block(waker: Waker) -> None:
    for _ in range(100_000):
        waker.wake()
        waker._awake = False  # as if it were cleared each time, but never read

    assert is_awake(waker)


def test_waking_after_close_is_harmless() -> None:
    waker = Waker()
    waker.close()
    waker.wake()


def test_a_timeout_is_rounded_up_and_never_negative() -> None:
    assert [milliseconds(timeout_s) for timeout_s in (None, 0, 0.0001, 1.5, -1)] == [None, 0, 1, 1500, 0]
