"""Commands and reads, between gateway and leader."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.reasons import Reason
from paxosd.core.types import LOG, MachineName, SessionId, Slot


@dataclass(frozen=True, slots=True)
class Forward:
    """Gateway to leader: put these commands into the log. The fields are those of `Propose`; or, with `first_seq` 0,
    open a session by the wish that stands in `session`, for the client whose tag is `body`.

    It may come any number of times, to any leaders, and get into the log as often: each command is applied once.
    """

    session: SessionId
    attempt: int
    acknowledged: int
    first_seq: int
    count: int
    body: bytes
    machine: MachineName = LOG


@dataclass(frozen=True, slots=True)
class ForwardRefused:
    """Leader (or who was taken for it) to gateway: this attempt did not reach the log, and will not."""

    session: SessionId
    attempt: int
    first_seq: int
    count: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class ReadIndex:
    """Gateway to leader: how far must I have applied, so that a read sees all that was acknowledged before?"""

    request: int


@dataclass(frozen=True, slots=True)
class ReadIndexReply:
    """Leader to gateway: apply every slot below `applied`, then read. 0: I do not lead; ask again."""

    request: int
    applied: Slot
