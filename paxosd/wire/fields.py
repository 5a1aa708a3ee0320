"""The fields of messages, as they come in: each of the type and in the range that its message says, or an error.

Laws:
1. A check gives the field's value, or raises ValueError, TypeError or KeyError; it touches nothing but the field.
2. What is taken for a name or a text is short and printable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeAlias

import paxosd.core.messages as m
from paxosd.core.messages import (
    SeenCommits,
)
from paxosd.core.reasons import Reason
from paxosd.core.types import (
    HISTORY_BYTES,
    MACHINE_NAME,
    SENTENCE_CHARS_MAX,
    SESSION_BYTES,
    Ballot,
    Entry,
    HistoryId,
    Lag,
    MachineName,
    NodeId,
    SessionId,
    Vote,
)
from paxosd.core.voters import Voters

NODE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""What the membership file takes for an id; clients name themselves by the same rule."""
TEXT_CHARS_MAX = 255
INTEGER_MAX = 2**63 - 1

Check: TypeAlias = Callable[[Any], Any]
"""Gives the field's value, or raises ValueError, TypeError or KeyError."""


def number(value: Any) -> int:
    """A whole number that fits into eight bytes with a sign."""
    if type(value) is not int or not 0 <= value <= INTEGER_MAX:
        raise ValueError("not a whole number from 0 to 2**63-1")
    return value


def _number_or_never(value: Any) -> int:
    return -1 if type(value) is int and value == -1 else number(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("not true or false")
    return value


def _data(value: Any) -> bytes:
    if type(value) is not bytes:
        raise ValueError("not bytes")
    return value


def history(value: Any) -> HistoryId:
    """The id of a history, or `NO_HISTORY`."""
    if type(value) is not bytes or len(value) not in (0, HISTORY_BYTES):
        raise ValueError(f"not the {HISTORY_BYTES} bytes of a history's id, nor none")
    return value


def _session(value: Any) -> SessionId:
    if type(value) is not bytes or len(value) != SESSION_BYTES:
        raise ValueError(f"not the {SESSION_BYTES} bytes of a session's id, or of a wish for one")
    return value


def _lag(value: Any) -> Lag:
    applied, chosen, per_s = value
    return Lag(number(applied), number(chosen), number(per_s))


def _text(value: Any) -> str:
    if type(value) is not str or len(value) > TEXT_CHARS_MAX or not value.isprintable():
        raise ValueError("not a short text of printable characters")
    return value


def _sentence(value: Any) -> str:
    if type(value) is not str or len(value) > SENTENCE_CHARS_MAX or not value.isprintable():
        raise ValueError("not a sentence of printable characters")
    return value


def node(value: Any) -> NodeId:
    """The id of a node, or the name of a client."""
    if type(value) is not str or not _is_node_id(value):
        raise ValueError("not a node id")
    return value


@lru_cache(maxsize=64)
def _machine(value: Any) -> MachineName:
    if type(value) is not str or not re.fullmatch(MACHINE_NAME, value):
        raise ValueError("not the name of a machine")
    return value


@lru_cache(maxsize=1024)
def _is_node_id(text: str) -> bool:
    """Asked for every ballot: nearly always about one of the few ids of the cluster."""
    return NODE_ID.fullmatch(text) is not None


def _ballot(value: Any) -> Ballot:
    round_number, proposer = value
    if number(round_number) == 0 and proposer == "":
        return Ballot(0, "")
    return Ballot(round_number, node(proposer))


def _vote(value: Any) -> Vote:
    slot, ballot, held = value
    return Vote(number(slot), _ballot(ballot), _data(held))


def _entry(value: Any) -> Entry:
    revision, slot, held = value
    return Entry(number(revision), number(slot), _data(held))


def _reason(value: Any) -> Reason:
    return Reason(number(value))


def _many(check: Check) -> Check:
    def each(value: Any) -> tuple[Any, ...]:
        if type(value) is not tuple:
            raise ValueError("not an array")
        return tuple(map(check, value))

    return each


def _node_status(value: Any) -> m.NodeStatus:
    checked: list[Any] = [check(field) for check, field in zip(_KINDS_OF_STATUS, value, strict=True)]
    return m.NodeStatus(*checked)


@lru_cache(maxsize=64)
def _voters(value: Any) -> Voters:
    voters = Voters.of(value)
    for voter in voters.named:
        node(voter.node)
    return voters


def _seen(value: Any) -> SeenCommits:
    disk, commits = value
    return number(disk), number(commits)


_CHECKS: dict[str, Check] = {
    "DiskId": number,
    "Voters": _voters,
    "tuple[SeenCommits, ...]": _many(_seen),
    "int": number,
    "Slot": number,
    "Revision": number,
    "SessionId": _session,
    "Wish": _session,
    "HistoryId": history,
    "bool": _flag,
    "bytes": _data,
    "str": _text,
    "Sentence": _sentence,
    "NodeId": node,
    "MachineName": _machine,
    "Age": _number_or_never,
    "Ballot": _ballot,
    "Reason": _reason,
    "Lag": _lag,
    "tuple[int, ...]": _many(number),
    "tuple[bytes, ...]": _many(_data),
    "tuple[Vote, ...]": _many(_vote),
    "tuple[Entry, ...]": _many(_entry),
    "tuple[NodeStatus, ...]": _many(_node_status),
}


def checks_of(message_type: type) -> tuple[Check, ...]:
    """The checks of all fields of this type of message, in their order."""
    return tuple(_CHECKS[str(field.type)] for field in fields(message_type))


_KINDS_OF_STATUS = tuple(
    _number_or_never if field.name == "silent_ms" else _CHECKS[str(field.type)] for field in fields(m.NodeStatus)
)
