"""What a task has of a watch: what happens, one revision at a time, by the laws of a `Watcher`."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from types import TracebackType

from paxosd.client.watched import Changed, WatchCall
from paxosd.core.types import Revision


class AsyncWatcher:
    """What happens to some keys, for any number of tasks, each revision for one of them.

    `attend` looks at the watch, in the loop; `check` raises if the client is over.
    """

    def __init__(self, call: WatchCall, attend: Callable[[WatchCall], None], check: Callable[[], None]) -> None:
        self._call = call
        self._attend = attend
        self._check = check
        self._news = asyncio.Event()
        call.watcher = self._news.set
        loop = asyncio.get_running_loop()
        weakref.finalize(self, _forget, call, attend, loop).atexit = False
        attend(call)

    @property
    def revision(self) -> Revision:
        """All that happened up to this revision was taken. It goes on also where nothing happens to these keys."""
        return self._call.revision

    async def next(self, timeout: float | None = None) -> Changed | None:
        """What the next revision that concerns these keys did, all of it; None: nothing in time (in seconds), or the
        watcher was closed.

        Raises `Compacted` where the history of keys does not go back so far any more, and what ends a client.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            self._news.clear()
            changed = self._call.take()
            if changed is not None:
                if self._call.rests:
                    self._attend(self._call)
                return changed
            if self._call.closed:
                return None
            if self._call.error is not None:
                raise copy(self._call.error)
            self._check()
            left_s = None if until is None else until - time.monotonic()
            if left_s is not None and left_s <= 0:
                return None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left_s)

    def __aiter__(self) -> AsyncWatcher:
        return self

    async def __anext__(self) -> Changed:
        changed = await self.next()
        if changed is None:
            raise StopAsyncIteration
        return changed

    def close(self) -> None:
        """It is over: whoever waits for it goes on. Safe to call twice."""
        if not self._call.closed:
            self._call.closed = True
            self._attend(self._call)
            self._news.set()

    async def __aenter__(self) -> AsyncWatcher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _forget(call: WatchCall, attend: Callable[[WatchCall], None], loop: asyncio.AbstractEventLoop) -> None:
    """Nobody has it any more: garbage is collected in any thread."""
    if not call.closed:
        call.closed, call.watcher = True, None
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(attend, call)
