"""Ending a wait from another thread or from a signal handler."""

from __future__ import annotations

import math
import os
from contextlib import suppress

from paxosd.process.native import allocate_rlock
from paxosd.transport.shortage import Shortage


class Waker:
    """A file descriptor that becomes readable on `wake`; many wakes in a row cost one.

    Any thread may call `wake`, and so may a signal handler, also during or after `close`: whoever closes waits for a
    write that is under way, for its number may be that of another file as soon as it is closed. A handler may have
    interrupted its own thread in here, which is why the lock lets that one in again.

    Raises `Shortage` if there is no descriptor left.
    """

    def __init__(self) -> None:
        try:
            self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Shortage(f"no pipe: {error.strerror}; close files, or raise the limit (ulimit -n)") from error
        self._awake = False
        self._closed = False
        self._lock = allocate_rlock()

    def fileno(self) -> int:
        return self._read

    def wake(self) -> None:
        if self._awake:
            return
        with self._lock:
            if self._closed:
                return
            is_written = False
            self._awake = True
            try:
                with suppress(BlockingIOError):  # full: awake anyway
                    os.write(self._write, b"w")
                is_written = True
            finally:
                if not is_written:  # a handler of a signal raised, so that nobody may rely on this wake
                    self._awake = False

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._read, 4096)
        # After reading: a wake in between finds us awake, and so it is, for whoever clears returns from its wait. The
        # other way round its byte could be read here while the flag stays, and no later wake would write again.
        self._awake = False

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._read)
                os.close(self._write)


def milliseconds(timeout_s: float | None) -> int | None:
    """Rounded up: a poll that ends just before its deadline would be followed by another one."""
    return None if timeout_s is None else max(0, math.ceil(timeout_s * 1000))
