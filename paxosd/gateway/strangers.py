"""Sessions that a gateway does not know, and when that proves that nobody does.

A gateway may be behind the one that opened a session, so that it cannot know it yet. But a client names a session only
after it was opened. So if a round of the leader begins after a client named it, and this gateway has applied all that
the round tells and still does not know the session, then it is not of this log.
"""

from __future__ import annotations

from collections import OrderedDict

from paxosd.core.types import NO_SESSION, ClientAddress, SessionId, Slot

STRANGERS_MAX = 1024
"""How many clients are remembered with a session that is not known; the one that named it the longest ago goes first,
and has to be refused once more before it is told the truth."""


class Strangers:
    """For each client the session that it named last and that was not known."""

    def __init__(self) -> None:
        self._named: OrderedDict[ClientAddress, tuple[SessionId, int]] = OrderedDict()  # and the first round after it
        self._latest_round = 0  # the latest that one of them waits for
        self._confirmed_round = 0
        self._applied: Slot = 0

    @property
    def unconfirmed(self) -> bool:
        """Whether one of them waits for a round."""
        return self._latest_round > self._confirmed_round

    def confirm(self, round_number: int, applied: Slot) -> None:
        """Whoever applied every slot below `applied` has what was chosen when this round began."""
        self._confirmed_round, self._applied = round_number, applied

    def give_up(self) -> None:
        """Nobody leads: ask for a round when somebody is named again."""
        self._latest_round = 0

    def is_of_another_log(self, client: ClientAddress, session: SessionId, next_slot: Slot) -> bool:
        """Whether it is proved by now, of a session that is not known here, for which this client named it before."""
        named, first_round = self._named.get(client, (NO_SESSION, 0))
        return named == session and self._confirmed_round >= first_round and next_slot >= self._applied

    def name(self, client: ClientAddress, session: SessionId, next_round: int) -> None:
        """This client names a session that is not known; no round from now on has a lower number than `next_round`."""
        if self._named.get(client, (NO_SESSION, 0))[0] != session:
            self._named[client] = session, next_round
            if len(self._named) > STRANGERS_MAX:
                self._named.popitem(last=False)
        self._latest_round = max(self._latest_round, self._named[client][1])
