"""What the log is applied to, and what is kept of it on a learner's disk.

A machine's state is kept as rows: a key, and what stands there. A learner writes what changed now and then, with the
slot up to which it had applied the log; a later life begins with these rows and applies the rest of the log to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from paxosd.core.types import Revision


class Changes(NamedTuple):
    """Rows that are new or different since the last time, and keys of rows that are gone. No key is in both."""

    put: list[tuple[bytes, bytes]]
    delete: list[bytes]


class StateMachine(Protocol):
    """State that is a function of the log: equal commands in equal order give equal state, on every node.

    So it may use no clock, no randomness and nothing outside itself.
    """

    def apply(self, first_revision: Revision, commands: list[bytes]) -> None:
        """Apply these commands, which have consecutive revisions from `first_revision` on."""
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
        """Become the state that these rows are, of which each came from `changes`; called before anything else."""
        ...
