"""Frames over ZeroMQ: one ROUTER for peers, one DEALER to each peer, one ROUTER for clients.

Laws:
1. Peers talk one way per socket: what comes in comes in on our ROUTER, what goes out goes out on the DEALER to
   that peer. So there is one connection each way, and no reply to route but the one of law 5.
2. Routing ids are automatic. Fixed ones black-hole a second connection of the same name, silently.
3. IMMEDIATE=1: frames for a peer that is not connected are dropped, not queued. The core sends again what still
   matters; a queue would replay the past to a peer that comes back.
4. No ZMTP heartbeats: they prove that an I/O thread lives, and cut healthy links when a reader is slow. The
   kernel finds dead connections, within about three seconds; the core's heartbeats find dead nodes.
5. A frame for a peer names it. An address may pass to another node between the look-up of a name and the connection
   (containers that are started again swap theirs), and such a link would stay. So a node that gets what is meant for
   another says so with an empty message, and whoever hears that looks the name up and connects anew.
6. libzmq is given numbers only, never a name (`names.py` says why).
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import zmq

from paxosd.core.types import ClientAddress, NodeId
from paxosd.transport.base import NAME_NOT_FOUND, Inbound, TransportError
from paxosd.transport.dealer import Dealer
from paxosd.transport.large import LARGE_FROM_BYTES, LargeFrames
from paxosd.transport.names import AGAIN_AFTER_S, Names
from paxosd.transport.shortage import open_context
from paxosd.transport.tuning import tune
from paxosd.transport.waker import Waker, milliseconds

log = logging.getLogger("paxosd")

PEER_FRAMES_MAX = 1000
"""Frames queued to or from one peer; a frame holds all that a turn has for that peer."""
CLIENT_FRAMES_MAX = 1000
DRAINED_BYTES_MAX = 2 * 1024 * 1024
"""What one turn takes in of a plane before it leaves the rest to the next one; at least one frame."""


class ZeroMQTransport:
    """A node's end. `peers` maps node ids to "tcp://host:port"; `listen` and `client_listen` are bound.

    Raises `TransportError` if an address cannot be bound.
    """

    def __init__(
        self,
        node_id: NodeId,
        peers: Mapping[NodeId, str],
        listen: str,
        client_listen: str | None,
        frame_bytes_max: int,
        client_frame_bytes_max: int,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._name = node_id.encode()
        self._frame_bytes_max = frame_bytes_max
        self._waker = Waker()
        try:
            self._context = open_context()
        except TransportError:
            self._waker.close()
            raise
        self._names = Names(self._waker.wake, self._tell_of_name)
        self._dealers: dict[NodeId, Dealer] = {}
        self._large_replies: dict[ClientAddress, LargeFrames] = {}
        self._poller = zmq.Poller()
        self._poller.register(self._waker.fileno(), zmq.POLLIN)
        try:
            self._peers = self._bind(listen, frame_bytes_max, PEER_FRAMES_MAX * max(1, len(peers)))
            self._clients = None
            if client_listen is not None:
                self._clients = self._bind(client_listen, client_frame_bytes_max, CLIENT_FRAMES_MAX)
                self._clients.set(zmq.ROUTER_MANDATORY, 1)
        except TransportError:
            self.close()
            raise
        for peer, url in peers.items():
            self.connect(peer, url)

    def _bind(self, url: str, frame_bytes_max: int, frames_max: int) -> zmq.Socket[bytes]:
        router = self._context.socket(zmq.ROUTER)
        router.set(zmq.RCVHWM, frames_max)
        router.set(zmq.SNDHWM, CLIENT_FRAMES_MAX)
        router.set(zmq.MAXMSGSIZE, frame_bytes_max)
        tune(router)
        try:
            router.bind(url)
        except zmq.ZMQError as error:
            router.close()
            raise _bind_error(url, error) from error
        self._poller.register(router, zmq.POLLIN)
        return router

    def connect(self, peer: NodeId, url: str) -> None:
        """Reach this peer at this address from now on."""
        old = self._dealers.pop(peer, None)
        if old is not None:
            old.hang_up()
        self._dealers[peer] = Dealer(url, self._open_dealer, self._poller, self._names)

    def _open_dealer(self) -> zmq.Socket[bytes]:
        dealer = self._context.socket(zmq.DEALER)
        dealer.set(zmq.IMMEDIATE, 1)
        dealer.set(zmq.SNDHWM, PEER_FRAMES_MAX)
        dealer.set(zmq.RCVHWM, 1)
        dealer.set(zmq.MAXMSGSIZE, self._frame_bytes_max)
        tune(dealer)
        return dealer

    @property
    def listen_url(self) -> str:
        """Where peers can connect: the bound address, with the port that was given out for "*"."""
        return self._peers.get_string(zmq.LAST_ENDPOINT)

    @property
    def client_url(self) -> str:
        """Where clients can connect; empty if none can."""
        return "" if self._clients is None else self._clients.get_string(zmq.LAST_ENDPOINT)

    # ---- the contract ----

    def send(self, target: NodeId, frame: bytes) -> None:
        dealer = self._dealers.get(target)
        if dealer is None:
            self.dropped["unknown peer"] += 1
        elif len(frame) > self._frame_bytes_max:
            self.dropped["frame too large"] += 1
        elif not dealer.send(target.encode(), frame):
            self.dropped["peer not connected or slow"] += 1

    def reply(self, client: ClientAddress, frame: bytes) -> None:
        if self._clients is None:
            self.dropped["no client port"] += 1
            return
        try:
            if len(frame) < LARGE_FROM_BYTES:
                self._clients.send_multipart((client, frame), zmq.DONTWAIT)
            elif not self._large_replies_to(client).send(self._clients, (client, frame)):
                self.dropped["client slow"] += 1
        except zmq.Again:
            self.dropped["client slow"] += 1
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.dropped["client gone"] += 1

    def _large_replies_to(self, client: ClientAddress) -> LargeFrames:
        found = self._large_replies.get(client)
        if found is None:
            self._large_replies = {name: large for name, large in self._large_replies.items() if not large.none_waits}
            found = self._large_replies[client] = LargeFrames()
        return found

    def wait(self, timeout_s: float | None) -> None:
        for ready, _ in self._poller.poll(milliseconds(self._names.wait_s(timeout_s))):
            if ready == self._waker.fileno():
                self._waker.clear()
            elif ready is not self._peers and ready is not self._clients:
                self._attend(ready)
        self._take_answers()

    def _take_answers(self) -> None:
        for url, numbers in self._names.answers():
            for dealer in self._dealers.values():
                if dealer.url == url:
                    dealer.found(numbers)

    def _tell_of_name(self, url: str, why: str) -> None:
        peers = ", ".join(peer for peer, dealer in self._dealers.items() if dealer.url == url)
        advice = ": check the name and the name server, or start that node" if why.startswith(NAME_NOT_FOUND) else ""
        log.warning("%s; %s at %s is tried again every %g s%s", why, peers, url, AGAIN_AFTER_S, advice)

    def _attend(self, ready: object) -> None:
        for dealer in self._dealers.values():
            if dealer.attend(ready):
                return
            if ready is dealer.socket:  # what it reached is not its peer (law 5)
                self.dropped["reached another node"] += 1
                dealer.misled()
                return

    def drain(self, frames_max: int) -> Sequence[Inbound]:
        inbound: list[Inbound] = []
        for parts in _received(self._peers, frames_max):
            if len(parts) != 3:
                self.dropped["foreign shape"] += 1
            elif parts[1] != self._name:
                self.dropped["meant for another node"] += 1
                self._say_wrong_node(parts[0])
            else:
                inbound.append(Inbound(None, parts[2]))
        for parts in _received(self._clients, frames_max) if self._clients is not None else ():
            if len(parts) != 2:
                self.dropped["foreign shape"] += 1
            else:
                inbound.append(Inbound(parts[0], parts[1]))
        return inbound

    def _say_wrong_node(self, sender: bytes) -> None:
        try:
            self._peers.send_multipart((sender, b""), zmq.DONTWAIT)
        except zmq.Again:
            return  # it will send again, and be told again

    def wake(self) -> None:
        self._waker.wake()

    def close(self) -> None:
        if not self._context.closed:
            self._names.close()
            self._context.destroy(linger=0)
            self._waker.close()


def _received(router: zmq.Socket[bytes], messages_max: int) -> Iterator[list[bytes]]:
    size = 0
    for _ in range(messages_max):
        try:
            parts = router.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return
        yield parts
        size += len(parts[-1])
        if size >= DRAINED_BYTES_MAX:
            return


def _bind_error(url: str, error: zmq.ZMQError) -> TransportError:
    advice = {
        zmq.EADDRINUSE: "the port is in use: stop the other daemon or program, or change the file",
        zmq.EADDRNOTAVAIL: "no interface of this machine has this address: check `address` or set `listen`",
        errno.EACCES: "ports below 1024 are for root alone: choose a higher one",
        errno.ENODEV: "no interface of this machine has this address: check `address` or set `listen`",
    }.get(error.errno or 0, "check the address in the membership file")
    return TransportError(f"cannot listen on {url}: {zmq.strerror(error.errno or 0)}; {advice}")
