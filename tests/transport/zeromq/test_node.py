"""ZeroMQ keeps the transport's contract, over real sockets on loopback."""

from __future__ import annotations

import errno
import socket

import pytest
import zmq

from paxosd.transport.base import ClientLink, TransportError
from paxosd.transport.zeromq.large import CLIENT_LARGE_BYTES_MAX, LARGE_BYTES_MAX
from paxosd.transport.zeromq.link import ZeroMQLink
from paxosd.transport.zeromq.node import ZeroMQTransport
from paxosd.transport.zeromq.receiver import DRAINED_BYTES_MAX
from tests.system.daemons import free_ports
from tests.transport.contract import FRAME_BYTES_MAX, Net, TransportContract, await_dropped, gather


class ZeroMQNet:
    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._bytes_max = frame_bytes_max
        self._urls = [f"tcp://127.0.0.1:{port}" for port in free_ports(3)]
        self.gateway = self._urls[2]
        self.a = ZeroMQTransport("a", {"b": self._urls[1]}, self._urls[0], None, frame_bytes_max, frame_bytes_max)
        self.b = self._open_b()

    def _open_b(self) -> ZeroMQTransport:
        return ZeroMQTransport("b", {"a": self._urls[0]}, self._urls[1], self.gateway, self._bytes_max, self._bytes_max)

    def link(self) -> ClientLink:
        return ZeroMQLink(self._bytes_max)

    def restart_b(self) -> None:
        self.b.close()
        self.b = self._open_b()

    def close(self) -> None:
        self.a.close()
        self.b.close()


class TestZeroMQTransport(TransportContract):
    def open(self) -> Net:
        return ZeroMQNet()


def test_a_port_in_use_is_refused_with_what_to_do() -> None:
    net = ZeroMQNet()
    try:
        with pytest.raises(
            TransportError, match=r": Address already in use; the port is in use: stop the other daemon"
        ):
            ZeroMQTransport("c", {}, net.gateway, None, FRAME_BYTES_MAX, FRAME_BYTES_MAX)
    finally:
        net.close()


def test_a_port_that_is_for_root_alone_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise zmq.ZMQError(errno.EACCES)

    monkeypatch.setattr(zmq.Socket, "bind", refuse)
    with pytest.raises(TransportError, match=r"cannot listen on tcp://127.0.0.1:80: Permission denied; .*1024"):
        ZeroMQTransport("c", {}, "tcp://127.0.0.1:80", None, FRAME_BYTES_MAX, FRAME_BYTES_MAX)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(TransportError, match="no interface of this machine"):
        ZeroMQTransport("c", {}, "tcp://192.0.2.1:7000", None, FRAME_BYTES_MAX, FRAME_BYTES_MAX)


@pytest.mark.parametrize("plane", ["peers", "clients"])
def test_m13_a_message_of_another_shape_is_dropped_and_counted(plane: str) -> None:
    net = ZeroMQNet()
    context = zmq.Context()
    try:
        dealer = context.socket(zmq.DEALER)
        dealer.connect(net.gateway if plane == "clients" else net.b.listen_url)
        dealer.send_multipart([b"one", b"two", b"three"])
        dealer.send_multipart([b"a frame"] if plane == "peers" else [b"b", b"a frame"])
        await_dropped(net.b, 2, "foreign shape")
    finally:
        context.destroy(linger=0)
        net.close()


@pytest.mark.parametrize("plane", ["peers", "clients"])
def test_m13_a_message_of_a_protocol_that_names_no_connection_is_dropped_and_counted(plane: str) -> None:
    net = ZeroMQNet()
    url = net.gateway if plane == "clients" else net.b.listen_url
    try:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5) as connection:
            connection.sendall(b"\x01\x00" + b"\x06\x00hello" * 3)  # ZMTP 1: no name, three messages
            await_dropped(net.b, 3, "of an old protocol")
    finally:
        net.close()


