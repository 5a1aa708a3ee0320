"""A network between real nodes that a test can break, one direction of one link at a time.

Every address that a membership file gives out is a door of the relay; the node listens behind it (`listen`,
`client_listen`). So the file, and with it the digest, is the same on every node.

Laws:
1. A link is a directed pair of nodes, or of a node and `CLIENTS`. Nodes talk one way per connection: what the one who
   dialled sends travels on its link, and only what TCP and ZeroMQ need to connect comes back on the opposite one.
2. Who dialled stands in the first frame of a connection. What comes before is the handshake and always passes: a cut
   that begins before somebody connects looks as if the line went dead right after.
3. A link that is cut tells nobody. It takes bytes, some megabytes of them, and the end of the connection, and keeps
   them; when it is healed they arrive late and in order, as TCP would have it. `reset` is how they are lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgpack

from paxosd.config import load

Link = tuple[str, str]
CLIENTS = "clients"
"""One end of the links of all clients together."""

CHUNK_BYTES = 1 << 16
CHUNKS_KEPT_MAX = 64
"""In each direction of a connection; then its source is not read any more, and feels it."""
WITHIN_S = 10.0

ZMTP_GREETING_BYTES = 64
ZMTP_LONG, ZMTP_COMMAND = 2, 4
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Door(NamedTuple):
    """Who connects to port `outside` gets to `node` at port `inside`."""

    node: str
    outside: int
    inside: int
    of_clients: bool = False


def doors(config: Path) -> list[Door]:
    """The doors of a membership file in which every address has something else behind it."""
    found = []
    for node in load(config).nodes.values():
        assert node.address and node.listen
        found.append(Door(node.id, node.address.port, node.listen.port))
        if node.client and node.client_listen:
            found.append(Door(node.id, node.client.port, node.client_listen.port, of_clients=True))
    return found


def both_ways(ones: Iterable[str], others: Iterable[str]) -> set[Link]:
    """All links between the ones and the others."""
    pairs = {(one, other) for one, other in product(tuple(ones), tuple(others)) if one != other}
    return pairs | {(other, one) for one, other in pairs}


class Relay:
    """The network while the block lasts: whole at first, and changed by its methods, which return when it is so."""

    def __init__(self, doors: Iterable[Door]) -> None:
        self._doors = tuple(doors)
        self.nodes = {door.node for door in self._doors}
        self.delivered: Counter[Link] = Counter()
        """How many bytes each link has carried to its end."""
        self._lines: dict[Link, _Line] = {}
        self._connections: set[Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Relay:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ---- what a test does ----

    def around(self, *nodes: str) -> set[Link]:
        """All links between these nodes and the other nodes."""
        return both_ways(nodes, self.nodes.difference(nodes))

    def among(self) -> set[Link]:
        """All links between nodes."""
        return both_ways(self.nodes, self.nodes)

    def cut(self, links: Iterable[Link]) -> None:
        """From now on nothing arrives on these links."""
        self._each(links, lambda line: line.open.clear())

    def heal(self, links: Iterable[Link] | None = None) -> None:
        """What is kept on these links arrives, or on all that there are, and what follows arrives too, at once."""
        self._each(self._lines if links is None else links, _Line.heal)

    def slow(self, links: Iterable[Link], delay_s: float) -> None:
        """What is sent from now on arrives this much later."""

        def change(line: _Line) -> None:
            line.delay_s = delay_s

        self._each(links, change)

    def reset(self, links: Iterable[Link]) -> None:
        """End all connections of these links with RST on both sides; what was under way on them is lost."""
        self._call(self._reset(frozenset(links)))

    # ---- in the thread of the loop ----

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN_S)

    def _each(self, links: Iterable[Link], change: Callable[[_Line], None]) -> None:
        async def work() -> None:
            for link in tuple(links):
                change(self._line(link))

        self._call(work())

    def _line(self, link: Link) -> _Line:
        return self._lines.setdefault(link, _Line())

    async def _listen(self) -> None:
        for door in self._doors:
            self._servers.append(await asyncio.start_server(self._accepted(door), "127.0.0.1", door.outside))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await self._end(set(self._connections))

    async def _reset(self, links: frozenset[Link]) -> None:
        await self._end({one for one in self._connections if one.carries(links)})

    async def _end(self, connections: set[Connection]) -> None:
        for connection in connections:
            connection.hard_end = True
            connection.task.cancel()
        await asyncio.gather(*(connection.task for connection in connections), return_exceptions=True)

    def _accepted(self, door: Door) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = Connection(door)
            connection.task = self._loop.create_task(self._relay(connection, reader, writer))
            self._connections.add(connection)

        return accepted

    async def _relay(
        self, connection: Connection, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter
    ) -> None:
        writers = [near_out]
        try:
            far_in, far_out = await asyncio.open_connection("127.0.0.1", connection.door.inside)
            writers.append(far_out)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(
                    self._carry(connection.told_by(_chunks(near_in)), far_out, connection.link_forth)
                )
                directions.create_task(self._carry(_chunks(far_in), near_out, connection.link_back))
        except* OSError:
            pass  # nobody listens behind the door, or one end is gone: so will be the other
        finally:
            self._connections.discard(connection)
            await _hang_up(writers, connection.hard_end)

    async def _carry(
        self, chunks: AsyncIterator[bytes], writer: asyncio.StreamWriter, link: Callable[[], Link | None]
    ) -> None:
        """Carry until the source ends, which ends the connection: raises OSError."""
        kept: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_KEPT_MAX)

        async def take() -> None:
            async for chunk in chunks:
                known = link()
                delay_s = self._line(known).delay_s if known else 0.0
                await kept.put((self._loop.time() + delay_s, chunk))

        async def give() -> None:
            while True:
                due_s, chunk = await kept.get()
                await asyncio.sleep(due_s - self._loop.time())
                if known := link():
                    await self._line(known).open.wait()
                    self.delivered[known] += len(chunk)
                if not chunk:
                    raise ConnectionAbortedError("the source ended")
                writer.write(chunk)
                await writer.drain()

        async with asyncio.TaskGroup() as both:
            both.create_task(take())
            both.create_task(give())


class _Line:
    """The state of one link, for all connections that it ever has."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.delay_s = 0.0

    def heal(self) -> None:
        self.open.set()
        self.delay_s = 0.0


