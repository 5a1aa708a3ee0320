"""Keys in order, of which many may come at once.

A `SortedList` takes each key by itself, in Python; puts of new keys cost a fifth more with it. So this one lets keys
wait, and sorts them in together.

Laws:
1. The parts are in order, and so are the keys of each. A part has keys from its bound on, which are below the bound of
   the next one; the first has all that are lower, too.
2. What waits is in no part. It is in its part before anybody looks at the order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

PART_KEYS = 1000
"""A part begins with at most so many keys, and is divided when it has twice as many."""
WAITING_MAX = 1000
"""So many keys wait at most: sorting them in takes a few milliseconds."""
FEW = 64
"""Fewer are sorted into a part one by one: to sort all of it looks at each key that is there."""


class KeyOrder:
    """Keys, each of which is there once."""

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._parts = _divided(sorted(keys))
        self._bounds = [part[0] for part in self._parts]
        self._waiting: list[bytes] = []

    def add(self, key: bytes) -> None:
        """A key that is not there."""
        self.add_all([key])

    def add_all(self, keys: list[bytes]) -> None:
        """Keys that are not there."""
        self._waiting += keys
        if len(self._waiting) >= WAITING_MAX:
            self._settle()

    def remove(self, key: bytes) -> None:
        """A key that is there."""
        self._settle()
        place = self._place(key)
        part = self._parts[place]
        del part[bisect_left(part, key)]
        if not part:
            del self._parts[place], self._bounds[place]

    def count(self, low: bytes, high: bytes | None) -> int:
        """How many keys there are from `low` on, below `high`; None: to the end."""
        if high is not None and high <= low:
            return 0
        self._settle()
        (first, begin), (last, stop) = self._find(low), self._find(high)
        return sum(map(len, self._parts[first:last])) - begin + stop

    def between(self, low: bytes, high: bytes | None, descending: bool = False) -> Iterator[bytes]:
        """These keys, in order. Nothing may change meanwhile."""
        self._settle()
        (first, begin), (last, stop) = self._find(low), self._find(high)
        places = range(first, min(last + 1, len(self._parts)))
        for place in reversed(places) if descending else places:
            part = self._parts[place]
            keys = part[begin if place == first else 0 : stop if place == last else len(part)]
            yield from reversed(keys) if descending else keys

    def _find(self, key: bytes | None) -> tuple[int, int]:
        """The part in which this key stands, or would stand, and where in it; None: behind all of them."""
        if key is None or not self._parts:
            return len(self._parts), 0
        place = self._place(key)
        return place, bisect_left(self._parts[place], key)

    def _place(self, key: bytes) -> int:
        return max(0, bisect_right(self._bounds, key) - 1)

    # ---- what waits ----

    def _settle(self) -> None:
        """Put what waits into the parts."""
        if not self._waiting:
            return
        waiting, self._waiting = sorted(self._waiting), []
        if not self._parts:
            self._parts, self._bounds = [[]], [waiting[0]]
        begin = 0
        while begin < len(waiting):
            place = self._place(waiting[begin])
            behind = self._bounds[place + 1 : place + 2]
            stop = bisect_left(waiting, behind[0], begin) if behind else len(waiting)
            self._put(place, waiting[begin:stop])
            begin = stop

    def _put(self, place: int, keys: list[bytes]) -> None:
        part = self._parts[place]
        if part and part[-1] > keys[0] and len(keys) < FEW:
            for key in keys:
                insort(part, key)
        else:
            part += keys
            part.sort()
        if len(part) >= 2 * PART_KEYS:
            parts = _divided(part)
            self._parts[place : place + 1] = parts
            self._bounds[place : place + 1] = [self._bounds[place], *[each[0] for each in parts[1:]]]


def _divided(keys: list[bytes]) -> list[list[bytes]]:
    return [keys[begin : begin + PART_KEYS] for begin in range(0, len(keys), PART_KEYS)]
