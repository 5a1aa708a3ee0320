"""Who is connected to a port of ours, how much each makes us hold, and cutting one off.

libzmq bounds messages: it counts neither bytes, nor connections, nor the parts of a message that does not end. It keeps
those where Python never sees them. But the kernel knows how much came on a connection and how much of ours was
acknowledged, and we know how much of it we took and gave. The difference is what waits on the way, in libzmq and in the
kernel.

Laws:
1. A connection is a file descriptor and its far end. A number alone may mean another one by now, so before anything is
   read of a connection or done to it, both are compared, on a duplicate that cannot be closed in between.
2. Only the kernel ends a connection (`cut`); libzmq notices that and forgets it, with all that it held.
3. The loop and the guard's thread share this: the loop adds to the counts of one connection, the guard reads them.
4. libzmq keeps whole messages of a connection that ended until the loop takes them or looks. So where the loop stands
   still cutting off frees nothing, and only a port that is shut bounds what comes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

FarEnd: TypeAlias = tuple[object, ...]

_ACKED_AT = 120
"""Where `tcpi_bytes_acked` stands in Linux's `struct tcp_info`; `tcpi_bytes_received` follows."""
_INFO_BYTES = 136

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_TAKE_NOTHING = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))  # one instruction: return 0 bytes
_FILTER = struct.pack("@HP", 1, ctypes.addressof(_TAKE_NOTHING))
"""Linux's `struct sock_fprog` (packet(7), bpf(4)): with it a socket that listens hears no knocking."""

_SHORT_PART_BYTES = 255
_SHORT_HEAD_BYTES, _LONG_HEAD_BYTES = 2, 9
"""Flags and length before each part of a message in ZMTP 3."""


def wire_bytes(part_bytes: int) -> int:
    """What a part of this size takes on the wire."""
    return part_bytes + (_SHORT_HEAD_BYTES if part_bytes <= _SHORT_PART_BYTES else _LONG_HEAD_BYTES)


@dataclass(slots=True)
class Connection:
    """One that sent something whole. `taken` and `given` are bytes on the wire, in whole messages."""

    fd: int
    far_end: FarEnd
    taken: int = 0
    given: int = 0
    valid: bool = False
    """Whether something that came on it was a frame for us."""


class Traffic(NamedTuple):
    """Bytes on a connection since it began: received by our kernel, and acknowledged by the other one."""

    received: int
    acknowledged: int


class Handle:
    """Looks at file descriptors of this process that somebody else may close at any time. For one thread."""

    def __init__(self) -> None:
        self._nothing = socket.socket(socket.AF_UNIX)
        # Held for good: to look takes no new descriptor, for there may be none. Its family is the one with the longer
        # addresses; those of the other one are read as well.
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0, fileno=os.dup(self._nothing.fileno()))

    @contextmanager
    def _on(self, fd: int) -> Iterator[socket.socket]:
        # Only sockets are duplicated: closing any duplicate of a file gives up all locks that this process holds on it
        # (fcntl(2)), and those on the database must stay.
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        try:
            os.dup2(fd, self._socket.fileno(), inheritable=False)
            yield self._socket
        finally:
            os.dup2(self._nothing.fileno(), self._socket.fileno(), inheritable=False)

    def port_and_far_end(self, fd: int) -> tuple[int, FarEnd] | None:
        """Our port and the far end of this connection; None if it is none."""
        with suppress(OSError), self._on(fd) as held:
            far_end = held.getpeername()
            return (held.getsockname()[1], far_end) if isinstance(far_end, tuple) else None
        return None

    def traffic(self, fd: int, far_end: FarEnd) -> Traffic | None:
        """What went over this connection; None if it is gone."""
        with suppress(OSError, struct.error), self._on(fd) as held:
            if held.getpeername() == far_end:
                info = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
                acknowledged, received = struct.unpack_from("=QQ", info, _ACKED_AT)
                return Traffic(received, acknowledged)
        return None

    def cut(self, fd: int, far_end: FarEnd) -> bool:
        """End this connection; False if it is gone."""
        with suppress(OSError), self._on(fd) as held:
            if held.getpeername() == far_end:
                held.shutdown(socket.SHUT_RDWR)
                return True
        return False

    def shut(self, fd: int, port: int, shut: bool) -> bool:
        """Let nobody new in at this port, or again; False if this is not the descriptor that listens there. Whoever
        dials in between goes on dialling: the kernel answers when the port is open again."""
        with suppress(OSError), self._on(fd) as held:
            if held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and held.getsockname()[1] == port:
                how: tuple[int, int | bytes] = (_SO_ATTACH_FILTER, _FILTER) if shut else (_SO_DETACH_FILTER, 0)
                held.setsockopt(socket.SOL_SOCKET, *how)
                return True
        return False

    def close(self) -> None:
        self._socket.close()
        self._nothing.close()


class Plane:
    """The connections to one port. The loop calls `meet`, `of`, `vouch`; the guard reads `by_fd`."""

    def __init__(self, port: int, connections_max: int, held_bytes_max: int) -> None:
        self.port = port
        self.connections_max = connections_max
        self.held_bytes_max = held_bytes_max
        self.by_fd: dict[int, Connection] = {}
        self.turns = 0
        """How often the loop has begun to take messages."""
        self.emptied = 0
        """How often the loop has taken everything that was whole."""
        self._by_name: dict[bytes, Connection] = {}
        self._handle = Handle()

    def of(self, name: bytes) -> Connection | None:
        """The connection with this routing id, if something came on it before."""
        return self._by_name.get(name)

    def meet(self, name: bytes, fd: int) -> Connection:
        """A message came on a new connection, which had this descriptor when it was read."""
        found = self._handle.port_and_far_end(fd)
        far_end: FarEnd = found[1] if found is not None and found[0] == self.port else ()
        met = self._by_name[name] = Connection(fd, far_end)
        if far_end:
            self.by_fd[fd] = met
        if len(self._by_name) > 2 * self.connections_max:
            self._forget_gone()
        return met

    def _forget_gone(self) -> None:
        """A connection that ended is known until its descriptor has another one, or there are too many."""
        self.by_fd = {fd: known for fd, known in self.by_fd.items() if self._lives(known)}
        self._by_name = {name: known for name, known in self._by_name.items() if self.by_fd.get(known.fd) is known}

    def _lives(self, known: Connection) -> bool:
        return self._handle.port_and_far_end(known.fd) == (self.port, known.far_end)

    def vouch(self, name: bytes) -> None:
        known = self._by_name.get(name)
        if known is not None:
            known.valid = True

    def hang_up(self, name: bytes) -> None:
        known = self._by_name.pop(name, None)
        if known is not None:
            self._handle.cut(known.fd, known.far_end)

    def close(self) -> None:
        self._handle.close()
