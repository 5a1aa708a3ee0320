"""A message from process to process and back, over ZeroMQ on loopback, with one synced write at the far end.

`python -m bench.floors.hops SECONDS BYTES SERVERS` prints how long each round took, in seconds: over one server, or
over a chain of two, of which the last one writes. It has processes of its own, so that a slow disk concerns them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import zmq

from bench.floors.disk import Appended
from bench.processes import together
from tests.system.daemons import free_ports

END = b""


def serve(listen: str, further: str, begin: Callable[[], Any]) -> list[float]:
    """One server; `further`: the next one, and it answers when that has; empty: it writes."""
    context = zmq.Context()
    inwards, outwards = context.socket(zmq.REP), context.socket(zmq.REQ)
    inwards.bind(listen)
    if further:
        outwards.connect(further)
    with tempfile.TemporaryDirectory() as folder:
        file = Appended(folder)
        begin()
        while (message := inwards.recv()) != END:
            if further:
                outwards.send(message)
                outwards.recv()
            else:
                file.append(message)
            inwards.send(b"done")
        if further:
            outwards.send(END)
        file.close()
    context.destroy(linger=1000)
    return []


def ask(server: str, seconds: float, value_bytes: int, begin: Callable[[], Any]) -> list[float]:
    """The client: one round after the other."""
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.connect(server)
    begin()
    value, took = bytes(value_bytes), list[float]()
    warm = time.monotonic() + 0.3
    while time.monotonic() < warm:
        socket.send(value)
        socket.recv()
    until = time.monotonic() + seconds
    while (sent := time.monotonic()) < until:
        socket.send(value)
        socket.recv()
        took.append(time.monotonic() - sent)
    socket.send(END)
    context.destroy(linger=1000)
    return took


def _process(role: str, *arguments: Any) -> list[float]:
    return serve(*arguments) if role == "serve" else ask(*arguments)


def rounds(seconds: float, value_bytes: int, servers: int) -> list[float]:
    """How long each of many rounds took."""
    chain = [f"tcp://127.0.0.1:{port}" for port in free_ports(servers)]
    work: list[tuple[Any, ...]] = [
        ("serve", listen, further) for listen, further in zip(chain, [*chain[1:], ""], strict=True)
    ]
    work.append(("ask", chain[0], seconds, value_bytes))
    return max(together(_process, work, seconds), key=len)


if __name__ == "__main__":
    print("\n".join(f"{took:.7f}" for took in rounds(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
