"""How much may wait at a leader: not more than it serves within a moment, so that a queue never stands.

A queue that stands makes every command late and no command faster. So what waits is bounded by time, and the bound
finds itself: as many bytes may wait as left the queue within the last `QUEUE_S`, and always `least_bytes`, from which
a quiet leader begins.

Gateways share the room, and one that forwards without end must not take all of it. Where it is alone it has all; what
others hold is taken from that, but for a part, so that whoever comes to a full room finds a place, and holds as much as
the first one soon (Choudhury and Hahne, "Dynamic Queue Length Thresholds").

Laws:
1. What is refused was never queued. Nothing else is decided here.
2. Once it refuses a gateway it goes on until a good part of what that one holds is gone: what comes next in the same
   session would be applied only after what was refused, so that taking it would be in vain.
3. While nothing waits, anything is admitted.
4. All together hold the bound and a quarter of it at most.
"""

from __future__ import annotations

from collections import deque

from paxosd.core.options import QUEUE_S
from paxosd.core.types import Instant, NodeId

ADMITS_AGAIN_BELOW = 0.75
"""Refusing a gateway ends when it holds less than this part of what it may."""
OTHERS_COUNT = 0.8
"""What others hold is taken from what a gateway may hold, in this part."""


class Room:
    """Decides for a queue that tells what leaves it."""

    def __init__(self, least_bytes: int, most_bytes: int) -> None:
        self._least = least_bytes
        self._most = most_bytes
        self._left: deque[tuple[Instant, int]] = deque()  # what left the queue within the last `QUEUE_S`, and when
        self._left_bytes = 0
        self._refusing: set[NodeId] = set()

    def left(self, size: int, now: Instant) -> None:
        """So many bytes left the queue and are under way."""
        self._left_bytes += size
        if self._left and self._left[-1][0] == now:
            size += self._left.pop()[1]
        self._left.append((now, size))
        self._forget(now)

    def admits(self, gateway: NodeId, held_bytes: int, waiting_bytes: int, size: int, now: Instant) -> bool:
        """Whether so many bytes of this gateway may join those that wait, of which it holds so many already."""
        self._forget(now)
        bound = min(self._most, max(self._least, self._left_bytes))
        limit = bound - OTHERS_COUNT * (waiting_bytes - held_bytes)
        if gateway in self._refusing:
            limit *= ADMITS_AGAIN_BELOW
        admitted = waiting_bytes == 0 or held_bytes + size <= limit
        (self._refusing.discard if admitted else self._refusing.add)(gateway)
        return admitted

    def _forget(self, now: Instant) -> None:
        while self._left and self._left[0][0] <= now - QUEUE_S:
            self._left_bytes -= self._left.popleft()[1]
