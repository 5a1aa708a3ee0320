"""A peer or client that speaks ZMTP over a bare TCP socket, and so may say what no library would."""

from __future__ import annotations

import socket
import struct
from types import TracebackType

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
MORE, LONG = 1, 2


def part(body: bytes, more: bool = False) -> bytes:
    """One part of a message as it goes over the wire."""
    flags = MORE if more else 0
    if len(body) < 256:
        return bytes((flags, len(body))) + body
    return bytes((flags | LONG,)) + struct.pack(">Q", len(body)) + body


def message(*bodies: bytes) -> bytes:
    """A whole message."""
    return b"".join(part(body, place + 1 < len(bodies)) for place, body in enumerate(bodies))


def ready(name: bytes = b"") -> bytes:
    """The handshake of a DEALER; `name`: the routing id that it claims."""
    body = b"\x05READY"
    for key, value in ((b"Socket-Type", b"DEALER"), (b"Identity", name)):
        body += bytes((len(key),)) + key + struct.pack(">I", len(value)) + value
    return bytes((4, len(body))) + body if len(body) < 256 else b"\x06" + struct.pack(">Q", len(body)) + body


class RawPeer:
    """A connection that has shaken hands. Sending ends with False once the other end has hung up."""

    def __init__(self, address: tuple[str, int], name: bytes = b"", receive_buffer: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(5)
        try:
            self._shake_hands(address, name)
        except OSError:
            self.socket.close()
            raise

    def _shake_hands(self, address: tuple[str, int], name: bytes) -> None:
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(GREETING)
        self._receive(64)
        self.socket.sendall(ready(name))
        self._receive(self._receive(2)[1])

    def _receive(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise ConnectionResetError("hung up during the handshake")
            got += more
        return got

    def send(self, data: bytes, timeout_s: float = 5.0) -> bool:
        """Whether all of this was taken; waits so long."""
        self.socket.settimeout(timeout_s)
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def is_cut_off(self, within_s: float) -> bool:
        """Whether the other end hangs up in this time; what it says meanwhile is skipped."""
        self.socket.settimeout(within_s)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
