"""The way out to one address: a DEALER that follows the name in it from number to number.

Laws:
1. Of the numbers behind a name one is dialled at a time, in the order of `route.py`. libzmq comes back by itself to the
   one it has; we leave it for the next one as soon as it does not answer.
2. What cannot be opened now, for want of descriptors or memory, is opened later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from paxosd.transport.base import REFUSES
from paxosd.transport.shortage import LINK_DESCRIPTORS, Shortage, room_for
from paxosd.transport.zeromq.large import LARGE_FROM_BYTES, LargeFrames
from paxosd.transport.zeromq.names import Names, address_of
from paxosd.transport.zeromq.route import Route

HURRIED_CONNECT_MS = 500
HURRIED_HANDSHAKE_MS = 1000
"""How long a number may be silent while there are others to try."""

REFUSED_WITHIN_S = 0.25
"""Who fails sooner was told so by somebody; nobody says anything where packets are swallowed."""

_REFUSED = f"{REFUSES}, or no way leads there"
_SILENT = "is silent"
_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_CONNECT_DELAYED  # it has begun to connect
    | zmq.EVENT_CLOSED  # in vain
    | zmq.EVENT_CONNECT_RETRIED  # it will begin, after any of the others, or could not begin at all
    | zmq.EVENT_DISCONNECTED
)


class Dealer:
    """Connected to `url`, or on the way there. Its sockets are in the poller; `attend` takes what comes in on them.

    `open_socket` makes a DEALER that is not connected; `route` is what was learnt about this address before. Raises
    `TransportError` if `url` is no address.
    """

    def __init__(
        self,
        url: str,
        open_socket: Callable[[], zmq.Socket[bytes]],
        poller: zmq.Poller,
        names: Names,
        route: Route | None = None,
    ) -> None:
        self.url = url
        self.socket: zmq.Socket[bytes] | None = None
        """None until the name was looked up."""
        self.reached = False
        """Whether somebody answered there who speaks as we do."""
        self.trouble = ""
        """Why nobody is reached, as far as it is known."""
        self._open_socket = open_socket
        self._poller = poller
        self._names = names
        self._route = Route() if route is None else route
        self._has_name = address_of(url).has_name
        self._number = ""
        self._begun_at = 0.0
        self._last_event = 0
        self._events: zmq.Socket[bytes] | None = None
        self._large = LargeFrames()
        self.dial()

    def dial(self) -> None:
        """Connect anew, to what the name stands for now."""
        self.hang_up()
        if self._has_name:
            self.trouble = f"{address_of(self.url).host} is looked up, and the name server has not answered yet"
            self._names.ask(self.url)
        else:
            self.found([self.url])

    def found(self, numbers: Sequence[str]) -> None:
        """Take what the name stands for; none: it is unknown now."""
        if self.reached:
            return
        self._route.learn(numbers)
        number = self._route.start()
        if number is None:
            self._names.ask(self.url)
        elif number != self._number:
            self._connect(number)

    def _connect(self, number: str) -> None:
        self.hang_up()
        self.trouble = ""
        try:
            with room_for(LINK_DESCRIPTORS):
                self._open(number)
        except (Shortage, zmq.ZMQError, MemoryError) as error:
            self.hang_up()
            self.trouble = str(error) or "no memory"
            self._names.ask(self.url)  # whose answer comes later, and leads here again

    def _open(self, number: str) -> None:
        self.socket = self._open_socket()
        if self._route.hurries:
            self.socket.set(zmq.CONNECT_TIMEOUT, HURRIED_CONNECT_MS)
            self.socket.set(zmq.HANDSHAKE_IVL, HURRIED_HANDSHAKE_MS)
        self._events = self.socket.get_monitor_socket(_EVENTS)
        self._poller.register(self._events, zmq.POLLIN)
        self.socket.connect(number)
        self._poller.register(self.socket, zmq.POLLIN)
        self._number = number
        self._begun_at = time.monotonic()
        self._last_event = 0

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
        while self._events is not None and self._events.poll(0):
            self._on_event(recv_monitor_message(self._events)["event"])
        return True

    def _on_event(self, event: int) -> None:
        before, self._last_event = self._last_event, event
        if event == zmq.EVENT_CONNECT_RETRIED and before not in (0, event):
            return
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.reached, self.trouble = True, ""
            self._route.answered(self._number)
        elif event == zmq.EVENT_CONNECT_DELAYED:
            self._begun_at = time.monotonic()
        elif self.reached:  # and lost: perhaps the name stands for something else now
            self.reached = False
            if self._has_name:
                self._names.ask(self.url)
        else:
            refused = time.monotonic() - self._begun_at < REFUSED_WITHIN_S
            self._note(_REFUSED if refused else _SILENT)
            self._go_on()

    def _note(self, trouble: str) -> None:
        self.trouble = f"{self._number.removeprefix('tcp://')} {trouble}"

    def _go_on(self) -> None:
        """Leave a number at which nobody answers for the next one; after the last, look the name up again."""
        self._route.silent(self._number)
        number = self._route.untried()
        if number is not None:
            self._connect(number)
        elif self._has_name:
            self._names.ask(self.url)

    def misled(self) -> None:
        """Who answers is not who was meant: dial anew, and another number if there is one."""
        self._route.misleads(self._number)
        self.dial()

    def leave(self) -> None:
        """Who answers does not serve us: dial anew if the name may stand for somebody else."""
        if self.reached and self._has_name:
            self.misled()

    def give_up(self) -> None:
        """Whoever waited for this link waits no longer; the next one to this address begins where it stopped."""
        if self._number and not self.reached:
            self._route.silent(self._number)
            if not self.trouble:
                self._note(_SILENT)
        self.hang_up()

    def hang_up(self) -> None:
        """Close, dropping what was not sent."""
        if self._events is not None:
            if self._events in self._poller:
                self._poller.unregister(self._events)
            assert self.socket is not None
            self.socket.disable_monitor()
            self._events.close(linger=0)
            self._events = None
        if self.socket is not None:
            if self.socket in self._poller:
                self._poller.unregister(self.socket)
            self.socket.close(linger=0)
            self.socket = None
        self._number, self.reached = "", False
