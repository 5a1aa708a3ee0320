"""A lock that its holder may take again: who is inside, and how often each came in.

Laws:
1. Each holder has what it holds for itself. One that lost the lock is inside until it went out as often as it came in,
   also while another one has it; and it gives back its own.
2. The lock is given back at the last exit, and not before.
3. Who lost it does not come in again: first it goes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Requirable(Protocol):
    """Something that is held."""

    def require(self) -> None:
        """Raise if it is not held any more."""
        ...


H = TypeVar("H", bound=Requirable)


@dataclass(slots=True)
class _Inside(Generic[H]):
    """What one holder has, and how often it came in."""

    held: H
    times: int


class Reentry(Generic[H]):
    """Of one object, for any number of holders: threads, tasks or others. Each calls for itself alone."""

    def __init__(self) -> None:
        self._inside: dict[object, _Inside[H]] = {}

    def again(self, holder: object) -> H | None:
        """Come in once more; None: it is not inside, and has to wait for the lock. Raises what `require` raises."""
        inside = self._inside.get(holder)
        if inside is None:
            return None
        inside.held.require()
        inside.times += 1
        return inside.held

    def first(self, holder: object, held: H) -> H:
        """Come in with the lock, which it has just got."""
        self._inside[holder] = _Inside(held, 1)
        return held

    def out(self, holder: object) -> H | None:
        """Go out once; what is to be given back, if that was the last time. Raises `RuntimeError`."""
        inside = self._inside.get(holder)
        if inside is None:
            raise RuntimeError("only its holder can release a lock")
        inside.times -= 1
        if inside.times:
            return None
        del self._inside[holder]
        return inside.held
