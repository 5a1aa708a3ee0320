"""What histories are checked against: a register, and the log that a cluster serves (see `linearizability.py`)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from paxosd.sim.check.linearizability import STEPS_MAX, Finding, Operation, check

# ---- a register ------------------------------------------------------------------------------


class Read(NamedTuple):
    """Result: the value."""


class Write(NamedTuple):
    """Result: None."""

    value: Hashable


class CompareAndSet(NamedTuple):
    """Write `value` if the register holds `expected`. Result: whether it did."""

    expected: Hashable
    value: Hashable


RegisterCall = Read | Write | CompareAndSet


class Register:
    """One value, to be read, written, and set if it is what the caller thinks it is."""

    def __init__(self, initial: Hashable = None) -> None:
        self.initial = initial

    def step(self, state: Hashable, call: RegisterCall) -> Iterator[tuple[Hashable, Hashable]]:
        match call:
            case Read():
                yield state, state
            case Write(value):
                yield value, None
            case CompareAndSet(expected, value):
                yield (value, True) if state == expected else (state, False)

    def possible(self, state: Hashable, call: RegisterCall, result: Hashable) -> bool:
        return True  # whatever it holds, it may hold anything later


# ---- the log ---------------------------------------------------------------------------------


class Append(NamedTuple):
    """Put a value at the end of the log. Result: its revision."""

    value: bytes


class ReadFrom(NamedTuple):
    """Result: a tuple of all values from this revision on."""

    start: int


LogCall = Append | ReadFrom
LogResult = int | tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A log as a chain: the last value and the log before it. Compared by a digest over all of its values."""

    length: int = 0
    digest: bytes = b""
    last: bytes = field(default=b"", compare=False)
    before: Entries | None = field(default=None, compare=False, repr=False)

    def append(self, value: bytes) -> Entries:
        """The log with one more value; this one stays as it is."""
        digest = blake2b(self.digest + value, digest_size=16).digest()
        return Entries(self.length + 1, digest, value, self)

    def since(self, start: int) -> tuple[bytes, ...]:
        """The values from this revision on."""
        found: list[bytes] = []
        entries = self
        while entries.before is not None and entries.length >= start:
            found.append(entries.last)
            entries = entries.before
        return tuple(reversed(found))


class LogModel:
    """The append-only log that a cluster serves.

    `told` is a witness that spares most of the search: the value of every revision that any result of the history
    names (see `told_by`). Whatever order explains the history has these values there, so no other is tried.
    """

    initial = Entries()

    def __init__(self, told: Mapping[int, bytes] | None = None) -> None:
        self._told = told or {}

    def step(self, state: Entries, call: LogCall) -> Iterator[tuple[Entries, LogResult]]:
        match call:
            case Append(value):
                revision = state.length + 1
                if self._told.get(revision, value) == value:
                    yield state.append(value), revision
            case ReadFrom(start):
                yield state, state.since(start)

    def possible(self, state: Entries, call: LogCall, result: LogResult) -> bool:
        """A log only grows: it is no longer than what was told, and its last value is what was told."""
        match call, result:
            case Append(_), int(revision):
                return state.length < revision
            case ReadFrom(start), tuple(values):
                stop = start + len(values)
                known = start <= state.length < stop
                return state.length < stop and (not known or values[state.length - start] == state.last)
        return False  # no such call has such a result


def told_by(operations: Iterable[Operation[LogCall, LogResult]]) -> dict[int, bytes]:
    """The value of every revision that a result names; where two results differ, that of the first."""
    told: dict[int, bytes] = {}
    for operation in operations:
        match operation.call, operation.result:
            case Append(value), int(revision):
                told.setdefault(revision, value)
            case ReadFrom(start), tuple(values):
                for revision, value in enumerate(values, start):
                    told.setdefault(revision, value)
    return told


def check_log(
    operations: Sequence[Operation[LogCall, LogResult]], steps_max: int = STEPS_MAX
) -> Finding[LogCall, LogResult]:
    """Check a history of the log with its own witness. A violation is shown without it, if the budget suffices:
    the witness knows the future, and so finds a prefix at fault before anybody could have noticed."""
    found = check(LogModel(told_by(operations)), operations, steps_max)
    if found.verdict != "violation":
        return found
    plain = check(LogModel(), operations, steps_max)
    return plain if plain.verdict == "violation" else found
