"""The relay itself, with real sockets at both ends: a network that breaks nothing would prove nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing

import msgpack
import pytest

from paxosd.transport.zeromq.node import ZeroMQTransport
from tests.system.daemons import free_ports
from tests.system.relay import Connection, Door, Relay, both_ways, handshake_end, sender_of
from tests.transport.contract import FRAME_BYTES_MAX, WITHIN_S

NODES = ("a", "b", "c")


class Ends:
    """Three nodes, each of which dials the two others through the relay."""

    def __init__(self, relay: Relay, transports: dict[str, ZeroMQTransport]) -> None:
        self.relay = relay
        self.transports = transports

    def send(self, source: str, target: str, number: int, size: int = 10) -> None:
        frame = msgpack.packb([2, b"digest", b"", source, number, bytes(size)])
        self.transports[source].send(target, frame)

    def received(self, target: str, within_s: float = 0.0) -> list[tuple[str, int]]:
        """Source and number of the frames that come in this time, in order; without those of `await_links`."""
        return [(source, number) for source, number in self._taken(target, within_s) if number]

    def gather(self, target: str, count: int) -> list[tuple[str, int]]:
        """The same, as soon as there are so many."""
        found: list[tuple[str, int]] = []
        deadline = time.monotonic() + WITHIN_S
        while len(found) < count:
            assert time.monotonic() < deadline, f"only {found} came to {target}"
            found += self.received(target, within_s=0.05)
        return found

    def _taken(self, target: str, within_s: float) -> list[tuple[str, int]]:
        found = []
        deadline = time.monotonic() + within_s
        while True:
            frames = [inbound.frame for inbound in self.transports[target].drain(100)]
            found += [tuple(msgpack.unpackb(frame)[3:5]) for frame in frames]
            if time.monotonic() >= deadline:
                return found
            self.transports[target].wait(deadline - time.monotonic())

    def await_links(self) -> None:
        """Return once a frame, numbered 0, has passed on every link."""
        for source, target in sorted(both_ways(NODES, NODES)):
            deadline = time.monotonic() + 10
            while (source, 0) not in self._taken(target, within_s=0.02):
                assert time.monotonic() < deadline, f"nothing comes from {source} to {target}"
                self.send(source, target, 0)


@pytest.fixture
def ends() -> Iterator[Ends]:
    ports = free_ports(6)
    doors = [Door(node, ports[at], ports[at + 3]) for at, node in enumerate(NODES)]
    with ExitStack() as stack:
        relay = stack.enter_context(Relay(doors))
        transports = {}
        for door in doors:
            peers = {other.node: f"tcp://127.0.0.1:{other.outside}" for other in doors if other != door}
            listen = f"tcp://127.0.0.1:{door.inside}"
            transport = ZeroMQTransport(door.node, peers, listen, None, FRAME_BYTES_MAX, FRAME_BYTES_MAX)
            transports[door.node] = stack.enter_context(closing(transport))
        ends = Ends(relay, transports)
        ends.await_links()
        yield ends


def test_a_cut_link_keeps_what_it_is_given_and_delivers_it_in_order_when_it_is_healed(ends: Ends) -> None:
    ends.relay.cut([("a", "b")])
    for number in (1, 2, 3):
        ends.send("a", "b", number)
    ends.send("b", "a", 4)
    ends.send("c", "b", 5)

    assert ends.gather("b", 1) == [("c", 5)]
    assert ends.gather("a", 1) == [("b", 4)]
    assert ends.received("b", within_s=0.2) == []
    ends.relay.heal()
    assert ends.gather("b", 3) == [("a", 1), ("a", 2), ("a", 3)]


def test_what_a_cut_link_kept_is_lost_by_a_reset_and_the_link_comes_back_when_it_is_healed(ends: Ends) -> None:
    ends.relay.cut([("a", "b")])
    ends.send("a", "b", 1)
    assert ends.received("b", within_s=0.2) == []
    ends.relay.reset([("a", "b")])
    assert ends.received("b", within_s=0.2) == []
    ends.relay.heal()

    deadline = time.monotonic() + 10
    found: list[tuple[str, int]] = []
    while not found:
        assert time.monotonic() < deadline
        ends.send("a", "b", 2)
        found = ends.received("b", within_s=0.05)
    assert set(found) == {("a", 2)}


def test_a_cut_from_before_the_connection_holds_for_it_too(ends: Ends) -> None:
    ends.relay.cut([("a", "b")])
    ends.relay.reset([("a", "b")])
    deadline = time.monotonic() + 10
    while ends.transports["a"].dropped["peer not connected or slow"] == 0:
        assert time.monotonic() < deadline
        ends.send("a", "b", 1)
    for _ in range(10):
        ends.send("a", "b", 2)
        assert ends.received("b", within_s=0.05) == []


def test_a_slow_link_delivers_later_and_the_others_do_not(ends: Ends) -> None:
    ends.relay.slow([("a", "b")], 0.4)
    started = time.monotonic()
    ends.send("a", "b", 1)
    ends.send("c", "b", 2)

    assert ends.gather("b", 2) == [("c", 2), ("a", 1)]
    assert time.monotonic() - started >= 0.4


def test_large_frames_pass_whole(ends: Ends) -> None:
    size = FRAME_BYTES_MAX - 100
    ends.relay.reset(ends.relay.among())
    deadline = time.monotonic() + 10
    while ("a", 1) not in ends.received("b", within_s=0.1):
        assert time.monotonic() < deadline
        ends.send("a", "b", 1, size)
    assert ends.relay.delivered["a", "b"] > size


HANDSHAKE = bytes(64) + b"\x04\x05READY"
FRAME = msgpack.packb([2, b"digest!!", b"history", "r1", 7, [b"more"]])
MESSAGES = b"\x01\x02r2" + b"\x00" + bytes([len(FRAME)]) + FRAME
TOLD = MESSAGES.index(b"r1", 5) + 2
"""How many bytes of the messages it takes to know who sent them."""


def test_the_sender_is_known_from_the_last_byte_of_its_name_on_and_never_before() -> None:
    stream = HANDSHAKE + MESSAGES
    ends = [handshake_end(stream[:size]) for size in range(len(stream))]

    assert ends == [*range(65), *[64] * 6, *[71] * len(MESSAGES)]
    assert {sender_of(MESSAGES[:size]) for size in range(TOLD)} == {None}
    assert {sender_of(MESSAGES[:size]) for size in range(TOLD, len(MESSAGES))} == {"r1"}


def test_of_what_comes_byte_by_byte_only_the_handshake_passes_before_the_sender_is_known() -> None:
    async def bytes_singly() -> AsyncIterator[bytes]:
        for byte in HANDSHAKE + MESSAGES:
            yield bytes([byte])
        yield b""

    async def passed() -> list[tuple[str | None, bytes]]:
        connection = Connection(Door("r2", 1, 2))
        return [(connection.source, chunk) async for chunk in connection.told_by(bytes_singly())]

    found = asyncio.run(passed())
    assert b"".join(chunk for source, chunk in found if source is None) == HANDSHAKE
    assert b"".join(chunk for source, chunk in found if source == "r1") == MESSAGES
    assert [chunk for _, chunk in found].index(b"") == len(found) - 1
