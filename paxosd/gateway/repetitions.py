"""How many stored results one turn repeats to clients that ask for them again: a short message can name thousands."""

from __future__ import annotations

from collections import Counter

from paxosd.core.types import ClientAddress, Outcome

PER_CLIENT_MAX = 1024
"""How many a turn tells one client."""
ALL_MAX = 8192
"""How many it tells all of them."""
COUNTED_BYTES = 128
"""A result counts once more for each so many bytes of what its machine said."""


class Repetitions:
    """What may still be repeated in this turn."""

    def __init__(self) -> None:
        self._told: Counter[ClientAddress] = Counter()
        self._all = 0

    def begin_turn(self) -> None:
        """From now on as many can be told as in any turn."""
        self._told.clear()
        self._all = 0

    def none(self, client: ClientAddress) -> None:
        """There was nothing to tell this client: to find that takes about as long as to tell one."""
        self._told[client] += 1
        self._all += 1

    def tell(self, client: ClientAddress, outcome: Outcome) -> bool:
        """Whether this client may be told this now; the last one may be larger than what is left."""
        if self._told[client] >= PER_CLIENT_MAX or self._all >= ALL_MAX:
            return False
        count = 1 + len(outcome.said) // COUNTED_BYTES
        self._told[client] += count
        self._all += count
        return True
