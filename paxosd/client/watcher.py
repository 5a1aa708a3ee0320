"""What a caller has of a watch: an iterator over what happens, one revision at a time.

Laws:
1. What happened is kept for the caller, within bounds (see `watched.py`), and beyond that by the cluster, as long as
   its history of keys goes back. So a slow caller misses nothing, or is told `Compacted`.
2. A watcher that nobody closed and everybody forgot is closed.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from copy import copy
from types import TracebackType

from paxosd.client.watched import Changed, WatchCall
from paxosd.core.types import Revision
from paxosd.process import native

LOOK_EVERY_S = 1.0
"""How often who waits looks whether the thread of the client is there still."""


class Watcher:
    """What happens to some keys, for any number of threads, each revision for one of them.

    `attend` has the client's thread look at the watch; `check` raises if there is no such thread any more.
    """

    def __init__(self, call: WatchCall, attend: Callable[[WatchCall], None], check: Callable[[], None]) -> None:
        self._call = call
        self._attend = attend
        self._check = check
        weakref.finalize(self, _close, call, attend).atexit = False
        attend(call)

    @property
    def revision(self) -> Revision:
        """All that happened up to this revision was taken. It goes on also where nothing happens to these keys."""
        return self._call.revision

    def next(self, timeout: float | None = None) -> Changed | None:
        """What the next revision that concerns these keys did, all of it; None: nothing in time (in seconds), or the
        watcher was closed.

        Raises `Compacted` where the history of keys does not go back so far any more, and what ends a client.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            changed = self._call.take()
            if changed is not None:
                if self._call.rests:
                    self._attend(self._call)
                return changed
            if self._call.closed:
                return None
            if self._call.error is not None:
                raise copy(self._call.error)
            left_s = LOOK_EVERY_S if until is None else min(LOOK_EVERY_S, until - time.monotonic())
            if left_s <= 0:
                return None
            self._check()
            self._wait(left_s)

    def _wait(self, timeout_s: float) -> None:
        turnstile = native.allocate_lock()
        turnstile.acquire()
        self._call.turnstiles.append(turnstile)
        try:
            if not self._call.has_news:  # what came before this line woke nobody
                native.wait(turnstile, timeout_s)
        finally:  # also after a Ctrl-C
            self._call.turnstiles.remove(turnstile)

    def __iter__(self) -> Iterator[Changed]:
        return self

    def __next__(self) -> Changed:
        changed = self.next()
        if changed is None:
            raise StopIteration
        return changed

    def close(self) -> None:
        """It is over: whoever waits for it goes on. Safe to call twice."""
        _close(self._call, self._attend)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _close(call: WatchCall, attend: Callable[[WatchCall], None]) -> None:
    if not call.closed:
        call.closed = True
        attend(call)
        call.tell()
