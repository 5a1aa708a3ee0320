"""What a machine offers that can be watched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from paxosd.core.types import Revision


class WatchableEvent(Protocol):
    """Something that happened to a key; what else it says the machine alone knows."""

    @property
    def key(self) -> bytes:
        """To which key."""
        ...


@runtime_checkable
class Watchable(Protocol):
    """A machine that tells what its latest revisions did. What it tells is a function of the log, as its state is."""

    @property
    def first_revision(self) -> Revision:
        """What this revision and later ones did can be told; what earlier ones did is forgotten."""
        ...

    def events(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, Sequence[Any]]]:
        """What the revisions from `first` on and below `stop` did, in order, each whole: `WatchableEvent`s. Those that
        did nothing may be left out."""
        ...

    def encode_event(self, event: Any, previous: bool) -> bytes:
        """An event as bytes that can stand one behind the other, its revision among them. `previous`: with what was
        there before."""
        ...
