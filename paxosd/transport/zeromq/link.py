"""A client's end over ZeroMQ: one DEALER at a time, to the gateway whose turn it is.

Laws:
1. Frames wait here until somebody answers at the other end, and libzmq is given what can leave at once: what it holds
   for an address that turns out to be dead would be lost on the way to the next one. The session sends again what is
   lost in between.
2. What waits is bounded in bytes: here, and of what was sent since the gateway said anything.
3. What was learnt about the way to a gateway is kept while another one has its turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from paxosd.transport.base import TransportError
from paxosd.transport.shortage import open_context
from paxosd.transport.waker import Waker, milliseconds
from paxosd.transport.zeromq.dealer import Dealer
from paxosd.transport.zeromq.names import Names
from paxosd.transport.zeromq.route import Route
from paxosd.transport.zeromq.tuning import tune
from paxosd.transport.zeromq.waitable import WaitablePoller

FRAMES_MAX = 1000
"""Frames that libzmq may hold for a gateway."""
UNSENT_BYTES_MAX = 32 * 1024 * 1024
"""What may wait for a gateway to be reached; one frame of any size always may."""
UNANSWERED_BYTES_MAX = 32 * 1024 * 1024
"""What is sent to a gateway that says nothing, before it is left to the session to send again."""


class ZeroMQLink:
    """A client's end. Changing the gateway drops what was not sent to the last one. Raises `Shortage`."""

    def __init__(self, frame_bytes_max: int) -> None:
        self.troubles: dict[str, str] = {}
        self._frame_bytes_max = frame_bytes_max
        self._waker = Waker()
        try:
            self._context = open_context()
        except TransportError:
            self._waker.close()
            raise
        self._poller = WaitablePoller()
        self._poller.register(self._waker.fileno(), zmq.POLLIN)
        self._names = Names(self._waker.wake)
        self._routes: dict[str, Route] = {}
        self._dealer: Dealer | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._unanswered_bytes = 0

    def send(self, gateway: str, frame: bytes) -> None:
        if self._dealer is None or gateway != self._dealer.url:
            self._turn_to(gateway)
        if not self._unsent or self._unsent_bytes + len(frame) <= UNSENT_BYTES_MAX:
            self._unsent.append(frame)
            self._unsent_bytes += len(frame)
        self._send_unsent()

    def leave(self, gateway: str) -> None:
        if self._dealer is not None and self._dealer.url == gateway:
            self._dealer.leave()
            self._note_trouble()

    def _turn_to(self, gateway: str) -> None:
        if self._dealer is not None:
            self._dealer.give_up()
            self._note_trouble()
            self._dealer = None
        self._forget_unsent()
        self._unanswered_bytes = 0
        route = self._routes.setdefault(gateway, Route())
        self._dealer = Dealer(gateway, self._open_dealer, self._poller, self._names, route)
        self._note_trouble()

    def _open_dealer(self) -> zmq.Socket[bytes]:
        dealer = self._context.socket(zmq.DEALER)
        dealer.set(zmq.SNDHWM, FRAMES_MAX)
        dealer.set(zmq.RCVHWM, 0)
        dealer.set(zmq.MAXMSGSIZE, self._frame_bytes_max)
        tune(dealer)
        return dealer

    def _send_unsent(self) -> None:
        dealer = self._dealer
        if dealer is None or not dealer.reached or dealer.socket is None:
            return
        for frame in self._unsent:
            if self._unanswered_bytes and self._unanswered_bytes + len(frame) > UNANSWERED_BYTES_MAX:
                break
            try:
                dealer.socket.send(frame, zmq.DONTWAIT)
            except zmq.Again:
                break  # a gateway that reads nothing: the session sends again, or turns to another one
            self._unanswered_bytes += len(frame)
        self._forget_unsent()

    def _forget_unsent(self) -> None:
        self._unsent.clear()
        self._unsent_bytes = 0

    def receive(self, timeout_s: float | None) -> Sequence[bytes]:
        for ready, _ in self._poller.poll(milliseconds(self._names.wait_s(timeout_s))):
            if ready == self._waker.fileno():
                self._waker.clear()
            elif self._dealer is not None and self._dealer.attend(ready):
                self._note_trouble()
                self._unanswered_bytes = 0
        self._take_answers()
        self._send_unsent()
        return self._frames()

    def _frames(self) -> Sequence[bytes]:
        frames: list[bytes] = []
        while self._dealer is not None and self._dealer.socket is not None:
            try:
                frames.append(self._dealer.socket.recv(zmq.DONTWAIT))
            except zmq.Again:
                break
        if frames:
            self._unanswered_bytes = 0
        return frames

    def _take_answers(self) -> None:
        for url, numbers in self._names.answers():
            if self._dealer is not None and self._dealer.url == url:
                self._dealer.found(numbers)
                self._note_trouble()

    def _note_trouble(self) -> None:
        assert self._dealer is not None
        url = self._dealer.url
        trouble = self._names.troubles.get(url) or self._dealer.trouble
        if trouble and not self._dealer.reached:
            self.troubles[url] = trouble
        else:
            self.troubles.pop(url, None)

    def fileno(self) -> int:
        return self._poller.fileno()

    def wait_s(self, timeout_s: float | None) -> float | None:
        return self._names.wait_s(timeout_s)

    def wake(self) -> None:
        self._waker.wake()

    def close(self) -> None:
        if not self._context.closed:
            self._names.close()
            self._context.destroy(linger=0)
            self._poller.close()
            self._waker.close()
