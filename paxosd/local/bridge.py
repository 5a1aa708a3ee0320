"""A client port for a gateway of a local cluster: ZeroMQ on one side, the switchboard on the other."""

from __future__ import annotations

import threading
from collections import deque

from paxosd.core.types import ClientAddress, NodeId
from paxosd.transport.queues.switchboard import FRAMES_MAX, Switchboard
from paxosd.transport.zeromq.node import ZeroMQTransport

FRAMES_PER_PASS_MAX = 256


class Bridge:
    """Carries frames between the clients at `url` and a gateway, from a thread of its own, and reads none of them.

    A port of "*" is given out by the kernel. Raises `TransportError` if the address cannot be bound.
    """

    def __init__(self, switchboard: Switchboard, gateway: NodeId, url: str, frame_bytes_max: int) -> None:
        self._switchboard = switchboard
        self._gateway = gateway
        # Of its two planes only that of the clients is used; no peer can reach the other one.
        self._transport = ZeroMQTransport(gateway, {}, "inproc://no-peers", url, frame_bytes_max, frame_bytes_max)
        self.port = int(self._transport.client_url.rpartition(":")[2])
        self._replies: deque[tuple[ClientAddress, bytes | None]] = deque()
        self._closing = False
        self._plane = switchboard.attach(self._on_reply)
        self._thread = threading.Thread(target=self._run, name=f"paxosd-bridge-{gateway}", daemon=True)
        self._thread.start()

    def _on_reply(self, client: ClientAddress, frame: bytes | None) -> bool:
        if len(self._replies) >= FRAMES_MAX:
            return False
        self._replies.append((client, frame))
        self._transport.wake()
        return True

    def _run(self) -> None:
        while not self._closing:
            self._transport.wait(None)
            for inbound in self._transport.drain(FRAMES_PER_PASS_MAX):
                if inbound.client is not None:
                    self._switchboard.from_client(self._plane, inbound.client, self._gateway, inbound.frame)
            while self._replies:
                client, frame = self._replies.popleft()
                if frame is None:
                    self._transport.hang_up(client)
                else:
                    self._transport.reply(client, frame)
        self._transport.close()

    def close(self) -> None:
        """Let the address go; safe to call twice."""
        self._switchboard.detach(self._plane)
        self._closing = True
        self._transport.wake()
        self._thread.join()
