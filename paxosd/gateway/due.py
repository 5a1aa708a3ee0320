"""When the log must know what time it is: something runs out, and nobody proposes anything."""

from __future__ import annotations

from paxosd.core.types import Instant


class Due:
    """What a gateway knows of log time, which its leader tells with each heartbeat."""

    def __init__(self, retry_s: float) -> None:
        self._retry_s = retry_s
        self._log_time_ms = 0
        self._heard_at: Instant = 0.0
        self._asked_ms = 0  # for which log time a leader was asked last
        self._not_before: Instant = 0.0

    def hear(self, log_time_ms: int, now: Instant) -> None:
        """The leader's log time was this, a moment ago: so what is counted on from here is never too late a time."""
        self._log_time_ms, self._heard_at = log_time_ms, now

    def is_due(self, due_ms: int | None, now: Instant) -> bool:
        """Whether the leader is to be asked now for this log time, which is asked for again after a while."""
        at = self.deadline(due_ms)
        if due_ms is None or at is None or now < at:
            return False
        self._asked_ms, self._not_before = due_ms, now + self._retry_s
        return True

    def deadline(self, due_ms: int | None) -> Instant | None:
        """When it is; None: never, as far as is known."""
        if due_ms is None:
            return None
        at = self._heard_at + max(0, due_ms - self._log_time_ms) / 1000
        return max(at, self._not_before) if due_ms == self._asked_ms else at