class Connection:
    """One connection through a door; `source` is who dialled, as soon as that is known."""

    task: asyncio.Task[None]

    def __init__(self, door: Door) -> None:
        self.door = door
        self.source = CLIENTS if door.of_clients else None
        self.hard_end = False

    def link_forth(self) -> Link | None:
        return (self.source, self.door.node) if self.source else None

    def link_back(self) -> Link | None:
        return (self.door.node, self.source) if self.source else None

    def carries(self, links: frozenset[Link]) -> bool:
        """Whether this is a connection of these links: between nodes only those of who dialled (law 1)."""
        return self.link_forth() in links or (self.door.of_clients and self.link_back() in links)

    async def told_by(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """What comes from who dialled; of that, nothing after the handshake before its name is known."""
        stream, passed = b"", 0
        async for chunk in chunks:
            if self.source is not None or not chunk:
                yield chunk
                continue
            stream += chunk
            end = handshake_end(stream)
            self.source = sender_of(stream[end:])
            may_pass = end if self.source is None else len(stream)
            if may_pass > passed:  # an empty chunk is the end
                yield stream[passed:may_pass]
            passed = may_pass


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """What comes, until the end, which is empty."""
    chunk = b"some"
    while chunk:
        try:
            chunk = await reader.read(CHUNK_BYTES)
        except OSError:
            chunk = b""
        yield chunk


async def _hang_up(writers: Iterable[asyncio.StreamWriter], hard: bool) -> None:
    for writer in writers:
        if hard:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()
        writer.close()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


# ---- what is said on a connection ------------------------------------------------------------


class _Part(NamedTuple):
    flags: int
    start: int
    stop: int


def handshake_end(stream: bytes) -> int:
    """How many bytes, from the first one of a connection on, are greeting and whole commands of ZMTP."""
    if len(stream) <= ZMTP_GREETING_BYTES:
        return len(stream)
    position = ZMTP_GREETING_BYTES
    while (part := _part(stream, position)) and part.flags & ZMTP_COMMAND and part.stop <= len(stream):
        position = part.stop
    return position


def sender_of(messages: bytes) -> str | None:
    """Who sent the frame that is the second part of the first message; None if too little of it has come yet."""
    name = _part(messages, 0)
    frame = _part(messages, name.stop) if name else None
    if frame is None:
        return None
    unpacker = msgpack.Unpacker()
    unpacker.feed(messages[frame.start :])
    try:
        unpacker.read_array_header()
        unpacker.skip()  # the version
        unpacker.skip()  # the digest
        unpacker.skip()  # the history
        return str(unpacker.unpack())
    except msgpack.OutOfData:
        return None


def _part(stream: bytes, position: int) -> _Part | None:
    """The part of ZMTP that begins here, if its head has come."""
    if position >= len(stream):
        return None
    flags = stream[position]
    start = position + (9 if flags & ZMTP_LONG else 2)
    if start > len(stream):
        return None
    return _Part(flags, start, start + int.from_bytes(stream[position + 1 : start], "big"))
