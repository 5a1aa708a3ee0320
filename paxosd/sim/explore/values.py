"""States as values: forks of an agent that share nothing, and what makes two of them the same.

Both walk whatever attributes an object has, so that a field added to a role tomorrow is part of its state.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import is_dataclass
from enum import Enum, auto
from random import Random
from typing import Any

from paxosd.core.membership import Membership
from paxosd.core.options import Limits, Timing
from paxosd.core.quorum import Quorum

IRRELEVANT = frozenset(
    {
        "_sequence",
        "_leader",
        "_leader_heard_at",
        "_silent",
        "_voting",
        "_took_part",
        "_recent",
        "_commits_found",
        "commits",
    }
)
"""Attributes that are no part of an identity. The number of commits, and who is waited for before a birth, are told
and never acted on here; whose votes count follows from the ballot. The sequence of a heartbeat matters to reads
alone, which are not explored, and every heartbeat is carried as number 0. Whom an acceptor hears matters to pre-votes
alone, and only where its patience is not zero. What its votes weigh matters to the floor alone, and no learner has
anything synced."""

_CONSTANT = (Membership, Quorum, Timing, Limits, Random, Counter)
"""The same in every state: the configuration, chance that is never drawn from, and counters that change nothing."""


class _Kind(Enum):
    """How the objects of a type are taken apart."""

    CONSTANT = auto()
    VALUE = auto()
    DICT = auto()
    SET = auto()
    SEQUENCE = auto()
    OBJECT = auto()


class _Kinds(dict[type, _Kind]):
    """The kind of every type that was met."""

    def __missing__(self, of: type) -> _Kind:
        self[of] = found = self._judge(of)
        return found

    def _judge(self, of: type) -> _Kind:
        if issubclass(of, _CONSTANT):
            return _Kind.CONSTANT
        if of in (int, str, bytes, bool, float, frozenset, type(None)) or issubclass(of, tuple | Enum):
            return _Kind.VALUE
        if is_dataclass(of) and of.__hash__ is not None:  # frozen: a message or a record
            return _Kind.VALUE
        if of in (list, deque):
            return _Kind.SEQUENCE
        return _Kind.DICT if of is dict else _Kind.SET if of is set else _Kind.OBJECT


_KINDS = _Kinds()


def fork(value: Any, forks: dict[int, Any]) -> Any:
    """A copy that shares nothing that can change; `forks` holds the copies made so far, by the id of the original."""
    match _KINDS[type(value)]:
        case _Kind.VALUE | _Kind.CONSTANT:
            return value
        case _Kind.DICT:
            return {key: fork(held, forks) for key, held in value.items()}
        case _Kind.SET:
            return set(value)
        case _Kind.SEQUENCE:
            return type(value)([fork(held, forks) for held in value])
    if id(value) not in forks:
        forks[id(value)] = copy = object.__new__(type(value))
        for name, held in _attributes(value):
            setattr(copy, name, fork(held, forks))
    return forks[id(value)]


def frozen(value: Any) -> Any:
    """A hashable value, equal for objects that hold the same; the order inside a dict or a set does not count."""
    match _KINDS[type(value)]:
        case _Kind.VALUE:
            return value
        case _Kind.CONSTANT:
            return None
        case _Kind.DICT:
            return frozenset([(key, frozen(held)) for key, held in value.items()])
        case _Kind.SET:
            return frozenset(value)
        case _Kind.SEQUENCE:
            return tuple([frozen(held) for held in value])
    held = [(name, frozen(held)) for name, held in _attributes(value) if name not in IRRELEVANT]
    return type(value), frozenset(held)


def _attributes(value: Any) -> Iterable[tuple[str, Any]]:
    held = getattr(value, "__dict__", None)
    return held.items() if held is not None else [(name, getattr(value, name)) for name in value.__slots__]
