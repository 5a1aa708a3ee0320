"""How those who send to a node conduct themselves: what share of a turn they take, and how often they were warned.

Laws:
1. A turn does so much for one client and no more, and so much for all of them. What a client wants beyond its share
   waits where it is, and then so does all that comes after it: nothing is dropped, and nothing piles up here. A
   transport hands frames out in turns (see `transport/base.py`), so whoever comes up again when its share is used
   comes after all others had theirs.
2. Warnings fade. One mistake costs nothing; who goes on is cut off.
3. What is remembered about strangers is bounded; forgetting one of them forgives it.
4. A peer's connection has a share of a turn, too, far above what an honest one sends. What comes beyond it is dropped,
   not left to wait: peers expect losses, and heartbeats of others must not queue behind a flood.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Sized

from paxosd.core.messages import (
    Fetched,
    FetchedVotes,
    Message,
    Promise,
)
from paxosd.core.types import ClientAddress, Instant

CLIENT_WORK_PER_TURN_MAX = 128
"""How many units of work a turn does for one client before others have their turn: one or two milliseconds. A
client that has a thousand values under way sends dozens of frames during one commit, and all should share the next."""
WORK_PER_TURN_MAX = 1024
"""How many units a turn does for all clients: about 15 ms, so that peers and timers do not wait longer."""
BYTES_PER_TURN_MAX = 2 * 1024 * 1024
"""How many bytes of clients a turn reads; at least one frame."""
BYTES_PER_UNIT = 8 * 1024
"""A frame is one unit of work, and so is each message after its first, and so are so many of its bytes."""
PEER_WORK_PER_TURN_MAX = 4096
"""How many messages, and rows of pages, a turn takes in from one connection of a peer: about 20 ms. A gateway forwards
a few hundred in a turn of its own."""

WARNINGS_MAX = 20
"""Who was warned more often, and as fast as this fades, is cut off."""
WARNING_FADES_S = 1.0
"""How long it takes until one warning is forgotten."""
WARNED_MAX = 4096
"""How many connections with warnings are remembered."""


_PAGES = (Fetched, FetchedVotes, Promise)


def _rows_of(page: Fetched | FetchedVotes | Promise) -> Sized:
    return page.values if isinstance(page, Fetched) else page.votes


class PeerShares:
    """What connections of peers have had of this turn, in messages and rows."""

    def __init__(self) -> None:
        self._had: dict[Hashable, int] = {}

    def begin_turn(self) -> None:
        self._had.clear()

    def has_more(self, connection: Hashable) -> bool:
        """Whether this turn takes in one more frame of this connection; at least one."""
        return self._had.get(connection, 0) < PEER_WORK_PER_TURN_MAX

    def take(self, connection: Hashable, messages: Sequence[Message], unknown: int = 0) -> None:
        """These came in one frame, and so many that this version does not know."""
        rows = sum(len(_rows_of(message)) for message in messages if isinstance(message, _PAGES))
        self._had[connection] = self._had.get(connection, 0) + len(messages) + unknown + rows


class ClientShares:
    """What clients have had of this turn, in units of work."""

    def __init__(self) -> None:
        self._had: dict[ClientAddress, int] = {}
        self.begin_turn()

    def begin_turn(self) -> None:
        self._had.clear()
        self._left = WORK_PER_TURN_MAX
        self._bytes_left = BYTES_PER_TURN_MAX

    def has_more(self, client: ClientAddress) -> bool:
        """Whether this turn does more for this client."""
        return self._left > 0 < self._bytes_left and self._had.get(client, 0) < CLIENT_WORK_PER_TURN_MAX

    def take_frame(self, client: ClientAddress, size: int) -> None:
        """A frame of so many bytes is read, whatever it is."""
        self._bytes_left -= size
        self._take(client, 1 + size // BYTES_PER_UNIT)

    def take_head(self, client: ClientAddress) -> None:
        """A frame is taken in, of which nobody reads more than its head."""
        self._take(client, 1)

    def take_messages(self, client: ClientAddress, count: int) -> None:
        """So many messages were in it."""
        self._take(client, max(0, count - 1))

    def _take(self, client: ClientAddress, work: int) -> None:
        self._had[client] = self._had.get(client, 0) + work
        self._left -= work


class Warnings:
    """Who was warned how often, by connection."""

    def __init__(self) -> None:
        self._fade_at: dict[Hashable, Instant] = {}  # when the last warning of a connection is forgotten

    def warn(self, connection: Hashable, now: Instant) -> bool:
        """Count a warning; True if that was one too many, and then all are forgotten."""
        fades_at = max(now, self._fade_at.pop(connection, now)) + WARNING_FADES_S
        if fades_at - now > WARNINGS_MAX * WARNING_FADES_S:
            return True
        self._fade_at[connection] = fades_at
        if len(self._fade_at) > WARNED_MAX:
            del self._fade_at[next(iter(self._fade_at))]  # it was warned longest ago
        return False
