"""Log time at a proposer: the milliseconds with which whoever leads stamps its values.

Laws:
1. A reign's log time begins, in the moment in which it is elected, with the latest that the reigns before it are known
   to have stamped or told. A quorum tells all stamps that count, so log time never goes back.
2. It goes on with the leader's clock while it leads, and with nobody's while nobody leads. So between two stamps no
   more log time passes than time does by the clocks of leaders, and what runs out by log time runs out no earlier than
   its holder thinks. A proposer that counted on by itself while another one leads would be ahead of it by as much as
   its clock is faster, and with its election leases would run out so much too early.
3. What a heartbeat told counts only while no later reign is known: a later one may have begun with less.
4. A number far above what is known is left out (`plausible.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from paxosd.core.plausible import LOG_TIME_MAX_MS, LOG_TIME_REACH_MS, Ceiling
from paxosd.core.types import NO_BALLOT, Ballot, Instant, Vote
from paxosd.core.values import readable_stamp_ms


class LogTime:
    """Of one proposer, whoever leads."""

    def __init__(self) -> None:
        self._ceiling = Ceiling(LOG_TIME_REACH_MS, LOG_TIME_MAX_MS)
        self.forget()

    def forget(self) -> None:
        """What was heard may have been about another history."""
        self._ms = 0  # the latest that is known
        self._of: Ballot = NO_BALLOT  # of which reign
        self._began_at: Instant | None = None  # when our own reign began

    def hear(self, ballot: Ballot, log_time_ms: int, now: Instant) -> bool:
        """Who leads with this ballot tells its log time. False: it is left out."""
        if ballot < self._of or (ballot == self._of and log_time_ms <= self._ms):
            return True
        if log_time_ms > self._ms and not self._ceiling.admits(log_time_ms, now):
            return False
        self._ms, self._of = log_time_ms, ballot
        return True

    def begin(self, ballot: Ballot, votes: Iterable[Vote], now: Instant) -> bool:
        """Our reign begins, and a quorum told these votes. False: some stamps are left out."""
        votes = list(votes)
        is_later = max((vote.ballot for vote in votes), default=NO_BALLOT) > self._of
        known = 0 if is_later else self.stamp(now)  # which goes on where our own reign is renewed
        stamps = sorted(readable_stamp_ms(vote.value) for vote in votes)
        taken = [stamp for stamp in stamps if stamp <= known or self._ceiling.admits(stamp, now)]
        self._ms, self._of, self._began_at = max([known, *taken]), ballot, now
        return len(taken) == len(stamps)

    def end(self, now: Instant) -> None:
        """Our reign ends."""
        self._ms, self._began_at = self.stamp(now), None

    def stamp(self, now: Instant) -> int:
        """The log time as far as it is known."""
        passed_s = 0.0 if self._began_at is None else now - self._began_at
        return min(LOG_TIME_MAX_MS, self._ms + int(passed_s * 1000))
