"""How clients get sessions: who asked for one, how fast they may ask, and whose each one is.

A client needs one session. Whoever opens many costs everybody a place in the ledger, so a gateway is slow to give a
second one to the same connection, and marks each with the connection that it was opened for: where there are too many,
the ledger forgets those of whoever has the most.
"""

from __future__ import annotations

from hashlib import blake2b

from paxosd.core.types import ClientAddress, Instant, NodeId, Wish
from paxosd.gateway.addresses import Addresses
from paxosd.gateway.rates import Rate

PER_CLIENT_BURST = 8
"""How many sessions a connection may ask for at once: one, and again if the leader changes meanwhile."""
PER_CLIENT_EVERY_S = 0.5
"""How long it then takes until it may ask for another one."""
ALL_BURST = 2000
"""How many sessions all clients of a gateway may ask for at once: a thousand that start together are served."""
ALL_EVERY_S = 0.005
"""How long it then takes until somebody may ask for another one."""
OPENINGS_MAX = 65536
"""How many wishes for a session a gateway remembers, to answer them."""
TAG_BYTES = 8
"""The length of an owner's tag."""


class Openings:
    """The wishes for sessions that came to one gateway; each client drew what names its own."""

    def __init__(self, node_id: NodeId) -> None:
        self._node_id = node_id.encode()
        self._per_client: Rate[ClientAddress] = Rate(PER_CLIENT_BURST, PER_CLIENT_EVERY_S)
        self._all: Rate[None] = Rate(ALL_BURST, ALL_EVERY_S)
        self._askers = Addresses(OPENINGS_MAX)

    def ask(self, client: ClientAddress, wish: Wish, now: Instant) -> bool:
        """Whether this client may ask for a session now; if so, it is remembered."""
        if not (self._per_client.take(client, now) and self._all.take(None, now)):
            return False
        self._askers.note(wish, client)
        return True

    def asker(self, wish: Wish) -> ClientAddress | None:
        """Who asked with this wish, if it is remembered."""
        return self._askers.of(wish)

    def opened(self, wish: Wish) -> ClientAddress | None:
        """Who asked with this wish, and is answered now."""
        return self._askers.forget(wish)

    def tag(self, client: ClientAddress) -> bytes:
        """The owner of what is opened for this connection. It tells nobody the address."""
        return blake2b(client, digest_size=TAG_BYTES, key=self._node_id[:64]).digest()
