"""A wake is never lost, whenever it comes."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

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


def test_a_wake_that_a_signal_ends_does_not_deafen_it_to_all_later_ones(
    waker: Waker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(descriptor: int, data: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        waker.wake()
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


def test_a_wake_while_another_thread_closes_writes_into_nobody_elses_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waker = Waker()
    closer = threading.Thread(target=waker.close)
    opened: list[int] = []
    write = os.write

    def closed_before_write(descriptor: int, data: bytes) -> int:
        closer.start()
        closer.join(0.1)  # a close that waits for this write goes on after it
        opened.extend(os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in "ab")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", closed_before_write)
    waker.wake()
    monkeypatch.undo()
    closer.join()
    waker.wake()
    for descriptor in opened:
        os.close(descriptor)

    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"", b""]


def test_closing_twice_closes_nobody_elses_file(tmp_path: Path) -> None:
    waker = Waker()
    waker.close()
    opened = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in "ab"]  # the same numbers again
    waker.close()

    for descriptor in opened:
        os.close(descriptor)


def test_a_wake_from_a_signal_handler_in_the_middle_of_a_wake_or_a_close_is_harmless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waker = Waker()
    write, close = os.write, os.close

    def woken_before_write(descriptor: int, data: bytes) -> int:
        waker._awake = False  # the handler came just before the flag was set
        monkeypatch.setattr(os, "write", write)
        waker.wake()
        return write(descriptor, data)

    def woken_before_close(descriptor: int) -> None:
        waker.wake()
        close(descriptor)

    monkeypatch.setattr(os, "write", woken_before_write)
    waker.wake()
    awake = is_awake(waker)
    monkeypatch.setattr(os, "close", woken_before_close)
    waker.clear()
    waker.close()

    assert awake


def test_a_timeout_is_rounded_up_and_never_negative() -> None:
    assert [milliseconds(timeout_s) for timeout_s in (None, 0, 0.0001, 1.5, -1)] == [None, 0, 1, 1500, 0]
