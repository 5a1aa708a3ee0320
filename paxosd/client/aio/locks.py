"""Locks and semaphores. Whoever comes first has its turn first; a holder that dies leaves nothing behind.

A lock keeps nobody from writing what it is about: a holder that stood still may write late. The fence does, where what
is written to refuses a smaller one than it has seen.
"""

from __future__ import annotations

import secrets
from types import TracebackType

from paxosd.client.aio.driver import AsyncRecipeDriver, current_owner
from paxosd.client.aio.holds import AsyncHeld
from paxosd.client.arguments import text_or_bytes, waiting_time
from paxosd.client.errors import WaitTimeout
from paxosd.recipes.line import OwnKey, WaitingLine, room_is, take_turn, with_room
from paxosd.recipes.names import span
from paxosd.recipes.reentry import Reentry
from paxosd.recipes.steps import Span


class AsyncTurnLock:
    """Turns of one line. `key` is what the own keys begin with; `value` is for people, who read it there."""

    def __init__(
        self, driver: AsyncRecipeDriver, line: WaitingLine, key: bytes, value: bytes, ttl: float | None
    ) -> None:
        self._driver = driver
        self._line = line
        self._key = key
        self._value = value
        self._ttl = ttl
        self._entered: dict[object, list[AsyncHeld]] = {}

    async def acquire(self, timeout: float | None = None) -> AsyncHeld:
        """Wait for a turn, for ever or so many seconds; 0: have it at once or not at all.

        Raises `WaitTimeout`, and then nothing is left behind; `HoldLost` if the lease ran out on the way; or what any
        command raises while the cluster does not answer.
        """
        held = await self._acquire(timeout)
        if held is None:
            raise WaitTimeout(f"not applied: {self._key!r} is held by others; no place was kept")
        return held

    async def try_acquire(self) -> AsyncHeld | None:
        """Have a turn at once; None: it is not free."""
        return await self._acquire(0)

    async def _acquire(self, timeout: float | None) -> AsyncHeld | None:
        patient, timeout = waiting_time(timeout)
        lease, timeout = await self._driver.take_lease(self._ttl, timeout)
        own = OwnKey(self._key + secrets.token_hex(16).encode(), self._value, lease.id)
        turn = await self._driver.drive(take_turn(self._line, own, patient), timeout, lease, waits=True)
        return None if turn is None else AsyncHeld(self._driver, lease, turn.key, turn.fence)

    async def __aenter__(self) -> AsyncHeld:
        held = await self.acquire()
        self._entered.setdefault(current_owner(), []).append(held)
        return held

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        owner = current_owner()
        held = self._entered[owner].pop()
        if not self._entered[owner]:
            del self._entered[owner]
        await held.__aexit__(kind, error, trace)


class AsyncLock(AsyncTurnLock):
    """One at a time has it."""

    def __init__(
        self, driver: AsyncRecipeDriver, name: str | bytes, value: str | bytes = b"", ttl: float | None = None
    ) -> None:
        place = span("lock", name)
        super().__init__(driver, WaitingLine(place), place.key, text_or_bytes(value), ttl)


class AsyncSemaphore(AsyncTurnLock):
    """So many at a time have it. All say the same `limit`: who says another one is refused (`ValueError`)."""

    def __init__(
        self,
        driver: AsyncRecipeDriver,
        name: str | bytes,
        limit: int,
        value: str | bytes = b"",
        ttl: float | None = None,
    ) -> None:
        place = span("semaphore", name)
        said = with_room(room_is(limit), text_or_bytes(value))
        super().__init__(driver, WaitingLine(place, limit), place.key, said, ttl)


class AsyncReadWriteLock:
    """Many readers, or one writer. Readers wait for writers that came before them, so no writer waits for ever."""

    def __init__(
        self, driver: AsyncRecipeDriver, name: str | bytes, value: str | bytes = b"", ttl: float | None = None
    ) -> None:
        given = text_or_bytes(value)
        everybody, writers = span("rwlock", name), span("rwlock", name, "write")
        readers: Span = span("rwlock", name, "read")
        self.read = AsyncTurnLock(driver, WaitingLine(writers), readers.key, given, ttl)
        """The lock of readers, to be used as a lock."""
        self.write = AsyncTurnLock(driver, WaitingLine(everybody), writers.key, given, ttl)
        """The lock of writers, to be used as a lock."""


class AsyncRLock:
    """A lock that its holder may take again: it is given back when it was released as often.

    The holder is one thread, or one task, with this very object.
    """

    def __init__(
        self, driver: AsyncRecipeDriver, name: str | bytes, value: str | bytes = b"", ttl: float | None = None
    ) -> None:
        self._lock = AsyncLock(driver, name, value, ttl)
        self._reentry: Reentry[AsyncHeld] = Reentry()

    async def acquire(self, timeout: float | None = None) -> AsyncHeld:
        """Wait for the lock, or take it again. Raises as `acquire` of a lock, and `HoldLost` where it was lost."""
        me = current_owner()
        held = self._reentry.again(me)
        return self._reentry.first(me, await self._lock.acquire(timeout)) if held is None else held

    async def release(self, timeout: float | None = None) -> bool:
        """Give it back once; True: nobody waits for it because of us any more, or it is still ours."""
        held = self._reentry.out(current_owner())
        return True if held is None else await held.release(timeout)

    async def __aenter__(self) -> AsyncHeld:
        return await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held = self._reentry.out(current_owner())
        if held is not None:
            await held.__aexit__(kind, error, trace)
