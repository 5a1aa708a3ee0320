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

    __slots__ = ("deadline", "error", "turnstiles", "watcher")

    def __init__(self, deadline: Instant) -> None:
        self.deadline = deadline
        self.error: PaxosError | None = None
        self.turnstiles: list[LockType] = []  # locks that are held, one for each caller that waits
        self.watcher: Callable[[], None] | None = None

    @property
    def done(self) -> bool:
        """Whether there is something to tell."""
        return self.error is not None

    def fail(self, error: PaxosError) -> None:
        """There is no result, for this reason; if it is not done already."""
        if not self.done:
            self.error = error
            self.tell()

    def tell(self) -> None:
        """It is done: wake those that wait for it. Whoever comes to wait from now on sees that it is done."""
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
    """One proposed value on its way. `error` or `receipt` is set once it is done, or it is `taken_back`."""

    __slots__ = (
        "_decision",
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

    def __init__(self, value: bytes, deadline: Instant, machine: MachineName = LOG) -> None:
        super().__init__(deadline)
        self.machine = machine
        self.value: bytes | None = value  # None: withdrawn
        self.size = len(value)
        self.seq = 0
        self.offset = 0  # how many bytes were proposed in this session before it
        self.sent_at: Instant = 0.0  # the last time
        self.settled = False  # the log has its number, whatever the caller was told
        self.unaccounted = 0  # sendings that were not refused: any of them may still reach the log
        self.receipt: Receipt | None = None
        self._decision: dict[None, bool] = {}  # whether it goes on its way: who comes first decides, in one step

    @property
    def done(self) -> bool:
        return self.receipt is not None or self.error is not None or not self._decision.get(None, True)

    @property
    def is_begun(self) -> bool:
        """Whether its caller cannot take it back any more."""
        return self._decision.get(None, False)

    @property
    def taken_back(self) -> bool:
        """Whether its caller took it back before it was sent."""
        return not self._decision.get(None, True)

    def begin(self) -> bool:
        """The client's thread sends it, or says what became of it. False: its caller took it back."""
        return self._decision.setdefault(None, True)

    def take_back(self) -> bool:
        """Its caller wants it no more. False: it is too late, or was done before."""
        if self._decision or self._decision.setdefault(None, False):
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

    @property
    def done(self) -> bool:
        return self.answer is not None or self.error is not None

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
