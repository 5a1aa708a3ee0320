"""A client and two gateways over a network that loses, delays, repeats and reorders, while gateways restart and fall
behind: its callers see just what happened, each revision once, in order and whole."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from paxosd.client.watched import Changed, WatchCall
from paxosd.client.watching import WatchingSession
from paxosd.core.messages import Unwatch, WatchKeys, WatchTaken
from paxosd.core.reasons import Reason
from paxosd.core.types import Revision
from paxosd.gateway import feed
from paxosd.gateway.ranges import TO_THE_END, Place
from paxosd.gateway.watches import Watches
from paxosd.machine.kv.events import decode_events, encode_change
from paxosd.machine.kv.records import Change

ADDRESSES = ["tcp://l1:7100", "tcp://l2:7100"]
KEYS = [b"a", b"aa", b"b", b"c", b"d"]
PLACES = [(b"a", b""), (b"a", b"b"), (b"b", TO_THE_END), (b"\0", TO_THE_END), (b"d", b"")]
TICK_S = 0.01


class Log:
    """What all gateways apply, sooner or later: revisions with the keys that each set."""

    def __init__(self) -> None:
        self.revisions: list[list[Change]] = [[]]

    def add(self, changes: list[tuple[bytes, bytes]]) -> None:
        revision = len(self.revisions)
        record = bytes(32)
        self.revisions.append([(revision, key, record + value, None) for key, value in changes])


class Learner:
    """A gateway: its state, which is that of the log up to a revision, and its watches, which a restart forgets."""

    def __init__(self, log: Log, random: Random) -> None:
        self.log, self.random = log, random
        self.revision: Revision = 0
        self.first_revision: Revision = 1
        self.told: list[object] = []
        self.start()

    def start(self) -> None:
        self.watches = Watches(self, lambda _, message: self.told.append(message))  # type: ignore[arg-type]
        self.told.clear()

    def machine(self, name: str) -> object | None:
        return self

    def revisions(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, list[Change]]]:
        assert stop <= self.revision + 1
        return ((revision, self.log.revisions[revision]) for revision in range(first, stop))

    def encode_change(self, change: Change, previous: bool) -> bytes:
        return encode_change(change, previous)

    def receive(self, message: object, refused: Reason | None, now: float) -> None:
        match message:
            case WatchKeys():
                self.watches.register(b"me", message, refused, now)
            case Unwatch():
                self.watches.unregister(b"me", message, now)
            case WatchTaken():
                self.watches.take(b"me", message, now)


class Play:
    """All of it, in steps of `TICK_S`."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.log = Log()
        self.learners = {address: Learner(self.log, self.random) for address in ADDRESSES}
        self.session = WatchingSession(ADDRESSES, Random(seed))
        self.now = 10.0
        self.calm = False
        self.on_the_way: list[tuple[float, int, str, object, bool]] = []
        self.count = 0
        self.calls: list[tuple[WatchCall, Place, Revision, list[Changed]]] = []

    def watch(self) -> None:
        key, end = self.random.choice(PLACES)
        start = self.random.randrange(1, len(self.log.revisions) + 3)
        call = WatchCall("kv", key, end, start, False, decode_events)
        self.calls.append((call, Place(key, end), start, []))
        self.session.attend(call)

    def send(self, address: str, message: object, to_client: bool) -> None:
        random = self.random
        if not self.calm and random.random() < 0.03:
            return
        for _ in range(2 if not self.calm and random.random() < 0.02 else 1):
            self.count += 1
            late = 0.0 if self.calm else random.random() ** 4 * 0.2
            self.on_the_way.append((self.now + late, self.count, address, message, to_client))

    def step(self) -> None:
        random = self.random
        self.now += TICK_S
        for address, learner in self.learners.items():
            learner.revision = min(len(self.log.revisions) - 1, learner.revision + random.randrange(4))
            if not self.calm and random.random() < 0.003:
                learner.start()
            learner.watches.turn(self.calm or random.random() < 0.9, self.now)
            told, learner.told = learner.told, []
            for message in told:
                self.send(address, message, to_client=True)
        if not self.calm and random.random() < 0.01:
            with self.session._turning():
                self.session.gateways.turn(self.now)
        for message in self.session.poll(self.now):
            self.send(self.session.gateway, message, to_client=False)
        arrived = sorted(each for each in self.on_the_way if each[0] <= self.now)
        self.on_the_way = [each for each in self.on_the_way if each[0] > self.now]
        for _, _, address, message, to_client in arrived:
            if not to_client:
                refused = Reason.NO_LEADER if not self.calm and random.random() < 0.02 else None
                self.learners[address].receive(message, refused, self.now)
            elif address == self.session.gateway:
                self.session.receive(message, self.now)  # type: ignore[arg-type]
        for call, _, _, seen in self.calls:
            if random.random() < 0.1:
                while (changed := call.take()) is not None:
                    seen.append(changed)
                if call.rests:
                    self.session.attend(call)

    def change(self) -> None:
        random = self.random
        size = 200_000 if random.random() < 0.05 else 20
        self.log.add([(random.choice(KEYS), bytes(size)) for _ in range(random.randrange(3))])

    def check(self) -> None:
        for call, place, start, seen in self.calls:
            assert call.error is None
            expected = [
                (revision, held)
                for revision, changes in enumerate(self.log.revisions)
                if revision >= start and (held := [change[1] for change in changes if place.holds(change[1])])
            ]
            assert [(each.revision, [event.key for event in each.events]) for each in seen] == expected
            assert call.revision >= min(len(self.log.revisions) - 1, expected[-1][0] if expected else 0)


@pytest.mark.parametrize("seed", range(12))
def test_callers_see_what_happened_each_revision_once_in_order_and_whole(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 3 == 0:
        monkeypatch.setattr(feed, "SCANNED_PER_TURN_MAX", 5)
        monkeypatch.setattr(feed, "TOLD_PER_TURN_MAX", 2)
    play = Play(seed)
    for step in range(1500):
        if play.random.random() < 0.2:
            play.change()
        if step % 100 == 0:
            play.watch()
        play.step()
    play.calm = True
    for _ in range(1500):
        play.step()

    play.check()
