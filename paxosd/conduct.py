"""How those who send to a node conduct themselves: what share of a turn they take, and how often they were warned.

Laws:
1. A turn does so much for one client and no more, and so much for all of them. What a client wants beyond its share
   waits where it is, and then so does all that comes after it: nothing is dropped, and nothing piles up here. A
   transport hands frames out in turns (see `transport/base.py`), so whoever comes up again when its share is used
   comes after all others had theirs.
2. Warnings fade. One mistake costs nothing; who goes on is cut off.
3. What is remembered about strangers is bounded; forgetting one of them forgives it.
4. A peer's connection has a share of a turn, too, far above what an honest one sends. What comes beyond it is dropped,
   not left to wait: peers expect losses, and heartbeats of others must not queue behind a flood. All connections
   together have a bounded part of a turn, too; when that is used up, those are still heard that sent little of late, as
   all do that have no more to tell than that they live.
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

PEERS_WORK_PER_TURN_MAX = 8 * PEER_WORK_PER_TURN_MAX
"""How many a turn takes in from all connections of peers before it hears only those that sent little: about 150 ms."""
LITTLE, NOTHING = 64, 0.01
"""What was sent of late, each turn counting half as much as the one after it, is little below the one, and forgotten
below the other."""
DROPPED_BYTES_PER_UNIT = 16
"""What is dropped counts as sent, and nobody looks what is in it: few messages are as small as this."""

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
        self._before: dict[Hashable, float] = {}  # in the turns before, the later the more it counts
        self._left = PEERS_WORK_PER_TURN_MAX

    def begin_turn(self) -> None:
        if not self._had and not self._before:  # nobody said anything of late: all of it is left
            return
        sent = {connection: self._of_late(connection) / 2 for connection in self._had.keys() | self._before.keys()}
        self._before = {connection: work for connection, work in sent.items() if work >= NOTHING}
        self._had.clear()
        self._left = PEERS_WORK_PER_TURN_MAX

    def _of_late(self, connection: Hashable) -> float:
        return self._had.get(connection, 0) + self._before.get(connection, 0.0)

    def has_more(self, connection: Hashable) -> bool:
        """Whether this turn takes in one more frame of this connection; at least one, but for a greedy crowd."""
        if self._left <= 0:
            return 0 < self._of_late(connection) < LITTLE
        return self._had.get(connection, 0) < PEER_WORK_PER_TURN_MAX

    def take(self, connection: Hashable, messages: Sequence[Message], unknown: int = 0) -> None:
        """These came in one frame, and so many that this version does not know."""
        rows = sum(len(_rows_of(message)) for message in messages if isinstance(message, _PAGES))
        work = len(messages) + unknown + rows
        self._had[connection] = self._had.get(connection, 0) + work
        self._left -= work

    def drop(self, connection: Hashable, size: int) -> None:
        """A frame of so many bytes is not taken in; nobody looked what is in it."""
        self._had[connection] = self._had.get(connection, 0) + size // DROPPED_BYTES_PER_UNIT


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
