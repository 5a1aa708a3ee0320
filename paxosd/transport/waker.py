"""Ending a wait from another thread or from a signal handler."""

from __future__ import annotations

import math
import os


class Waker:
    """A file descriptor that becomes readable on `wake`; many wakes in a row cost one."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._awake = False

    def fileno(self) -> int:
        return self._read

    def wake(self) -> None:
        if not self._awake:
            self._awake = True
            try:
                os.write(self._write, b"w")
            except (BlockingIOError, OSError):
                return  # full: awake anyway; closed: nobody waits any more

    def clear(self) -> None:
        self._awake = False  # before reading: a wake that comes now writes again
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        self._awake = True
        os.close(self._read)
        os.close(self._write)


def milliseconds(timeout_s: float | None) -> int | None:
    """Rounded up: a poll that ends just before its deadline would be followed by another one."""
    return None if timeout_s is None else max(0, math.ceil(timeout_s * 1000))