def test_o02_large_frames_that_a_peer_does_not_read_are_bounded_in_bytes() -> None:
    context = zmq.Context()
    (port,) = free_ports(1)
    net = ZeroMQTransport("a", {"b": f"tcp://127.0.0.1:{port}"}, "inproc://a", None, 1 << 21, 1 << 21)
    try:
        peer = context.socket(zmq.ROUTER)
        peer.rcvhwm = 1
        peer.bind(f"tcp://127.0.0.1:{port}")
        while not peer.poll(10):
            net.send("b", b"hello")
        sent_before, frame = net.dropped.total(), bytes(1 << 20)
        for _ in range(200):
            net.send("b", frame)
        kept = 200 - (net.dropped.total() - sent_before)
        assert LARGE_BYTES_MAX >> 20 <= kept <= (LARGE_BYTES_MAX >> 20) + 32  # some are in the kernel
        net.send("b", b"a heartbeat")
        reached = 0
        while reached < kept:  # whoever reads makes room again
            assert peer.poll(5000)
            reached += len(peer.recv_multipart()[-1]) == len(frame)
        dropped = net.dropped.total()
        net.send("b", frame)
        assert net.dropped.total() == dropped
        assert peer.poll(5000)
    finally:
        net.close()
        context.destroy(linger=0)


def test_o02_pages_that_a_client_does_not_read_are_bounded_in_bytes_and_others_get_theirs() -> None:
    context = zmq.Context()
    net = ZeroMQTransport("a", {}, "inproc://a", "tcp://127.0.0.1:*", 1 << 21, 1 << 21)
    try:
        idle, busy = (context.socket(zmq.DEALER) for _ in range(2))
        for dealer, name in ((idle, b"idle"), (busy, b"busy")):
            dealer.rcvhwm = 1
            dealer.connect(net.client_url)
            dealer.send(name)
        addresses: dict[bytes, bytes] = {}
        while len(addresses) < 2:
            net.wait(5)
            addresses |= {frame: client for client, frame, _ in net.drain(10) if client is not None}
        page = bytes(1 << 20)
        for _ in range(200):
            net.reply(addresses[b"idle"], page)
        kept = 200 - net.dropped["client slow"]
        assert CLIENT_LARGE_BYTES_MAX >> 20 <= kept <= (CLIENT_LARGE_BYTES_MAX >> 20) + 32  # some are in the kernel
        net.reply(addresses[b"busy"], page)
        net.reply(addresses[b"idle"], b"an answer")
        assert net.dropped["client slow"] == 200 - kept
        assert busy.poll(5000)
        assert len(busy.recv()) == len(page)
        for _ in range(kept):
            assert idle.poll(5000)
            assert len(idle.recv()) == len(page)
        assert idle.poll(5000)
        assert idle.recv() == b"an answer"
    finally:
        net.close()
        context.destroy(linger=0)


def test_o04_one_turn_takes_in_no_more_bytes_than_it_can_hold_and_the_next_one_the_rest() -> None:
    frame, net = bytes(1 << 20), ZeroMQNet(frame_bytes_max=1 << 21)
    try:
        while not list(net.b.drain(1)):
            net.a.send("b", b"hello")
            net.b.wait(0.05)
        dropped = net.a.dropped.total()
        for _ in range(40):
            net.a.send("b", frame)
        sent = 40 - (net.a.dropped.total() - dropped)
        turns: list[int] = []
        while sum(turns) < sent:  # all of them arrive, or the test does not end
            net.b.wait(5)
            turns.append(sum(inbound.frame == frame for inbound in net.b.drain(256)))
    finally:
        net.close()

    assert sent > 20
    assert max(turns) <= DRAINED_BYTES_MAX >> 20


def test_o02_a_client_that_reads_nothing_costs_its_gateway_a_bounded_amount_and_no_time() -> None:
    net = ZeroMQNet()
    context = zmq.Context()
    try:
        dealer = context.socket(zmq.DEALER)
        dealer.rcvhwm = 1
        dealer.connect(net.gateway)
        dealer.send(b"hello")
        client = gather(net.b, 1)[0].client
        assert client is not None
        for _ in range(3000):
            net.b.reply(client, bytes(FRAME_BYTES_MAX))
        assert net.b.dropped["client slow"] > 0
    finally:
        context.destroy(linger=0)
        net.close()
