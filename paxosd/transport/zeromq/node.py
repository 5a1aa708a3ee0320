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
7. What waits to be read waits in the kernel, where it is bounded in bytes and holds up its sender; libzmq reads a few
   messages ahead. What that does not bound, `guard.py` does.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import zmq

from paxosd.core.types import ClientAddress, NodeId
from paxosd.transport.base import NAME_NOT_FOUND, Connection, Inbound, TransportError
from paxosd.transport.shortage import open_context
from paxosd.transport.waker import Waker, milliseconds
from paxosd.transport.zeromq.connections import Plane
from paxosd.transport.zeromq.dealer import Dealer
from paxosd.transport.zeromq.descriptors import limit, shares
from paxosd.transport.zeromq.guard import Guard
from paxosd.transport.zeromq.large import CLIENT_LARGE_BYTES_MAX, LARGE_FROM_BYTES, LargeFrames
from paxosd.transport.zeromq.names import AGAIN_AFTER_S, Names
from paxosd.transport.zeromq.receiver import CLIENT_DRAINED_BYTES_MAX, DRAINED_BYTES_MAX, Receiver
from paxosd.transport.zeromq.tuning import tune

log = logging.getLogger("paxosd")

PEER_FRAMES_MAX = 1000
"""Frames queued to one peer; a frame holds all that a turn has for that peer."""
CLIENT_FRAMES_MAX = 1000
"""Frames queued to one client, or from a client to its gateway."""
UNREAD_MESSAGES_MAX = 128
"""How many messages of one connection libzmq reads ahead, so that a turn finds many (law 7)."""
PEER_HELD_BYTES_MAX = 128 * 1024 * 1024
"""What all connections of the peers' port may make us hold."""
CLIENT_HELD_BYTES_MAX = 64 * 1024 * 1024
"""What all connections of the clients' port may make us hold, unread or unsent."""
MORE_AT_ONCE = zmq.DONTWAIT | zmq.SNDMORE
BACKLOG = 1024
"""How many connections may wait in the kernel until they are accepted."""


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
        of_peers, of_clients = shares(len(peers), limit())
        self._planes: list[Plane] = []
        self._guard: Guard | None = None
        self._clients: Receiver | None = None
        try:
            self._peers = self._bind(listen, frame_bytes_max, of_peers, PEER_HELD_BYTES_MAX)
            if client_listen is not None:
                of = client_frame_bytes_max, of_clients, CLIENT_HELD_BYTES_MAX, CLIENT_DRAINED_BYTES_MAX
                self._clients = self._bind(client_listen, *of)
                self._clients.socket.set(zmq.ROUTER_MANDATORY, 1)
        except TransportError:
            self.close()
            raise
        self._guard = Guard(self._planes)
        self._guard.start()
        for peer, url in peers.items():
            self.connect(peer, url)

    def _bind(
        self,
        url: str,
        frame_bytes_max: int,
        connections_max: int,
        held_bytes_max: int,
        drained_bytes_max: int = DRAINED_BYTES_MAX,
    ) -> Receiver:
        router = self._context.socket(zmq.ROUTER)
        router.set(zmq.RCVHWM, UNREAD_MESSAGES_MAX)
        router.set(zmq.SNDHWM, CLIENT_FRAMES_MAX)
        router.set(zmq.MAXMSGSIZE, frame_bytes_max)
        router.set(zmq.BACKLOG, BACKLOG)
        tune(router)
        try:
            router.bind(url)
        except zmq.ZMQError as error:
            router.close()
            raise _bind_error(url, error) from error
        self._poller.register(router, zmq.POLLIN)
        scheme, _, port = router.get_string(zmq.LAST_ENDPOINT).rpartition(":")
        if not scheme.startswith("tcp:"):
            return Receiver(router, None, drained_bytes_max)
        plane = Plane(int(port), connections_max, held_bytes_max)
        self._planes.append(plane)
        return Receiver(router, plane, drained_bytes_max)

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
        return self._peers.socket.get_string(zmq.LAST_ENDPOINT)

    @property
    def client_url(self) -> str:
        """Where clients can connect; empty if none can."""
        return "" if self._clients is None else self._clients.socket.get_string(zmq.LAST_ENDPOINT)

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
                self._clients.socket.send(client, MORE_AT_ONCE)
                self._clients.socket.send(frame, zmq.DONTWAIT)
            elif not self._large_replies_to(client).send(self._clients.socket, (client, frame)):
                self.dropped["client slow"] += 1
                return
            self._clients.note_given(client, frame)
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
            found = self._large_replies[client] = LargeFrames(CLIENT_LARGE_BYTES_MAX)
        return found

    def wait(self, timeout_s: float | None) -> None:
        for ready, _ in self._poller.poll(milliseconds(self._names.wait_s(timeout_s))):
            if ready == self._waker.fileno():
                self._waker.clear()
            elif ready is not self._peers.socket and (self._clients is None or ready is not self._clients.socket):
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

    def drain(self, frames_max: int) -> Iterator[Inbound]:
        self._count_cut_off()
        for name, parts in self._peers.messages(frames_max):
            connection = _PeerConnection(name)
            if not parts:
                self.dropped["of an old protocol"] += 1
            elif len(parts) != 2:
                yield self._of_foreign_shape(None, connection)
            elif parts[0] != self._name:
                self.dropped["meant for another node"] += 1
                self._say_wrong_node(name)
            else:
                yield Inbound(None, parts[1], connection)
        for name, parts in self._clients.messages(frames_max) if self._clients is not None else ():
            if not parts:
                self.dropped["of an old protocol"] += 1
            else:
                yield Inbound(name, parts[0], name) if len(parts) == 1 else self._of_foreign_shape(name, name)

    def _of_foreign_shape(self, client: ClientAddress | None, connection: Connection) -> Inbound:
        """Handed on as nothing at all, which is no frame: so it is judged like any other that is none."""
        self.dropped["foreign shape"] += 1
        return Inbound(client, b"", connection)

    def _count_cut_off(self) -> None:
        if self._guard is not None:
            self._guard.stand_in()
            while self._guard.cut_off:
                self.dropped[f"cut off: {self._guard.cut_off.popleft()}"] += 1

    def vouch(self, connection: Connection) -> None:
        end, name = self._end_of(connection)
        if end is not None and end.plane is not None:
            end.plane.vouch(name)

    def hang_up(self, connection: Connection) -> None:
        end, name = self._end_of(connection)
        if end is not None and end.plane is not None:
            end.plane.hang_up(name)

    def _end_of(self, connection: Connection) -> tuple[Receiver | None, bytes]:
        if isinstance(connection, _PeerConnection):
            return self._peers, connection.name
        assert isinstance(connection, bytes)
        return self._clients, connection

    def _say_wrong_node(self, sender: bytes) -> None:
        try:
            self._peers.socket.send_multipart((sender, b""), zmq.DONTWAIT)
        except zmq.Again:
            return  # it will send again, and be told again

    def wake(self) -> None:
        self._waker.wake()

    def close(self) -> None:
        if not self._context.closed:
            if self._guard is not None:
                self._guard.close()
            for plane in self._planes:
                plane.close()
            self._names.close()
            self._context.destroy(linger=0)
            self._waker.close()


class _PeerConnection(NamedTuple):
    """Routing ids of the two ports may be the same."""

    name: bytes


def _bind_error(url: str, error: zmq.ZMQError) -> TransportError:
    advice = {
        zmq.EADDRINUSE: "the port is in use: stop the other daemon or program, or change the file",
        zmq.EADDRNOTAVAIL: "no interface of this machine has this address: check `address` or set `listen`",
        errno.EACCES: "ports below 1024 are for root alone: choose a higher one",
        errno.ENODEV: "no interface of this machine has this address: check `address` or set `listen`",
    }.get(error.errno or 0, "check the address in the membership file")
    return TransportError(f"cannot listen on {url}: {zmq.strerror(error.errno or 0)}; {advice}")
