"""The way out to one address: a DEALER that follows the name in it from number to number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from paxosd.transport.large import LARGE_FROM_BYTES, LargeFrames
from paxosd.transport.names import Names, has_name

_FAILED = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED


class Dealer:
    """Connected to `url`, or on the way there. Its sockets are in the poller; `attend` takes what comes in on them.

    `open_socket` makes a DEALER that is not connected. Raises `TransportError` if `url` is no address.
    """

    def __init__(
        self, url: str, open_socket: Callable[[], zmq.Socket[bytes]], poller: zmq.Poller, names: Names
    ) -> None:
        self.url = url
        self.socket: zmq.Socket[bytes] | None = None
        """None until the name was looked up."""
        self._open_socket = open_socket
        self._poller = poller
        self._names = names
        self._has_name = has_name(url)
        self._number = ""
        self._connected = False
        self._events: zmq.Socket[bytes] | None = None
        self._large = LargeFrames()
        self.dial()

    def dial(self) -> None:
        """Connect anew, to what the name stands for now."""
        self.hang_up()
        if self._has_name:
            self._names.ask(self.url)
        else:
            self._connect(self.url)

    def found(self, numbers: Sequence[str]) -> None:
        """Take what the name stands for; a number at which nobody answers is followed by the next one."""
        if self._connected or not numbers:
            return
        following = numbers.index(self._number) + 1 if self._number in numbers else 0
        number = numbers[following % len(numbers)]
        if number != self._number:
            self.hang_up()
            self._connect(number)

    def _connect(self, number: str) -> None:
        self.socket = self._open_socket()
        if self._has_name:
            self._events = self.socket.get_monitor_socket(zmq.EVENT_CONNECTED | _FAILED)
            self._poller.register(self._events, zmq.POLLIN)
        self.socket.connect(number)
        self._poller.register(self.socket, zmq.POLLIN)
        self._number = number

    def send(self, *parts: bytes) -> bool:
        """Whether this was sent; else nobody is connected, or it takes nothing more."""
        if self.socket is None:
            return False
        try:
            if len(parts[-1]) >= LARGE_FROM_BYTES:
                return self._large.send(self.socket, parts)
            self.socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def attend(self, ready: object) -> bool:
        """Whether `ready`, a socket with something to read, tells of this link; if so, that is taken in."""
        if self._events is None or ready is not self._events:
            return False
        while self._events.poll(0):
            event = recv_monitor_message(self._events)["event"]
            self._connected = event == zmq.EVENT_CONNECTED
        if not self._connected:
            self._names.ask(self.url)
        return True

    def hang_up(self) -> None:
        """Close, dropping what was not sent."""
        if self.socket is None:
            return
        if self._events is not None:
            self._poller.unregister(self._events)
            self.socket.disable_monitor()
            self._events.close(linger=0)
            self._events = None
        self._poller.unregister(self.socket)
        self.socket.close(linger=0)
        self.socket = None
        self._number, self._connected = "", False
