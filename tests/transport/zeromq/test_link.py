"""The client's end over ZeroMQ: what waits for a gateway, what is bounded, what is told; over real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import zmq

from paxosd.transport.shortage import Shortage
from paxosd.transport.zeromq.link import UNANSWERED_BYTES_MAX, UNSENT_BYTES_MAX, ZeroMQLink
from tests.system.daemons import free_ports

FRAME_BYTES_MAX = 1 << 21


@pytest.fixture
def link() -> Iterator[ZeroMQLink]:
    with closing(ZeroMQLink(FRAME_BYTES_MAX)) as made:
        yield made


class Gateway:
    """A ROUTER that reads when it is told to."""

    def __init__(self, port: int) -> None:
        self.url = f"tcp://127.0.0.1:{port}"
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.rcvhwm = 1
        self._socket.bind(self.url)

    def read(self, link: ZeroMQLink, count: int) -> list[tuple[bytes, bytes]]:
        """So many frames, with whom they came from; the link moves meanwhile."""
        found: list[tuple[bytes, bytes]] = []
        deadline = time.monotonic() + 20
        while len(found) < count:
            assert time.monotonic() < deadline, f"only {len(found)} of {count} frames came"
            link.receive(0.0)
            if self._socket.poll(10):
                client, frame = self._socket.recv_multipart()
                found.append((client, frame))
        return found

    def has_nothing(self, link: ZeroMQLink) -> bool:
        link.receive(0.0)
        return not self._socket.poll(200)

    def answer(self, client: bytes, frame: bytes) -> None:
        self._socket.send_multipart((client, frame))

    def close(self) -> None:
        self._context.destroy(linger=0)


def test_what_is_sent_before_a_gateway_is_there_reaches_it_once_it_is(link: ZeroMQLink) -> None:
    (port,) = free_ports(1)
    link.send(f"tcp://127.0.0.1:{port}", b"one")
    link.send(f"tcp://127.0.0.1:{port}", b"two")
    while not link.troubles:  # until it was dialled in vain
        link.receive(0.1)
    assert link.troubles == {f"tcp://127.0.0.1:{port}": f"127.0.0.1:{port} refuses connections, or no way leads there"}
    with closing(Gateway(port)) as gateway:
        assert [frame for _, frame in gateway.read(link, 2)] == [b"one", b"two"]

    assert not link.troubles


def test_o02_what_waits_for_a_gateway_that_is_not_there_is_bounded_in_bytes(link: ZeroMQLink) -> None:
    (port,) = free_ports(1)
    frame = bytes(1 << 20)
    for _ in range(100):
        link.send(f"tcp://127.0.0.1:{port}", frame)
    with closing(Gateway(port)) as gateway:
        gateway.read(link, UNSENT_BYTES_MAX >> 20)
        assert gateway.has_nothing(link)


def test_o02_a_gateway_that_says_nothing_is_sent_no_more_than_it_may_be_until_it_says_something(
    link: ZeroMQLink,
) -> None:
    with closing(Gateway(*free_ports(1))) as gateway:
        link.send(gateway.url, b"hello")
        ((client, _),) = gateway.read(link, 1)
        frame = bytes(1 << 20)
        for _ in range(100):
            link.send(gateway.url, frame)
        gateway.read(link, (UNANSWERED_BYTES_MAX >> 20) - 1)
        assert gateway.has_nothing(link)
        gateway.answer(client, b"an answer")
        while not link.receive(0.1):
            pass
        link.send(gateway.url, b"the next")

        assert [frame for _, frame in gateway.read(link, 1)] == [b"the next"]


def test_without_descriptors_a_gateway_is_dialled_later_and_says_why_not_now(
    link: ZeroMQLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used_up(count: int) -> None:
        raise Shortage("no file descriptors")

    with closing(Gateway(*free_ports(1))) as gateway:
        with monkeypatch.context() as shortage:
            shortage.setattr("paxosd.transport.shortage.require_descriptors", used_up)
            link.send(gateway.url, b"patient")
            link.receive(0.05)
            assert link.troubles == {gateway.url: "no file descriptors"}

        assert [frame for _, frame in gateway.read(link, 1)] == [b"patient"]
        assert not link.troubles
