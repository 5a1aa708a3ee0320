"""What one gateway tells each of its clients about all of their watches: numbered, and no more than they take.

Laws:
1. All that is told in a stream has a number, 1, 2, 3 …, and is told in that order. So a client sees that it misses one.
2. Of whom so many bytes are untaken is told nothing more until it takes. It keeps its place, and nobody waits for it.
3. Who says nothing for a while is forgotten. Whoever comes back is told that, and begins another stream.
4. What is remembered is bounded, in watches and in bytes. Who would hold too much is refused.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from paxosd.core.messages import WatchEvents, Watching, WatchMark
from paxosd.core.types import ClientAddress, Instant, Revision
from paxosd.gateway.ranges import Place

FORGOTTEN_AFTER_S = 10.0
"""How long a client may say nothing; ours says something every two seconds."""
MARK_EVERY_S = 1.0
"""How often a client is told how far all that was told goes."""
WATCHES_MAX = 65536
"""How many watches a gateway holds."""
WATCHES_PER_CLIENT_MAX = 16384
"""How many of them may be one client's."""
KEY_BYTES_MAX = 64 * 1024 * 1024
"""How many bytes the keys of all watches may have, with the ends of ranges."""
KEY_BYTES_PER_CLIENT_MAX = 16 * 1024 * 1024
CREDIT_BYTES_MAX = 256 * 1024
"""How much of one stream may be untaken, whatever its client wishes; and one message more."""
CREDIT_BYTES_LEAST = 16 * 1024
"""The same, where too much of all streams together is untaken."""
UNTAKEN_BYTES_MAX = 64 * 1024 * 1024
"""How much that is."""
MESSAGE_BYTES = 100
"""What a message takes besides the events in it; each watch that it names takes some more."""


@dataclass(slots=True, eq=False)
class Bundle:
    """Whole revisions as bytes, from `first` to `last`; nothing more happened up to `upto`."""

    first: Revision
    last: Revision
    upto: Revision
    data: bytes


@dataclass(slots=True, eq=False)
class Registered:
    """One watch. `told`: its client knows all up to this revision. `next`: the first one that may concern it and was
    not told; 0: there is none so far."""

    stream: Stream
    number: int
    machine: str
    place: Place
    previous: bool
    told: Revision
    next: Revision = 0


@dataclass(slots=True, eq=False)
class InParts:
    """A bundle that is too large for a message, on its way to some watches of one stream."""

    watches: list[Registered]
    bundle: Bundle
    offset: int = 0


@dataclass(slots=True, eq=False)
class Stream:
    """What one client is told."""

    client: ClientAddress
    number: int
    heard_at: Instant
    marked_at: Instant
    begun: int
    credit_bytes: int = CREDIT_BYTES_MAX
    sent: int = 0  # the number of the latest message
    late: int = 0  # how many watches have not been told all
    key_bytes: int = 0
    watches: dict[int, Registered] = field(default_factory=dict)
    blocked: dict[Registered, None] = field(default_factory=dict)  # which wait until the client takes
    parts: list[InParts] = field(default_factory=list)
    untaken: deque[tuple[int, int]] = field(default_factory=deque)  # number and bytes of messages with events
    untaken_bytes: int = 0


