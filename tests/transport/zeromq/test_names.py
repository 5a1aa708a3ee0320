"""Names of nodes are looked up beside the links, and followed to where they stand now; over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

import pytest

from paxosd.transport.base import TransportError
from paxosd.transport.shortage import Shortage
from paxosd.transport.zeromq.link import ZeroMQLink
from paxosd.transport.zeromq.names import AGAIN_AFTER_S, TOLD_EVERY_S, Names, address_of
from paxosd.transport.zeromq.node import ZeroMQTransport
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
    monkeypatch.setattr("paxosd.transport.zeromq.names.socket.getaddrinfo", server.getaddrinfo)
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


def test_a_gateway_whose_name_is_unknown_is_told_with_its_name(names: NameServer) -> None:
    names.numbers["gw1"] = []
    with closing(ZeroMQLink(FRAME_BYTES_MAX)) as link:
        link.send("tcp://gw1:7100", b"lost")
        deadline = time.monotonic() + 10
        while not link.troubles["tcp://gw1:7100"].startswith("name not found: gw1"):
            assert time.monotonic() < deadline
            link.receive(0.1)


def hole(number: str, port: int) -> list[socket.socket]:
    """An address that swallows what is sent to it: it listens, never accepts, and its queue is full."""
    sockets = [socket.socket()]
    sockets[0].bind((number, port))
    sockets[0].listen(0)
    for _ in range(3):
        sockets.append(socket.socket())
        sockets[-1].setblocking(False)
        sockets[-1].connect_ex((number, port))
    return sockets


def number_dialled(link: ZeroMQLink) -> str:
    deadline = time.monotonic() + 10
    while link._dealer is None or not link._dealer._number:  # until the name was looked up
        assert time.monotonic() < deadline
        link.receive(0.01)
    return link._dealer._number


def test_a_dead_first_address_costs_each_gateway_once_also_if_the_client_turns_away_sooner(names: NameServer) -> None:
    port = free_ports(1)[0]
    urls = [f"tcp://gw{number}:{port}" for number in range(3)]
    names.numbers |= {f"gw{number}": ["127.0.0.2", "127.0.0.1"] for number in range(3)}
    with (
        ExitStack() as stack,
        closing(listener("127.0.0.1", f"tcp://127.0.0.1:{port}")) as b,
        closing(ZeroMQLink(FRAME_BYTES_MAX)) as link,
    ):
        for opened in hole("127.0.0.2", port):
            stack.enter_context(opened)
        for url in urls:  # each is left before its first number was given up
            link.send(url, b"lost")
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                assert link.receive(0.05) == []
        assert link.troubles[urls[0]] == f"127.0.0.2:{port} is silent"
        for url in urls:
            link.send(url, b"a question")
            assert number_dialled(link) == f"tcp://127.0.0.1:{port}"
            assert [inbound.frame for inbound in gather(b, 1, lambda: pump(link))] == [b"a question"]
        link.send(urls[0], b"another one")  # and what answered is remembered
        assert [inbound.frame for inbound in gather(b, 1, lambda: pump(link))] == [b"another one"]
        assert link.troubles == {urls[2]: link.troubles[urls[2]]} if urls[2] in link.troubles else not link.troubles


def test_a_gateway_that_does_not_serve_is_left_for_another_one_behind_the_same_name(names: NameServer) -> None:
    port = free_ports(1)[0]
    url = f"tcp://gw:{port}"
    names.numbers["gw"] = ["127.0.0.2", "127.0.0.1"]
    with (
        closing(listener("127.0.0.2", f"tcp://127.0.0.2:{port}")) as a,
        closing(listener("127.0.0.1", f"tcp://127.0.0.1:{port}")) as b,
        closing(ZeroMQLink(FRAME_BYTES_MAX)) as link,
    ):
        link.send(url, b"a question")
        assert [inbound.frame for inbound in gather(a, 1, lambda: pump(link))] == [b"a question"]
        link.leave(url)
        link.send(url, b"asked again")

        assert [inbound.frame for inbound in gather(b, 1, lambda: pump(link))] == [b"asked again"]


def test_a_single_gateway_is_tried_at_its_next_address_and_what_waits_goes_there(names: NameServer) -> None:
    port = free_ports(1)[0]
    names.numbers["gw"] = ["127.0.0.2", "127.0.0.1"]
    with (
        ExitStack() as stack,
        closing(listener("127.0.0.1", f"tcp://127.0.0.1:{port}")) as b,
        closing(ZeroMQLink(FRAME_BYTES_MAX)) as link,
    ):
        for opened in hole("127.0.0.2", port):
            stack.enter_context(opened)
        link.send(f"tcp://gw:{port}", b"sent once")

        assert [inbound.frame for inbound in gather(b, 1, lambda: pump(link))] == [b"sent once"]


# ---- the look-ups alone --------------------------------------------------------------------------


class Asker:
    """Asks for one name again and again, by a clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.woken = threading.Semaphore(0)
        self.told: list[tuple[str, str]] = []
        self.names = Names(self.woken.release, lambda url, why: self.told.append((url, why)), lambda: self.now)

    def answer(self) -> Sequence[str]:
        found = list(self.names.answers())
        while not found:
            assert self.woken.acquire(timeout=10)
            found = list(self.names.answers())
        ((_, numbers),) = found
        return numbers


