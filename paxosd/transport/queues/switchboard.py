"""Frames over `multiprocessing.Queue`: every node is joined to a switchboard in the process that started them all.

    node a1                        switchboard                        node p1
    QueueTransport ---outbox---> a thread of a1's own ---peers-----> QueueTransport
                                    |    ^           ---clients--->
                                    v    |
                                  QueueLink  (a client in the switchboard's process)

Laws:
1. A queue has one writing and one reading process, and one thread at each end, for one life of a node; so it needs no
   locks that processes share (`two_ends.py`). Python hands a queue to a process only when it starts it; that is why
   nodes are joined through a switchboard, and not in pairs.
2. The switchboard closes the ends that the node's process uses. So, where that one is killed, even in the middle of
   a frame, it reads the end of the stream, and writing gives it an error, and not a pipe that stays full.
3. A node has a thread of its own at the switchboard: one that is stopped in the middle of a frame delays nobody else.
4. Local trust: `multiprocessing.Queue` pickles what it carries, so whoever writes to one can run code in its reader.
   Only processes of this cluster have these pipes, and what comes from outside is but the contents of bytes in there.
"""

from __future__ import annotations

import select
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.queues import Queue
from random import Random
from typing import Any, TypeAlias

from paxosd.core.types import ClientAddress, NodeId
from paxosd.transport.base import Connection, Inbound
from paxosd.transport.queues.turns import Turns
from paxosd.transport.queues.two_ends import (
    arrived,
    close_queue,
    new_queue,
    no_thread,
    reading_end,
    start_thread,
    writing_end,
    written,
)
from paxosd.transport.waker import Waker, milliseconds

FRAMES_MAX = 1000
"""Frames that wait to be written into one queue; a frame holds all that a turn has for that node."""
BYTES_MAX = 64 * 1024 * 1024
"""Bytes that wait to be written into one queue; at least one frame always fits. Its pipe holds 64 KiB more."""

TURNS_BYTES_MAX = 16 * 1024 * 1024
"""Bytes from clients that a node has taken from its queue, so that each has its turn; at least one frame."""

CLOSED_WITHIN_S = 1.0
"""How long the threads of a switchboard may take to notice that the nodes are gone, all together."""

URL_SCHEME = "queue://"

_Deliver: TypeAlias = Callable[[ClientAddress, bytes | None], bool]
"""Takes a frame for a client, or None: cut it off; False if it was dropped."""


class QueueEnds:
    """What one life of a node needs to know of its queues; an argument for its process.

    `loss` is the probability that a frame to another node is dropped on purpose, drawn with `seed`. Raises
    `TransportError` if the system has no file descriptors left.
    """

    def __init__(self, frame_bytes_max: int, loss: float, seed: str) -> None:
        self.frame_bytes_max = frame_bytes_max
        self.loss = loss
        self.seed = seed
        with ExitStack() as stack:
            self.outbox = new_queue(FRAMES_MAX, stack)  # (node or client, frame; None: hang up); None: goodbye
            self.peers = new_queue(FRAMES_MAX, stack)  # frame; or a dict: frames of yours that were dropped, by reason
            self.clients = new_queue(FRAMES_MAX, stack)  # (client, frame)
            stack.pop_all()

    def given_away(self) -> None:
        """The process of the node has them now: close its ends here (law 2)."""
        reading_end(self.peers).close()
        reading_end(self.clients).close()
        writing_end(self.outbox).close()  # last: whoever reads this queue to its end closes the others

    def close(self) -> None:
        """Close all ends: there will be no process."""
        for each in (self.outbox, self.peers, self.clients):
            close_queue(each)


