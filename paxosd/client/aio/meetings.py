"""Elections, barriers and parties."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from types import TracebackType

from paxosd.client.aio.driver import AsyncRecipeDriver, current_owner
from paxosd.client.aio.holds import AsyncHeld
from paxosd.client.arguments import text_or_bytes, waiting_time
from paxosd.client.errors import WaitTimeout
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Delete
from paxosd.recipes import election, party
from paxosd.recipes.barrier import MeetingRoom, await_absence, enter, leave, put_up
from paxosd.recipes.line import OwnKey, TakenTurn, WaitingLine, room_is, take_turn
from paxosd.recipes.names import place, span
from paxosd.recipes.steps import do


class AsyncHeldLead(AsyncHeld):
    """One leads as long as it holds this."""

    async def proclaim(self, value: str | bytes, timeout: float | None = None) -> None:
        """Say something else to those who ask who leads. Raises `HoldLost` if another one may lead."""
        self.require()
        turn = TakenTurn(self.key, self.fence)
        await self._driver.drive(election.proclaim(turn, text_or_bytes(value)), timeout, self._lease)

    async def resign(self, timeout: float | None = None) -> bool:
        """Let the next one lead; as `release`."""
        return await self.release(timeout)


class AsyncElection:
    """One of many leads; when it resigns, dies or is cut off for long, the one that has waited for longest does."""

    def __init__(self, driver: AsyncRecipeDriver, name: str | bytes, ttl: float | None = None) -> None:
        self._driver = driver
        self._candidates = span("election", name)
        self._ttl = ttl

    async def campaign(self, value: str | bytes = b"", timeout: float | None = None) -> AsyncHeldLead:
        """Wait until we lead, for ever or so many seconds. `value`: what others shall read of who leads.

        Raises `WaitTimeout`, `HoldLost`, or what any command raises; then no candidate is left behind.
        """
        patient, timeout = waiting_time(timeout)
        lease, timeout = await self._driver.take_lease(self._ttl, timeout)
        own = OwnKey(self._candidates.key + secrets.token_hex(16).encode(), text_or_bytes(value), lease.id)
        steps = take_turn(WaitingLine(self._candidates), own, patient)
        turn = await self._driver.drive(steps, timeout, lease, waits=True)
        if turn is None:
            raise WaitTimeout("not applied: another one leads")
        return AsyncHeldLead(self._driver, lease, turn.key, turn.fence)

    async def leader(self, timeout: float | None = None) -> KeyValue | None:
        """Who leads: its key, its value, and its fence as `create_revision`. None: nobody does."""
        return await self._driver.drive(election.leader(self._candidates), timeout)

    async def observe(self) -> AsyncIterator[KeyValue | None]:
        """Who leads, and then whoever does later or says something else, for ever; None: nobody does."""
        leading = await self.leader()
        while True:
            yield leading
            leading = await self._driver.drive(election.next_leader(self._candidates, leading), None, waits=True)


class AsyncBarrier:
    """All wait while it stands: until it is removed, or who put it up dies."""

    def __init__(self, driver: AsyncRecipeDriver, name: str | bytes, ttl: float | None = None) -> None:
        self._driver = driver
        self._key = place("barrier", name)[:-1]
        self._ttl = ttl

    async def put_up(self, value: str | bytes = b"", timeout: float | None = None) -> bool:
        """Put it up; False: it stands already."""
        lease, timeout = await self._driver.take_lease(self._ttl, timeout)
        return await self._driver.drive(put_up(self._key, text_or_bytes(value), lease.id), timeout, lease)

    async def remove(self, timeout: float | None = None) -> None:
        """Let all through."""
        await self._driver.drive(do(Delete(self._key)), timeout)

    async def wait(self, timeout: float | None = None) -> None:
        """Wait until it does not stand; raises `WaitTimeout`."""
        await self._driver.drive(await_absence(self._key), timeout, waits=True)


class AsyncDoubleBarrier:
    """`count` of them begin together and end together; a context manager. All must say the same `count`."""

    def __init__(self, driver: AsyncRecipeDriver, name: str | bytes, count: int, ttl: float | None = None) -> None:
        self._driver = driver
        self._room = MeetingRoom.named(name, room_is(count))
        self._ttl = ttl
        self._inside: dict[object, bytes] = {}

    async def enter(self, timeout: float | None = None) -> None:
        """Come in, and wait until all are in. Raises `WaitTimeout` or `HoldLost`, and then we are not in."""
        lease, timeout = await self._driver.take_lease(self._ttl, timeout)
        own = OwnKey(self._room.inside.key + secrets.token_hex(16).encode(), b"", lease.id)
        await self._driver.drive(enter(self._room, own), timeout, lease, waits=True)
        self._inside[current_owner()] = own.key

    async def leave(self, timeout: float | None = None) -> None:
        """Go out, and wait until all are out. Raises `WaitTimeout`; then we are out all the same."""
        key = self._inside.pop(current_owner(), None)
        if key is None:
            raise RuntimeError("only who entered can leave")
        await self._driver.drive(leave(self._room, key), timeout, waits=True)

    async def __aenter__(self) -> AsyncDoubleBarrier:
        await self.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()


class AsyncParty:
    """Who is there. A member that dies is none any more when its lease has run out."""

    def __init__(self, driver: AsyncRecipeDriver, name: str | bytes, ttl: float | None = None) -> None:
        self._driver = driver
        self._members = span("party", name)
        self._ttl = ttl

    async def join(self, value: str | bytes = b"", timeout: float | None = None) -> AsyncHeld:
        """Be a member until this is released or lost. `value`: what others shall read of us."""
        lease, timeout = await self._driver.take_lease(self._ttl, timeout)
        own = OwnKey(self._members.key + secrets.token_hex(16).encode(), text_or_bytes(value), lease.id)
        fence = await self._driver.drive(party.join(own), timeout, lease)
        return AsyncHeld(self._driver, lease, own.key, fence)

    async def members(self, timeout: float | None = None) -> tuple[KeyValue, ...]:
        """All of them, in the order in which they joined."""
        return await self._driver.drive(party.members(self._members), timeout)

    async def changes(self) -> AsyncIterator[tuple[KeyValue, ...]]:
        """The members, and again whenever they are others, for ever."""
        present = await self.members()
        while True:
            yield present
            present = await self._driver.drive(party.next_members(self._members, present), None, waits=True)
