"""What a machine offers that can be watched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from paxosd.core.types import Revision


@runtime_checkable
class Watchable(Protocol):
    """A machine that tells what its latest revisions did. What it tells is a function of the log, as its state is.

    A *change* is what a revision did to one key: a tuple that begins with the revision and the key. What else stands in
    it the machine alone knows.
    """

    @property
    def first_revision(self) -> Revision:
        """What this revision and later ones did can be told; what earlier ones did is forgotten."""
        ...

    def revisions(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, Sequence[Any]]]:
        """The changes of the revisions from `first` on, below `stop`: of each that changed something all, in order."""
        ...

    def encode_change(self, change: Any, previous: bool) -> bytes:
        """A change as bytes that can stand one behind the other, its revision among them. `previous`: with what was
        there before."""
        ...
