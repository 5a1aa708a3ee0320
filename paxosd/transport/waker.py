"""Ending a wait from another thread or from a signal handler."""

from __future__ import annotations

import math
import os
from contextlib import suppress


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
            with suppress(OSError):  # full: awake anyway; closed: nobody waits any more
                os.write(self._write, b"w")

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._read, 4096)
        # After reading: a wake in between finds us awake, and so it is, for whoever clears returns from its wait. The
        # other way round its byte could be read here while the flag stays, and no later wake would write again.
        self._awake = False

    def close(self) -> None:
        self._awake = True
        os.close(self._read)
        os.close(self._write)


def milliseconds(timeout_s: float | None) -> int | None:
    """Rounded up: a poll that ends just before its deadline would be followed by another one."""
    return None if timeout_s is None else max(0, math.ceil(timeout_s * 1000))
