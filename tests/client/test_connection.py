"""How a client stands that holds nothing: whether any gateway answers."""

from __future__ import annotations

from random import Random

from paxosd.client.calls import Command
from paxosd.client.clock import Clocks
from paxosd.client.engine import WORD_EVERY_S, Engine
from paxosd.client.gateways import AVOIDED_S, Gateways
from paxosd.client.leases import HeldLease
from paxosd.client.upkeep import ConnectionState, Upkeep
from paxosd.client.watching import WatchingSession
from paxosd.core.messages import GetStatus, StatusReport
from paxosd.core.types import NO_BALLOT
from paxosd.machine.kv.results import KeepDone
from paxosd.transport.base import ClientLink
from paxosd.wire.frames import Codec

GATEWAYS = ["tcp://l1:7100", "tcp://l2:7100"]
CONNECTED, SUSPENDED, LOST = ConnectionState.CONNECTED, ConnectionState.SUSPENDED, ConnectionState.LOST


class Link(ClientLink):
    """Keeps what is sent; the codec of the gateways says what that is."""

    troubles: dict[str, str] = {}  # noqa: RUF012 (nobody changes it)

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def send(self, gateway: str, frame: bytes) -> None:
        self.sent.append((gateway, frame))

    def leave(self, gateway: str) -> None: ...

    def receive(self, timeout_s: float | None) -> list[bytes]:
        raise NotImplementedError

    def wake(self) -> None: ...

    def close(self) -> None: ...


class Bench:
    """An engine with a clock; a gateway that is `up` answers for its state."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[ConnectionState] = []
        self.link = Link()
        self.up = set(GATEWAYS)
        self.words = 0
        self._theirs = Codec(b"", "l1", 1, 1 << 20)
        session = WatchingSession(GATEWAYS, Random(1))
        clocks = Clocks(lambda: self.now, lambda: self.now)
        self.engine = Engine(session, Codec(b"", "client-1", 2, 1 << 20), self.link, self.told.append, clocks)

    def run(self, seconds: float) -> None:
        """Let so much time pass, turn by turn."""
        end = self.now + seconds
        while self.now < end:
            self.engine.prepare()
            deadline = self.engine.send()
            sent, self.link.sent = self.link.sent, []
            for gateway, frame in sent:
                self._answer(gateway, frame)
            assert deadline is None or deadline > self.now or sent
            self.now = min(end, max(self.now + 0.001, end if deadline is None else deadline))

    def _answer(self, gateway: str, frame: bytes) -> None:
        for message in self._theirs.from_client(frame).messages:
            if isinstance(message, GetStatus):
                self.words += 1
                if gateway in self.up:
                    report = StatusReport(message.request, "demo", "l1", "p1", NO_BALLOT, 1, 1, 0, ())
                    self.engine.receive(self._theirs.frames([self._theirs.pack(report)], 1 << 20, 64))


def test_a_client_that_nobody_listens_to_asks_nothing_while_it_is_idle() -> None:
    bench = Bench()
    bench.run(60.0)

    assert bench.words == 0
    assert bench.engine.upkeep.connection is CONNECTED


def test_who_listens_hears_that_no_gateway_answers_and_that_one_does_again() -> None:
    bench = Bench()
    bench.engine.keep_in_touch()
    bench.run(10.0)
    assert (bench.told, 9 <= bench.words <= 11) == ([], True)

    bench.up.clear()
    bench.run(3.0)
    assert bench.told == [SUSPENDED]
    bench.run(60.0)
    assert bench.told == [SUSPENDED]
    bench.up.add(GATEWAYS[1])
    bench.run(2 * WORD_EVERY_S)
    assert bench.told == [SUSPENDED, CONNECTED]
    bench.run(3 * AVOIDED_S)
    assert bench.told == [SUSPENDED, CONNECTED]


def test_one_gateway_that_answers_is_enough() -> None:
    bench = Bench()
    bench.engine.keep_in_touch()
    bench.run(1.0)
    bench.up.discard(bench.engine.session.gateway)
    bench.run(60.0)

    assert bench.told == []


def test_calls_tell_as_much_where_nobody_listens() -> None:
    bench = Bench()
    bench.engine.take(Command(b"x", bench.now + 5.0))
    bench.run(6.0)

    assert bench.told == [SUSPENDED]


def test_gateways_are_all_silent_where_each_was_asked_in_vain_or_is_set_aside() -> None:
    gateways = Gateways(GATEWAYS)
    assert not gateways.all_silent
    gateways.found_silent(1.0)
    assert not gateways.all_silent
    gateways.found_silent(2.0)
    assert gateways.all_silent
    gateways.heard()
    assert not gateways.all_silent
    gateways.set_aside(gateways.current, "it is of another cluster", 3.0)
    assert gateways.all_silent


def test_who_holds_something_is_connected_again_when_that_was_kept() -> None:
    told: list[ConnectionState] = []
    upkeep = Upkeep(told.append)
    upkeep.add(HeldLease(7, 9000, 100.0))
    upkeep.hear(anybody=False)
    upkeep.hear(anybody=True)
    assert told == [SUSPENDED]
    (keep,) = upkeep.due(103.0)
    keep.done(KeepDone((9000,)), 103.1)

    assert told == [SUSPENDED, CONNECTED]


def test_what_is_lost_stays_so_whoever_answers_until_a_lease_is_taken() -> None:
    told: list[ConnectionState] = []
    upkeep = Upkeep(told.append)
    upkeep.add(HeldLease(7, 9000, 100.0))
    upkeep.hear(anybody=False)
    upkeep.due(109.0)
    upkeep.hear(anybody=False)
    upkeep.hear(anybody=True)
    assert told == [SUSPENDED, LOST]
    upkeep.add(HeldLease(8, 9000, 110.0))

    assert told == [SUSPENDED, LOST, CONNECTED]
