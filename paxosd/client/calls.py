"""The calls of a client while they are under way: what was asked, until when, and what came of it."""

from __future__ import annotations

from typing import NamedTuple

from paxosd.client.errors import PaxosError
from paxosd.core.messages import GetStatus, LogPage, ReadLog, StatusReport
from paxosd.core.messages_backup import ReadSlots, SlotPage
from paxosd.core.types import Instant, Revision, Slot


class Receipt(NamedTuple):
    """Where a command stands in the log."""

    revision: Revision
    slot: Slot


class Command:
    """One proposed value on its way. `error` or `receipt` is set once it is done."""

    __slots__ = ("deadline", "error", "offset", "receipt", "sent_at", "seq", "settled", "size", "unaccounted", "value")

    def __init__(self, value: bytes, deadline: Instant) -> None:
        self.value: bytes | None = value  # None: withdrawn
        self.size = len(value)
        self.deadline = deadline
        self.seq = 0
        self.offset = 0  # how many bytes were proposed in this session before it
        self.sent_at: Instant = 0.0  # the last time
        self.settled = False  # the log has its number, whatever the caller was told
        self.unaccounted = 0  # sendings that were not refused: any of them may still reach the log
        self.receipt: Receipt | None = None
        self.error: PaxosError | None = None

    @property
    def done(self) -> bool:
        return self.receipt is not None or self.error is not None


class Question:
    """A read or a status request on its way; repeated until it is answered."""

    __slots__ = ("answer", "deadline", "error", "message", "not_before")

    def __init__(self, message: ReadLog | ReadSlots | GetStatus, deadline: Instant) -> None:
        self.message = message
        self.deadline = deadline
        self.not_before: Instant = 0.0
        self.answer: LogPage | SlotPage | StatusReport | None = None
        self.error: PaxosError | None = None

    @property
    def done(self) -> bool:
        return self.answer is not None or self.error is not None

    @property
    def held_s(self) -> float:
        """How long a gateway may keep it, by our own wish, before it answers."""
        return self.message.wait_ms / 1000 if isinstance(self.message, ReadLog) else 0.0
