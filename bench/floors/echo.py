"""A gateway without consensus and without a disk: it reads what a client says as ours does, and answers at once.

Against it a client of the library shows how much there is to gain at most: what remains is the client itself, ZeroMQ,
and the frames. The processor time of this process, for each command, is what it costs a core to receive, decode and
answer one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from bench.loads import Done, Load, pipelined
from bench.processes import together
from paxosd.config import load as load_config
from paxosd.core.messages import Applied, Message, OpenSession, Propose, SessionOpened
from paxosd.wire.frames import Codec
from tests.system.daemons import free_ports, membership_text

FRAME_BYTES_MAX = 16 << 20
END = b"end"


def measured(folder: Path, load: Load) -> tuple[Done, float]:
    """What one client has done, and the seconds of processor time that each command took here."""
    config = folder / "echo.yaml"
    config.write_text(membership_text({"r1": "replica"}))
    control = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    work = [("client", str(config), load, control), ("echo", str(config), control)]
    cost, done = sorted(together(_process, work, load.seconds), key=lambda result: isinstance(result, Done))
    return done, cost


def _process(role: str, *arguments: Any) -> Any:
    return _client(*arguments) if role == "client" else _echo(*arguments)


def _client(config: str, load: Load, control: str, begin: Callable[[], Any]) -> Done:
    begin()
    done = pipelined(config, load, 0, lambda: None)
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(control)
        socket.send(END)
    return done


def _echo(path: str, control: str, begin: Callable[[], Any]) -> float:
    """Serve until the client says that it is done; gives the processor seconds for each command."""
    config = load_config(path)
    known = config.nodes["r1"].client
    assert known is not None
    context = zmq.Context()
    router, ends = context.socket(zmq.ROUTER), context.socket(zmq.PULL)
    router.bind(known.url)
    ends.bind(control)
    gateway = EchoGateway(config.digest)
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(ends, zmq.POLLIN)
    begin()
    before = time.process_time()
    while not any(socket is ends for socket, _ in poller.poll()):
        while True:
            try:
                client, frame = router.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            for answer in gateway.answers(frame):
                router.send_multipart([client, answer])
    used = time.process_time() - before
    context.destroy(linger=0)
    return used / max(1, gateway.commands)


class EchoGateway:
    """Decodes, counts and answers; each command has the next revision."""

    def __init__(self, digest: bytes) -> None:
        self._codec = Codec(digest, "r1", 1, FRAME_BYTES_MAX)
        self.commands = 0

    def answers(self, frame: bytes) -> list[bytes]:
        """What is answered to one frame of a client."""
        messages = self._codec.from_client(frame).messages
        told = [answer for message in messages if (answer := self._answer(message)) is not None]
        return self._codec.frames([self._codec.pack(answer) for answer in told]) if told else []

    def _answer(self, message: Message) -> Message | None:
        match message:
            case OpenSession(wish=wish):
                return SessionOpened(wish, wish, "")
            case Propose(session=session, first_seq=first, count=count):
                self.commands += count
                return Applied(session, first, count, self.commands - count + 1, self.commands, "")
        return None