class QueueTransport:
    """A node's end."""

    def __init__(self, ends: QueueEnds) -> None:
        self.dropped: Counter[str] = Counter()
        self._frame_bytes_max = ends.frame_bytes_max
        self._loss = ends.loss
        self._random = Random(ends.seed)
        self._outbox = _Writer(ends.outbox)
        self._turns = Turns()
        self._peers, self._clients = ends.peers, ends.clients
        self._waker = Waker()
        self._poll = select.poll()
        for readable in (reading_end(self._peers), reading_end(self._clients), self._waker):
            self._poll.register(readable, select.POLLIN)
        self._closed = False

    def send(self, target: NodeId, frame: bytes) -> None:
        if self._loss and self._random.random() < self._loss:
            self.dropped["simulated loss"] += 1
        else:
            self._put(target, frame)

    def reply(self, client: ClientAddress, frame: bytes) -> None:
        self._put(client, frame)

    def _put(self, target: NodeId | ClientAddress, frame: bytes) -> None:
        if len(frame) > self._frame_bytes_max:
            self.dropped["frame too large"] += 1
        elif not self._outbox.put((target, frame), len(frame)):
            self.dropped["switchboard slow"] += 1

    def wait(self, timeout_s: float | None) -> None:
        for ready, _ in self._poll.poll(0 if self._turns else milliseconds(timeout_s)):
            if ready == self._waker.fileno():
                self._waker.clear()

    def drain(self, frames_max: int) -> Iterator[Inbound]:
        for item in arrived(self._peers, frames_max):
            if isinstance(item, bytes):
                yield Inbound(None, item)
            else:
                self.dropped.update(item)
        self._fill_turns()
        for _ in range(frames_max):
            if not self._turns:
                return
            client, frame = self._turns.take()
            yield Inbound(client, frame, client)

    def _fill_turns(self) -> None:
        for _ in range(FRAMES_MAX - len(self._turns)):
            if self._turns.bytes >= TURNS_BYTES_MAX:
                return
            for client, frame in arrived(self._clients, 1):
                self._turns.add(client, frame)
                break
            else:
                return

    def vouch(self, connection: Connection) -> None:
        """There is no bound on connections, and so nobody to prefer."""

    def hang_up(self, connection: Connection) -> None:
        assert isinstance(connection, bytes)
        self._turns.forget(connection)
        self._outbox.put((connection, None), 0)

    def wake(self) -> None:
        self._waker.wake()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            reading_end(self._peers).close()
            reading_end(self._clients).close()
            self._outbox.put(None, 0)
            self._waker.close()


class Switchboard:
    """Joins the nodes of a cluster, and the clients in this process."""

    def __init__(self, frame_bytes_max: int, loss: float = 0.0, seed: int = 0) -> None:
        self.dropped: Counter[str] = Counter()
        """Frames from clients that were dropped, by reason; what is dropped of a node's, the node counts."""
        self._frame_bytes_max = frame_bytes_max
        self._loss = loss
        self._seed = seed
        self._lock = threading.Lock()
        self._lines: dict[NodeId, _Line] = {}
        self._lives = 0
        self._planes: dict[bytes, _Deliver] = {}
        self._planes_given = 0

    def replace(self, node: NodeId) -> QueueEnds:
        """Fresh ends for the next life of a node, or its first one. Raises `TransportError`."""
        with self._lock:
            self._lives += 1
            with ExitStack() as stack:
                ends = QueueEnds(self._frame_bytes_max, self._loss, f"{self._seed}/{node}/{self._lives}")
                stack.callback(ends.close)
                self._lines[node] = _Line(ends, self._from_node)
                stack.pop_all()
        return ends

    def link(self) -> QueueLink:
        """A client's end; its gateways are at `queue://NODE`."""
        return QueueLink(self)

    def attach(self, deliver: _Deliver) -> bytes:
        """A plane for clients: what nodes reply to (its name, client) goes to `deliver`, from any thread."""
        with self._lock:
            self._planes_given += 1
            plane = b"%d" % self._planes_given
            self._planes[plane] = deliver
        return plane

    def detach(self, plane: bytes) -> None:
        """Deliver nothing more to this plane; safe to call twice."""
        with self._lock:
            self._planes.pop(plane, None)

    def from_client(self, plane: bytes, client: ClientAddress, node: NodeId, frame: bytes) -> None:
        """Carry a frame from a client of this plane to a node; never blocks."""
        line = self._lines.get(node)
        if line is None or not line.up:
            self._count("gateway not connected")
        elif len(frame) > self._frame_bytes_max:
            self._count("frame too large")
        elif not line.clients.put((plane + b":" + client, frame), len(frame)):
            self._count("gateway slow")

    def _count(self, reason: str) -> None:
        with self._lock:
            self.dropped[reason] += 1

    def _from_node(self, target: NodeId | ClientAddress, frame: bytes | None) -> str:
        """Carry a frame of a node on; returns why it was dropped, or nothing."""
        if isinstance(target, bytes):
            plane, _, client = target.partition(b":")
            deliver = self._planes.get(plane)
            if deliver is None:
                return "client gone"
            return "" if deliver(client, frame) else "client slow"
        assert frame is not None
        line = self._lines.get(target)
        if line is None:
            return "unknown peer"
        if not line.up:
            return "peer not connected"
        return "" if line.peers.put(frame, len(frame)) else "peer slow"

    def close(self) -> None:
        """Forget all lines, after the nodes have ended; safe to call twice."""
        with self._lock:
            lines = list(self._lines.values())
            self._lines.clear()
            self._planes.clear()
        deadline = time.monotonic() + CLOSED_WITHIN_S
        for line in lines:
            line.join(deadline)


