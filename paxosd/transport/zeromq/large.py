"""Large frames on their way to one receiver, bounded in bytes.

What libzmq bounds is the number of frames that wait for a receiver, and a thousand large ones would fill the memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import zmq
from zmq.utils.garbage import gc as collector

from paxosd.transport.shortage import CONTEXT_DESCRIPTORS, CONTEXT_THREADS, Shortage, room_for

LARGE_FROM_BYTES = 64 * 1024
LARGE_BYTES_MAX = 32 * 1024 * 1024
"""How much may wait for one receiver in large frames; one of any size always may."""
CLIENT_LARGE_BYTES_MAX = 8 * 1024 * 1024
"""Likewise for a client: it asks for one page after the other, and there may be thousands of clients."""


class LargeFrames:
    """Those that libzmq still holds for one receiver, and their sizes."""

    def __init__(self, bytes_max: int = LARGE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._waiting: deque[tuple[zmq.MessageTracker, int]] = deque()
        self._bytes = 0

    @property
    def none_waits(self) -> bool:
        self._forget_sent()
        return not self._waiting

    def send(self, socket: zmq.Socket[bytes], parts: Sequence[bytes]) -> bool:
        """Send the last part as a large frame; False if too much waits. Raises `zmq.ZMQError` as the socket does."""
        if not _can_track():
            return False
        self._forget_sent()
        size = len(parts[-1])
        if self._waiting and self._bytes + size > self._bytes_max:
            return False
        tracker = socket.send_multipart(parts, zmq.DONTWAIT, copy=False, track=True)
        assert tracker is not None
        self._waiting.append((tracker, size))
        self._bytes += size
        return True

    def _forget_sent(self) -> None:
        while self._waiting and self._waiting[0][0].done:
            self._bytes -= self._waiting.popleft()[1]


def _can_track() -> bool:
    """Whether the thread of pyzmq runs that is told when a large frame has left; it is started at the first one."""
    try:
        if not collector.is_alive():
            with room_for(CONTEXT_DESCRIPTORS, CONTEXT_THREADS + 1):
                if not collector.is_alive():
                    collector.start()
    except (Shortage, RuntimeError, MemoryError):
        return False  # as if the receiver were slow; the next frame tries again
    return True
