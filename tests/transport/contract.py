"""What every transport must do, whatever carries the frames; see `paxosd/transport/base.py`.

A test class that inherits `TransportContract` gives `open`: a net of nodes "a" and "b", with links for clients of "b".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from paxosd.transport.base import ClientLink, Inbound, Transport

WITHIN_S = 10.0
FRAME_BYTES_MAX = 100_000


class Net(Protocol):
    """Two nodes and their clients."""

    gateway: str

    @property
    def a(self) -> Transport: ...

    @property
    def b(self) -> Transport: ...

    def link(self) -> ClientLink: ...

    def restart_b(self) -> None: ...

    def close(self) -> None: ...


def gather(transport: Transport, count: int, again: Callable[[], None] = lambda: None) -> list[Inbound]:
    """Wait for so many frames, calling `again` now and then: what is sent before a connection is up may be lost."""
    found: list[Inbound] = []
    deadline = time.monotonic() + WITHIN_S
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {len(found)} of {count} frames came"
        again()
        transport.wait(0.05)
        found += transport.drain(1000)
    return found


def pump(*links: ClientLink) -> None:
    """Let what was sent leave; nothing was asked that could be answered yet."""
    for link in links:
        assert link.receive(0.0) == []


def receive(link: ClientLink, count: int, again: Callable[[], None] = lambda: None) -> list[bytes]:
    found: list[bytes] = []
    deadline = time.monotonic() + WITHIN_S
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {len(found)} of {count} frames came"
        again()
        found += link.receive(0.05)
    return found


def await_dropped(transport: Transport, count: int, reason: str = "") -> None:
    """Wait until so many frames are counted as dropped, for this reason or for any."""
    deadline = time.monotonic() + WITHIN_S
    while (transport.dropped[reason] if reason else transport.dropped.total()) < count:
        assert time.monotonic() < deadline, f"only {transport.dropped} are counted"
        transport.wait(0.05)
        list(transport.drain(1000))


class TransportContract:
    """The promises, one test each."""

    def open(self) -> Net:
        raise AssertionError("a test class of a transport says how a net is opened")

    @pytest.fixture
    def net(self) -> Iterator[Net]:
        net = self.open()
        try:
            gather(net.b, 1, lambda: net.a.send("b", b"are you there"))
            gather(net.a, 1, lambda: net.b.send("a", b"are you there"))
            while list(net.b.drain(1000)) or list(net.a.drain(1000)):
                net.b.wait(0.05)
            yield net
        finally:
            net.close()

    @pytest.mark.parametrize("frame", [b"", b"x", bytes(range(256)) * 300])
    def test_a_frame_arrives_whole_and_unchanged(self, net: Net, frame: bytes) -> None:
        net.a.send("b", frame)

        assert [inbound[:2] for inbound in gather(net.b, 1)] == [(None, frame)]

    def test_a_client_is_answered_at_the_address_it_came_from(self, net: Net) -> None:
        links = [net.link() for _ in range(3)]
        try:
            for number, link in enumerate(links):
                link.send(net.gateway, b"%d" % number)
            asked = gather(net.b, 3, lambda: pump(*links))
            for client, frame, _ in asked:
                assert client is not None
                net.b.reply(client, b"answer to " + frame)

            answers = [receive(link, 1) for link in links]
        finally:
            for link in links:
                link.close()

        assert answers == [[b"answer to 0"], [b"answer to 1"], [b"answer to 2"]]

    def test_peers_are_drained_before_clients(self, net: Net) -> None:
        link = net.link()
        try:
            deadline = time.monotonic() + WITHIN_S
            planes: list[bool] = []
            while len(set(planes)) < 2:  # until frames of both are there at once
                assert time.monotonic() < deadline
                link.send(net.gateway, b"client")
                pump(link)
                net.a.send("b", b"peer")
                net.b.wait(0.05)
                planes = [inbound.client is None for inbound in net.b.drain(1000)]
        finally:
            link.close()

        assert planes == sorted(planes, reverse=True)

    def test_no_more_frames_of_a_plane_are_drained_than_asked_for(self, net: Net) -> None:
        for number in range(10):
            net.a.send("b", b"%d" % number)
        pages: list[int] = []
        deadline = time.monotonic() + WITHIN_S
        while sum(pages) < 10:
            assert time.monotonic() < deadline
            net.b.wait(0.05)
            pages.append(len(list(net.b.drain(3))))

        assert max(pages) <= 3

    def test_frames_that_are_not_taken_stay_for_the_next_drain_and_clients_take_turns(self, net: Net) -> None:
        links = [net.link() for _ in range(2)]
        try:
            for link in links:
                link.send(net.gateway, b"hello")
            gather(net.b, 2, lambda: pump(*links))
            for link, count in zip(links, (40, 4), strict=True):
                for number in range(count):
                    link.send(net.gateway, b"%d of %d" % (number, count))
            pump(*links)
            net.b.wait(WITHIN_S)
            time.sleep(0.3)  # until all have arrived
            taken: list[Inbound] = []
            while len(taken) < 44:
                net.b.wait(0)
                for inbound in net.b.drain(1000):
                    taken.append(inbound)
                    break
        finally:
            for link in links:
                link.close()

        of_few = [place for place, inbound in enumerate(taken) if inbound.frame.endswith(b"of 4")]
        assert [inbound.frame for inbound in taken if inbound.frame.endswith(b"of 40")] == [
            b"%d of 40" % number for number in range(40)
        ]
        assert of_few[-1] < 30

    def test_a_client_that_is_hung_up_on_can_come_again(self, net: Net) -> None:
        link = net.link()
        try:
            link.send(net.gateway, b"first")
            (first,) = gather(net.b, 1, lambda: pump(link))
            assert first.connection is not None
            net.b.vouch(first.connection)
            net.b.hang_up(first.connection)
            net.b.hang_up(first.connection)

            def send_again() -> None:
                link.send(net.gateway, b"again")
                pump(link)

            later = gather(net.b, 1, send_again)
        finally:
            link.close()

        assert later[0].frame == b"again"

    def test_n17_sending_to_who_is_not_there_neither_blocks_nor_raises_and_is_counted(self, net: Net) -> None:
        counts = [(transport, transport.dropped.total()) for transport in (net.a, net.b)]
        started = time.monotonic()
        for _ in range(100):
            net.a.send("nobody", b"x")
            net.b.reply(b"no such client", b"x")
        took_s = time.monotonic() - started
        for transport, before in counts:
            await_dropped(transport, before + 100)
            transport.wait(0.1)
            list(transport.drain(1000))

            assert transport.dropped.total() == before + 100
        assert took_s < WITHIN_S / 2

    def test_m10_a_frame_over_the_limit_is_dropped_and_counted_and_the_next_one_arrives(self, net: Net) -> None:
        net.a.send("b", bytes(FRAME_BYTES_MAX + 1))
        net.a.send("b", b"small")

        assert [inbound[:2] for inbound in gather(net.b, 1)] == [(None, b"small")]
        assert net.a.dropped["frame too large"] == 1

    def test_n17_what_nobody_reads_is_bounded_and_the_sender_goes_on(self, net: Net) -> None:
        before = net.a.dropped.total()
        frame = bytes(FRAME_BYTES_MAX)
        for _ in range(3000):  # 300 MB, if it were kept
            net.a.send("b", frame)
        await_dropped(net.a, before + 1)

        assert gather(net.b, 1)

    def test_n15_a_peer_that_restarts_is_found_again(self, net: Net) -> None:
        net.restart_b()

        assert gather(net.b, 1, lambda: net.a.send("b", b"again"))[0].frame == b"again"

    def test_n16_a_peer_that_restarts_while_nobody_reads_is_heard_afterwards(self, net: Net) -> None:
        for _ in range(3):
            net.b.send("a", b"of an earlier life")
            net.restart_b()
        frames: list[bytes] = []
        while b"now" not in frames:
            frames += [inbound.frame for inbound in gather(net.a, 1, lambda: net.b.send("a", b"now"))]

    def test_n18_frames_for_a_peer_that_is_down_are_dropped_and_not_kept_for_its_return(self, net: Net) -> None:
        before = net.a.dropped.total()
        net.b.close()
        for _ in range(20):  # one after the other, so that none is on its way any more when the peer is back
            known = net.a.dropped.total()
            net.a.send("b", b"old")
            until = time.monotonic() + 0.2
            while net.a.dropped.total() == known and time.monotonic() < until:
                net.a.wait(0.02)
                list(net.a.drain(1000))
        await_dropped(net.a, before + 1)
        net.restart_b()
        net.b.wait(0.3)

        assert list(net.b.drain(1000)) == []

    def test_wait_returns_at_its_deadline_if_nothing_comes(self, net: Net) -> None:
        started = time.monotonic()
        net.b.wait(0.2)

        assert 0.19 <= time.monotonic() - started < WITHIN_S / 2

    def test_a_frame_ends_a_wait(self, net: Net) -> None:
        sender = threading.Timer(0.1, net.a.send, ("b", b"x"))
        started = time.monotonic()
        sender.start()
        net.b.wait(WITHIN_S)
        sender.join()

        assert time.monotonic() - started < WITHIN_S / 2
        assert [inbound[:2] for inbound in gather(net.b, 1)] == [(None, b"x")]

    def test_a_wake_from_another_thread_ends_a_wait(self, net: Net) -> None:
        started = time.monotonic()
        waker = threading.Timer(0.1, net.b.wake)
        waker.start()
        net.b.wait(WITHIN_S)
        waker.join()

        assert time.monotonic() - started < WITHIN_S / 2

    def test_a_wake_before_a_wait_is_not_lost(self, net: Net) -> None:
        net.b.wake()
        started = time.monotonic()
        net.b.wait(WITHIN_S)

        assert time.monotonic() - started < WITHIN_S / 2

    def test_a_wake_ends_one_wait_and_no_later_one(self, net: Net) -> None:
        net.b.wake()
        net.b.wake()
        net.b.wait(WITHIN_S)
        started = time.monotonic()
        net.b.wait(0.2)

        assert time.monotonic() - started >= 0.19

    def test_a_link_can_be_woken_from_another_thread(self, net: Net) -> None:
        link = net.link()
        waker = threading.Timer(0.1, link.wake)
        waker.start()
        started = time.monotonic()
        frames = link.receive(WITHIN_S)
        waker.join()
        link.close()

        assert frames == []
        assert time.monotonic() - started < WITHIN_S / 2

    def test_closing_twice_is_fine(self, net: Net) -> None:
        link = net.link()
        for _ in range(2):
            link.close()
            net.a.close()
