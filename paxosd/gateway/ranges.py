"""Which watches a key concerns, among very many: keys in a dict, ranges in blocks that are sorted by their first key.

A block knows the highest end in it. So a key is compared with the ranges of those few blocks alone that begin below it
and reach beyond it: of ten thousand ranges side by side, with one or two blocks.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

BLOCK_MAX = 256
"""A block of so many ranges is halved."""
TO_THE_END = b"\0"
"""As an end: all keys from the first one on."""


@dataclass(slots=True, eq=False)
class Place:
    """One key, or one range of keys, and whoever watches just that. `end` empty: the one key."""

    key: bytes
    end: bytes
    watches: dict[Any, None] = field(default_factory=dict)  # in the order in which they came

    def __lt__(self, other: Place) -> bool:
        return self.key < other.key

    def holds(self, key: bytes) -> bool:
        """Whether this key is one of them."""
        if not self.end:
            return key == self.key
        return self.key <= key and (self.end == TO_THE_END or key < self.end)


@dataclass(slots=True)
class _Block:
    places: list[Place]  # sorted by key
    highest: bytes  # no end is higher
    endless: int  # how many have no end

    @classmethod
    def of(cls, places: list[Place]) -> _Block:
        endless = sum(place.end == TO_THE_END for place in places)
        return cls(places, max((place.end for place in places if place.end != TO_THE_END), default=b""), endless)


class Ranges:
    """All places of one machine that somebody watches."""

    def __init__(self) -> None:
        self._keys: dict[bytes, Place] = {}
        self._ranges: dict[tuple[bytes, bytes], Place] = {}
        self._blocks: list[_Block] = []
        self._firsts: list[bytes] = []  # the first key of each block

    def __len__(self) -> int:
        """How many places there are."""
        return len(self._keys) + len(self._ranges)

    def place(self, key: bytes, end: bytes) -> Place:
        """The place of just these keys, made if there is none."""
        if not end:
            if key not in self._keys:
                self._keys[key] = Place(key, end)
            return self._keys[key]
        if (key, end) not in self._ranges:
            self._ranges[key, end] = place = Place(key, end)
            self._insert(place)
        return self._ranges[key, end]

    def remove(self, place: Place) -> None:
        """Nobody watches it any more."""
        if not place.end:
            del self._keys[place.key]
            return
        del self._ranges[place.key, place.end]
        at = bisect_right(self._firsts, place.key) - 1
        while place not in self._blocks[at].places:  # of several that begin with one key, some may stand before
            at -= 1
        left = [other for other in self._blocks[at].places if other is not place]
        self._put(at, [_Block.of(left)] if left else [])

    def of(self, key: bytes) -> Iterator[Place]:
        """Every place that holds this key."""
        if (place := self._keys.get(key)) is not None:
            yield place
        for block in self._blocks[: bisect_right(self._firsts, key)]:
            if block.endless or key < block.highest:
                yield from (place for place in block.places if place.holds(key))

    def _insert(self, place: Place) -> None:
        if not self._blocks:
            return self._put(0, [_Block.of([place])], instead=0)
        at = max(0, bisect_right(self._firsts, place.key) - 1)
        places = self._blocks[at].places
        insort(places, place)
        if len(places) > BLOCK_MAX:
            half = len(places) // 2
            self._put(at, [_Block.of(places[:half]), _Block.of(places[half:])])
        else:
            block = self._blocks[at]
            self._firsts[at] = places[0].key
            if place.end == TO_THE_END:
                block.endless += 1
            else:
                block.highest = max(block.highest, place.end)

    def _put(self, at: int, blocks: list[_Block], instead: int = 1) -> None:
        self._blocks[at : at + instead] = blocks
        self._firsts[at : at + instead] = [block.places[0].key for block in blocks]
