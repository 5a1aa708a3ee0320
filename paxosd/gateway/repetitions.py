"""How many stored results one turn repeats to clients that ask for them again: a short message can name thousands."""

from __future__ import annotations

from collections import Counter

from paxosd.core.types import ClientAddress

PER_CLIENT_MAX = 1024
"""How many a turn tells one client."""
ALL_MAX = 8192
"""How many it tells all of them."""


class Repetitions:
    """What may still be repeated in this turn."""

    def __init__(self) -> None:
        self._told: Counter[ClientAddress] = Counter()
        self._all = 0

    def begin_turn(self) -> None:
        """From now on as many can be told as in any turn."""
        self._told.clear()
        self._all = 0

    def room(self, client: ClientAddress) -> int:
        """How many this client may be told now."""
        return min(PER_CLIENT_MAX - self._told[client], ALL_MAX - self._all)

    def tell(self, client: ClientAddress, results: int) -> None:
        """So many are told; one that finds nothing to tell counts as one, for it had to look."""
        self._told[client] += max(1, results)
        self._all += max(1, results)
