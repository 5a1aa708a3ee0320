"""One watch of a caller: what it asks, how far it is told, and what the caller has not taken yet.

Laws:
1. The client's thread hands revisions in, one caller after the other takes them out, each once and in order. Neither
   waits for the other, and no lock is held: each number here is written by one side alone.
2. What a caller does not take is bounded: beyond that the watch *rests*. It is registered nowhere, costs nobody
   anything, and goes on from where it stands when the caller has taken half.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from paxosd.client.calls import open_turnstile
from paxosd.client.errors import PaxosError
from paxosd.core.types import Revision

if TYPE_CHECKING:
    from _thread import LockType

CHANGED_BYTES = 200
"""What a revision that waits takes besides its events, about."""


class Changed(NamedTuple):
    """What one revision did to the keys that are watched: all of it, in order."""

    revision: Revision
    events: tuple[Any, ...]


class WatchCall:
    """Told of keys from `key` on and below `end` (empty: this key; "\\0": all from it on), from revision `start` on; 0:
    from the moment on in which a gateway registers it. `decode` makes events, each with a `revision`, of a machine's
    bytes.
    """

    def __init__(
        self,
        machine: str,
        key: bytes,
        end: bytes,
        start: Revision,
        previous: bool,
        decode: Callable[[bytes], Sequence[Any]],
    ) -> None:
        self.machine, self.key, self.end, self.previous = machine, key, end, previous
        self.decode = decode
        self.position: Revision | None = start - 1 if start else None
        """All up to this revision was handed in; None: no gateway has registered it yet."""
        self.error: PaxosError | None = None
        self.closed = False
        """Its caller wants nothing more; the client's thread sees that when it is told to attend to it."""
        self.rests = False
        self.registration = 0
        """By which number it is registered in the stream of now, or asked for; 0: it is not."""
        self.turnstiles: list[LockType] = []
        self.watcher: Callable[[], None] | None = None
        """Called when there is something new, in the thread in which that comes about."""
        self._waiting: deque[tuple[Changed, int]] = deque()
        self._handed_bytes = 0
        self._taken_bytes = 0

    # ---- the client's thread ----

    def hand(self, changed: Sequence[Changed], sizes: Sequence[int], upto: Revision) -> None:
        """All that happened up to this revision, as far as it is not known."""
        position = self.position or 0
        news = False
        for each, size in zip(changed, sizes, strict=True):
            if each.revision > position:
                news = True
                self._handed_bytes += size
                self._waiting.append((each, size))
        self.stand_at(upto)
        if news:
            self.tell()

    def stand_at(self, revision: Revision) -> None:
        """Nothing more happened up to this revision."""
        if self.position is None or revision > self.position:
            self.position = revision

    def fail(self, error: PaxosError) -> None:
        """It is over, for this reason; what was handed in can be taken."""
        if self.error is None:
            self.error = error
            self.tell()

    def begin_again(self, revision: Revision) -> None:
        """It was over, and its caller knows all up to this revision from elsewhere; in the client's thread."""
        self.error, self.position = None, revision

    def tell(self) -> None:
        """Wake whoever waits for it."""
        for turnstile in self.turnstiles.copy():
            open_turnstile(turnstile)
        if self.watcher is not None:
            self.watcher()

    @property
    def waiting_bytes(self) -> int:
        """How much its caller has not taken."""
        return self._handed_bytes - self._taken_bytes

    # ---- the caller ----

    def take(self) -> Changed | None:
        """The next revision; None: there is none yet."""
        if not self._waiting:
            return None
        changed, size = self._waiting.popleft()
        self._taken_bytes += size
        return changed

    @property
    def has_news(self) -> bool:
        """Whether `take` gives something, or never will."""
        return bool(self._waiting) or self.closed or self.error is not None

    @property
    def revision(self) -> Revision:
        """All that happened up to this revision was taken. It goes on also where nothing happens to these keys."""
        position = self.position or 0  # before the look at what waits, which is handed in before this grows
        try:
            return self._waiting[0][0].revision - 1
        except IndexError:
            return position
