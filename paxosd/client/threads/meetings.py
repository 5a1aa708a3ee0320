"""Elections, barriers and parties."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from types import TracebackType

from paxosd.client.arguments import text_or_bytes, waiting_time
from paxosd.client.errors import WaitTimeout
from paxosd.client.threads.driver import RecipeDriver, current_owner
from paxosd.client.threads.holds import Held
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Delete
from paxosd.recipes import election, party
from paxosd.recipes.barrier import MeetingRoom, await_absence, enter, leave, put_up
from paxosd.recipes.line import OwnKey, TakenTurn, WaitingLine, room_is, take_turn
from paxosd.recipes.names import place, span
from paxosd.recipes.steps import do


class HeldLead(Held):
    """One leads as long as it holds this."""

    def proclaim(self, value: str | bytes, timeout: float | None = None) -> None:
        """Say something else to those who ask who leads. Raises `HoldLost` if another one may lead."""
        self.require()
        turn = TakenTurn(self.key, self.fence)
        self._driver.drive(election.proclaim(turn, text_or_bytes(value)), timeout, self._lease)

    def resign(self, timeout: float | None = None) -> bool:
        """Let the next one lead; as `release`."""
        return self.release(timeout)


class Election:
    """One of many leads; when it resigns, dies or is cut off for long, the one that has waited for longest does."""

    def __init__(self, driver: RecipeDriver, name: str | bytes, ttl: float | None = None) -> None:
        self._driver = driver
        self._candidates = span("election", name)
        self._ttl = ttl

    def campaign(self, value: str | bytes = b"", timeout: float | None = None) -> HeldLead:
        """Wait until we lead, for ever or so many seconds. `value`: what others shall read of who leads.

        Raises `WaitTimeout`, `HoldLost`, or what any command raises; then no candidate is left behind.
        """
        patient, timeout = waiting_time(timeout)
        lease, timeout = self._driver.take_lease(self._ttl, timeout)
        own = OwnKey(self._candidates.key + secrets.token_hex(16).encode(), text_or_bytes(value), lease.id)
        steps = take_turn(WaitingLine(self._candidates), own, patient)
        turn = self._driver.drive(steps, timeout, lease, waits=True)
        if turn is None:
            raise WaitTimeout("not applied: another one leads")
        return HeldLead(self._driver, lease, turn.key, turn.fence)

    def leader(self, timeout: float | None = None) -> KeyValue | None:
        """Who leads: its key, its value, and its fence as `create_revision`. None: nobody does."""
        return self._driver.drive(election.leader(self._candidates), timeout)

    def observe(self) -> Iterator[KeyValue | None]:
        """Who leads, and then whoever does later or says something else, for ever; None: nobody does."""
        leading = self.leader()
        while True:
            yield leading
            leading = self._driver.drive(election.next_leader(self._candidates, leading), None, waits=True)


class Barrier:
    """All wait while it stands: until it is removed, or who put it up dies."""

    def __init__(self, driver: RecipeDriver, name: str | bytes, ttl: float | None = None) -> None:
        self._driver = driver
        self._key = place("barrier", name)[:-1]
        self._ttl = ttl

    def put_up(self, value: str | bytes = b"", timeout: float | None = None) -> bool:
        """Put it up; False: it stands already."""
        lease, timeout = self._driver.take_lease(self._ttl, timeout)
        return self._driver.drive(put_up(self._key, text_or_bytes(value), lease.id), timeout, lease)

    def remove(self, timeout: float | None = None) -> None:
        """Let all through."""
        self._driver.drive(do(Delete(self._key)), timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it does not stand; raises `WaitTimeout`."""
        self._driver.drive(await_absence(self._key), timeout, waits=True)


class DoubleBarrier:
    """`count` of them begin together and end together; a context manager. All must say the same `count`."""

    def __init__(self, driver: RecipeDriver, name: str | bytes, count: int, ttl: float | None = None) -> None:
        self._driver = driver
        self._room = MeetingRoom.named(name, room_is(count))
        self._ttl = ttl
        self._inside: dict[object, bytes] = {}

    def enter(self, timeout: float | None = None) -> None:
        """Come in, and wait until all are in. Raises `WaitTimeout` or `HoldLost`, and then we are not in."""
        lease, timeout = self._driver.take_lease(self._ttl, timeout)
        own = OwnKey(self._room.inside.key + secrets.token_hex(16).encode(), b"", lease.id)
        self._driver.drive(enter(self._room, own), timeout, lease, waits=True)
        self._inside[current_owner()] = own.key

    def leave(self, timeout: float | None = None) -> None:
        """Go out, and wait until all are out. Raises `WaitTimeout`; then we are out all the same."""
        key = self._inside.pop(current_owner(), None)
        if key is None:
            raise RuntimeError("only who entered can leave")
        self._driver.drive(leave(self._room, key), timeout, waits=True)

    def __enter__(self) -> DoubleBarrier:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


class Party:
    """Who is there. A member that dies is none any more when its lease has run out."""

    def __init__(self, driver: RecipeDriver, name: str | bytes, ttl: float | None = None) -> None:
        self._driver = driver
        self._members = span("party", name)
        self._ttl = ttl

    def join(self, value: str | bytes = b"", timeout: float | None = None) -> Held:
        """Be a member until this is released or lost. `value`: what others shall read of us."""
        lease, timeout = self._driver.take_lease(self._ttl, timeout)
        own = OwnKey(self._members.key + secrets.token_hex(16).encode(), text_or_bytes(value), lease.id)
        fence = self._driver.drive(party.join(own), timeout, lease)
        return Held(self._driver, lease, own.key, fence)

    def members(self, timeout: float | None = None) -> tuple[KeyValue, ...]:
        """All of them, in the order in which they joined."""
        return self._driver.drive(party.members(self._members), timeout)

    def changes(self) -> Iterator[tuple[KeyValue, ...]]:
        """The members, and again whenever they are others, for ever."""
        present = self.members()
        while True:
            yield present
            present = self._driver.drive(party.next_members(self._members, present), None, waits=True)