def test_a_thread_that_cannot_be_started_is_an_answer_and_the_next_question_tries_again(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.numbers["l1"] = ["127.0.0.1"]
    asker = Asker()
    with monkeypatch.context() as shortage:
        shortage.setattr(threading.Thread, "start", no_thread)
        for _ in range(3):
            asker.names.ask("tcp://l1:7100")
            asker.now += AGAIN_AFTER_S
            assert asker.answer() == []
    assert asker.names.failures["tcp://l1:7100"] == 3
    assert "can't start new thread" in asker.names.troubles["tcp://l1:7100"]
    asker.names.ask("tcp://l1:7100")
    assert asker.answer() == ["tcp://127.0.0.1:7100"]

    assert not asker.names.troubles
    assert len(asker.told) == 1


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_name_is_looked_up_no_more_often_than_it_may_be_and_whoever_waits_knows_when(names: NameServer) -> None:
    names.numbers["l1"] = []
    asker = Asker()
    asker.names.ask("tcp://l1:7100")
    asker.answer()
    asker.names.ask("tcp://l1:7100")
    asker.now += AGAIN_AFTER_S / 5

    assert asker.names.wait_s(None) == pytest.approx(AGAIN_AFTER_S * 4 / 5)
    assert asker.names.wait_s(0.01) == 0.01
    assert list(asker.names.answers()) == []
    asker.now += AGAIN_AFTER_S
    assert asker.answer() == []
    assert asker.names.wait_s(None) is None


def test_a_name_that_is_never_found_is_told_once_and_then_rarely(names: NameServer) -> None:
    names.numbers["l1"] = []
    asker = Asker()
    for _ in range(10):
        asker.names.ask("tcp://l1:7100")
        asker.now += TOLD_EVERY_S / 8
        asker.answer()

    assert {url for url, _ in asker.told} == {"tcp://l1:7100"}
    assert asker.told[0][1].startswith("name not found: l1 (")
    assert len(asker.told) == 2


def test_without_descriptors_a_name_is_not_called_unknown(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def used_up(count: int) -> None:
        raise Shortage("no file descriptors")

    names.numbers["l1"] = []
    monkeypatch.setattr("paxosd.transport.zeromq.names.require_descriptors", used_up)
    asker = Asker()
    asker.names.ask("tcp://l1:7100")
    asker.answer()

    assert asker.names.troubles == {"tcp://l1:7100": "l1 cannot be looked up: no file descriptors"}


def test_a_zone_that_a_name_stands_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 7100, 0, 2))]
    monkeypatch.setattr("paxosd.transport.zeromq.names.socket.getaddrinfo", lambda *_, **__: found)
    asker = Asker()
    asker.names.ask("tcp://l1:7100")

    assert asker.answer() == ["tcp://[fe80::1%2]:7100"]


def test_a_daemon_says_which_node_has_a_name_that_is_unknown(
    names: NameServer, caplog: pytest.LogCaptureFixture
) -> None:
    names.numbers["b.example"] = []
    with closing(caller(b=f"tcp://b.example:{PORTS[0]}")) as a:
        deadline = time.monotonic() + 10
        while not caplog.messages and time.monotonic() < deadline:
            a.wait(0.1)

    (told,) = caplog.messages
    assert all(
        word in told for word in ("name not found: b.example", "; b at tcp://b.example:", "tried again", "check")
    )


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
