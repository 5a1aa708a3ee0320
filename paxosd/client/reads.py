"""How new an answer must be: one dial for every read, from the newest to the quickest.

LINEARIZABLE        all that was acknowledged to anybody before the call; asks the leader, needs a quorum
MaxAge(seconds)     at most so old; asks the leader where the gateway does not know better
SESSION             all that this client has seen, in receipts, answers, the log, and watches, at whatever gateway
AtLeast(revision)   all up to this revision
LOCAL               what the gateway has; it may lack the latest, also what this client did
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from paxosd.core.messages import Query
from paxosd.core.types import MachineName, Revision

AGE_MS_MAX = 2**62


@dataclass(frozen=True, slots=True)
class AtLeast:
    """All up to this revision."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class MaxAge:
    """At most so many seconds old."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fixed:
    """One of `LINEARIZABLE`, `SESSION` and `LOCAL`."""

    name: str

    def __repr__(self) -> str:
        return self.name


LINEARIZABLE, SESSION, LOCAL = Fixed("LINEARIZABLE"), Fixed("SESSION"), Fixed("LOCAL")

Read: TypeAlias = Fixed | AtLeast | MaxAge


def query(request: int, machine: MachineName, question: bytes, read: Read, seen: Revision) -> Query:
    """The message that asks so; `seen`: the latest revision that this client has seen. Raises `TypeError` or
    `ValueError` for what is no read."""
    if isinstance(read, AtLeast):
        if type(read.revision) is not int or not 0 <= read.revision < 2**63:
            raise ValueError(f"AtLeast takes a revision, a whole number, and not {read.revision!r}")
        return Query(request, machine, question, False, read.revision)
    if isinstance(read, MaxAge):
        if not read.seconds >= 0:
            raise ValueError(f"MaxAge takes a number of seconds, and not {read.seconds!r}")
        return Query(request, machine, question, False, 0, int(min(read.seconds * 1000, AGE_MS_MAX)))
    if not isinstance(read, Fixed):
        raise TypeError(f"a read is LINEARIZABLE, SESSION, LOCAL, AtLeast(revision) or MaxAge(seconds), not {read!r}")
    return Query(request, machine, question, read is LINEARIZABLE, seen if read is SESSION else 0)
