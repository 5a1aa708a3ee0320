"""The guard bounds what strangers make a process hold; over real sockets, with a made-up size and clock."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import zmq

from paxosd.transport.zeromq import guard as guard_module
from paxosd.transport.zeromq.connections import Handle, Plane
from paxosd.transport.zeromq.guard import GROWTH_BYTES, LOOK_EVERY_S, VERIFY_EVERY_S, Guard
from paxosd.transport.zeromq.receiver import Receiver
from tests.system.raw_zmtp import RawPeer, message, part

WITHIN_S = 10.0
HELD_MAX = 4 * 1024 * 1024


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread, or the kernel, does."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Port:
    """A bound ROUTER under guard. Its loop is the test, which also says when the guard looks and what it sees."""

    def __init__(self, connections_max: int = 8) -> None:
        self._stack = ExitStack()
        context = self._stack.enter_context(zmq.Context())
        self.router = self._stack.enter_context(context.socket(zmq.ROUTER))
        self.router.linger = 0
        self.router.rcvhwm = 8
        self.router.bind("tcp://127.0.0.1:*")
        number = int(self.router.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self.address = ("127.0.0.1", number)
        self.plane = Plane(number, connections_max, HELD_MAX)
        self._stack.callback(self.plane.close)
        self.receiver = Receiver(self.router, self.plane)
        self.size, self.now = 0, 1000.0
        self.guard = Guard([self.plane], lambda: self.size, lambda: self.now)
        self._stack.callback(self.guard.close)
        self._names: dict[bytes, bytes] = {}

    def connect(self, says: bytes = b"", name: bytes = b"") -> RawPeer:
        """A connection that the guard has seen; `says`: a whole valid message by then."""
        peer = self._stack.enter_context(RawPeer(self.address, name))
        if says:
            peer.send(message(says))
            self.take(1, valid=True)
        self.look()
        return peer

    def take(self, count: int, valid: bool = False) -> list[bytes]:
        """So many messages; `valid`: those who sent them are vouched for."""
        taken: list[bytes] = []
        while len(taken) < count:
            assert self.router.poll(10_000)
            for name, parts in self.receiver.messages(count - len(taken)):
                taken.append(parts[-1])
                if valid:
                    self.plane.vouch(name)
        return taken

    def look(self, grown_by: int = 0) -> None:
        self.now += VERIFY_EVERY_S
        self.size += grown_by
        list(self.receiver.messages(0))
        self.guard.look()

    def has_cut_off(self, count: int) -> bool:
        """Whether so many are cut off after one more look."""
        self.look()
        return len(self.guard.cut_off) >= count

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.close()


def send_until_stuck(peer: RawPeer, data: bytes) -> None:
    """Send this again and again until nothing more is taken, or 12 MB are."""
    sent = 0
    while sent < 12_000_000 and peer.send(data, 0.2):
        sent += len(data)


def test_o05_over_the_number_of_connections_the_oldest_that_never_spoke_goes_first(port: Port) -> None:
    spoke = port.connect(b"hello")
    silent = [port.connect() for _ in range(7)]
    newest = [port.connect() for _ in range(2)]
    port.look()

    assert [peer.is_cut_off(1.0) for peer in silent[:2]] == [True, True]
    assert not any(peer.is_cut_off(0.02) for peer in (spoke, *silent[2:], *newest))
    assert list(port.guard.cut_off) == ["too many connections"] * 2


def test_o05_a_quarter_of_the_room_is_for_those_who_are_new_however_many_have_spoken(port: Port) -> None:
    spoke = [port.connect(b"hello") for _ in range(8)]
    spoke[0].send(message(b"again"))
    port.take(1, valid=True)
    new = port.connect()

    assert spoke[1].is_cut_off(1.0)
    assert not any(peer.is_cut_off(0.02) for peer in (spoke[0], *spoke[2:], new))


def test_o05_a_connection_that_never_shook_hands_counts_as_well(port: Port) -> None:
    with ExitStack() as stack:
        bare = [stack.enter_context(socket.create_connection(port.address)) for _ in range(20)]
        until(lambda: port.has_cut_off(12))
        peer = port.connect(b"hello")

        assert not peer.is_cut_off(0.02)
        assert len(bare) == 20


def test_o02_as_long_as_the_process_does_not_grow_nobody_is_asked_about(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> None:
        raise AssertionError("asked")

    port.connect(b"hello")
    monkeypatch.setattr(Handle, "traffic", ask)
    for _ in range(10):
        port.look(GROWTH_BYTES)
        port.size -= GROWTH_BYTES


def test_o02_over_the_bytes_of_a_port_strangers_go_first_and_then_the_greediest(port: Port) -> None:
    spoke, modest, stranger = port.connect(b"hello"), port.connect(b"hello"), port.connect()
    modest.send(message(bytes(100_000)))
    send_until_stuck(spoke, message(bytes(1_000_000)))
    send_until_stuck(stranger, message(bytes(500_000)))
    port.look(2 * GROWTH_BYTES)

    assert stranger.is_cut_off(1.0)
    assert spoke.is_cut_off(1.0)
    assert not modest.is_cut_off(0.02)
    assert set(port.guard.cut_off) == {"too many bytes unread"}


def test_o02_a_message_without_end_goes_and_who_sends_whole_ones_stays(port: Port) -> None:
    endless, whole, late = port.connect(b"hello"), port.connect(b"hello"), port.connect(b"hello")
    endless.send(part(b"a", more=True) * 20_000)
    late.send(part(b"a", more=True) * 100)
    for _ in range(3):
        whole.send(message(b"x" * 200_000))
        port.take(1)
        list(port.receiver.messages(1))
        port.look(2 * GROWTH_BYTES)

    assert endless.is_cut_off(1.0)
    assert not whole.is_cut_off(0.02)
    assert not late.is_cut_off(0.02)
    assert list(port.guard.cut_off) == ["a message without end"]


def test_o02_a_process_that_grows_by_itself_cuts_off_nobody_who_is_read_whole(port: Port) -> None:
    peers = [port.connect(b"hello") for _ in range(5)]
    for _ in range(5):
        port.look(2 * GROWTH_BYTES)

    assert not any(peer.is_cut_off(0.02) for peer in peers)


def test_o02_while_the_loop_stands_still_nobody_comes_again_with_more(port: Port) -> None:
    greedy = port.connect()
    send_until_stuck(greedy, message(bytes(512 * 1024)))
    port.size += 2 * GROWTH_BYTES
    port.guard.look()
    assert greedy.is_cut_off(WITHIN_S)
    with pytest.raises(TimeoutError):
        socket.create_connection(port.address, timeout=0.2).close()

    port.look()  # the loop goes on
    port.connect(b"served")


def test_answers_that_nobody_reads_count_as_what_is_held(port: Port) -> None:
    deaf, hearing = port.connect(b"hello", b"deaf"), port.connect(b"hello", b"hearing")
    for _ in range(64):
        port.router.send_multipart((b"deaf", bytes(250_000)), zmq.DONTWAIT)
        port.receiver.note_given(b"deaf", bytes(250_000))
    port.look(2 * GROWTH_BYTES)

    assert list(port.guard.cut_off) == ["too many bytes unread"]
    assert deaf.is_cut_off(WITHIN_S)
    assert not hearing.is_cut_off(0.02)


def test_a_descriptor_that_has_another_connection_by_now_is_left_alone(port: Port) -> None:
    peer = port.connect(b"hello")
    (known,) = port.plane.by_fd.values()

    handle = Handle()
    assert not handle.cut(known.fd, ("127.0.0.1", 1))
    assert handle.traffic(known.fd, ("127.0.0.1", 1)) is None
    assert not handle.cut(9999, known.far_end)
    handle.close()
    assert not peer.is_cut_off(0.02)


def test_looking_leaves_no_duplicate_open(port: Port) -> None:
    peer = port.connect(b"hello")
    peer.close()
    (known,) = port.plane.by_fd.values()
    until(lambda: port.guard._handle.port_and_far_end(known.fd) is None)
    port.look()

    assert known.fd not in port.guard._seen


def test_where_no_descriptor_is_left_to_list_them_with_all_connections_are_found(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[str]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "listdir", refuse)
    monkeypatch.setattr(guard_module, "limit", lambda: 300)
    peers = [port.connect() for _ in range(10)]
    until(lambda: port.has_cut_off(2))

    assert [peer.is_cut_off(1.0) for peer in peers[:2]] == [True, True]


def test_if_no_thread_can_be_had_whoever_stands_in_looks_and_tries_again(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(port.guard, "look", lambda: looks.append(port.now))
    monkeypatch.setattr(port.guard._thread, "start", refuse)
    port.guard.start()
    for _ in range(10):
        port.guard.stand_in()
        port.now += LOOK_EVERY_S / 2
    monkeypatch.undo()
    port.guard.start()

    assert len(looks) == 5
    assert port.guard._thread.is_alive()


def test_what_was_learned_of_connections_that_ended_is_forgotten(port: Port) -> None:
    for _ in range(40):
        port.connect(b"hello").close()

    assert len(port.plane._by_name) <= 2 * port.plane.connections_max + 1
