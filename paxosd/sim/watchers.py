"""Those of a simulated client who watch: some take at once, some late; all know from the log what they must see."""

from __future__ import annotations

from random import Random

from paxosd.client.errors import Compacted
from paxosd.client.watched import Changed, WatchCall
from paxosd.client.watching import WatchingSession
from paxosd.core.types import LOG, Revision
from paxosd.gateway.ranges import TO_THE_END, Place
from paxosd.sim.check.invariants import Order, ensure
from paxosd.sim.plan import Plan
from paxosd.sim.watched_log import KEYS, changes_of, decode_news

LAW = "35 watches"
RANGES = ((b"b", b"c"), (b"c", TO_THE_END), (b"a", TO_THE_END), (b"\0", b"b"))


class SimWatch:
    """One watch, and how much of it was seen and checked: all below `next`."""

    def __init__(self, key: bytes, end: bytes, start: Revision) -> None:
        self.place = Place(key, end)
        self.call = WatchCall(LOG, key, end, start, False, decode_news)
        self.next = start  # 0: it is not registered yet
        self.compacted: Revision = 0  # from where on there is something to see, where it was told that

    def take(self, order: Order, most: int) -> bool:
        """Take so many revisions and see whether they are right; whether any was taken."""
        if not self.next and self.call.position is not None:
            self.next = self.call.revision + 1
        taken = 0
        while taken < most and (changed := self.call.take()) is not None:
            self._check(changed, order)
            taken += 1
        if self.next:
            self._check_until(self.call.revision + 1, order)
        if isinstance(self.call.error, Compacted):
            self.compacted = self.call.error.first_available
            known = self.next < self.compacted <= len(order.log) + 1
            ensure(known, LAW, f"{self.place.key!r} at {self.next} is told to begin at {self.compacted}")
        return taken > 0

    def _check(self, changed: Changed, order: Order) -> None:
        """35: what is seen is what the log did there, whole, and nothing was between."""
        self._check_until(changed.revision, order)
        ensure(self.next == changed.revision, LAW, f"{self.place.key!r} sees {changed.revision} after {self.next - 1}")
        seen = [(event.revision, event.key, event.command) for event in changed.events]
        ensure(seen == self._expected(changed.revision, order), LAW, f"{self.place.key!r} sees {seen}")
        self.next = changed.revision + 1

    def _check_until(self, revision: Revision, order: Order) -> None:
        while self.next < revision:
            missed = self._expected(self.next, order)
            ensure(missed == [], LAW, f"{self.place.key!r} does not see what revision {self.next} did: {missed}")
            self.next += 1

    def _expected(self, revision: Revision, order: Order) -> list[tuple[Revision, bytes, bytes]]:
        if revision > len(order.log):
            return []
        return [change for change in changes_of(revision, order.log[revision - 1]) if self.place.holds(change[1])]


class SimWatchers:
    """All of one client."""

    def __init__(self, name: str, plan: Plan) -> None:
        self._plan = plan
        self._order = Order()  # of the history that the client belongs to
        self._random = Random(f"watch-{plan.seed}-{name}")
        self._name = name.encode()
        self._session: WatchingSession | None = None
        self._watches: list[SimWatch] = []

    def begin(self, session: WatchingSession) -> None:
        """The client has a new session; what it had seen is over."""
        self._session, self._watches = session, []

    def step(self, order: Order, calm: bool) -> None:
        """Open what is lacking, close one now and then, and take some of what came; all of it where all is `calm`."""
        if not self._plan.watches:
            return
        self._order = order
        while len(self._watches) < self._plan.watches:
            self._open(self._start())
        for watch in self._watches.copy():
            if calm or self._random.random() < 0.3:
                self._take(watch, calm)
        if not calm and self._random.random() < 0.01:
            self._close(self._watches[0])

    def _take(self, watch: SimWatch, calm: bool) -> None:
        assert self._session is not None
        if watch.take(self._order, 10**6 if calm else self._random.choice((1, 5, 100))) and watch.call.rests:
            self._session.attend(watch.call)
        if watch.compacted:
            self._watches.remove(watch)
            self._open(watch.compacted)

    def _start(self) -> Revision:
        end = len(self._order.log)
        return self._random.choice((0, end + 1, end + 5, max(1, end - self._random.randrange(100)), 1))

    def _open(self, start: Revision) -> None:
        assert self._session is not None
        keys = [(key, b"") for key in (*KEYS, self._name)]
        watch = SimWatch(*self._random.choice((*keys, *RANGES)), start)
        self._watches.append(watch)
        self._session.attend(watch.call)

    def _close(self, watch: SimWatch) -> None:
        assert self._session is not None
        watch.call.closed = True
        self._session.attend(watch.call)
        self._watches.remove(watch)

    def have_seen(self, revision: Revision) -> bool:
        """Whether all are told everything up to this revision."""
        return all((watch.call.position or 0) >= revision for watch in self._watches)
