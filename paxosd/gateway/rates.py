"""How often something may happen: a few times at once, and then now and then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from paxosd.core.types import Instant

K = TypeVar("K", bound=Hashable)


class Rate(Generic[K]):
    """At most `burst` times at once, and once more for every `every_s` seconds; counted for each key apart."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._full_s = burst * every_s
        self._every_s = every_s
        self._even_at: OrderedDict[K, Instant] = OrderedDict()  # when all that was taken has grown again

    def __len__(self) -> int:
        """How many keys are remembered: those that took something and of whom not all has grown again."""
        return len(self._even_at)

    def take(self, key: K, now: Instant) -> bool:
        """Whether it may happen once more now; if so, it counts."""
        while self._even_at and next(iter(self._even_at.values())) <= now:
            self._even_at.popitem(last=False)
        even_at = max(now, self._even_at.get(key, now)) + self._every_s
        if even_at - now > self._full_s:
            return False
        self._even_at[key] = even_at
        self._even_at.move_to_end(key)
        return True
