"""Whether somebody removes the key of what is held: each such key is watched, after a while.

Laws:
1. Whoever holds something is told when its key goes, whatever happens to the watch. Where the history of keys does not
   go back to where the watch stood, one looks at the key, and watches on from that look.
2. What is given back is guarded no more: its watch is closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count

from paxosd.client import driving
from paxosd.client.calls import Question
from paxosd.client.clock import Clocks
from paxosd.client.driving import KeyGuard
from paxosd.client.errors import Compacted, PaxosError
from paxosd.client.leases import KeyHold
from paxosd.client.reads import LINEARIZABLE
from paxosd.client.watched import WatchCall
from paxosd.client.watching import WatchingSession
from paxosd.core.types import Instant, Revision
from paxosd.machine.kv.requests import Range

FIRST_REQUEST = 1 << 62
"""Callers number theirs from 1 on."""
FOR_EVER_S = 1e9


class Guards:
    """Of one client, whose session of now is given by `session`."""

    def __init__(self, session: Callable[[], WatchingSession], clocks: Clocks) -> None:
        self._session = session
        self._clocks = clocks
        self._waiting: deque[KeyGuard] = deque()  # those that are not watched yet, the first first
        self._requests = count(FIRST_REQUEST)

    def add(self, hold: KeyHold, guard: KeyGuard) -> None:
        """One more. It begins at the revision after the one that made the key."""
        watch = guard.watch
        watch.watcher = partial(self._on_news, hold, watch, watch.position or 0)
        self._waiting.append(guard)

    @property
    def next_at(self) -> Instant | None:
        """When the next one is to be watched."""
        return self._waiting[0].at if self._waiting else None

    def begin(self, now: Instant) -> None:
        """Watch those whose time has come."""
        while self._waiting and (self._waiting[0].at <= now or self._waiting[0].watch.closed):
            guard = self._waiting.popleft()
            if not guard.watch.closed:
                self._session().attend(guard.watch)

    def _on_news(self, hold: KeyHold, watch: WatchCall, made: Revision) -> None:
        while (changed := watch.take()) is not None:
            if not watch.closed and any(event.kv is None for event in changed.events):
                hold.removed()
        if isinstance(watch.error, Compacted) and not watch.closed:
            deadline = self._clocks.now() + FOR_EVER_S
            asked = Range(watch.key, keys_only=True)
            question = driving.question_of(next(self._requests), asked, deadline, LINEARIZABLE, 0)
            question.watcher = partial(self._on_look, hold, watch, made, question)
            self._session().ask(question)

    def _on_look(self, hold: KeyHold, watch: WatchCall, made: Revision, question: Question) -> None:
        if question.error is not None or watch.closed:
            return
        with suppress(PaxosError):  # the keys speak another language: whoever asks them something is told
            found = driving.answer_to_question(question.answer)
            if not found.items or found.items[0].create_revision != made:
                return hold.removed()
            watch.begin_again(found.revision)
            self._session().attend(watch)
