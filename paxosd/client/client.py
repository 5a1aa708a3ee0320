"""The client: what users call. The work is done by a `Worker`, whose one thread alone uses the network.

Laws:
1. No call outlives its timeout.
2. Arguments are checked before anything is made or sent.
3. Nothing is left behind: by a client that is closed, that everybody forgot, that could not be made, or whose
   interpreter ends.
4. A client belongs to the process that made it (`worker.py` says why).
"""

from __future__ import annotations

import secrets
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, NoReturn

from paxosd.client import arguments, driving, verdicts
from paxosd.client.arguments import addresses, folder, nodes, revision, seconds
from paxosd.client.calls import Command, Question, Told
from paxosd.client.errors import ConfigurationError
from paxosd.client.future import Future, PutFuture
from paxosd.client.opening import FRAME_BYTES_MAX, draw_wish, from_file, open_link
from paxosd.client.outcomes import Receipt
from paxosd.client.threads.driver import RecipeDriver
from paxosd.client.threads.keys import Keys, Lease
from paxosd.client.upkeep import ConnectionState
from paxosd.client.watching import WatchingSession
from paxosd.client.worker import Worker
from paxosd.config import Config, ConfigError
from paxosd.core.messages import (
    GetStatus,
    LogPage,
    ReadLog,
    ReadSlots,
    ReadSnapshot,
    SlotPage,
    SnapshotPage,
    StatusReport,
)
from paxosd.core.options import COMMAND_BYTES_MAX
from paxosd.core.types import Entry, Revision, Slot
from paxosd.process import native
from paxosd.recipes import plain
from paxosd.transport.base import ClientLink
from paxosd.wire.frames import Codec

POLL_WAIT_MS = 1000
"""How long a gateway holds a follower's question when there is nothing new."""
REVOKED_WITHIN_S = 1.0
"""How long the end of a client waits until its leases are revoked."""


