"""All watches of one client: registered at the gateway whose turn it is, in one stream, each from where it stands.

Laws:
1. What a gateway says counts in the order of its numbers. Where one is missing for a moment, or the gateway says
   nothing for some seconds, the stream is over, and another one begins, in which all are registered again. So losses,
   restarts and moves are one case, and no event comes twice or never.
2. A registration has a number of its own. What is still told by an old number is nothing.
3. A watch that its caller does not empty rests (see `watched.py`): it never holds up another one.
4. Streams follow each other slowly where that does not help.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from paxosd.client import verdicts
from paxosd.client.errors import PaxosError
from paxosd.client.watched import CHANGED_BYTES, Changed, WatchCall
from paxosd.core.messages import FromClient, Unwatch, WatchEvents, Watching, WatchKeys, WatchMark, WatchTaken
from paxosd.core.reasons import Reason
from paxosd.core.types import Instant

WATCHES_MAX = 16384
"""How many watches a client may have; no gateway takes more of one."""
CREDIT_BYTES = 256 * 1024
WAITING_BYTES_MAX = 256 * 1024
WAITING_BYTES_LEAST = 4 * 1024
WAITING_TOGETHER_BYTES = 64 * 1024 * 1024
"""How much all callers together may, about: with many watches each has less."""
REGISTERING_MAX = 512
"""How many registrations are under way at once."""
AHEAD_MAX = 64
"""How many messages may wait for an earlier one."""
GAP_S = 0.3
"""How long they do."""
PATIENCE_S = 1.0
"""How long a gateway may leave a registration unanswered, or say nothing at all in a new stream."""
SILENCE_S = 3.0
"""How long a gateway may say nothing where something is registered; it says something every second."""
HERE_EVERY_S = 2.0
"""How often a gateway is told that we are there."""
PAUSE_S = 0.05
PAUSE_S_MAX = 2.0
"""How long a stream that could not stand is followed by none: twice as long each time, from the first to the second."""
STANDSTILL_S = 1.0
"""Who notices a silence so much too late stood still itself."""


class WatchCalls:
    """Those of one client. `credit_bytes`: how much a gateway may send before we say that we took it; `waiting_bytes`:
    how much one caller may leave untaken, and one message more, before its watch rests."""

    def __init__(self, credit_bytes: int = CREDIT_BYTES, waiting_bytes: int = WAITING_BYTES_MAX) -> None:
        self._credit_bytes = credit_bytes
        self._waiting_bytes = waiting_bytes
        self._calls: dict[WatchCall, None] = {}
        self._waiting: OrderedDict[WatchCall, None] = OrderedDict()  # to be registered
        self._asked: dict[int, tuple[WatchCall, Instant]] = {}  # by registration, since when
        self._live: dict[int, WatchCall] = {}
        self._over: dict[int, None] = {}  # registrations to be ended
        self._registrations = 0
        self._latest_stream = 0
        self._begin_none()
        self._troubles = 0  # streams in a row that did not stand
        self._not_before: Instant = 0.0

    def _begin_none(self) -> None:
        self._stream = 0
        self._begun = 0  # when the gateway began it; 0: it has not answered
        self._number = 0  # of the latest message that counted
        self._ahead: dict[int, WatchEvents | Watching | WatchMark] = {}
        self._gap_since: Instant = 0.0
        self._parts: dict[int, list[bytes]] = {}
        self._untaken_bytes = 0
        self._heard_at: Instant = 0.0
        self._answered = False
        self._listens_once_more = False
        self._here_at: Instant = 0.0  # when the gateway is to be told next that we are there

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._calls)

    # ---- what callers ask ----

    def attend(self, call: WatchCall) -> None:
        """Look at a watch that is new, that its caller closed, or of which it has taken something."""
        if call.closed or call.error is not None:
            self._forget(call)
        elif call not in self._calls:
            if len(self._calls) >= WATCHES_MAX:
                return call.fail(verdicts.too_many_watches(WATCHES_MAX))
            self._calls[call] = None
            self._waiting[call] = None
        elif call.rests and call.waiting_bytes <= self._waiting_bytes_max // 2:
            call.rests = False
            self._waiting[call] = None
        return None

    def _forget(self, call: WatchCall) -> None:
        self._calls.pop(call, None)
        self._waiting.pop(call, None)
        self._unregister(call)

    def _unregister(self, call: WatchCall) -> None:
        if number := self._drop_registration(call):
            self._over[number] = None

    def _drop_registration(self, call: WatchCall) -> int:
        number, call.registration = call.registration, 0
        self._asked.pop(number, None)
        self._live.pop(number, None)
        self._parts.pop(number, None)
        return number

    def close(self, kind: type[PaxosError], why: str) -> None:
        """All are over."""
        for call in list(self._calls):  # who hears of it may attend to its watch at once
            call.fail(kind(f"the watch is over; {why}"))
        self._calls.clear()

    # ---- out ----

    def poll(self, now: Instant) -> list[FromClient]:
        """What is to be sent to the gateway now."""
        if not self._calls:
            last: list[FromClient] = [Unwatch(self._stream, tuple(self._over))] if self._stream and self._over else []
            self._over.clear()
            self._begin_none()
            return last
        if self._ahead and now >= self._gap_since + GAP_S:
            self.rewind(now)
        if not self._stream:
            if now < self._not_before or not self._waiting:
                return []
            self._begin(now)
        return self._out(now)

    def _begin(self, now: Instant) -> None:
        self._stream = self._latest_stream = max(self._latest_stream + 1, int(now * 1_000_000))
        self._heard_at = now
        self._here_at = now + HERE_EVERY_S

    def _out(self, now: Instant) -> list[FromClient]:
        out: list[FromClient] = []
        while now >= self._first_asked_at + PATIENCE_S:
            call, _ = self._asked.pop(next(iter(self._asked)))
            self._asked[call.registration] = call, now
            out.append(self._registering(call))
        while self._waiting and len(self._asked) < REGISTERING_MAX:
            call, _ = self._waiting.popitem(last=False)
            self._registrations += 1
            call.registration = self._registrations
            self._asked[call.registration] = call, now
            out.append(self._registering(call))
        if self._over:
            out.append(Unwatch(self._stream, tuple(self._over)))
            self._over.clear()
        if self._untaken_bytes >= self._credit_bytes // 4 or now >= self._here_at:
            self._untaken_bytes, self._here_at = 0, now + HERE_EVERY_S
            out.append(WatchTaken(self._stream, self._number))
        return out

    def _registering(self, call: WatchCall) -> WatchKeys:
        start = 0 if call.position is None else call.position + 1
        about = call.machine, call.key, call.end, start, call.previous
        return WatchKeys(self._stream, call.registration, *about, self._credit_bytes)

    def next_deadline(self) -> Instant | None:
        """When `poll` has something to do if nothing comes before."""
        if not self._calls:
            return None
        if not self._stream:
            return self._not_before if self._waiting else None
        times = [self._here_at, self._quiet_until]
        if self._ahead:
            times.append(self._gap_since + GAP_S)
        times.append(self._first_asked_at + PATIENCE_S)
        if self._over or (self._waiting and len(self._asked) < REGISTERING_MAX):
            times.append(0.0)
        return min(times)

    @property
    def _first_asked_at(self) -> Instant:
        """When that was asked that is unanswered for longest."""
        return next(iter(self._asked.values()))[1] if self._asked else math.inf

    # ---- whether the gateway is there ----

    @property
    def _quiet_until(self) -> Instant:
        return self._heard_at + (SILENCE_S if self._answered else PATIENCE_S)

    def finds_silence(self, now: Instant) -> bool:
        """Whether the gateway has said nothing for too long. Who looks too late stood still itself, and first looks
        what came meanwhile, once."""
        if not self._stream or now < self._quiet_until:
            return False
        if now < self._quiet_until + STANDSTILL_S or self._listens_once_more:
            return True
        self._listens_once_more = True
        self._heard_at += now - self._quiet_until + STANDSTILL_S
        return False

    def rewind(self, now: Instant) -> None:
        """The stream is over, or another gateway has its turn: all are registered again."""
        if self._stream:
            self._not_before = now + min(PAUSE_S * 2.0 ** min(self._troubles, 30), PAUSE_S_MAX)
            self._troubles += 1
        again = [*self._live.values(), *(call for call, _ in self._asked.values())]
        for call in again:
            call.registration = 0
        self._waiting = OrderedDict.fromkeys([*again, *self._waiting])
        self._asked.clear()
        self._live.clear()
        self._over.clear()
        self._begin_none()

    # ---- in ----

    def receive(self, message: WatchEvents | Watching | WatchMark, now: Instant) -> Reason | None:
        """What the gateway says. Returns why it refuses us, if it does: then the stream is over."""
        if message.stream != self._stream or not self._stream:
            return None
        self._heard_at, self._answered, self._listens_once_more = now, True, False
        if not message.number:
            return self._on_word(message, now)
        self._begun = self._begun or message.begun
        if message.begun != self._begun:  # it was started anew, and knows nothing of what it answered before
            self.rewind(now)
            return None
        if message.number > self._number + 1:
            if not self._ahead:
                self._gap_since = now
            if len(self._ahead) < AHEAD_MAX:
                self._ahead[message.number] = message
            return None
        if message.number <= self._number:
            return None
        refused = self._on_next(message, now)
        while refused is None and (held := self._ahead.pop(self._number + 1, None)) is not None:
            refused, self._gap_since = self._on_next(held, now), now
        return refused

    def _on_word(self, message: WatchEvents | Watching | WatchMark, now: Instant) -> Reason | None:
        """Something that is not numbered: the gateway has no such stream, or takes no such registration."""
        if not isinstance(message, Watching) or (message.watch and message.watch not in self._asked):
            return None
        return self._on_refused(message, now)

    def _on_next(self, message: WatchEvents | Watching | WatchMark, now: Instant) -> Reason | None:
        self._number = message.number
        match message:
            case WatchEvents():
                self._on_events(message, now)
            case WatchMark(_, _, _, revision):
                self._troubles = 0
                for call in self._live.values() if revision else ():
                    call.stand_at(revision)
            case Watching() if message.refused:
                return self._on_refused(message, now)
            case Watching(_, _, _, watch, revision):
                if watch in self._asked:
                    call, _ = self._asked.pop(watch)
                    self._live[watch] = call
                    if call.position is None:
                        call.stand_at(revision)
                        call.tell()
                elif watch not in self._live:
                    self._over[watch] = None
        return None

    def _on_refused(self, message: Watching, now: Instant) -> Reason | None:
        reason = verdicts.why_unread(message.refused)
        call = self._live.get(message.watch) or self._asked.get(message.watch, (None,))[0]
        if reason in (Reason.COMPACTED, Reason.UNKNOWN_MACHINE):
            if call is not None:
                self._drop_registration(call)
                self._forget(call)
                if reason is Reason.COMPACTED:
                    call.fail(verdicts.watch_compacted((call.position or 0) + 1, message.first))
                else:
                    call.fail(verdicts.not_watchable(call.machine))
            return None
        self.rewind(now)
        return reason

    def _on_events(self, message: WatchEvents, now: Instant) -> None:
        self._untaken_bytes += len(message.events) + CHANGED_BYTES
        self._troubles = 0
        made: dict[tuple[Callable[[bytes], Sequence[Any]], bytes], tuple[list[Changed], list[int]]] = {}
        for number in message.watches:
            call = self._live.get(number)
            if call is None:
                if number not in self._asked:
                    self._over[number] = None
                continue
            if message.after > (call.position or 0):
                return self.rewind(now)  # something is missing, which no gateway of ours does
            if message.more:
                self._parts.setdefault(number, []).append(message.events)
                continue
            parts = self._parts.pop(number, None)
            data = message.events if parts is None else b"".join((*parts, message.events))
            key = call.decode, data
            if key not in made:
                try:
                    made[key] = _by_revision(call.decode(data), len(data))
                except ValueError:  # the gateway errs, or speaks another version
                    return self.rewind(now)
            call.hand(*made[key], message.upto)
            if call.waiting_bytes >= self._waiting_bytes_max:
                self._rest(call)
        return None

    @property
    def _waiting_bytes_max(self) -> int:
        share = WAITING_TOGETHER_BYTES // max(1, len(self._calls))
        return min(self._waiting_bytes, max(WAITING_BYTES_LEAST, share))

    def _rest(self, call: WatchCall) -> None:
        """Its caller takes less than comes. If it took all in this very moment, nobody would say so later."""
        self._unregister(call)
        call.rests = True
        self.attend(call)


def _by_revision(events: Sequence[Any], size: int) -> tuple[list[Changed], list[int]]:
    """The events of each revision together, and about how much each takes."""
    grouped: dict[int, list[Any]] = {}
    for event in events:
        grouped.setdefault(event.revision, []).append(event)
    if list(grouped) != sorted(grouped):
        raise ValueError("revisions out of order")
    changed = [Changed(revision, tuple(each)) for revision, each in grouped.items()]
    return changed, [len(each.events) * size // len(events) + CHANGED_BYTES for each in changed]
