"""What a gateway refuses by itself, since it heard that the leader has as much as it may hold.

Laws:
1. For a moment after it heard so, it refuses everything: a refusal costs a gateway little, and a full leader too much.
2. Of a session it goes on to refuse what comes after a refused batch, until that one comes again: applied without it
   nothing can be.
3. What it remembers is bounded. Forgetting costs a place in the log, never a wrong answer.
"""

from __future__ import annotations

from collections import OrderedDict

from paxosd.core.options import REFUSES_S
from paxosd.core.reasons import Reason
from paxosd.core.types import NO_SESSION, Instant, SessionId

SESSIONS_MAX = 4096
"""Of how many sessions it is remembered from where on they were refused."""
REMEMBERED_S = 2.0
"""For how long: a client that lives has sent it again by then."""


class Refusing:
    """Of one gateway."""

    def __init__(self) -> None:
        self._everything_until: Instant = float("-inf")
        self._refused: OrderedDict[SessionId, tuple[int, Instant]] = OrderedDict()  # its first command, and when

    def heard(self, reason: Reason, session: SessionId, first_seq: int, now: Instant) -> None:
        """The leader refused this batch."""
        if reason is Reason.OVERLOADED:
            self._everything_until = now + REFUSES_S
            self._note(session, first_seq, now)

    def refuses_everything(self, now: Instant) -> bool:
        """Whether each command is refused, whatever it is."""
        return now < self._everything_until

    def refuses(self, session: SessionId, acknowledged: int, first_seq: int, now: Instant) -> bool:
        """Whether this batch is to be refused without asking the leader."""
        if self.refuses_everything(now):
            self._note(session, first_seq, now)
            return True
        first_refused, at = self._refused.get(session, (first_seq, now))
        if acknowledged <= first_refused < first_seq and now - at < REMEMBERED_S:
            return True
        self._refused.pop(session, None)
        return False

    def _note(self, session: SessionId, first_seq: int, now: Instant) -> None:
        if session == NO_SESSION:
            return
        first_refused, _ = self._refused.pop(session, (first_seq, now))
        self._refused[session] = min(first_refused, first_seq), now
        if len(self._refused) > SESSIONS_MAX:
            self._refused.popitem(last=False)
