"""The watches of all clients of one gateway (see `core/messages/watches.py` for what they are told, and how).

Laws:
1. A client has one stream here: the one with the highest number that it began.
2. Whatever is refused is refused by name, and nothing is remembered of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from paxosd.core.messages import Unwatch, WatchEvents, Watching, WatchKeys, WatchMark, WatchTaken
from paxosd.core.reasons import Reason
from paxosd.core.types import ClientAddress, Instant
from paxosd.gateway.feed import Feed
from paxosd.gateway.replicated import Replicated
from paxosd.gateway.streams import Registered, Stream, Streams
from paxosd.gateway.watchable import Watchable


class Watches:
    """Those of one gateway, told out of what `replicated` is. `send` hands a message for a client on."""

    def __init__(
        self, replicated: Replicated, send: Callable[[ClientAddress, WatchEvents | Watching | WatchMark], None]
    ) -> None:
        self._replicated = replicated
        self._send = send
        self._streams = Streams(send)
        self._feeds: dict[str, Feed] = {}

    def __bool__(self) -> bool:
        """Whether there is any, or a client that had one."""
        return bool(self._streams)

    # ---- what clients ask ----

    def register(self, client: ClientAddress, message: WatchKeys, refused: Reason | None, now: Instant) -> None:
        """Begin to tell; or say why not. `refused`: why this gateway takes no watches now."""
        machine = self._replicated.machine(message.machine)
        if not isinstance(machine, Watchable):
            refused = Reason.UNKNOWN_MACHINE
        stream = self._streams.of(client, message.stream)
        if stream is None and self._streams.is_over(client, message.stream):
            return  # it came late: its client waits for nothing of that stream
        if refused is not None:
            return self._refuse(client, message, refused)
        if stream is None:
            self.end(client)
            stream = self._streams.begin(client, message.stream, now)
        self._streams.hear(stream, now)
        stream.credit_bytes = message.credit_bytes
        if message.watch in stream.watches:  # it came twice, or the answer was lost
            return self._streams.answer(stream, message.watch, stream.watches[message.watch].told)
        if self._streams.refuses(stream, len(message.key) + len(message.end)):
            return self._refuse(client, message, Reason.OVERLOADED)
        assert isinstance(machine, Watchable)
        return self._begin(stream, message, machine)

    def _begin(self, stream: Stream, message: WatchKeys, machine: Watchable) -> None:
        told = message.start - 1 if message.start else self._replicated.revision
        if told + 1 < machine.first_revision:
            refused, first = Reason.COMPACTED, machine.first_revision
            return self._streams.answer(stream, message.watch, told, refused, first)
        feed = self._feed(message.machine)
        place = feed.ranges.place(message.key, message.end)
        registered = Registered(stream, message.watch, message.machine, place, message.previous, told)
        self._streams.add(registered)
        feed.add(registered)
        return self._streams.answer(stream, message.watch, told)

    def _refuse(self, client: ClientAddress, message: WatchKeys, reason: Reason) -> None:
        self._send(client, Watching(message.stream, 0, 0, message.watch, 0, reason))

    def _feed(self, machine: str) -> Feed:
        if machine not in self._feeds:
            self._feeds[machine] = Feed(machine, self._streams, self._replicated.revision)
        return self._feeds[machine]

    def unregister(self, client: ClientAddress, message: Unwatch, now: Instant) -> None:
        """These are over."""
        stream = self._known(client, message.stream, now)
        if stream is None:
            return
        for number in message.watches:
            if (registered := stream.watches.get(number)) is not None:
                self._remove(registered)

    def take(self, client: ClientAddress, message: WatchTaken, now: Instant) -> None:
        """The client is there, and takes what it is told."""
        stream = self._known(client, message.stream, now)
        if stream is None:
            return
        self._streams.take(stream, message.number)
        for feed in self._feeds.values():
            feed.go_on_with_parts(stream)
        blocked = list(stream.blocked) if self._streams.has_credit(stream) else []
        for registered in blocked:
            del stream.blocked[registered]
            self._feeds[registered.machine].go_on(registered)

    def _known(self, client: ClientAddress, number: int, now: Instant) -> Stream | None:
        """The stream of this number; where there is none, the client is told."""
        stream = self._streams.of(client, number)
        if stream is None:
            if not self._streams.is_over(client, number):
                self._send(client, Watching(number, 0, 0, 0, 0, Reason.STREAM_UNKNOWN))
            return None
        self._streams.hear(stream, now)
        return stream

    # ---- ends ----

    def end(self, client: ClientAddress) -> None:
        """Forget this client's stream, if it has one."""
        if (stream := self._streams.by_client(client)) is not None:
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        for feed in self._feeds.values():
            feed.forget_parts(stream)
        for registered in list(stream.watches.values()):
            self._remove(registered)
        self._streams.end(stream)
        if not self._streams:
            self._feeds.clear()

    def _remove(self, registered: Registered) -> None:
        self._feeds[registered.machine].remove(registered)
        self._streams.remove(registered)

    def end_all(self, why: Reason) -> None:
        """Serve no watches any more, and say so."""
        for stream in self._streams.all:
            self._send(stream.client, Watching(stream.number, 0, 0, 0, 0, why))
            self._end(stream)

    # ---- a turn ----

    def turn(self, marks: bool, now: Instant) -> None:
        """Tell what happened. `marks`: whether clients are told that nothing did: those that are not go elsewhere."""
        while (stream := self._streams.silent(now)) is not None:
            self._end(stream)
        revision = self._replicated.revision
        for name, feed in list(self._feeds.items()):
            if len(feed.ranges):  # somebody watches, so that this machine was looked at when that began
                feed.turn(cast("Watchable", self._replicated.machine(name)), revision)
            else:
                del self._feeds[name]
        if marks:
            upto = min((feed.cursor for feed in self._feeds.values()), default=revision)
            self._streams.mark(upto, now)

    def next_deadline(self, marks: bool, now: Instant) -> Instant | None:
        """When `turn` has something to do."""
        revision = self._replicated.revision
        if any(feed.has_work or feed.cursor < revision for feed in self._feeds.values()):
            return now
        return self._streams.deadline(marks)
