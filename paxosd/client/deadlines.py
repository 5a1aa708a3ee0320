"""When the time of which call is over."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

from paxosd.client.calls import Command, Question
from paxosd.core.types import Instant

Call: TypeAlias = Command | Question


class Deadlines:
    """The deadlines of all calls of one client, the earliest first.

    Most calls have as much time as the one before, and so end in their order: these need no heap.
    """

    def __init__(self) -> None:
        self._in_order: deque[Call] = deque()
        self._heap: list[tuple[Instant, int, Call]] = []
        self._count = 0

    def add(self, *calls: Call) -> None:
        """These are under way, too."""
        latest = self._in_order[-1].deadline if self._in_order else -math.inf
        for call in calls:
            if call.deadline >= latest:
                latest = call.deadline
                self._in_order.append(call)
            else:
                self._count += 1
                heapq.heappush(self._heap, (call.deadline, self._count, call))

    @property
    def next(self) -> Instant | None:
        """The earliest one of a call that is not done; None: there is no such call."""
        while self._in_order and self._in_order[0].done:
            self._in_order.popleft()
        while self._heap and self._heap[0][2].done:
            heapq.heappop(self._heap)
        if self._in_order and (not self._heap or self._in_order[0].deadline <= self._heap[0][0]):
            return self._in_order[0].deadline
        return self._heap[0][0] if self._heap else None

    def overdue(self, now: Instant) -> Iterator[Call]:
        """The calls that are not done though their time is over, each once."""
        while (deadline := self.next) is not None and deadline <= now:
            in_order = bool(self._in_order) and self._in_order[0].deadline == deadline
            yield self._in_order.popleft() if in_order else heapq.heappop(self._heap)[2]
