"""A lease at its holder, who knows that it is lost before anybody else may have what hung on it.

Laws:
1. The holder counts on its own clock, and on the bad side: from the moment before it asked for the lease, or for more
   of it, and `SHARE` of the time that it was given. The cluster counts from when that was in the log, and log time is
   never faster than time; so the cluster waits longer.
2. Lost is lost: what comes later, an answer or another look at the clock, does not bring it back. Whoever asks whether
   it is lost looks at the clock, and needs no thread that has run since: so a process that stood still knows.
3. A lease that is lost by the holder's word is revoked, so that nobody waits for the rest of its time.
4. No clock of its own: `now` comes in, on a clock that goes on while the machine sleeps.
"""

from __future__ import annotations

from collections.abc import Callable

from paxosd.core.types import Instant

SHARE = 0.9
"""How much of its time a holder counts on: clocks of two machines run apart, by far less than the rest."""
KEEPS_AFTER = 1 / 3
"""After which part of its time a lease is kept."""
LATE_AFTER = 1 / 6
"""After which part of it more an answer to that is late."""


class HeldLease:
    """One lease. `asked_at`: the moment before it was asked for."""

    def __init__(self, lease: int, ttl_ms: int, asked_at: Instant) -> None:
        self.id = lease
        self.ttl_s = ttl_ms / 1000
        self.valid_until: Instant = asked_at + self.ttl_s * SHARE
        self.keep_at: Instant = asked_at + self.ttl_s * KEEPS_AFTER
        self.why_lost = ""
        self.is_over = False
        """It was lost, or revoked because nobody needs it any more."""
        self.watchers: list[Callable[[], None]] = []
        """Called once it is over, in whatever thread finds out; they must not wait."""

    @property
    def missed_at(self) -> Instant:
        """When an answer is late to the wish to keep it."""
        return self.keep_at + self.ttl_s * LATE_AFTER

    def is_lost(self, now: Instant) -> bool:
        """Whether others may have what hung on it."""
        if not self.is_over and now >= self.valid_until:
            self.lose("it was not kept in time: the cluster did not answer, or this process stood still")
        return bool(self.why_lost)

    def lose(self, why: str) -> None:
        """It is lost, unless it is over already."""
        if not self.is_over:
            self.why_lost = why
            self.end()

    def end(self) -> None:
        """Nobody needs it any more."""
        self.is_over = True
        while self.watchers:
            self.watchers.pop()()

    def kept(self, ttl_ms: int, asked_at: Instant, now: Instant) -> None:
        """The cluster's answer to a wish to keep it; a time of 0: it is gone."""
        if self.is_lost(now) or self.is_over:
            return
        if not ttl_ms:
            return self.lose("the cluster does not know it any more: it ran out, or was revoked")
        self.valid_until = max(self.valid_until, asked_at + ttl_ms / 1000 * SHARE)
        self.keep_at = max(self.keep_at, asked_at + ttl_ms / 1000 * KEEPS_AFTER)


class KeyHold:
    """Something that is held by a key with a lease. It is lost with the lease, or when somebody removes the key."""

    def __init__(self, lease: HeldLease) -> None:
        self.lease = lease
        self.watchers: list[Callable[[], None]] = []
        """Called when the key is found to be removed; they must not wait."""
        self._why_removed = ""

    def is_lost(self, now: Instant) -> bool:
        """Whether others may have it."""
        return self.lease.is_lost(now) or bool(self._why_removed)

    @property
    def why_lost(self) -> str:
        """Why it is lost, if it is."""
        return self.lease.why_lost or self._why_removed

    def removed(self) -> None:
        """The key is gone, and its holder did not do that."""
        self._why_removed = "somebody removed its key"
        while self.watchers:
            self.watchers.pop()()
