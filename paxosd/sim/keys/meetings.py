"""What simulated callers do with barriers, double barriers and parties, and how they watch who leads."""

from __future__ import annotations

from functools import partial

from paxosd.client.leases import HeldLease
from paxosd.core.types import Revision
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Delete
from paxosd.recipes import election, party
from paxosd.recipes.barrier import MeetingRoom, await_absence, enter, leave, put_up
from paxosd.recipes.line import TakenTurn, give_back
from paxosd.recipes.names import place, span
from paxosd.recipes.steps import do
from paxosd.sim.check import meetings
from paxosd.sim.check.attempts import Attempt
from paxosd.sim.keys.hand import Hand, nothing
from paxosd.sim.keys.holding import Holding
from paxosd.sim.keys.model import Keys

ROOM = MeetingRoom.named("d", 2)


class BarrierUse:
    """One that is put up, removed, and waited for."""

    is_in_hand = False

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._key = place("barrier", "b")[:-1]

    def meanwhile(self) -> None:
        """Who waits at it removes it, now and then."""
        self._hand.go(self._hand.attempt("remove"), do(Delete(self._key)), None, nothing, aside=True)

    def step(self) -> None:
        """One of the three."""
        hand, key = self._hand, self._key
        kind = hand.random.randrange(4)
        if kind == 0:
            return hand.go(hand.attempt("remove"), do(Delete(key)), None, nothing)
        if kind > 1:
            attempt = hand.attempt("wait")
            passed = partial(self._on_passed, attempt)
            return hand.go(attempt, await_absence(key), None, passed, waits=True, may_go_on=self._is_gone)
        lease = hand.lease()
        if lease is None:
            return None
        attempt = hand.attempt("put up")
        done = partial(meetings.check_put_up, hand.attempts, attempt, key, lease.id)
        return hand.go(attempt, put_up(key, hand.value(), lease.id), lease, done)

    def _on_passed(self, attempt: Attempt, nothing: None) -> None:
        meetings.check_passed(self._hand.attempts, attempt, self._key)

    def _is_gone(self, keys: Keys) -> bool:
        return self._key not in keys


class DoubleBarrierUse:
    """One for two."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._inside = b""

    @property
    def is_in_hand(self) -> bool:
        """Whether it is inside."""
        return bool(self._inside)

    def meanwhile(self) -> None:
        """It waits for another one."""

    def step(self) -> None:
        """Come in, or go out."""
        hand = self._hand
        if self._inside:
            return self._leave()
        lease = hand.lease()
        if lease is None:
            return None
        hand.attempts.rooms.add(ROOM)
        own = hand.own_key(ROOM.inside.key, lease)
        attempt = hand.attempt("enter")
        entered, may = partial(self._on_entered, attempt, own.key), partial(self._may_enter, own.key)
        return hand.go(attempt, enter(ROOM, own), lease, entered, waits=True, may_go_on=may)

    @staticmethod
    def _may_enter(own: bytes, keys: Keys) -> bool:
        return own not in keys or ROOM.opened in keys

    def _on_entered(self, attempt: Attempt, own: bytes, made: Revision) -> None:
        meetings.check_entered(self._hand.attempts, attempt, ROOM, own, made)
        self._inside = own

    def _leave(self) -> None:
        own, self._inside = self._inside, b""
        attempt = self._hand.attempt("leave")
        may = partial(self._may_leave, attempt)
        self._hand.go(attempt, leave(ROOM, own), None, partial(self._on_left, attempt), waits=True, may_go_on=may)

    @staticmethod
    def _may_leave(attempt: Attempt, keys: Keys) -> bool:
        inside = meetings.listed(keys, ROOM.inside)
        return not attempt.did or not inside or inside[0].create_revision > attempt.did[0]

    def _on_left(self, attempt: Attempt, nothing: None) -> None:
        meetings.check_left(self._hand.attempts, attempt, ROOM)


class PartyUse:
    """One that is joined, left, and looked at."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._span = span("party", "p")
        self._held: Holding | None = None
        self._lease: HeldLease | None = None
        self._seen: tuple[KeyValue, ...] = ()

    @property
    def is_in_hand(self) -> bool:
        """Whether it is there, and may leave or look."""
        return self._held is not None

    def meanwhile(self) -> None:
        """It waits for others."""

    def step(self) -> None:
        """Join or leave, or look who is there."""
        hand = self._hand
        kind = hand.random.randrange(4)
        if self._held is not None and (kind == 0 or not self._held.is_believed):
            return self._leave(self._held)
        if self._held is None and kind < 2:
            return self._join()
        attempt = hand.attempt("look who is there")
        if kind < 3:
            return hand.go(attempt, party.members(self._span), None, partial(self._on_members, attempt, None))
        seen = self._seen
        told, may = partial(self._on_members, attempt, seen), partial(self._are_others, seen)
        return hand.go(attempt, party.next_members(self._span, seen), None, told, waits=True, may_go_on=may)

    def _are_others(self, seen: tuple[KeyValue, ...], keys: Keys) -> bool:
        return meetings.listed(keys, self._span) != seen

    def _on_members(self, attempt: Attempt, seen: tuple[KeyValue, ...] | None, told: tuple[KeyValue, ...]) -> None:
        meetings.check_members(self._hand.attempts, attempt, self._span, told, seen)
        self._seen = told

    def _join(self) -> None:
        hand, lease = self._hand, self._hand.lease()
        if lease is not None:
            own = hand.own_key(self._span.key, lease)
            hand.go(hand.attempt("join"), party.join(own), lease, partial(self._on_joined, lease, own.key))

    def _on_joined(self, lease: HeldLease, own: bytes, fence: Revision) -> None:
        self._lease = lease
        self._held = self._hand.hold(lease, self._span.key, TakenTurn(own, fence), alone=False)
        self._hand.attempts.marks.hit("party joined")

    def _leave(self, held: Holding) -> None:
        held.let_go()
        self._held = None
        self._hand.go(self._hand.attempt("leave a party"), give_back(held.turn.key), self._lease, nothing, hurried=True)


class LeaderUse:
    """The election of all: it watches who leads."""

    is_in_hand = False

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._span = span("election", "e")
        self.seen: KeyValue | None = None

    def meanwhile(self) -> None:
        """It waits for others."""

    def step(self) -> None:
        """Look who leads, or wait until another one does."""
        self.look(waits=self._hand.random.random() < 0.7)

    def look(self, waits: bool) -> None:
        """One of the two."""
        hand, seen = self._hand, self.seen
        attempt = hand.attempt("look who leads")
        told = partial(self._on_told, attempt, seen, waits)
        steps = election.next_leader(self._span, seen) if waits else election.leader(self._span)
        hand.go(attempt, steps, None, told, waits=waits, may_go_on=partial(self._is_another, seen))

    def _is_another(self, seen: KeyValue | None, keys: Keys) -> bool:
        present = meetings.listed(keys, self._span)
        return _what_is_said(present[0] if present else None) != _what_is_said(seen)

    def _on_told(self, attempt: Attempt, seen: KeyValue | None, waited: bool, told: KeyValue | None) -> None:
        meetings.check_leader(self._hand.attempts, attempt, self._span, told, seen, waited)
        self.seen = told


def _what_is_said(leading: KeyValue | None) -> tuple[bytes, int, bytes] | None:
    return leading and (leading.key, leading.create_revision, leading.value)
