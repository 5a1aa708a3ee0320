"""Whom a leader tells how far all is chosen, and when.

An Accept carries the watermark for free. Where none left in the same turn, replicas whose clients may wait for it are
told at once, and the others a little later: most often an Accept left by then, and they need one turn less for a value.
"""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.core.types import FIRST_SLOT, Instant, NodeId, Slot

ASKED_OF_LATE_S = 1.0
"""A replica that asked for something since so long ago has clients that may wait for what is chosen."""

TELL_WITHIN_S = 0.005
"""Who does not wait for it is told so much later at most."""


class Watermarks:
    """What one leadership told these `replicas`, which are all but its own."""

    def __init__(self, replicas: Sequence[NodeId]) -> None:
        self._replicas = replicas
        self._asked_at: dict[NodeId, Instant] = {}  # when each last asked for something, for its clients
        self._told: Slot = FIRST_SLOT  # to all of them
        self._hurried: Slot = FIRST_SLOT  # to those whose clients may wait

    def forget(self) -> None:
        """A leadership begins: nothing was told in it."""
        self._told = self._hurried = FIRST_SLOT

    def asks(self, node: NodeId, now: Instant) -> None:
        """This node asked for something that its clients wait for."""
        if node in self._replicas:
            self._asked_at[node] = now

    def carried(self, watermark: Slot) -> None:
        """An Accept told it to all of them."""
        self._told = watermark

    def is_untold(self, watermark: Slot) -> bool:
        """Whether some of them are still to be told."""
        return bool(self._replicas) and watermark > self._told

    def hurries(self, watermark: Slot, now: Instant) -> Sequence[NodeId]:
        """Who is to be told at once, and was not yet."""
        if watermark <= self._hurried:
            return ()
        self._hurried = watermark
        since = now - ASKED_OF_LATE_S
        return [node for node in self._replicas if self._asked_at.get(node, since) > since]

    def tells(self, watermark: Slot) -> Sequence[NodeId]:
        """Who is to be told now that it was put off for long enough."""
        if not self.is_untold(watermark):
            return ()
        self._told = self._hurried = watermark
        return self._replicas
