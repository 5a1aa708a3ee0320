"""What was sent: each sending has a name, so that a refusal of it is not taken for one of another."""

from __future__ import annotations

from collections import OrderedDict

from paxosd.client.calls import Command
from paxosd.core.types import Instant


class Sendings:
    """The sendings of one client that may still be refused, the earliest first."""

    def __init__(self) -> None:
        self.latest = 0
        """The name that was given last."""
        self._open: OrderedDict[int, list[Command]] = OrderedDict()
        self._went_back = 0  # because of a gap, after this sending

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._open)

    def next_name(self) -> int:
        """A name that was never given."""
        self.latest += 1
        return self.latest

    def add(self, batch: list[Command], now: Instant) -> int:
        """These commands are sent together; returns the name of the sending."""
        name = self.next_name()
        self._open[name] = batch
        for command in batch:
            command.sent_at = now
            command.unaccounted += 1
        return name

    def take(self, name: int) -> list[Command] | None:
        """This sending was refused; None if that is known already, or if all of it has a result."""
        batch = self._open.pop(name, None)
        for command in batch or ():
            command.unaccounted -= 1
        return batch

    def go_back(self) -> None:
        """All is sent again, for there is a gap."""
        self._went_back = self.latest

    def is_news(self, name: int) -> bool:
        """Whether a gap that this sending met is another one than the last; 0: the latest sending."""
        return (name or self.latest) > self._went_back

    def forget_settled(self) -> None:
        """Those whose commands all have results can be refused no more, nor do they count."""
        while self._open and next(iter(self._open.values()))[-1].settled:
            self._open.popitem(last=False)

    def clear(self) -> None:
        """The session is over."""
        self._open.clear()
