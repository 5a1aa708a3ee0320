"""What a client does without being asked: it keeps leases, does what was left to it, and tells how leases stand.

Laws:
1. A lease is kept from a third of its time on, all of the client together, and until it is over. What is lost by our
   own word is revoked.
2. A change that was left to the client is tried again until it is certain that it happened, or until its lease is over,
   with which its keys go. If too many wait for one lease, the lease is given up, and with it all of them.
3. A change comes after every earlier command of the session, so a key that it removes does not come afterwards.
4. No clock: `now` comes in, on the clock of leases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, TypeAlias

from paxosd.client.leases import HeldLease
from paxosd.core.types import Instant
from paxosd.machine.kv.requests import Delete, Keep, Put, Revoke, Txn
from paxosd.machine.kv.results import KeepDone

PAUSE_S = 0.2
"""How long after a failure something is tried again."""
TRIED_S = 10.0
"""How long one attempt to change something may take."""
LATER_MAX = 4096
"""How many changes may wait, of one lease and of none."""


class ConnectionState(Enum):
    """What a client knows of its gateways and its leases, and so of what it holds by them."""

    CONNECTED = "connected"
    """A gateway answers, and the leases were kept in time."""
    SUSPENDED = "suspended"
    """No gateway answers, or leases were not kept so far. What is held is still held; it is not wise to begin something
    that takes long."""
    LOST = "lost"
    """A lease ran out: what was held by it is lost, and others may have it. So it stays until a lease is taken again,
    or another one is kept; a client that never had a lease is never `LOST`."""


@dataclass(slots=True)
class Duty:
    """A command on the client's own account. Who sends it says once what came of it: `done` or `failed`."""

    command: Keep | Revoke | Put | Delete | Txn
    deadline: Instant
    done: Callable[[Any, Instant], None]
    failed: Callable[[Instant], None]


@dataclass(slots=True)
class _Left:
    """What was left to the client."""

    lease: HeldLease | None
    command: Revoke | Put | Delete | Txn
    not_before: Instant = 0.0


Listener: TypeAlias = Callable[[ConnectionState], None]


class Upkeep:
    """Of one client. `tell` hears of every change of how its leases stand."""

    def __init__(self, tell: Listener) -> None:
        self.connection = ConnectionState.CONNECTED
        self._tell = tell
        self._leases: dict[int, HeldLease] = {}
        self._keep_not_before: Instant = 0.0
        self._is_keeping = False
        self._left: list[_Left] = []
        self._revoked: set[int] = set()

    # ---- what the client is left with ----

    def add(self, lease: HeldLease) -> None:
        """Keep this lease, which the cluster just gave, from now on."""
        self._leases[lease.id] = lease
        self._become(ConnectionState.CONNECTED)

    def give_up(self, lease: HeldLease) -> None:
        """Nobody needs it any more: revoke it."""
        lease.end()

    def later(self, lease: HeldLease | None, change: Put | Delete | Txn) -> None:
        """Make this change, as soon as possible; it needs not be made any more once the lease is over."""
        if sum(left.lease is lease for left in self._left) >= LATER_MAX:
            if lease is not None:
                lease.lose("too many changes wait for it, because the cluster does not answer")
            return
        self._left.append(_Left(lease, change))

    @property
    def holds(self) -> list[HeldLease]:
        """The leases that are not over."""
        return [lease for lease in self._leases.values() if not lease.is_over]

    def hear(self, anybody: bool) -> None:
        """Whether any gateway answers. Who holds something is connected again when that was kept."""
        if not anybody:
            self._suspend()
        elif self.connection is ConnectionState.SUSPENDED and not self.holds:
            self._become(ConnectionState.CONNECTED)

    def close(self, why: str) -> None:
        """The client is over, and keeps nothing any more."""
        for lease in self.holds:
            lease.lose(f"the client is over: {why}")
        self._leases.clear()
        self._left.clear()

    # ---- what is to be done ----

    def due(self, now: Instant) -> list[Duty]:
        """What is to be proposed now."""
        self._end_leases(now)
        duties = [self._attempt(left, now) for left in self._take_left(now)]
        kept = [lease for lease in self.holds if lease.keep_at <= now]
        if any(lease.missed_at <= now for lease in kept):
            self._suspend()
        if kept and not self._is_keeping and now >= self._keep_not_before:
            duties.append(self._keep(self.holds, now))
        return duties

    def next_due(self) -> Instant | None:
        """When `due` has something to say or to do, if nothing comes before."""
        holds = self.holds
        times = [lease.valid_until for lease in holds]
        if self.connection is ConnectionState.CONNECTED:
            times += [lease.missed_at for lease in holds]
        if not self._is_keeping:
            times += [max(self._keep_not_before, lease.keep_at) for lease in holds]
        times += [left.not_before for left in self._left]
        return min(times, default=None)

    def _end_leases(self, now: Instant) -> None:
        lost = [lease for lease in self._leases.values() if lease.is_lost(now)]
        for lease in [lease for lease in self._leases.values() if lease.is_over]:
            del self._leases[lease.id]
            self._left = [left for left in self._left if left.lease is not lease]
            self._left.append(_Left(None, Revoke(lease.id)))
        if lost:
            self._become(ConnectionState.LOST)

    def _take_left(self, now: Instant) -> Iterable[_Left]:
        ready = [left for left in self._left if left.not_before <= now]
        self._left = [left for left in self._left if left.not_before > now]
        return ready

    def _attempt(self, left: _Left, now: Instant) -> Duty:
        return Duty(left.command, now + TRIED_S, lambda result, at: None, partial(self._leave_again, left))

    def _leave_again(self, left: _Left, now: Instant) -> None:
        if left.lease is None or not left.lease.is_over:
            left.not_before = now + PAUSE_S
            self._left.append(left)

    # ---- keeping ----

    def _keep(self, leases: list[HeldLease], now: Instant) -> Duty:
        self._is_keeping = True
        until = min(lease.valid_until for lease in leases)
        command = Keep(tuple(lease.id for lease in leases))
        return Duty(command, until, partial(self._kept, leases, now), self._not_kept)

    def _kept(self, leases: list[HeldLease], asked_at: Instant, result: Any, now: Instant) -> None:
        self._is_keeping = False
        if not isinstance(result, KeepDone) or len(result.ttls_ms) != len(leases):
            return self._not_kept(now)
        for lease, ttl_ms in zip(leases, result.ttls_ms, strict=True):
            lease.kept(ttl_ms, asked_at, now)
        self._become(ConnectionState.CONNECTED if all(not lease.why_lost for lease in leases) else ConnectionState.LOST)

    def _not_kept(self, now: Instant) -> None:
        self._is_keeping = False
        self._keep_not_before = now + PAUSE_S
        self._suspend()

    def _suspend(self) -> None:
        if self.connection is ConnectionState.CONNECTED:
            self._become(ConnectionState.SUSPENDED)

    def _become(self, connection: ConnectionState) -> None:
        if connection is not self.connection:
            self.connection = connection
            self._tell(connection)
