"""Leases: each runs out at a log time, unless it is kept. Their keys are with the keys (see `state.py`).

Law: a lease whose time is over is gone for every command, also while its keys still wait for their turn to be deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from sortedcontainers import SortedDict, SortedList

_ROW = Struct(">QQ")


class LeaseTerms(NamedTuple):
    """How long a lease runs each time it is kept, the log time at which it runs out, and its name."""

    ttl_ms: int
    deadline_ms: int
    name: bytes

    def pack(self) -> bytes:
        """As bytes of a row."""
        return _ROW.pack(self.ttl_ms, self.deadline_ms) + self.name

    @staticmethod
    def unpack(content: bytes) -> LeaseTerms:
        """What `pack` made."""
        ttl_ms, deadline_ms = _ROW.unpack_from(content)
        return LeaseTerms(ttl_ms, deadline_ms, content[_ROW.size :])


class Leases:
    """The leases by id, and in the order in which they run out."""

    def __init__(self) -> None:
        self._terms = SortedDict()
        self._due = SortedList()

    def __len__(self) -> int:
        return len(self._terms)

    @property
    def due_ms(self) -> int | None:
        """The log time at which the next one runs out."""
        return self._due[0][0] if self._due else None

    def terms(self, lease: int) -> LeaseTerms | None:
        """What stands there of a lease, whether its time is over or not."""
        return self._terms.get(lease)  # type: ignore[no-any-return]

    def running(self, lease: int, log_time_ms: int) -> LeaseTerms | None:
        """A lease, if its time is not over."""
        terms = self.terms(lease)
        return terms if terms is not None and terms.deadline_ms > log_time_ms else None

    def from_id(self, start: int) -> Iterator[tuple[int, LeaseTerms]]:
        """The leases from this id on, in order."""
        return ((lease, self._terms[lease]) for lease in self._terms.irange(start))

    def due(self, log_time_ms: int) -> Iterator[int]:
        """The leases whose time is over, the one that was over first before the others. What is told may be removed."""
        while self._due and self._due[0][0] <= log_time_ms:
            yield self._due[0][1]

    def set(self, lease: int, terms: LeaseTerms) -> LeaseTerms | None:
        """A lease is new, or has other terms; returns the ones before."""
        before = self.remove(lease)
        self._terms[lease] = terms
        self._due.add((terms.deadline_ms, lease))
        return before

    def remove(self, lease: int) -> LeaseTerms | None:
        """A lease is gone; returns its terms."""
        terms: LeaseTerms | None = self._terms.pop(lease, None)
        if terms is not None:
            self._due.remove((terms.deadline_ms, lease))
        return terms
