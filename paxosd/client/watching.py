"""A session that watches, too: its commands, its questions and its watches have one gateway, and move together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

from paxosd.client.errors import PaxosError
from paxosd.client.inquiring import InquiringSession
from paxosd.client.watched import WatchCall
from paxosd.client.watches import WatchCalls
from paxosd.core.messages import FromClient, ToClient, WatchEvents, Watching, WatchMark
from paxosd.core.reasons import Reason
from paxosd.core.types import Instant, Wish


class WatchingSession(InquiringSession):
    """As a `Session`, with watches, and with the outcomes of commands."""

    def __init__(
        self,
        endpoints: Sequence[str],
        random: Random,
        troubles: Mapping[str, str] | None = None,
        draw: Callable[[], Wish] | None = None,
        watches: WatchCalls | None = None,
    ) -> None:
        super().__init__(endpoints, random, troubles, draw)
        self._watches = WatchCalls() if watches is None else watches
        self._moment: Instant = 0.0

    def attend(self, call: WatchCall) -> None:
        """Look at a watch that is new, that its caller closed, or of which it has taken something."""
        self._watches.attend(call)

    def poll(self, now: Instant) -> list[FromClient]:
        self._moment = now
        if self._watches.finds_silence(now):
            with self._turning():
                self.gateways.found_silent(now)
            self._watches.rewind(now)  # also where there is nobody else to turn to
        return super().poll(now) + self._watches.poll(now)

    def next_deadline(self) -> Instant | None:
        times = super().next_deadline(), self._watches.next_deadline()
        return min((at for at in times if at is not None), default=None)

    def receive(self, message: ToClient, now: Instant) -> None:
        self._moment = now
        if not isinstance(message, WatchEvents | Watching | WatchMark):
            return super().receive(message, now)
        self._heard_at = now
        self.gateways.heard()
        if isinstance(message, WatchEvents):
            self.seen = max(self.seen, message.upto)
        refused = self._watches.receive(message, now)
        if refused is None:
            self._seeking.end()
        elif refused is not Reason.STREAM_UNKNOWN:  # which begins anew here
            self._count_refusal(now, refused)
        return None

    def set_aside(self, gateway: str, why: str, now: Instant, of_history: bool = False) -> None:
        self._moment = now
        super().set_aside(gateway, why, now, of_history)

    def _rewind(self) -> None:
        super()._rewind()
        self._watches.rewind(self._moment)

    @property
    def _waits_until(self) -> Instant | None:
        until = super()._waits_until
        return math.inf if until is None and self._watches else until

    def close(self, kind: type[PaxosError], why: str) -> None:
        super().close(kind, why)
        self._watches.close(kind, why)
