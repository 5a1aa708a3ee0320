"""The log time that gateways want the log to know: something runs out then, whether anybody proposes or not.

Whatever a leader proposes has a stamp and tells the log what time it is. So it proposes a value for the stamp alone
only where nothing else is under way, and one for all that want it: what gateways ask costs a slot each round trip at
most.
"""

from __future__ import annotations


class WantedTime:
    """Of one leader."""

    def __init__(self) -> None:
        self._wanted_ms = 0
        self._proposed_ms = 0

    def want(self, log_time_ms: int, stamp_ms: int) -> None:
        """The log shall know this log time. `stamp_ms` is the leader's own: what has not come is asked for again."""
        if log_time_ms <= stamp_ms:
            self._wanted_ms = max(self._wanted_ms, log_time_ms)

    def is_due(self, in_flight: int) -> bool:
        """Whether a value is to be proposed for the time alone; so many are in flight."""
        return not in_flight and self._wanted_ms > self._proposed_ms

    def propose(self, stamp_ms: int) -> int:
        """A value with this stamp is proposed; returns the stamp."""
        self._proposed_ms = max(self._proposed_ms, stamp_ms)
        return stamp_ms
