"""Where to answer: the client that asked last about a session, or with a wish for one."""

from __future__ import annotations

from paxosd.core.shares import Shares
from paxosd.core.types import ClientAddress, SessionId, Wish


class Addresses:
    """Clients by session, or by wish. Of too many the client with the most loses the one that is unused for longest."""

    def __init__(self, keys_max: int) -> None:
        self._keys_max = keys_max
        self._clients: dict[SessionId | Wish, ClientAddress] = {}
        self._shares: Shares[ClientAddress, SessionId | Wish] = Shares()

    def note(self, key: SessionId | Wish, client: ClientAddress) -> None:
        """From now on this client is the one to answer."""
        if self._clients.get(key, client) != client:
            self.forget(key)
        self._clients[key] = client
        self._shares.use(client, key)
        if len(self._clients) > self._keys_max:
            self.forget(self._shares.next_to_go[1])

    def of(self, key: SessionId | Wish) -> ClientAddress | None:
        """Whom to answer; None: nobody that is known."""
        return self._clients.get(key)

    def forget(self, key: SessionId | Wish) -> ClientAddress | None:
        """Nobody is to be answered any more; returns who was."""
        client = self._clients.pop(key, None)
        if client is not None:
            self._shares.drop(client, key)
        return client
