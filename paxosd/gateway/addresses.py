"""Where to answer: the client that asked last about a session, or with a nonce."""

from __future__ import annotations

from paxosd.core.shares import Shares
from paxosd.core.types import ClientAddress


class Addresses:
    """Clients by a number. If there are too many, the client with the most of them loses the one unused for longest."""

    def __init__(self, numbers_max: int) -> None:
        self._numbers_max = numbers_max
        self._clients: dict[int, ClientAddress] = {}
        self._shares: Shares[ClientAddress, int] = Shares()

    def note(self, number: int, client: ClientAddress) -> None:
        """From now on this client is the one to answer."""
        if self._clients.get(number, client) != client:
            self.forget(number)
        self._clients[number] = client
        self._shares.use(client, number)
        if len(self._clients) > self._numbers_max:
            self.forget(self._shares.next_to_go[1])

    def of(self, number: int) -> ClientAddress | None:
        """Whom to answer; None: nobody that is known."""
        return self._clients.get(number)

    def forget(self, number: int) -> ClientAddress | None:
        """Nobody is to be answered any more; returns who was."""
        client = self._clients.pop(number, None)
        if client is not None:
            self._shares.drop(client, number)
        return client
