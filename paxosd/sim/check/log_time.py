"""39: log time, as leaders stamp and tell it, goes on by their own clocks and by nothing else.

Laws:
1. A reign begins with no more than was stamped or told before it, or than its leader's own last reign had come to; and
   with no less than the stamps of what is chosen.
2. From there on it goes on no faster than the leader's clock.
The checker reads the clock of who leads, and is told of all that is stamped and told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from paxosd.core.agent import Event
from paxosd.core.messages import Accept, Heartbeat, Message
from paxosd.core.types import Ballot, Instant, NodeId
from paxosd.core.values import readable_stamp_ms
from paxosd.sim.check.invariants import ensure

LAW = "39 log time"


@dataclass(slots=True)
class _Reign:
    ballot: Ballot
    began_ms: int
    began_at: Instant  # by the clock of who leads
    ended_ms: float | None = None

    def at(self, now: Instant) -> float:
        """How far it may have come."""
        return self.began_ms + (now - self.began_at) * 1000 if self.ended_ms is None else self.ended_ms


class LogTimes:
    """Of one history. `chosen_ms` gives the latest stamp of what is chosen, as far as that is counted."""

    def __init__(self, chosen_ms: Callable[[], int]) -> None:
        self._chosen_ms = chosen_ms
        self._known_ms = 0  # the latest that anybody stamped or told
        self._reigns: dict[tuple[NodeId, int], _Reign] = {}  # of each life the last one

    def sent(self, who: tuple[NodeId, int], message: Message, now: Instant) -> None:
        """A node, in one of its lives, says this at this time by its own clock."""
        match message:
            case Heartbeat(ballot, _, _, log_time_ms):
                self._said(who, ballot, log_time_ms, now)
            case Accept(ballot, _, value):
                stamp_ms = readable_stamp_ms(value)
                if who in self._reigns and self._reigns[who].ballot == ballot:
                    self._said(who, ballot, stamp_ms, now)

    def event(self, who: tuple[NodeId, int], event: Event, now: Instant) -> None:
        """A node reports this."""
        reign = self._reigns.get(who)
        if event.name == "leader.lost" and reign is not None:
            reign.ended_ms = reign.at(now)

    def _said(self, who: tuple[NodeId, int], ballot: Ballot, log_time_ms: int, now: Instant) -> None:
        reign = self._reigns.get(who)
        if reign is None or reign.ballot != ballot:
            most = max(float(self._known_ms), 0.0 if reign is None else reign.at(now))
            least = self._chosen_ms()
            ensure(log_time_ms <= most, LAW, f"{who[0]} begins to lead at {log_time_ms} ms, after {most:.0f} ms")
            ensure(log_time_ms >= least, LAW, f"{who[0]} begins to lead at {log_time_ms} ms, and {least} ms is chosen")
            self._reigns[who] = _Reign(ballot, log_time_ms, now)
        else:
            most = reign.at(now)
            ensure(log_time_ms <= most, LAW, f"{who[0]} tells {log_time_ms} ms, where its clock says {most:.0f} ms")
        self._known_ms = max(self._known_ms, log_time_ms)
