"""What simulated callers do with queues and counters."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from paxosd.client.leases import HeldLease
from paxosd.machine.kv.requests import Put
from paxosd.recipes import counter
from paxosd.recipes.counter import Counted
from paxosd.recipes.line import TakenTurn
from paxosd.recipes.names import place
from paxosd.recipes.queue import EntryTaker, QueuePlaces, Taken, consume, let_go, take
from paxosd.recipes.steps import do
from paxosd.sim.check import stock
from paxosd.sim.check.attempts import Attempt
from paxosd.sim.keys.hand import Hand, nothing
from paxosd.sim.keys.holding import Holding
from paxosd.sim.keys.model import Keys

PRIORITIES = (1, 1, 2)
PUTS = 0.4
"""How many calls put an entry; the others take one, so that many wait."""


class Locked(NamedTuple):
    """An entry that was locked, with what the lock hangs on and says."""

    taken: Taken
    lease: HeldLease
    token: bytes


class QueueUse:
    """A queue of this kind: `queue`, `priority-queue` or `locking-queue`."""

    def __init__(self, hand: Hand, recipe: str) -> None:
        self._hand = hand
        self._places = QueuePlaces(recipe, "q")
        self._has_priorities = recipe != "queue"
        self._has_locks = recipe == "locking-queue"
        self._held: Holding | None = None
        self._locked: Locked | None = None

    @property
    def is_in_hand(self) -> bool:
        """Whether something is to be done with what it has."""
        return self._held is not None

    def step(self) -> None:
        """Put an entry, take one, or go on with the one that it has."""
        if self._held is not None:
            self._go_on(self._held)
        elif self._hand.random.random() < PUTS:
            self.put()
        else:
            self._take()

    def meanwhile(self) -> None:
        """Who waits for an entry puts one, now and then, for whoever is first."""
        self.put(aside=True)

    def put(self, aside: bool = False) -> None:
        """Put an entry."""
        hand = self._hand
        priority = hand.random.choice(PRIORITIES) if self._has_priorities else 0
        put = Put(self._places.entry(priority, hand.draw()), hand.value())
        hand.go(hand.attempt("put"), do(put), None, nothing, aside=aside)

    # ---- taking ----

    def _take(self) -> None:
        if self._hand.lease() is not None:
            self.take(patient=self._hand.random.random() < 0.8)

    def take(self, patient: bool) -> None:
        """Take an entry, if there is a lease; wait for one, or not."""
        hand, lease = self._hand, self._hand.lease()
        if lease is None:
            return
        own = hand.own_key(self._places.takers.key, lease)
        taker = EntryTaker(own, hand.draw().encode() if self._has_locks else b"")
        attempt = hand.attempt("take")
        taken = partial(self._on_taken, attempt, lease, taker)
        steps = take(self._places, taker, patient)
        hand.go(attempt, steps, lease, taken, waits=patient, may_go_on=partial(self._may_take, own.key))

    def _may_take(self, own: bytes, keys: Keys) -> bool:
        """Whether it is first in the line, and there is an entry; or its own key is gone."""
        takers, end = self._places.takers
        line = {key: kv.create_revision for key, kv in keys.items() if takers <= key < end}
        if own not in line:
            return True
        return line[own] == min(line.values()) and stock.has_free_entry(self._places, keys)

    def _on_taken(self, attempt: Attempt, lease: HeldLease, taker: EntryTaker, taken: Taken | None) -> None:
        hand = self._hand
        if taken is None:
            return stock.check_none(hand.attempts, attempt, self._places)
        stock.check_taken(hand.attempts, attempt, self._places, taker.taker.key, taken)
        if taker.token:
            self._locked = Locked(taken, lease, taker.token)
            self._held = hand.hold(lease, taken.lock, TakenTurn(taken.lock, taken.fence), alone=True)
        return None

    # ---- what it has locked ----

    def _go_on(self, held: Holding) -> None:
        kind = self._hand.random.randrange(4)
        if kind == 3:  # it works on, and does not look whether it has it still
            return
        is_late = not held.is_believed
        if kind == 0:
            self.let_go()
        else:
            self._consume(self._out_of_hand(), is_late)

    def let_go(self) -> None:
        """Give back the entry that it has locked."""
        self._let_go(self._out_of_hand())

    def _out_of_hand(self) -> Locked:
        assert self._held is not None and self._locked is not None
        self._held.let_go()
        self._held = None
        return self._locked

    def _let_go(self, locked: Locked) -> None:
        steps = let_go(locked.taken, locked.token)
        self._hand.go(self._hand.attempt("let go"), steps, locked.lease, nothing, hurried=True)

    def _consume(self, locked: Locked, is_late: bool) -> None:
        """`is_late`: it stood still after it had looked whether it has it."""
        taken = locked.taken
        attempt = self._hand.attempt("consume", lock=TakenTurn(taken.lock, taken.fence))
        done = partial(self._on_consumed, attempt, taken)
        again = partial(self._on_not_consumed, locked)
        self._hand.go(attempt, consume(self._places, taken), locked.lease, done, again, hurried=is_late)

    def _on_consumed(self, attempt: Attempt, taken: Taken, nothing: None) -> None:
        stock.check_consumed(self._hand.attempts, attempt, taken.entry)

    def _on_not_consumed(self, locked: Locked, error: Exception) -> None:
        self._let_go(locked)


class CounterUse:
    """A number."""

    is_in_hand = False

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._key = place("counter", "n")[:-1]

    def meanwhile(self) -> None:
        """It waits for nobody."""

    def step(self) -> None:
        """Add to it, or look."""
        hand = self._hand
        if hand.random.random() < 0.3:
            attempt = hand.attempt("look at a number")
            looked = partial(stock.check_number, hand.attempts, attempt, self._key)
            return hand.go(attempt, counter.value(self._key, 0), None, looked)
        by = hand.random.choice((1, 1, 2, -1))
        attempt = hand.attempt("add", by)
        return hand.go(attempt, counter.add(self._key, by, 0), None, partial(self._on_added, attempt))

    def _on_added(self, attempt: Attempt, counted: Counted) -> None:
        stock.check_added(self._hand.attempts, attempt, self._key, counted)
