"""The contract between a gateway and the state that it answers from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from paxosd.core.types import MachineName, Outcome, SessionId, Slot
from paxosd.gateway.pages import ReadableLog


class Replicated(ReadableLog, Protocol):
    """What a gateway reads of the state that the log makes (see `machine/ledger.py`)."""

    @property
    def next_slot(self) -> Slot:
        """Every slot below is applied."""
        ...

    @property
    def known_stop(self) -> Slot:
        """Every slot below stands on this node's disk, applied or not."""
        ...

    @property
    def first_slot(self) -> Slot:
        """The first slot whose value stands on this node's disk still."""
        ...

    @property
    def log_time_ms(self) -> int:
        """The latest stamp that was applied."""
        ...

    @property
    def due_ms(self) -> int | None:
        """The log time at which something runs out next, in any machine; None: nothing does."""
        ...

    @property
    def trims_ms(self) -> int | None:
        """The log time at which more of the log need not be kept; None: time alone changes nothing."""
        ...

    def machine(self, name: MachineName) -> object | None:
        """The machine that is mounted under this name; None: there is none."""
        ...

    def query(self, machine: MachineName, question: bytes) -> tuple[bytes, str]:
        """What this machine, which is mounted, answers; or why it does not."""
        ...

    def digest(self) -> bytes:
        """The digest of the state that the log made."""
        ...

    def state_digest(self) -> bytes:
        """The digest of all that the log made."""
        ...

    def stored(self, session: SessionId, first_seq: int, count: int) -> Iterator[Outcome] | None:
        """The results of these commands; None unless all of them are applied."""
        ...

    def knows(self, session: SessionId) -> bool:
        """Whether this session was opened and is remembered."""
        ...

    def next_seq(self, session: SessionId) -> int:
        """The number of its next command; 0: it is not known."""
        ...
