"""Simulated time: a queue of what is to happen when."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class Agenda:
    """`now` is the time, in seconds, of what happens just now."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0

    def schedule(self, at: float, call: Callable[..., None], arguments: tuple[object, ...] = ()) -> None:
        """Call this at that time; calls at equal times keep their order."""
        self._count += 1
        heappush(self._events, (at, self._count, call, arguments))

    def later(self, delay_s: float, call: Callable[..., None], *arguments: object) -> None:
        """Call this so many seconds from now."""
        self.schedule(self.now + delay_s, call, arguments)

    def run_until(self, end: float, done: Callable[[], bool] | None = None) -> None:
        """Play every event up to this time, or until `done`, which is looked at now and then."""
        events = self._events
        countdown = 50
        while events and events[0][0] <= end:
            at, _, call, arguments = heappop(events)
            self.now = at
            call(*arguments)
            countdown -= 1
            if countdown == 0:
                countdown = 50
                if done is not None and done():
                    return
        self.now = max(self.now, end)
