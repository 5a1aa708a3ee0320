"""What a transport promises, which is little.

1. It carries frames: opaque bytes, unchanged and whole, or not at all. It knows no message.
2. A frame may be lost, delayed, repeated or reordered. Sending never blocks and never raises for a peer
   that is dead, slow or unknown: the frame is dropped and counted in `dropped`.
3. One thread uses it. Only `wake` may be called from another thread or from a signal handler.
4. Memory is bounded, whatever a peer or a client does, or does not read.
5. A peer that restarts is found again without help.
6. Peers and clients come in on separate planes, and peers are drained first, so that a flood of clients
   delays no ballot.
7. Frames of clients are handed out in turns, one of each that has some: who sends many waits longest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from paxosd.core.types import ClientAddress, NodeId

NAME_NOT_FOUND = "name not found"
REFUSES = "refuses connections"

Connection: TypeAlias = Hashable
"""Names a connection to this node for as long as it lives; opaque."""


class Inbound(NamedTuple):
    """A frame that came in. `client` is None on the peer plane; who sent it, the frame itself says.

    `connection` is what it came on; None where the transport knows its senders.
    """

    client: ClientAddress | None
    frame: bytes
    connection: Connection | None = None


class TransportError(Exception):
    """The transport cannot be opened, for example because its port is in use. The text names cause and fix."""


class Transport(Protocol):
    """A node's end of the network."""

    dropped: Counter[str]
    """How many frames were dropped, by reason."""

    def send(self, target: NodeId, frame: bytes) -> None:
        """Send a frame to a node of the cluster (promise 2)."""
        ...

    def reply(self, client: ClientAddress, frame: bytes) -> None:
        """Send a frame to a client that sent one before (promise 2)."""
        ...

    def wait(self, timeout_s: float | None) -> None:
        """Return when a frame can be drained, when `wake` was called or when the time is over; None: no limit.

        Called between any two turns, with 0 where there is something to do already: a transport may take in here what
        it hears besides frames, such as where a name leads to, or that a link reached another node.
        """
        ...

    def drain(self, frames_max: int) -> Iterator[Inbound]:
        """Up to this many frames of each plane that have arrived, peers first; never waits. A frame leaves the
        transport when it is taken from the iterator; those that are not taken stay for the next time."""
        ...

    def vouch(self, connection: Connection) -> None:
        """What came on this connection was valid: when there are too many, those that said nothing valid go first."""
        ...

    def hang_up(self, connection: Connection) -> None:
        """Cut this connection off; whoever is there may connect again."""
        ...

    def wake(self) -> None:
        """Make the current or the next `wait` return at once."""
        ...

    def close(self) -> None:
        """Release everything, dropping what was not sent; safe to call twice."""
        ...


class ClientLink(Protocol):
    """A client's end: it talks to one gateway at a time. One thread uses it, except for `wake`."""

    @property
    def troubles(self) -> Mapping[str, str]:
        """Why gateways cannot be reached, as far as it is known, by address; always up to date.

        It begins with `NAME_NOT_FOUND` if the name in the address stands for nothing.
        """
        ...

    def send(self, gateway: str, frame: bytes) -> None:
        """Send a frame to the gateway at this address, never blocking; connects when it differs from the last one.

        It may leave only in the next `receive`.
        """
        ...

    def leave(self, gateway: str) -> None:
        """Who answers at this address does not serve us: take another way there, if its name stands for one."""
        ...

    def receive(self, timeout_s: float | None) -> Sequence[bytes]:
        """The frames that have come, from any gateway; waits up to the timeout for the first one or for `wake`."""
        ...

    def wake(self) -> None:
        """Make the current or the next `receive` return at once; from any thread."""
        ...

    def close(self) -> None:
        """Release everything; safe to call twice."""
        ...


class PollableLink(ClientLink, Protocol):
    """One that a loop of events can wait for, in the place of `receive`."""

    def fileno(self) -> int:
        """A descriptor that is readable when `receive` would not wait, once it was called until it gave nothing."""
        ...

    def wait_s(self, timeout_s: float | None) -> float | None:
        """How long whoever would wait so long may wait before `receive` has something to do by itself."""
        ...
