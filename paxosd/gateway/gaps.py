"""Whether a command that a client sends lacks an earlier one, told before it takes a place in the log for nothing.

A client sends its commands in order, and whoever turns to another gateway begins again with the first one that has no
result. So what a gateway has to expect next is known: what follows what it forwarded, or what the log has.

Laws:
1. A gap is told only where it is certain as far as this gateway knows: what is forwarded may be lost on its way, and
   then the log tells the gap.
2. When another one leads, what the one before was sent and the log lacks counts as missing: it may be nowhere, and its
   client would wait for it. If it is on its way all the same, the log has it twice, and applies it once.
3. What is remembered is bounded. Of a session that was forgotten nothing is told until it begins anew here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice

from paxosd.core.types import SessionId

SESSIONS_MAX = 16384
"""Of how many sessions it is remembered how far they are forwarded; the one unused for longest goes."""
LACKING_MAX = 1024
"""Of how many sessions it is told what they lack when another one leads, those that were used last; others wait until
their clients ask again."""


class Gaps:
    """Of one gateway."""

    def __init__(self) -> None:
        self._stop: OrderedDict[SessionId, int] = OrderedDict()  # all below are on their way, or in the log
        self._forgot = False

    def expected(self, session: SessionId, acknowledged: int, first_seq: int, next_seq: int) -> int:
        """The number that must come first, if this one is above it; 0: it may go on its way.

        The client has the results of all below `acknowledged`; the log has all below `next_seq`.
        """
        due = max(acknowledged, next_seq)
        forwarded = self._stop.get(session)
        if forwarded is None and self._forgot:
            return 0
        due = max(due, forwarded or 0)
        return due if first_seq > due else 0

    def forwarded(self, session: SessionId, first_seq: int, count: int) -> None:
        """So many commands are on their way to the leader."""
        self._stop[session] = max(self._stop.pop(session, 0), first_seq + count)
        if len(self._stop) > SESSIONS_MAX:
            self._stop.popitem(last=False)
            self._forgot = True

    def missing(self, session: SessionId, seq: int) -> None:
        """This command, and what follows it, is on no way any more: the leader refused it, or the log lacks it."""
        if self._stop.get(session, 0) > seq:
            self._stop[session] = seq

    def lacking(self, next_seq_of: Callable[[SessionId], int]) -> list[tuple[SessionId, int]]:
        """Another one leads: the sessions of which the log does not have all that was forwarded, and the number from
        which on each has to come again. The log has all below `next_seq_of` a session; 0: it does not know it."""
        latest = list(islice(reversed(self._stop.items()), LACKING_MAX))
        found = [(session, next_seq) for session, stop in latest if 0 < (next_seq := next_seq_of(session)) < stop]
        self._stop.update(found)
        return found
