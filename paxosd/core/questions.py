"""Questions whose answers are pages: a few bytes ask for a megabyte, so they are answered at the end of a turn.

Laws:
1. Of each asker one question is kept, the latest; it keeps the place in the queue that its first one had.
2. A turn answers `PAGES_PER_TURN_MAX` of all of them, in the order in which they came; the rest wait for the next.
So a turn reads and sends so many pages at most, whoever asks, and nobody's questions keep back those of others.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from paxosd.core.types import NodeId

PAGES_PER_TURN_MAX = 8
"""How many pages of `page_bytes` one turn answers; at least one, so that everybody's turn comes."""

Q = TypeVar("Q")


class Questions(Generic[Q]):
    """What is asked and not answered yet, by the name of the asker."""

    def __init__(self) -> None:
        self._asked: dict[NodeId, Q] = {}

    def __bool__(self) -> bool:
        return bool(self._asked)

    def ask(self, asker: NodeId, question: Q) -> None:
        self._asked[asker] = question

    def take(self, count: int = PAGES_PER_TURN_MAX) -> list[tuple[NodeId, Q]]:
        """The questions for this turn; they are asked no longer."""
        now = list(self._asked.items())[:count]
        for asker, _ in now:
            del self._asked[asker]
        return now
