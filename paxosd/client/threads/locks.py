"""Locks and semaphores. Whoever comes first has its turn first; a holder that dies leaves nothing behind.

A lock keeps nobody from writing what it is about: a holder that stood still may write late. The fence does, where what
is written to refuses a smaller one than it has seen.
"""

from __future__ import annotations

import secrets
from types import TracebackType

from paxosd.client.arguments import text_or_bytes, waiting_time
from paxosd.client.errors import WaitTimeout
from paxosd.client.threads.driver import RecipeDriver, current_owner
from paxosd.client.threads.holds import Held
from paxosd.recipes.line import OwnKey, WaitingLine, room_is, take_turn, with_room
from paxosd.recipes.names import span
from paxosd.recipes.reentry import Reentry
from paxosd.recipes.steps import Span


class TurnLock:
    """Turns of one line. `key` is what the own keys begin with; `value` is for people, who read it there."""

    def __init__(self, driver: RecipeDriver, line: WaitingLine, key: bytes, value: bytes, ttl: float | None) -> None:
        self._driver = driver
        self._line = line
        self._key = key
        self._value = value
        self._ttl = ttl
        self._entered: dict[object, list[Held]] = {}

    def acquire(self, timeout: float | None = None) -> Held:
        """Wait for a turn, for ever or so many seconds; 0: have it at once or not at all.

        Raises `WaitTimeout`, and then nothing is left behind; `HoldLost` if the lease ran out on the way; or what any
        command raises while the cluster does not answer.
        """
        held = self._acquire(timeout)
        if held is None:
            raise WaitTimeout(f"not applied: {self._key!r} is held by others; no place was kept")
        return held

    def try_acquire(self) -> Held | None:
        """Have a turn at once; None: it is not free."""
        return self._acquire(0)

    def _acquire(self, timeout: float | None) -> Held | None:
        patient, timeout = waiting_time(timeout)
        lease, timeout = self._driver.take_lease(self._ttl, timeout)
        own = OwnKey(self._key + secrets.token_hex(16).encode(), self._value, lease.id)
        turn = self._driver.drive(take_turn(self._line, own, patient), timeout, lease, waits=True)
        return None if turn is None else Held(self._driver, lease, turn.key, turn.fence)

    def __enter__(self) -> Held:
        held = self.acquire()
        self._entered.setdefault(current_owner(), []).append(held)
        return held

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        owner = current_owner()
        held = self._entered[owner].pop()
        if not self._entered[owner]:
            del self._entered[owner]
        held.__exit__(kind, error, trace)


class Lock(TurnLock):
    """One at a time has it."""

    def __init__(
        self, driver: RecipeDriver, name: str | bytes, value: str | bytes = b"", ttl: float | None = None
    ) -> None:
        place = span("lock", name)
        super().__init__(driver, WaitingLine(place), place.key, text_or_bytes(value), ttl)


class Semaphore(TurnLock):
    """So many at a time have it. All say the same `limit`: who says another one is refused (`ValueError`)."""

    def __init__(
        self,
        driver: RecipeDriver,
        name: str | bytes,
        limit: int,
        value: str | bytes = b"",
        ttl: float | None = None,
    ) -> None:
        place = span("semaphore", name)
        said = with_room(room_is(limit), text_or_bytes(value))
        super().__init__(driver, WaitingLine(place, limit), place.key, said, ttl)


class ReadWriteLock:
    """Many readers, or one writer. Readers wait for writers that came before them, so no writer waits for ever."""

    def __init__(
        self, driver: RecipeDriver, name: str | bytes, value: str | bytes = b"", ttl: float | None = None
    ) -> None:
        given = text_or_bytes(value)
        everybody, writers = span("rwlock", name), span("rwlock", name, "write")
        readers: Span = span("rwlock", name, "read")
        self.read = TurnLock(driver, WaitingLine(writers), readers.key, given, ttl)
        """The lock of readers, to be used as a lock."""
        self.write = TurnLock(driver, WaitingLine(everybody), writers.key, given, ttl)
        """The lock of writers, to be used as a lock."""


class RLock:
    """A lock that its holder may take again: it is given back when it was released as often.

    The holder is one thread, or one task, with this very object.
    """

    def __init__(
        self, driver: RecipeDriver, name: str | bytes, value: str | bytes = b"", ttl: float | None = None
    ) -> None:
        self._lock = Lock(driver, name, value, ttl)
        self._reentry: Reentry[Held] = Reentry()

    def acquire(self, timeout: float | None = None) -> Held:
        """Wait for the lock, or take it again. Raises as `acquire` of a lock, and `HoldLost` where it was lost."""
        me = current_owner()
        held = self._reentry.again(me)
        return self._reentry.first(me, self._lock.acquire(timeout)) if held is None else held

    def release(self, timeout: float | None = None) -> bool:
        """Give it back once; True: nobody waits for it because of us any more, or it is still ours."""
        held = self._reentry.out(current_owner())
        return True if held is None else held.release(timeout)

    def __enter__(self) -> Held:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held = self._reentry.out(current_owner())
        if held is not None:
            held.__exit__(kind, error, trace)
