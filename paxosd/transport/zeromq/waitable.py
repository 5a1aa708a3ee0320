"""A poller that a loop of events can wait for: it has one descriptor that is readable when one of its sockets may be.

The descriptor of a socket of libzmq tells that something happened, once, and not that something can be read. So it says
nothing as long as what happened was not taken in; who is woken reads until there is nothing more.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any

import zmq

from paxosd.transport.shortage import Shortage


class WaitablePoller(zmq.Poller):
    """For sockets of libzmq and descriptors that are to be read."""

    _epoll: select.epoll | None = None

    def fileno(self) -> int:
        """The descriptor. Raises `Shortage` if there is none left."""
        if self._epoll is None:
            try:
                self._epoll = select.epoll()
            except OSError as error:
                raise Shortage(f"no epoll: {error.strerror}; close files, or raise the limit (ulimit -n)") from error
            for each, _ in self.sockets:
                self._epoll.register(_descriptor(each), select.EPOLLIN)
        return self._epoll.fileno()

    def register(self, socket: Any, flags: int = zmq.POLLIN) -> None:
        is_new = socket not in self
        super().register(socket, flags)
        if self._epoll is not None and is_new:
            self._epoll.register(_descriptor(socket), select.EPOLLIN)

    def unregister(self, socket: Any) -> None:
        super().unregister(socket)
        if self._epoll is not None:
            with suppress(FileNotFoundError):
                self._epoll.unregister(_descriptor(socket))

    def close(self) -> None:
        """Give the descriptor back; safe to call twice."""
        if self._epoll is not None:
            self._epoll.close()


def _descriptor(socket: Any) -> int:
    return socket if isinstance(socket, int) else int(socket.getsockopt(zmq.FD))
