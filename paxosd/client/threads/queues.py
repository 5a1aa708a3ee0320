"""Queues and counters."""

from __future__ import annotations

import secrets

from paxosd.client.arguments import any_whole_number, value_bytes, waiting_time, whole_number
from paxosd.client.errors import WaitTimeout
from paxosd.client.leases import HeldLease
from paxosd.client.threads.driver import RecipeDriver
from paxosd.client.threads.holds import Held
from paxosd.core.types import Revision
from paxosd.machine.kv.requests import Put, Range
from paxosd.recipes import counter
from paxosd.recipes.counter import Counted
from paxosd.recipes.line import OwnKey
from paxosd.recipes.names import place
from paxosd.recipes.queue import PRIORITY_MAX, EntryTaker, QueueEntry, QueuePlaces, Taken, consume, let_go, take
from paxosd.recipes.steps import Steps, do, look


class Queue:
    """First in, first out. An entry is gone when it is taken; a taker that dies takes it along (see `LockingQueue`)."""

    _recipe = "queue"

    def __init__(self, driver: RecipeDriver, name: str | bytes, ttl: float | None = None) -> None:
        self._driver = driver
        self._places = QueuePlaces(self._recipe, name)
        self._ttl = ttl

    def put(self, value: bytes, timeout: float | None = None) -> Revision:
        """Put an entry at the end."""
        return self._put(value, 0, timeout)

    def _put(self, value: bytes, priority: int, timeout: float | None) -> Revision:
        entry = self._places.entry(whole_number("priority", priority, PRIORITY_MAX), secrets.token_hex(16))
        return (self._driver.drive(do(Put(entry, value_bytes(value))), timeout)).revision

    def get(self, timeout: float | None = None) -> QueueEntry:
        """Take the first entry; wait for one, for ever or so many seconds.

        Raises `WaitTimeout`, and what commands raise: where the outcome is unknown, an entry may have been taken.
        """
        taken = self._take(timeout)
        if taken is None:
            raise WaitTimeout("not applied: there is no entry")
        return taken

    def try_get(self) -> QueueEntry | None:
        """Take the first entry, if there is one."""
        return self._take(0)

    def _take(self, timeout: float | None) -> QueueEntry | None:
        patient, timeout = waiting_time(timeout)
        lease, timeout = self._driver.take_lease(self._ttl, timeout)
        taker = OwnKey(self._places.taker(secrets.token_hex(16)), b"", lease.id)
        taken = self._driver.drive(take(self._places, EntryTaker(taker), patient), timeout, lease, waits=patient)
        return None if taken is None else QueueEntry(taken.entry.value, taken.entry.create_revision)

    def size(self, timeout: float | None = None) -> int:
        """How many entries there are."""
        found = self._driver.drive(look(Range(*self._places.entries, limit=1, keys_only=True)), timeout)
        return found.count


class PriorityQueue(Queue):
    """The lowest priority number first, and of one number the first first."""

    _recipe = "priority-queue"

    def put(self, value: bytes, timeout: float | None = None, priority: int = 100) -> Revision:
        """Put an entry behind all of its priority, a whole number from 0 on."""
        return self._put(value, priority, timeout)


class HeldEntry(Held):
    """An entry that nobody else has; it stays in the queue until `consume`, else it goes back."""

    def __init__(self, driver: RecipeDriver, lease: HeldLease, places: QueuePlaces, taken: Taken, token: bytes) -> None:
        super().__init__(driver, lease, taken.lock, taken.fence)
        self._places = places
        self._taken = taken
        self._token = token

    @property
    def value(self) -> bytes:
        """What was put."""
        return self._taken.entry.value

    def consume(self, timeout: float | None = None) -> None:
        """Be done with it: the entry goes. Raises `HoldLost` if another one may have it, and what commands raise."""
        self.require()
        self._driver.let_go(self._guard)
        self._driver.drive(consume(self._places, self._taken), timeout, self._lease)
        self._is_given_back = True

    def _giving_back(self) -> Steps[None]:
        return let_go(self._taken, self._token)


class LockingQueue(PriorityQueue):
    """A queue whose entries are locked while somebody works on them, and come back if that one dies."""

    _recipe = "locking-queue"

    def get_locked(self, timeout: float | None = None) -> HeldEntry:
        """Lock the first entry that nobody has; wait for one. Raises `WaitTimeout`."""
        patient, timeout = waiting_time(timeout)
        lease, timeout = self._driver.take_lease(self._ttl, timeout)
        token = secrets.token_hex(16)
        taker = EntryTaker(OwnKey(self._places.taker(token), b"", lease.id), token.encode())
        taken = self._driver.drive(take(self._places, taker, patient), timeout, lease, waits=patient)
        if taken is None:
            raise WaitTimeout("not applied: there is no entry that nobody has")
        return HeldEntry(self._driver, lease, self._places, taken, taker.token)


class Counter:
    """A whole number that many may change."""

    def __init__(self, driver: RecipeDriver, name: str | bytes, default: int = 0) -> None:
        self._driver = driver
        self._key = place("counter", name)[:-1]
        self._default = any_whole_number("the default of a counter", default)

    def value(self, timeout: float | None = None) -> int:
        """The number now."""
        return self._driver.drive(counter.value(self._key, self._default), timeout)

    def add(self, by: int = 1, timeout: float | None = None) -> Counted:
        """Add to it, once. Where the outcome is unknown it may have been added."""
        return self._driver.drive(counter.add(self._key, any_whole_number("what is added", by), self._default), timeout)