class Streams:
    """The streams of all clients. `send` hands a message for a client on."""

    def __init__(self, send: Callable[[ClientAddress, WatchEvents | Watching | WatchMark], None]) -> None:
        self._send = send
        self._streams: OrderedDict[ClientAddress, Stream] = OrderedDict()  # who was heard longest ago first
        self._marked: OrderedDict[ClientAddress, Stream] = OrderedDict()  # who had a mark longest ago first
        self._untaken_bytes = 0
        self._key_bytes = 0
        self._watches = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._streams)

    @property
    def all(self) -> list[Stream]:
        """Every stream."""
        return list(self._streams.values())

    # ---- whose they are ----

    def by_client(self, client: ClientAddress) -> Stream | None:
        """The stream of this client, whatever its number."""
        return self._streams.get(client)

    def of(self, client: ClientAddress, number: int) -> Stream | None:
        """The stream of this client, if it has that number."""
        stream = self._streams.get(client)
        return stream if stream is not None and stream.number == number else None

    def is_over(self, client: ClientAddress, number: int) -> bool:
        """Whether this client has begun a later one."""
        stream = self._streams.get(client)
        return stream is not None and stream.number > number

    def begin(self, client: ClientAddress, number: int, now: Instant) -> Stream:
        """A new stream of a client that has none."""
        stream = Stream(client, number, now, now, begun=max(1, int(now * 1_000_000)))
        self._streams[client] = self._marked[client] = stream
        return stream

    def hear(self, stream: Stream, now: Instant) -> None:
        """Its client is there."""
        stream.heard_at = now
        self._streams.move_to_end(stream.client)

    def end(self, stream: Stream) -> None:
        """Forget a stream, of which the watches are removed already."""
        del self._streams[stream.client], self._marked[stream.client]
        self._untaken_bytes -= stream.untaken_bytes

    def silent(self, now: Instant) -> Stream | None:
        """One whose client said nothing for too long."""
        stream = next(iter(self._streams.values()), None)
        return stream if stream is not None and now >= stream.heard_at + FORGOTTEN_AFTER_S else None

    # ---- their watches ----

    def refuses(self, stream: Stream, key_bytes: int) -> bool:
        """Whether one more watch, with so many bytes of keys, would be too much."""
        return (
            len(stream.watches) >= WATCHES_PER_CLIENT_MAX
            or self._watches >= WATCHES_MAX
            or stream.key_bytes + key_bytes > KEY_BYTES_PER_CLIENT_MAX
            or self._key_bytes + key_bytes > KEY_BYTES_MAX
        )

    def add(self, registered: Registered) -> None:
        """One more watch."""
        self._count(registered, 1)
        registered.stream.watches[registered.number] = registered

    def remove(self, registered: Registered) -> None:
        """A watch is over."""
        self._count(registered, -1)
        set_next(registered, 0)
        del registered.stream.watches[registered.number]
        registered.stream.blocked.pop(registered, None)

    def _count(self, registered: Registered, by: int) -> None:
        key_bytes = by * (len(registered.place.key) + len(registered.place.end))
        registered.stream.key_bytes += key_bytes
        self._key_bytes += key_bytes
        self._watches += by

    # ---- what is told ----

    def has_credit(self, stream: Stream) -> bool:
        """Whether it may be told more now."""
        most = CREDIT_BYTES_LEAST if self._untaken_bytes >= UNTAKEN_BYTES_MAX else CREDIT_BYTES_MAX
        return stream.untaken_bytes < min(most, stream.credit_bytes)

    def tell(self, stream: Stream, watches: list[Registered], upto: Revision, data: bytes, more: bool) -> None:
        """Events of some of its watches."""
        number = self._next(stream)
        size = len(data) + MESSAGE_BYTES + 8 * len(watches)
        stream.untaken.append((number, size))
        stream.untaken_bytes += size
        self._untaken_bytes += size
        after = min(registered.told for registered in watches)
        numbers = tuple(registered.number for registered in watches)
        self._send(stream.client, WatchEvents(stream.number, stream.begun, number, numbers, after, upto, data, more))

    def answer(self, stream: Stream, watch: int, revision: Revision, refused: int = 0, first: Revision = 0) -> None:
        """What became of a registration."""
        number = self._next(stream)
        self._send(stream.client, Watching(stream.number, stream.begun, number, watch, revision, refused, first))

    def _next(self, stream: Stream) -> int:
        stream.sent += 1
        return stream.sent

    def take(self, stream: Stream, number: int) -> None:
        """The client took all up to this message."""
        untaken = stream.untaken
        while untaken and untaken[0][0] <= number:
            size = untaken.popleft()[1]
            stream.untaken_bytes -= size
            self._untaken_bytes -= size

    def mark(self, revision: Revision, now: Instant) -> None:
        """Tell each now and then that all was told up to this revision: where one of its watches is told much, another
        one may be told nothing for long."""
        while (stream := next(iter(self._marked.values()), None)) and now >= stream.marked_at + MARK_EVERY_S:
            stream.marked_at = now
            self._marked.move_to_end(stream.client)
            number = self._next(stream)
            self._send(stream.client, WatchMark(stream.number, stream.begun, number, 0 if stream.late else revision))

    # ---- time ----

    def deadline(self, marks: bool) -> Instant | None:
        """When somebody is to be forgotten, or, where `marks` are given, to be told that there is nothing to tell."""
        heard = next(iter(self._streams.values()), None)
        if heard is None:
            return None
        forgets = heard.heard_at + FORGOTTEN_AFTER_S
        return min(forgets, next(iter(self._marked.values())).marked_at + MARK_EVERY_S) if marks else forgets


def set_next(registered: Registered, revision: Revision) -> None:
    """This revision is the first that may concern the watch and was not told; 0: it has been told all."""
    registered.stream.late += bool(revision) - bool(registered.next)
    registered.next = revision
