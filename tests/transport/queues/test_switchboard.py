"""Queues keep the transport's contract, and survive that processes are killed or stopped while they use them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import pytest

from paxosd.transport.base import ClientLink
from paxosd.transport.queues.switchboard import (
    BYTES_MAX,
    FRAMES_MAX,
    URL_SCHEME,
    QueueEnds,
    QueueTransport,
    Switchboard,
)
from tests.transport.contract import FRAME_BYTES_MAX, WITHIN_S, Net, TransportContract, await_dropped, gather
from tests.transport.queues import queue_process

Target = Callable[[QueueEnds, Connection], None]


class Interruption(Exception):
    """What a signal handler, such as that of Ctrl-C, raises."""


def interrupted_at(step: int, call: Callable[[], None]) -> bool:
    """Whether the call had so many steps; one that had is interrupted there.

    A step is the begin or the end of a function in Python: in between, and while a lock is taken or given back, no
    handler runs.
    """
    left = step

    def trace(frame: FrameType, event: str, given: Any) -> Any:
        nonlocal left
        left -= event in ("call", "return")
        if left == 0:
            raise Interruption
        return trace

    sys.settrace(trace)
    try:
        call()
    except Interruption:
        return True
    finally:
        sys.settrace(None)
    return False


class QueueNet:
    def __init__(self, loss: float = 0.0) -> None:
        self.switchboard = Switchboard(FRAME_BYTES_MAX, loss, seed=7)
        self.gateway = f"{URL_SCHEME}b"
        self.a = QueueTransport(self.switchboard.replace("a"))
        self.b = QueueTransport(self.switchboard.replace("b"))

    def link(self) -> ClientLink:
        return self.switchboard.link()

    def restart_b(self) -> None:
        self.b.close()
        self.b = QueueTransport(self.switchboard.replace("b"))

    def close(self) -> None:
        self.a.close()
        self.b.close()
        self.switchboard.close()


class TestQueueTransport(TransportContract):
    def open(self) -> Net:
        return QueueNet()


@pytest.fixture
def net() -> Iterator[QueueNet]:
    net = QueueNet()
    yield net
    net.close()


# ---- killed and stopped ----------------------------------------------------------------------


@contextmanager
def process_of_c(net: QueueNet, target: Target) -> Iterator[Callable[[], None]]:
    """Node "c" as a process that got as far as it goes; gives what kills it."""
    context = get_context("spawn")
    ready, other_end = context.Pipe(duplex=False)
    ends = net.switchboard.replace("c")
    process = context.Process(target=target, args=(ends, other_end), daemon=True)
    process.start()
    ends.given_away()
    other_end.close()
    assert ready.recv_bytes() == b"ready"

    def kill() -> None:
        process.kill()
        process.join()

    try:
        yield kill
    finally:
        kill()
        ready.close()


def lines() -> int:
    """How many nodes the switchboards of this process hear."""
    return sum(thread.name == "paxosd-line" for thread in threading.enumerate())


def await_lines(count: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while lines() != count:
        assert time.monotonic() < deadline, f"{lines()} nodes are still heard"
        time.sleep(0.02)


def threads_of_a_warm(net: QueueNet) -> int:
    """How many threads there are once every thread of a and b has had something to do."""
    net.a.send("b", b"x")
    net.b.send("a", b"x")
    gather(net.a, 1)
    gather(net.b, 1)
    return threading.active_count()


def await_threads(count: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while threading.active_count() > count:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.02)


def test_a_node_in_a_process_of_its_own_is_reached_and_answers(net: QueueNet) -> None:
    with process_of_c(net, queue_process.echo):
        net.a.send("c", b"hello")

        assert gather(net.a, 1)[0].frame == b"hello"


@pytest.mark.parametrize("target", [queue_process.stop_in_the_middle_of_a_frame, queue_process.stop_while_reading])
def test_a_node_that_stands_still_with_a_lock_in_its_hands_delays_nobody_else(net: QueueNet, target: Target) -> None:
    with process_of_c(net, target):
        net.a.send("c", b"x")
        net.a.send("b", b"past it")

        assert gather(net.b, 1)[0].frame == b"past it"


@pytest.mark.parametrize("target", [queue_process.stop_in_the_middle_of_a_frame, queue_process.stop_while_reading])
def test_a_node_killed_with_a_lock_in_its_hands_blocks_nobody_and_its_next_life_is_reached(
    net: QueueNet, target: Target
) -> None:
    before = lines()
    with process_of_c(net, target) as kill:
        kill()
        await_lines(before)
        net.a.send("c", b"x")
        await_dropped(net.a, 1, "peer not connected")
        net.a.send("b", b"past it")
        assert gather(net.b, 1)[0].frame == b"past it"

        with process_of_c(net, queue_process.echo):
            net.a.send("c", b"again")
            assert gather(net.a, 1)[0].frame == b"again"


def test_o02_a_killed_node_with_a_full_inbox_leaves_no_thread_and_no_traceback_behind(
    net: QueueNet, capfd: pytest.CaptureFixture[str]
) -> None:
    before = threads_of_a_warm(net)
    with process_of_c(net, queue_process.stop_while_reading) as kill:
        for _ in range(200):
            net.a.send("c", bytes(FRAME_BYTES_MAX))  # more than the pipe holds: somebody waits to write the rest
        net.a.send("b", b"all of them were carried")
        gather(net.b, 1)
        kill()
        await_threads(before)

    assert capfd.readouterr().err == ""


def test_a_killed_node_with_an_empty_inbox_leaves_no_thread_behind(net: QueueNet) -> None:
    before = threads_of_a_warm(net)
    with process_of_c(net, queue_process.echo) as kill:
        net.a.send("c", b"hello")
        gather(net.a, 1)
        kill()
        await_threads(before)


def test_a_node_that_is_closed_is_heard_no_more(net: QueueNet) -> None:
    before = lines()
    net.b.close()

    await_lines(before - 1)


# ---- what is dropped -------------------------------------------------------------------------


def test_a_simulated_loss_is_drawn_from_its_seed_and_counted() -> None:
    lost = []
    for _ in range(2):
        net = QueueNet(loss=0.5)
        for _ in range(100):
            net.a.send("b", b"x")
        lost.append(net.a.dropped["simulated loss"])
        arrived = gather(net.b, 100 - lost[-1])
        net.close()

        assert len(arrived) == 100 - lost[-1]
    assert lost[0] == lost[1]
    assert 30 < lost[0] < 70


def test_clients_lose_nothing_to_the_simulated_loss() -> None:
    net = QueueNet(loss=0.9)
    link = net.link()
    for _ in range(50):
        link.send(net.gateway, b"x")
    asked = gather(net.b, 50)
    net.close()

    assert len(asked) == 50


def test_o02_what_waits_for_one_node_is_bounded_in_bytes(net: QueueNet) -> None:
    for _ in range(20):
        for _ in range(100):
            net.a.send("b", bytes(FRAME_BYTES_MAX))
        net.a.wait(0.05)
        list(net.a.drain(1000))
    arrived: list[bytes] = []
    while new := list(net.b.drain(1000)):
        arrived += [inbound.frame for inbound in new]
        net.b.wait(0.2)

    assert net.a.dropped["peer slow"] + net.a.dropped["switchboard slow"] > 0
    assert sum(map(len, arrived)) <= 2 * BYTES_MAX  # on its way from a, and on its way to b


def test_what_was_read_makes_room_for_more(net: QueueNet) -> None:
    frames = BYTES_MAX // FRAME_BYTES_MAX + 50
    for _ in range(frames):
        net.a.send("b", bytes(FRAME_BYTES_MAX))
        gather(net.b, 1)

    assert net.a.dropped == {}


def test_a_frame_to_a_client_that_is_gone_is_dropped_and_its_gateway_is_told(net: QueueNet) -> None:
    link = net.link()
    link.send(net.gateway, b"hello")
    client = gather(net.b, 1)[0].client
    assert client is not None
    link.close()
    net.b.reply(client, b"too late")
    await_dropped(net.b, 1, "client gone")


def test_o02_a_client_that_reads_nothing_is_sent_a_bounded_number_of_frames(net: QueueNet) -> None:
    link = net.link()
    link.send(net.gateway, b"hello")
    client = gather(net.b, 1)[0].client
    assert client is not None
    for _ in range(12):
        for _ in range(100):
            net.b.reply(client, b"x")
        net.b.wait(0.05)
    await_dropped(net.b, 1, "client slow")

    assert len(link.receive(0)) == FRAMES_MAX


def test_what_a_client_sends_is_dropped_and_counted_if_it_is_too_large_or_its_gateway_is_not_there(
    net: QueueNet,
) -> None:
    link = net.link()
    link.send(net.gateway, bytes(FRAME_BYTES_MAX + 1))
    link.send("queue://nobody", b"x")
    link.send("tcp://127.0.0.1:7100", b"x")

    assert net.switchboard.dropped == {"frame too large": 1, "gateway not connected": 2}


def test_m10_an_answer_over_the_limit_is_dropped_and_counted(net: QueueNet) -> None:
    net.b.reply(b"1:", bytes(FRAME_BYTES_MAX + 1))

    assert net.b.dropped == {"frame too large": 1}


def test_a_wake_that_is_interrupted_at_any_point_leaves_nobody_waiting_for_its_lock() -> None:
    switchboard = Switchboard(FRAME_BYTES_MAX)
    link = switchboard.link()
    step = 1
    while interrupted_at(step, link.wake):
        other = threading.Thread(target=link.wake, daemon=True)
        other.start()
        other.join(WITHIN_S)
        assert not other.is_alive(), f"interrupted at step {step}"
        step += 1
    switchboard.close()

    assert step > 3
