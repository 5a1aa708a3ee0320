"""States as values: forks of an agent that share nothing, and what makes two of them the same.

Both walk whatever attributes an object has, so that a field added to a role tomorrow is part of its state.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import is_dataclass
from enum import Enum
from random import Random
from typing import Any

from paxosd.core.membership import Membership
from paxosd.core.options import Limits, Timing
from paxosd.core.quorum import Quorum

IRRELEVANT = frozenset({"_sequence", "_leader", "_leader_heard_at"})
"""Attributes that are no part of an identity. The sequence of a heartbeat matters to reads alone, which are not
explored, and every heartbeat is carried as number 0. Whom an acceptor hears matters to pre-votes alone, and only
where its patience is not zero."""

_PLAIN = frozenset({int, str, bytes, bool, float, type(None)})
_CONSTANT = (Membership, Quorum, Timing, Limits, Random, Counter)
"""The same in every state: the configuration, chance that is never drawn from, and counters that change nothing."""


def fork(value: Any, forks: dict[int, Any]) -> Any:
    """A copy that shares nothing that can change; `forks` holds the copies made so far, by the id of the original."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, _CONSTANT) or _cannot_change(value):
        return value
    if kind is dict:
        return {key: fork(held, forks) for key, held in value.items()}
    if kind is set:
        return set(value)
    if kind is list or kind is deque:
        return kind(fork(held, forks) for held in value)
    if id(value) not in forks:
        forks[id(value)] = copy = object.__new__(kind)
        for name, held in _attributes(value):
            setattr(copy, name, fork(held, forks))
    return forks[id(value)]


def frozen(value: Any) -> Any:
    """A hashable value, equal for objects that hold the same; the order inside a dict or a set does not count."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, _CONSTANT):
        return None
    if _cannot_change(value):
        return value
    if kind is dict:
        return frozenset((key, frozen(held)) for key, held in value.items())
    if kind is set:
        return frozenset(value)
    if kind is list or kind is deque:
        return tuple(map(frozen, value))
    return kind, frozenset((name, frozen(held)) for name, held in _attributes(value) if name not in IRRELEVANT)


def _cannot_change(value: Any) -> bool:
    """Whether it is a tuple, a member of an enumeration, a message or a record."""
    return isinstance(value, tuple | Enum) or (is_dataclass(value) and type(value).__hash__ is not None)


def _attributes(value: Any) -> list[tuple[str, Any]]:
    held = getattr(value, "__dict__", None)
    return [(name, getattr(value, name)) for name in value.__slots__] if held is None else list(held.items())
