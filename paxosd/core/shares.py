"""Who holds how much of what all share, and who holds the most: room is made there first.

Laws:
1. Every call takes constant time on average, however many owners and keys there are.
2. Nothing counts here but the calls and their order: equal calls give equal answers, on every node.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

O = TypeVar("O", bound=Hashable)  # noqa: E741 (an owner)
K = TypeVar("K", bound=Hashable)

FEW = 8
"""So many keys of one owner stand in a plain dict, which is half as large as one that finds its first key at once."""


class Holdings(Generic[O]):
    """How much each owner holds."""

    def __init__(self) -> None:
        self._held: dict[O, int] = {}
        self._levels: dict[int, OrderedDict[O, None]] = {}  # who holds so much, the longest untouched one first
        self._top = 0  # nobody holds more

    def of(self, owner: O) -> int:
        """How much this one holds."""
        return self._held.get(owner, 0)

    def touch(self, owner: O) -> None:
        """It is active, and holds something."""
        self._levels[self._held[owner]].move_to_end(owner)

    def change(self, owner: O, by: int) -> None:
        """It holds so much more, or less."""
        before = self._held.get(owner, 0)
        if before:
            self._leave(before, owner)
        if before + by:
            self._enter(before + by, owner)

    def _leave(self, level: int, owner: O) -> None:
        del self._held[owner]
        others = self._levels[level]
        del others[owner]
        if not others:
            del self._levels[level]

    def _enter(self, level: int, owner: O) -> None:
        self._held[owner] = level
        others = self._levels.get(level)
        if others is None:
            others = self._levels[level] = OrderedDict()
        others[owner] = None
        self._top = max(self._top, level)

    @property
    def greediest(self) -> O:
        """Who holds the most; of several, the one that was untouched for longest. Somebody must hold something."""
        while self._top not in self._levels:  # goes down no more often than it went up
            self._top -= 1
        return next(iter(self._levels[self._top]))


class Shares(Generic[O, K]):
    """Keys that have owners. Where there are too many, the longest unused one of the greediest owner is to go."""

    def __init__(self) -> None:
        self._holdings: Holdings[O] = Holdings()
        self._keys: dict[O, dict[K, None]] = {}  # the longest unused one first
        self._count = 0

    def __len__(self) -> int:
        """How many keys there are."""
        return self._count

    def __iter__(self) -> Iterator[tuple[O, K]]:
        """All owners with each of their keys."""
        return ((owner, key) for owner, keys in self._keys.items() for key in keys)

    def of(self, owner: O) -> int:
        """How many keys this one has."""
        return self._holdings.of(owner)

    def use(self, owner: O, key: K) -> None:
        """The owner uses this key, perhaps for the first time."""
        keys = self._keys.setdefault(owner, {})
        if key in keys:
            del keys[key]
            keys[key] = None
            return self._holdings.touch(owner)
        if len(keys) == FEW:
            keys = self._keys[owner] = OrderedDict(keys)
        keys[key] = None
        self._count += 1
        self._holdings.change(owner, 1)

    def drop(self, owner: O, key: K) -> None:
        """The owner has this key no more."""
        keys = self._keys[owner]
        del keys[key]
        if not keys:
            del self._keys[owner]
        self._count -= 1
        self._holdings.change(owner, -1)

    def longest_unused(self, owner: O) -> K:
        """Of this owner's keys."""
        return next(iter(self._keys[owner]))

    @property
    def next_to_go(self) -> tuple[O, K]:
        """Whose key goes where there are too many, and which one."""
        greediest = self._holdings.greediest
        return greediest, self.longest_unused(greediest)
