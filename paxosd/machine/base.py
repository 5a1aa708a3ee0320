"""What the log is applied to, and what is kept of it on a learner's disk.

Several machines are mounted side by side, each under its name, over one log: they share its order, its revisions and
its sessions, and know nothing of each other.

A machine's state is kept as rows: a key, and what stands there. A learner writes what changed now and then, with the
slot up to which it had applied the log; a later life begins with these rows and applies the rest of the log to them.

Log time is what a machine has for a clock: milliseconds, a part of the log, never going back. What has run out by then
goes in `expire`, before any command of that slot is applied, and as a revision of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from paxosd.core.types import Revision


class Changes(NamedTuple):
    """Rows that are new or different since the last time, and keys of rows that are gone. No key is in both."""

    put: list[tuple[bytes, bytes]]
    delete: list[bytes]


class QueryRefused(Exception):
    """A machine does not answer this question; why is said to whoever asked."""


class StateMachine(Protocol):
    """State that is a function of the log: equal commands in equal order give equal state, on every node.

    So it may use no clock, no randomness and nothing outside itself.
    """

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        """Apply these commands, which have consecutive revisions from `first_revision` on.

        One result for each command; or an empty sequence: none has a result. A command that makes no sense is no
        exception: its result says so. A result is part of the log's state, too: equal on every node.
        """
        ...

    def query(self, question: bytes, revision: Revision, log_time_ms: int) -> bytes:
        """The answer from the state as it is; changes nothing. Raises `QueryRefused`, and nothing else.

        `revision` and `log_time_ms` are the latest that were applied, whichever machine they were for.
        """
        ...

    @property
    def due_ms(self) -> int | None:
        """The log time at which something runs out next; None: nothing does. Part of the state."""
        ...

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        """What has run out by `log_time_ms` goes, as this revision. Where very much runs out at once, a part goes, and
        `due_ms` is still not later than that: the rest goes in the next slots."""
        ...

    def digest(self) -> bytes:
        """Equal for equal states, and different for different ones as far as a hash can tell; cheap."""
        ...

    @property
    def changed_rows(self) -> int:
        """About how many rows `changes` would tell: when there are many, it is asked soon."""
        ...

    def changes(self) -> Changes:
        """What to write so that all rows together are this state; it counts as written from now on."""
        ...

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Become the state that these rows are, of which each came from `changes`, in the order of their keys; called
        before anything else."""
        ...
