"""The calls of a client while they are under way: what was asked, until when, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from paxosd.client.errors import PaxosError
from paxosd.client.outcomes import CommandOutcome, Receipt
from paxosd.core.messages import (
    Answer,
    GetStatus,
    LogPage,
    Propose,
    Query,
    ReadLog,
    ReadSlots,
    ReadSnapshot,
    SlotPage,
    SnapshotPage,
    StatusReport,
)
from paxosd.core.types import LOG, Instant, MachineName

if TYPE_CHECKING:
    from _thread import LockType


class Call:
    """What every call is: something with a deadline, for which callers may wait.

    Its end is told to whoever waits for it, and to nobody else. `watcher` is called at the end, in the thread in which
    that comes about.
    """

    __slots__ = ("deadline", "done", "error", "turnstiles", "watcher")

    def __init__(self, deadline: Instant) -> None:
        self.deadline = deadline
        self.done = False  # whether there is something to tell
        self.error: PaxosError | None = None
        self.turnstiles: list[LockType] = []  # locks that are held, one for each caller that waits
        self.watcher: Callable[[], None] | None = None

    def fail(self, error: PaxosError) -> None:
        """There is no result, for this reason; if it is not done already."""
        if not self.done:
            self.error = error
            self.tell()

    def tell(self) -> None:
        """It is done: wake those that wait for it. Whoever comes to wait from now on sees that it is done."""
        self.done = True
        if self.turnstiles:  # else nobody waits, as for most
            for turnstile in self.turnstiles.copy():
                open_turnstile(turnstile)
        if self.watcher is not None:
            self.watcher()


def open_turnstile(turnstile: LockType) -> None:
    """Let one caller through."""
    with suppress(RuntimeError):  # it is open already
        turnstile.release()


class Command(Call):
    """One proposed value on its way. `error` or `receipt` is set once it is done, or it is `taken_back`.

    A caller may take it back until the client's thread begins it. Who comes first decides, by the deletion of
    `_is_open`: that is one step, which one of both alone gets done.
    """

    __slots__ = (
        "_is_open",
        "is_begun",
        "machine",
        "offset",
        "receipt",
        "sent_at",
        "seq",
        "settled",
        "size",
        "unaccounted",
        "value",
    )
    offset: int  # how many bytes were proposed in this session before it; from its first sending on
    sent_at: Instant  # the last time

    def __init__(self, value: bytes, deadline: Instant, machine: MachineName = LOG) -> None:
        super().__init__(deadline)
        self.machine = machine
        self.value: bytes | None = value  # None: withdrawn
        self.size = len(value)
        self.seq = 0  # until it is sent
        self.settled = False  # the log has its number, whatever the caller was told
        self.unaccounted = 0  # sendings that were not refused: any of them may still reach the log
        self.receipt: Receipt | None = None
        self.is_begun = False  # its caller cannot take it back any more
        self._is_open = True  # there while it is neither begun nor taken back

    @property
    def taken_back(self) -> bool:
        """Whether its caller took it back before it was sent."""
        return self.done and self.receipt is None and self.error is None

    def begin(self) -> bool:
        """The client's thread sends it, or says what became of it. False: its caller took it back."""
        if not self.is_begun:
            try:
                del self._is_open
            except AttributeError:
                return False
            self.is_begun = True
        return True

    def take_back(self) -> bool:
        """Its caller wants it no more. False: it is too late, or was done before."""
        try:
            del self._is_open
        except AttributeError:
            return False
        self.tell()
        return True

    def fail(self, error: PaxosError) -> None:
        if self.begin():
            super().fail(error)

    def succeed(self, receipt: Receipt) -> None:
        """It is applied; if it is not done already."""
        if not self.done:
            self.receipt = receipt
            self.tell()


Asked: TypeAlias = ReadLog | Query | ReadSlots | ReadSnapshot | GetStatus | Propose
Told: TypeAlias = LogPage | Answer | SlotPage | SnapshotPage | StatusReport | CommandOutcome


class Question(Call):
    """A read, a question to a machine, for the status or for an outcome, on its way; repeated until it is answered."""

    __slots__ = ("answer", "message", "not_before")

    def __init__(self, message: Asked, deadline: Instant) -> None:
        super().__init__(deadline)
        self.message = message
        self.not_before: Instant = 0.0
        self.answer: Told | None = None

    def succeed(self, answer: Told) -> None:
        """A gateway answered; if it is not done already."""
        if not self.done:
            self.answer = answer
            self.tell()

    @property
    def key(self) -> Hashable:
        """What its answer is found by."""
        assert not isinstance(self.message, Propose)
        return self.message.request

    @property
    def held_s(self) -> float:
        """How long a gateway may keep it, by our own wish, before it answers."""
        return self.message.wait_ms / 1000 if isinstance(self.message, ReadLog) else 0.0