class QueueLink:
    """A client's end, in the process of the switchboard. An address that it does not know is like a dead gateway's."""

    def __init__(self, switchboard: Switchboard) -> None:
        self.troubles: dict[str, str] = {}
        self._switchboard = switchboard
        self._plane = switchboard.attach(self._deliver)
        self._frames: deque[bytes] = deque()
        self._lock = threading.RLock()
        """Entered as it is, not through `_changed`: that is Python, in which a Ctrl-C can raise with the lock taken."""
        self._changed = threading.Condition(self._lock)
        self._awake = False
        self._waker: Waker | None = None  # of who waits for a descriptor, and not in `receive`

    def send(self, gateway: str, frame: bytes) -> None:
        self._switchboard.from_client(self._plane, b"", gateway.removeprefix(URL_SCHEME), frame)

    def leave(self, gateway: str) -> None:
        pass  # an address is one gateway here

    def _deliver(self, client: ClientAddress, frame: bytes | None) -> bool:
        if frame is None:
            return True  # it shares this process, and sends again at once: there is no connection to end
        with self._lock:
            if len(self._frames) >= FRAMES_MAX:
                return False
            self._frames.append(frame)
            self._changed.notify()
        if self._waker is not None:
            self._waker.wake()
        return True

    def fileno(self) -> int:
        if self._waker is None:
            self._waker = Waker()
        return self._waker.fileno()

    def wait_s(self, timeout_s: float | None) -> float | None:
        return timeout_s

    def receive(self, timeout_s: float | None) -> Sequence[bytes]:
        if self._waker is not None:
            self._waker.clear()
        with self._lock:
            self._changed.wait_for(lambda: self._frames or self._awake, timeout_s)
            self._awake = False
            frames = list(self._frames)
            self._frames.clear()
        return frames

    def wake(self) -> None:
        with self._lock:
            self._awake = True
            self._changed.notify()
        if self._waker is not None:
            self._waker.wake()

    def close(self) -> None:
        self._switchboard.detach(self._plane)
        if self._waker is not None:
            self._waker.close()


class _Line:
    """The switchboard's side of the queues of one life of a node."""

    def __init__(self, ends: QueueEnds, carry: Callable[[NodeId | ClientAddress, bytes | None], str]) -> None:
        for inbox in (ends.peers, ends.clients):
            inbox.cancel_join_thread()  # our program may end without waiting for a node that does not read
        self.peers, self.clients = _Writer(ends.peers), _Writer(ends.clients)
        self.up = True
        self._outbox = ends.outbox
        self._carry = carry
        self._untold: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name="paxosd-line", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise no_thread(error) from error

    def _run(self) -> None:
        """Carry on what the node sends until it says goodbye or is dead."""
        with suppress(EOFError, OSError):
            while (item := self._outbox.get()) is not None:
                reason = self._carry(*item)
                if reason:
                    self._tell_of_drop(reason)
        self.up = False
        self.peers.close()
        self.clients.close()
        reading_end(self._outbox).close()
        self._outbox.close()

    def _tell_of_drop(self, reason: str) -> None:
        self._untold[reason] += 1
        if self.peers.put(dict(self._untold), 0):
            self._untold.clear()

    def join(self, deadline: float) -> None:
        """Wait for the end of the thread until this time, monotonic."""
        self._thread.join(max(0.0, deadline - time.monotonic()))


class _Writer:
    """The writing end of a queue, for any number of threads: it drops rather than waits, and holds a bounded amount.

    Raises `TransportError` if there is no thread for it.
    """

    def __init__(self, queue_: Queue[Any]) -> None:
        self._queue = queue_
        self._lock = threading.Lock()
        self._sizes: deque[int] = deque()  # of the frames that are not written yet
        self._bytes = 0
        self._put = 0
        start_thread(queue_)  # now, while somebody can be told; the queue itself would wait for the first item

    def put(self, item: object, size: int) -> bool:
        """Put an item that holds this many bytes; False if there is no room or nobody to read it."""
        with self._lock:
            while len(self._sizes) > self._put - written(self._queue):
                self._bytes -= self._sizes.popleft()
            if self._sizes and (len(self._sizes) >= FRAMES_MAX or self._bytes + size > BYTES_MAX):
                return False
            try:
                self._queue.put_nowait(item)
            except ValueError:  # closed
                return False
            self._put += 1
            self._sizes.append(size)
            self._bytes += size
            return True

    def close(self) -> None:
        """Write what waits, from the thread of the queue, and then close the end."""
        self._queue.close()
