"""The receiving end of a port: whole messages from a ROUTER, in turns, and what each connection had."""

from __future__ import annotations

from collections.abc import Iterator

import zmq

from paxosd.transport.zeromq.connections import Connection, Plane, wire_bytes

PARTS_MAX = 2
"""No message of ours has more, besides the routing id: the name of a node, and a frame."""
DRAINED_BYTES_MAX = 2 * 1024 * 1024
"""What one turn takes in of the peers' plane before it leaves the rest to the next one; at least one frame."""
CLIENT_DRAINED_BYTES_MAX = 16 * 1024 * 1024
"""The same of the clients' plane. Of what has to be read the driver takes much less; what is refused by its head costs
nearly nothing, and the sooner the less of it waits."""


class Receiver:
    """A bound ROUTER; `plane` is None where nobody connects by TCP. A turn takes in `drained_bytes_max`.

    A ROUTER hands out one message of each connection that has some, then the next ones.
    """

    def __init__(
        self, socket: zmq.Socket[bytes], plane: Plane | None, drained_bytes_max: int = DRAINED_BYTES_MAX
    ) -> None:
        self.socket = socket
        self._drained_bytes_max = drained_bytes_max
        self.plane = plane

    def messages(self, messages_max: int) -> Iterator[tuple[bytes, list[bytes]]]:
        """The routing id and the parts of each message; too many parts are told by one more than may be.

        No parts: it came from somebody who speaks ZMTP 1 or 2, as no node and no client does, or only looks like that
        by chance. libzmq does not tell which connection that is, so nothing of it is taken.
        """
        size = 0
        if self.plane is not None:
            self.plane.turns += 1
        for _ in range(messages_max):
            try:
                name = self.socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                if self.plane is not None:
                    self.plane.emptied += 1
                return
            parts = self._parts(name)
            size += len(parts[-1]) if parts else 0
            yield name, parts
            if size >= self._drained_bytes_max:
                return

    def _parts(self, name: bytes) -> list[bytes]:
        """The parts after the routing id; libzmq has all of a message, or hands out nothing of it."""
        connection = self.plane.of(name) if self.plane is not None else None
        parts: list[bytes] = []
        if self.plane is not None and connection is None:
            first = self.socket.recv(zmq.DONTWAIT, copy=False)
            fd = _descriptor(first)
            if fd is None:
                while self.socket.get(zmq.RCVMORE):
                    self.socket.recv(zmq.DONTWAIT)
                return []
            connection = self.plane.meet(name, fd)
            parts.append(first.bytes)
        taken = 0
        while not parts or self.socket.get(zmq.RCVMORE):
            part = self.socket.recv(zmq.DONTWAIT)
            if len(parts) <= PARTS_MAX:
                parts.append(part)
            else:
                taken += wire_bytes(len(part))
        if connection is not None:
            connection.taken += taken + sum(wire_bytes(len(part)) for part in parts)
        return parts

    def note_given(self, name: bytes, frame: bytes) -> None:
        """A frame was handed to libzmq for this connection."""
        connection: Connection | None = self.plane.of(name) if self.plane is not None else None
        if connection is not None:
            connection.given += wire_bytes(len(frame))


def _descriptor(part: zmq.Frame) -> int | None:
    """Of the connection that this came on; None if libzmq does not know it."""
    try:
        return int(part.get(zmq.SRCFD))
    except zmq.ZMQError:
        return None
