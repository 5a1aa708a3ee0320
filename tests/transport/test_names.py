"""Names of nodes are looked up beside the links, and followed to where they stand now; over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from paxosd.transport.base import TransportError
from paxosd.transport.link import ZeroMQLink
from paxosd.transport.names import address_of
from paxosd.transport.zeromq import ZeroMQTransport
from tests.system.daemons import free_ports
from tests.transport.contract import FRAME_BYTES_MAX, gather, pump, receive

PORTS = free_ports(2)


class NameServer:
    """Stands in for the system's: knows what `numbers` says; a look-up of any other name hangs."""

    def __init__(self) -> None:
        self.numbers: dict[str, list[str]] = {}
        self.hanging = threading.Event()
        self.end = threading.Event()

    def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if host not in self.numbers:
            self.hanging.set()
            self.end.wait()
        if not self.numbers.get(host):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in self.numbers[host]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr("paxosd.transport.names.socket.getaddrinfo", server.getaddrinfo)
    yield server
    server.end.set()


def listener(number: str, client: str | None = None) -> ZeroMQTransport:
    return ZeroMQTransport("b", {}, f"tcp://{number}:{PORTS[0]}", client, FRAME_BYTES_MAX, FRAME_BYTES_MAX)


def caller(**peers: str) -> ZeroMQTransport:
    return ZeroMQTransport("a", peers, f"tcp://127.0.0.1:{PORTS[1]}", None, FRAME_BYTES_MAX, FRAME_BYTES_MAX)


def assert_reaches(a: ZeroMQTransport, b: ZeroMQTransport) -> None:
    def send() -> None:
        a.send("b", b"a frame")
        a.wait(0.0)

    assert gather(b, 1, send)[0].frame == b"a frame"


def test_a_look_up_that_hangs_holds_up_no_other_link_and_no_end(names: NameServer) -> None:
    names.numbers["b.example"] = ["127.0.0.1"]
    with (
        closing(listener("127.0.0.1")) as b,
        closing(caller(c="tcp://hangs.example:7000", b=f"tcp://b.example:{PORTS[0]}")) as a,
    ):
        assert names.hanging.wait(10)
        assert_reaches(a, b)


def test_n15_a_name_that_moves_to_another_number_is_followed(names: NameServer) -> None:
    names.numbers["b.example"] = ["127.0.0.1"]
    with closing(caller(b=f"tcp://b.example:{PORTS[0]}")) as a:
        with closing(listener("127.0.0.1")) as b:
            assert_reaches(a, b)
        names.numbers["b.example"] = ["127.0.0.2"]
        with closing(listener("127.0.0.2")) as b:
            assert_reaches(a, b)


def test_a_name_that_is_unknown_at_first_is_looked_up_again(names: NameServer) -> None:
    names.numbers["b.example"] = []
    with closing(caller(b=f"tcp://b.example:{PORTS[0]}")) as a, closing(listener("127.0.0.1")) as b:
        a.send("b", b"nobody is there yet")
        names.numbers["b.example"] = ["127.0.0.1"]
        assert_reaches(a, b)


def test_of_several_numbers_the_one_that_answers_is_found(names: NameServer) -> None:
    names.numbers["b.example"] = ["127.0.0.3", "127.0.0.2", "127.0.0.1"]
    with closing(caller(b=f"tcp://b.example:{PORTS[0]}")) as a, closing(listener("127.0.0.1")) as b:
        assert_reaches(a, b)


def test_a_client_s_frames_wait_for_the_look_up_of_their_gateway(names: NameServer) -> None:
    with (
        closing(listener("127.0.0.1", f"tcp://127.0.0.1:{PORTS[1]}")) as b,
        closing(ZeroMQLink(FRAME_BYTES_MAX)) as link,
    ):
        link.send(f"tcp://b.example:{PORTS[1]}", b"one")
        link.send(f"tcp://b.example:{PORTS[1]}", b"two")
        names.numbers["b.example"] = ["127.0.0.1"]
        names.end.set()

        assert [inbound.frame for inbound in gather(b, 2, lambda: pump(link))] == [b"one", b"two"]


def test_a_client_leaves_a_gateway_whose_look_up_hangs(names: NameServer) -> None:
    names.numbers["b.example"] = ["127.0.0.1"]
    with (
        closing(listener("127.0.0.1", f"tcp://127.0.0.1:{PORTS[1]}")) as b,
        closing(ZeroMQLink(FRAME_BYTES_MAX)) as link,
    ):
        link.send("tcp://hangs.example:7100", b"lost")
        assert names.hanging.wait(10)
        link.send(f"tcp://b.example:{PORTS[1]}", b"a question")
        asked: list[bytes] = []
        while not asked:
            link.receive(0.01)
            b.wait(0.01)
            for inbound in b.drain(10):
                asked.append(inbound.frame)
                assert inbound.client is not None
                b.reply(inbound.client, b"an answer")

        assert asked == [b"a question"]
        assert receive(link, 1) == [b"an answer"]


@pytest.mark.parametrize(
    ("url", "parts", "name"),
    [
        ("tcp://l1:7100", ("l1", 7100), True),
        ("tcp://l1.example.org:1", ("l1.example.org", 1), True),
        ("tcp://127.0.0.1:65535", ("127.0.0.1", 65535), False),
        ("tcp://[::1]:7100", ("::1", 7100), False),
    ],
)
def test_an_address_has_a_host_and_a_port(url: str, parts: tuple[str, int], name: bool) -> None:
    assert (address_of(url).host, address_of(url).port) == parts
    assert address_of(url).has_name == name


@pytest.mark.parametrize(
    "url",
    ["", "l1", "l1:7100", "tcp://l1", "tcp://l1:", "tcp://l1:0", "tcp://l1:65536", "tcp://l1:http", "tcp://:7100",
     "tcp://::1:7100", "tcp://l1:7100/", "tcp://me@l1:7100", "udp://l1:7100", "tcp://l 1:7100"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(TransportError, match="is not an address: write tcp://host:port"):
        address_of(url)
