"""Where another history answers: for how long a client seeks its own, which other gateways may still be of."""

from __future__ import annotations

from paxosd.core.types import Instant

SEEKS_S = 1.0
"""How long it does, where some gateways are silent, or serve nobody."""


class Seeking:
    """Of one client."""

    def __init__(self) -> None:
        self.until: Instant | None = None
        """When it is over at the latest; None: no other history answered since our own served us."""

    def begin(self, now: Instant) -> None:
        """A gateway is of another history."""
        if self.until is None:
            self.until = now + SEEKS_S

    def end(self) -> None:
        """A gateway of our own history served us."""
        self.until = None

    def is_in_vain(self, now: Instant, none_left: bool, deadline: Instant | None) -> bool:
        """Whether there is nobody left to ask, or no time for the call that ends first. Without a call it ends."""
        if deadline is None:
            self.until = None
        return self.until is not None and (none_left or now >= min(self.until, deadline or now))
