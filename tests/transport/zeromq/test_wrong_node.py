"""An address that passes to another node while somebody connects to it: the link is led back to the right one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing

from paxosd.core.agent import Agent
from paxosd.core.messages import (
    Fetch,
    Message,
)
from paxosd.core.records import Record
from paxosd.core.types import Source
from paxosd.driver import Driver
from paxosd.storage.memory import MemoryStore
from paxosd.transport.zeromq.node import ZeroMQTransport
from paxosd.wire.frames import Codec
from tests.system.daemons import free_ports
from tests.transport.contract import FRAME_BYTES_MAX, gather


class Relay:
    """Forwards each new connection to where it points at that moment, as a name does that is looked up anew."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self._threads: list[threading.Thread] = []
        self.url = f"tcp://127.0.0.1:{self._sockets[0].getsockname()[1]}"
        self._start(self._accept)

    def _start(self, run: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=run, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._sockets[0].accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += [near, far]
                self._start(_pump, near, far)
                self._start(_pump, far, near)

    def close(self) -> None:
        for end in self._sockets:
            with contextlib.suppress(OSError):  # the other side was first
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            sink.sendall(received)
        sink.shutdown(socket.SHUT_WR)


def node(name: str, port: int, peers: dict[str, str]) -> ZeroMQTransport:
    return ZeroMQTransport(name, peers, f"tcp://127.0.0.1:{port}", None, FRAME_BYTES_MAX, FRAME_BYTES_MAX)


def test_n15_a_link_that_reached_another_node_is_dialled_anew() -> None:
    ports = free_ports(3)
    with (
        closing(Relay(target=ports[2])) as relay,
        closing(node("b", ports[1], {})) as b,
        closing(node("c", ports[2], {})) as c,  # before a, whose relay connects to it only once
        closing(node("a", ports[0], {"b": relay.url})) as a,
    ):
        for _ in range(100):
            a.send("b", b"for b alone")
            c.wait(0.05)
            assert list(c.drain(10)) == []
            if c.dropped["meant for another node"]:
                break
        relay.target = ports[1]

        def send_again() -> None:
            a.send("b", b"for b alone")
            a.wait(0.0)
            assert list(c.drain(1000)) == []

        found = gather(b, 1, send_again)

    assert found[0].frame == b"for b alone"
    assert c.dropped["meant for another node"] > 0
    assert a.dropped["reached another node"] > 0


class Talker(Agent):
    """Tells itself something in every turn, as a saturated leader does to the acceptor beside it: it never rests."""

    def restore(self, records: Iterable[Record], now: float) -> None: ...

    def receive(self, source: Source, message: Message, now: float) -> None: ...

    def tick(self, now: float) -> None:
        self.send_early("b", Fetch(1))
        self.send_early(self.node_id, Fetch(1))


def test_a_node_that_never_rests_hears_that_it_reached_another_node() -> None:
    ports = free_ports(2)
    with (
        closing(node("c", ports[1], {})) as c,
        closing(node("a", ports[0], {"b": f"tcp://127.0.0.1:{ports[1]}"})) as a,
    ):
        driver = Driver(Talker("a"), Codec(b"12345678", "a", 1, 1 << 20), MemoryStore(), a, time.monotonic, ["a", "b"])
        for _ in range(200):
            driver.turn()
            driver.wait()
            c.wait(0.01)
            assert list(c.drain(10)) == []
            if a.dropped["reached another node"]:
                break

        assert a.dropped["reached another node"] > 0