class Client(Keys):
    """Proposes values to a cluster and reads its log; for any number of threads.

    `endpoints` are client addresses of gateways, "tcp://host:port" or "host:port"; all are tried in turn. `timeout`
    is the default of every call, in seconds. `digest` is that of the membership file; empty: any cluster is right.
    Without a membership file the limits of the cluster are not known here, and only it can say `TooLarge`.

    Raises `ConfigurationError` for endpoints that are no addresses, and `OutOfResources` if this process may not have
    the threads and file descriptors that a client needs.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        timeout: float = 5.0,
        digest: bytes = b"",
        command_bytes_max: int = COMMAND_BYTES_MAX,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        link: ClientLink | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        urls = addresses(endpoints, any_scheme=link is not None)
        self._timeout = seconds(timeout)
        self._command_bytes_max = command_bytes_max
        self._on_close: Sequence[Callable[[], None]] = (on_close,)
        self._requests = count(1)
        random = Random(secrets.randbits(64))
        name = f"client-{random.getrandbits(48):012x}"
        codec = Codec(digest, name, random.getrandbits(63), frame_bytes_max)
        link = open_link(frame_bytes_max) if link is None else link
        self._worker = Worker(WatchingSession(urls, random, link.troubles, draw_wish), codec, link, name)
        self._driver = RecipeDriver(self._worker, self._timeout, self._requests)
        weakref.finalize(self, self._worker.stop).atexit = False  # at the exit they are ended together, and waited for
        self._worker.start()

    @classmethod
    def from_config(cls, config: str | Path | Config, **options: Any) -> Client:
        """A client of the cluster that a membership file describes, with the other arguments of `Client`.

        Raises `ConfigurationError`, with all errors of the file at once, or `TypeError` for what is no path.
        """
        gateways, usual = from_file(config)
        return cls(gateways, **{**usual, **options})

    @classmethod
    def local(
        cls,
        proposers: int | None = None,
        acceptors: int | None = None,
        learners: int | None = None,
        replicas: int = 0,
        *,
        data_dir: str | Path | None = None,
        drop: float = 0.0,
        seed: int = 0,
        timeout: float = 5.0,
    ) -> Client:
        """A client of a new cluster on this machine, every node its own process; closing the client ends the cluster.

        Without numbers: 2 proposers, 3 acceptors, 2 learners; with `replicas`, these alone. `data_dir` keeps the log
        from one cluster to the next; None: it is forgotten. `drop` is the probability that a frame between two nodes
        is lost, drawn with `seed`.

        Raises `ConfigurationError`, `TypeError` or `ValueError`, or `Unavailable` if no node leads in half a minute.
        """
        from paxosd.local.cluster import local_client, local_config  # noqa: PLC0415 (a cluster makes clients itself)

        if native.is_patched():
            raise ConfigurationError(
                "a local cluster needs the threads of the system, and gevent or eventlet patched this process: start "
                "`paxosd local --serve` beside it, and make a Client of the addresses that it prints"
            )
        counts = {"proposers": proposers, "acceptors": acceptors, "learners": learners, "replicas": replicas}
        for what, number in counts.items():
            nodes(what, number)
        kept = folder(data_dir)
        try:
            config = local_config(proposers, acceptors, learners, replicas)
        except ConfigError as error:
            raise ConfigurationError(str(error)) from error
        return local_client(config, kept, drop, seed, timeout)

    # ---- proposing ----

    def propose(self, value: bytes | bytearray | memoryview, timeout: float | None = None) -> Receipt:
        """Put a value into the log, durably, once; returns where it stands.

        Raises, within `timeout` seconds, a `PaxosError` whose `outcome` says what became of it; before anything is
        sent, `TooLarge`, or `TypeError` or `ValueError` for arguments that make no sense.
        """
        return self.propose_async(value, timeout).result()

    def propose_async(self, value: bytes | bytearray | memoryview, timeout: float | None = None) -> Future:
        """The same without waiting: many may be under way, and are applied in the order of these calls."""
        kept = arguments.value(value, self._command_bytes_max)
        command = Command(kept, time.monotonic() + self._seconds(timeout))
        self._worker.propose(command)
        return Future(self, self._worker, command)

    def put_async(
        self,
        key: str | bytes,
        value: bytes,
        lease: Lease | None = None,
        timeout: float | None = None,
        *,
        if_absent: bool = False,
        if_revision: Revision | None = None,
    ) -> PutFuture:
        """Set a key without waiting: many may be under way, and are applied in the order of these calls. The conditions
        are those of `put`; where one does not hold, `result` raises `Conflict`."""
        named = arguments.key(key)
        kept = arguments.value_bytes(value)
        condition = plain.absence_or(named, if_absent, arguments.maybe_at(if_revision))
        deadline = time.monotonic() + self._seconds(timeout)
        command = driving.put_command(named, kept, 0 if lease is None else lease.id, condition, deadline)
        self._worker.propose(command)
        return PutFuture(self, self._worker, command)

    # ---- reading ----

    def log(
        self,
        start: Revision | None = None,
        follow: bool = False,
        timeout: float | None = None,
        linearizable: bool = True,
    ) -> Iterator[Entry]:
        """The entries from revision `start` on, in order: all that was acknowledged to anybody before the first
        one is taken. Without `start` it is all that is kept of the log.

        With `follow` it goes on with what is chosen later, for ever. `timeout` bounds each wait for an answer, in
        seconds; `linearizable=False` asks no leader, needs no quorum, and gives what one gateway has, which may lack
        the latest. While entries are taken, `NoQuorum` or `ReadTimeout` may be raised; `Compacted` where the log is not
        kept any more; and `BeyondEnd` where it ends before the revision below `start`.
        """
        first = 0 if start is None else revision(start)
        timeout = self._seconds(timeout)
        self._worker.require_usable()
        return self._entries(first, follow, timeout, linearizable)

    def _entries(self, start: Revision, follow: bool, timeout: float, linearizable: bool) -> Iterator[Entry]:
        page = self._page(start, linearizable, 0, timeout, 0)
        end, start = page.last, start or page.first
        if start > end + 1:
            raise verdicts.beyond_end(start, end)
        while True:
            yield from (entry for entry in page.entries if follow or entry.revision <= end)
            is_at_end = not page.entries and page.next > page.last
            start = max(start, page.next, page.entries[-1].revision + 1 if page.entries else 0)
            if not follow and start > end:
                return
            wait_ms = POLL_WAIT_MS if follow and is_at_end else 0
            page = self._page(start, False, min(end, start), timeout + wait_ms / 1000, wait_ms)

    def _page(self, start: Revision, linearizable: bool, seen: Revision, timeout: float, wait_ms: int) -> LogPage:
        read = ReadLog(next(self._requests), start, linearizable, seen, wait_ms)
        answer = self._ask(Question(read, time.monotonic() + timeout))
        assert isinstance(answer, LogPage)
        if answer.refused:
            raise verdicts.compacted(start, answer.first)
        return answer

    def slots(self, first: Slot, linearizable: bool = True, timeout: float | None = None) -> SlotPage:
        """The values of the slots from `first` on as they were chosen, as many as one answer holds: for backups.

        Raises `NoQuorum` or `ReadTimeout`.
        """
        read = ReadSlots(next(self._requests), first, linearizable)
        answer = self._ask(Question(read, time.monotonic() + self._seconds(timeout)))
        assert isinstance(answer, SlotPage)
        return answer

    def snapshot(self, snapshot: bytes, offset: int, timeout: float | None = None) -> SnapshotPage:
        """Some bytes of a snapshot of one gateway's state: for backups. Empty `snapshot`: of any.

        Raises `NoQuorum` or `ReadTimeout`.
        """
        read = ReadSnapshot(next(self._requests), snapshot, offset)
        answer = self._ask(Question(read, time.monotonic() + self._seconds(timeout)))
        assert isinstance(answer, SnapshotPage)
        return answer

    def status(self, timeout: float | None = None) -> StatusReport:
        """Who leads, and how every node is, as one gateway sees it; needs no quorum. Raises `ReadTimeout`."""
        deadline = time.monotonic() + self._seconds(timeout)
        answer = self._ask(Question(GetStatus(next(self._requests)), deadline))
        assert isinstance(answer, StatusReport)
        return answer

    def _seconds(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else seconds(timeout)

    def _ask(self, question: Question) -> Told:
        self._worker.require_usable()
        self._worker.submit(question)
        self._worker.finish(question)
        assert question.answer is not None
        return question.answer

    # ---- how its leases stand ----

    @property
    def connection(self) -> ConnectionState:
        """Whether gateways answer, and how the leases of this client stand."""
        return self._worker.upkeep.connection

    def listen(self, listener: Callable[[ConnectionState], None]) -> None:
        """Call it, in the client's own thread, whenever that changes; it must not wait, nor call the client."""
        self._driver.listen(listener)

    # ---- the end ----

    def close(self) -> None:
        """Revoke the leases, for a second at most, end the thread and release everything; what is under way fails with
        `ClientClosed`. Safe to call twice."""
        if self._worker.is_foreign:
            return  # the thread, the sockets and the cluster are the parent's
        self._driver.revoke_all(REVOKED_WITHIN_S)
        self._worker.stop()
        self._worker.join()
        hooks, self._on_close = self._on_close, ()
        for hook in hooks:
            hook()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client cannot be pickled or copied: it is a thread and connections of this process; pass its addresses "
            "on, and make another client of them there"
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
