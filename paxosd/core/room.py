"""How much may wait at a leader: not more than it serves within a moment, so that a queue never stands.

A queue that stands makes every command late and no command faster. So what waits is bounded by time, and the bound
finds itself: as many bytes may wait as left the queue within the last `QUEUE_S`, and always `least_bytes`, from which
a quiet leader begins.

Laws:
1. What is refused was never queued. Nothing else is decided here.
2. Once it refuses it goes on until a good part of the queue is gone: what comes next in the same session would be
   applied only after what was refused, so that taking it would be in vain.
3. While nothing waits, anything is admitted.
"""

from __future__ import annotations

from collections import deque

from paxosd.core.options import QUEUE_S
from paxosd.core.types import Instant

ADMITS_AGAIN_BELOW = 0.75
"""Refusing ends when less than this part of the bound waits."""


class Room:
    """Decides for a queue that tells what leaves it."""

    def __init__(self, least_bytes: int, most_bytes: int) -> None:
        self._least = least_bytes
        self._most = most_bytes
        self._left: deque[tuple[Instant, int]] = deque()  # what left the queue within the last `QUEUE_S`, and when
        self._left_bytes = 0
        self._refusing = False

    def left(self, size: int, now: Instant) -> None:
        """So many bytes left the queue and are under way."""
        self._left_bytes += size
        if self._left and self._left[-1][0] == now:
            size += self._left.pop()[1]
        self._left.append((now, size))
        self._forget(now)

    def admits(self, waiting_bytes: int, size: int, now: Instant) -> bool:
        """Whether so many bytes may join those that wait."""
        self._forget(now)
        bound = min(self._most, max(self._least, self._left_bytes))
        limit = bound * ADMITS_AGAIN_BELOW if self._refusing else bound
        self._refusing = waiting_bytes > 0 and waiting_bytes + size > limit
        return not self._refusing

    def _forget(self, now: Instant) -> None:
        while self._left and self._left[0][0] <= now - QUEUE_S:
            self._left_bytes -= self._left.popleft()[1]
