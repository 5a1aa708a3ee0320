"""Those of a simulated client who watch: some take at once, some late; all know from the log what they must see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol

from paxosd.client.errors import Compacted
from paxosd.client.watched import Changed, WatchCall
from paxosd.client.watching import WatchingSession
from paxosd.core.types import LOG, MachineName, Revision
from paxosd.gateway.ranges import TO_THE_END, Place
from paxosd.machine.kv.events import decode_events
from paxosd.machine.kv.records import KeyEvent
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.check.invariants import ensure
from paxosd.sim.check.replay import KEYS as KEYS_MACHINE
from paxosd.sim.check.replay import Replay
from paxosd.sim.keys.drawing import PLACES
from paxosd.sim.plan import Plan
from paxosd.sim.watched_log import KEYS, changes_of, decode_news

LAW = "35 watches"
RANGES = ((b"b", b"c"), (b"c", TO_THE_END), (b"a", TO_THE_END), (b"\0", b"b"))


class Watchables(Protocol):
    """A machine that is watched, and what it did, by what is known of the log."""

    @property
    def machine(self) -> MachineName:
        """Its name."""
        ...

    @property
    def decode(self) -> Callable[[bytes], Sequence[Any]]:
        """Events of bytes."""
        ...

    @property
    def end(self) -> Revision:
        """The latest revision of the log."""
        ...

    def did(self, revision: Revision, place: Place, previous: bool) -> list[Any]:
        """What this revision did there, in the order of keys."""
        ...


class LogNews:
    """The log, of which each command is taken to change some keys."""

    machine: MachineName = LOG
    decode: Callable[[bytes], Sequence[Any]] = staticmethod(decode_news)

    def __init__(self, log: Sequence[bytes]) -> None:
        self._log = log

    @property
    def end(self) -> Revision:
        return len(self._log)

    def did(self, revision: Revision, place: Place, previous: bool) -> list[Any]:
        if revision > len(self._log):
            return []
        changes = changes_of(revision, self._log[revision - 1])
        return [(key, command, revision) for _, key, command in changes if place.holds(key)]


class KeyNewsOf:
    """The keys."""

    machine: MachineName = KEYS_MACHINE
    decode: Callable[[bytes], Sequence[Any]] = staticmethod(decode_events)

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    @property
    def end(self) -> Revision:
        return self._replay.revision

    def did(self, revision: Revision, place: Place, previous: bool) -> list[Any]:
        if revision > self._replay.revision and not self._replay.advance():
            return []
        events = self._replay.events_of(revision) if revision <= self._replay.revision else ()
        found = [event for event in events if place.holds(event.key)]
        found.sort(key=_key)
        return found if previous else [event._replace(previous=None) for event in found]


def _key(event: KeyEvent) -> bytes:
    return event.key


class SimWatch:
    """One watch, and how much of it was seen and checked: all below `next`."""

    def __init__(self, news: Watchables, place: tuple[bytes, bytes], start: Revision, previous: bool) -> None:
        self.place = Place(*place)
        self.call = WatchCall(news.machine, *place, start, previous, news.decode)
        self.next = start  # 0: it is not registered yet
        self.compacted: Revision = 0  # from where on there is something to see, where it was told that
        self.seen: Revision = 0  # the latest revision that was told
        self._news = news

    def take(self, most: int) -> bool:
        """Take so many revisions and see whether they are right; whether any was taken."""
        if not self.next and self.call.position is not None:
            self.next = self.call.revision + 1
        taken = 0
        while taken < most and (changed := self.call.take()) is not None:
            self._check(changed)
            taken += 1
        if self.next:
            self._check_until(self.call.revision + 1)
        if isinstance(self.call.error, Compacted):
            self.compacted = self.call.error.first_available
            known = self.next < self.compacted <= self._news.end + 1
            ensure(known, LAW, f"{self.place.key!r} at {self.next} is told to begin at {self.compacted}")
        return taken > 0

    def _check(self, changed: Changed) -> None:
        """35: what is seen is what the log did there, whole, and nothing was between."""
        self._check_until(changed.revision)
        ensure(self.next == changed.revision, LAW, f"{self.place.key!r} sees {changed.revision} after {self.next - 1}")
        seen, did = list(changed.events), self._did(changed.revision)
        if self.call.machine == KEYS_MACHINE:
            seen.sort(key=_key)
        ensure(seen == did, LAW, f"{self.place.key!r} sees {seen}, and that was {did}")
        self.next = changed.revision + 1
        self.seen = changed.revision

    def _check_until(self, revision: Revision) -> None:
        while self.next < revision:
            missed = self._did(self.next)
            ensure(missed == [], LAW, f"{self.place.key!r} does not see what revision {self.next} did: {missed}")
            self.next += 1

    def _did(self, revision: Revision) -> list[Any]:
        return self._news.did(revision, self.place, self.call.previous)


class SimWatchers:
    """All of one client; of one that `only_looks` all watch much."""

    def __init__(self, name: str, plan: Plan, only_looks: bool = False) -> None:
        self._plan = plan
        self._places = PLACES[-1:] if only_looks else PLACES
        self._news: Watchables = LogNews(())  # of the history that the client belongs to
        self._random = Random(f"watch-{plan.seed}-{name}")
        self._name = name.encode()
        self._session: WatchingSession | None = None
        self._watches: list[SimWatch] = []
        self.seen: Revision = 0  # the latest revision that any of them told

    def begin(self, session: WatchingSession) -> None:
        """The client has a new session; what it had seen is over."""
        self._session, self._watches, self.seen = session, [], 0

    def step(self, ghost: Ghost, calm: bool) -> None:
        """Open what is lacking, close one now and then, and take some of what came; all of it where all is `calm`."""
        if not self._plan.watches:
            return
        self._news = LogNews(ghost.order.log) if ghost.replay is None else KeyNewsOf(ghost.replay)
        while len(self._watches) < self._plan.watches:
            self._open(self._start())
        for watch in self._watches.copy():
            if calm or self._random.random() < 0.3:
                self._take(watch, calm)
        if not calm and self._random.random() < 0.01:
            self._close(self._watches[0])

    def _take(self, watch: SimWatch, calm: bool) -> None:
        assert self._session is not None
        if watch.take(10**6 if calm else self._random.choice((1, 5, 100))) and watch.call.rests:
            self._session.attend(watch.call)
        self.seen = max(self.seen, watch.seen)
        if watch.compacted:
            self._watches.remove(watch)
            self._open(watch.compacted)

    def _start(self) -> Revision:
        end = self._news.end
        return self._random.choice((0, end + 1, end + 5, max(1, end - self._random.randrange(100)), 1))

    def _open(self, start: Revision) -> None:
        assert self._session is not None
        if self._plan.keys:
            watch = SimWatch(self._news, self._random.choice(self._places), start, self._random.random() < 0.3)
        else:
            keys = [(key, b"") for key in (*KEYS, self._name)]
            watch = SimWatch(self._news, self._random.choice((*keys, *RANGES)), start, False)
        self._watches.append(watch)
        self._session.attend(watch.call)

    def _close(self, watch: SimWatch) -> None:
        assert self._session is not None
        watch.call.closed = True
        self._session.attend(watch.call)
        self._watches.remove(watch)

    def have_seen(self, revision: Revision) -> bool:
        """Whether all have taken everything up to this revision."""
        return all(watch.next > revision for watch in self._watches)
