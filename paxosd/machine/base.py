"""What the log is applied to."""

from __future__ import annotations

from typing import Protocol

from paxosd.core.types import Revision


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
