"""The client: a `Session` behind one background thread, which alone uses the network.

Laws:
1. No call outlives its timeout: the thread fails what is overdue, and callers wait for the thread alone.
2. Arguments are checked before anything is sent.
3. Whatever ends the thread is told to every call that is under way, and to every later one.
4. A client belongs to the process that made it: a fork has its memory, but not its thread.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

from paxosd.client import verdicts
from paxosd.client.arguments import addresses, folder, nodes, revision, seconds
from paxosd.client.calls import Command, Question, Receipt
from paxosd.client.errors import ClientClosed, ConfigurationError, Outcome, Overloaded, PaxosError, WrongCluster
from paxosd.client.session import Session
from paxosd.codec import CLIENT_MESSAGES_MAX, Codec, ForeignFrame, MalformedFrame
from paxosd.config import Config, ConfigError, load
from paxosd.core.messages import GetStatus, LogPage, ReadLog, StatusReport
from paxosd.core.options import CLIENT_FRAME_BYTES, COMMAND_BYTES_MAX
from paxosd.core.types import Entry, Revision
from paxosd.transport.base import ClientLink, TransportError
from paxosd.transport.zeromq import ZeroMQLink

SUBMITTED_MAX = 16384
"""How many calls may wait for the thread; those behind wait for room."""
FRAME_BYTES_MAX = 16 * 1024 * 1024
POLL_WAIT_MS = 1000
"""How long a gateway holds a follower's question when there is nothing new."""


class Future:
    """A value on its way; the result is a `Receipt`."""

    __slots__ = ("_client", "_command")

    def __init__(self, client: Client, command: Command) -> None:
        self._client = client
        self._command = command

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._command.done

    def result(self, timeout: float | None = None) -> Receipt:
        """Wait for the receipt; raises what `propose` raises.

        `timeout`, in seconds, bounds this wait, not the command: a plain `TimeoutError` says that the command goes
        on, and that its result can be asked for again. None: until the command's own time is over.
        """
        self._client._wait(self._command, timeout)
        if self._command.error is not None:
            raise self._command.error
        assert self._command.receipt is not None
        return self._command.receipt

    def exception(self, timeout: float | None = None) -> PaxosError | None:
        """Wait as `result` does, and give the error instead of raising it; None if there is a receipt."""
        self._client._wait(self._command, timeout)
        return self._command.error


class Client:
    """Proposes values to a cluster and reads its log; for any number of threads.

    `endpoints` are client addresses of gateways, "tcp://host:port" or "host:port"; all are tried in turn. `timeout`
    is the default of every call, in seconds. `digest` is that of the membership file; empty: any cluster is right.
    Without a membership file the limits of the cluster are not known here, and only it can say `TooLarge`.

    Raises `ConfigurationError` for endpoints that are no addresses.
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
        self._on_close = on_close
        random = Random(secrets.randbits(64))
        self._session = Session(urls, random)
        name = f"client-{random.getrandbits(48):012x}"
        self._codec = Codec(digest, name, random.getrandbits(63), frame_bytes_max)
        self._link = link if link is not None else ZeroMQLink(frame_bytes_max)
        self._dialed = urls[0]
        self._changed = threading.Condition()
        self._awaited: list[Command | Question] = []  # once for each thread that sleeps
        self._sleep_for_room = 0
        self._submitted: deque[Command | Question] = deque()
        self._requests = count(1)
        self._closed = False
        self._ended: PaxosError | None = None
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @classmethod
    def from_config(cls, config: str | Path | Config, **options: Any) -> Client:
        """A client of the cluster that a membership file describes, with the other arguments of `Client`.

        Raises `ConfigurationError`, with all errors of the file at once, or `TypeError` for what is no path.
        """
        if isinstance(config, (str, Path)):
            try:
                config = load(config)
            except ConfigError as error:
                raise ConfigurationError(str(error)) from error
        if not isinstance(config, Config):
            raise TypeError(f"config is the path of a membership file, such as 'config/cluster.yaml', not {config!r}")
        gateways = [node.client.url for node in config.nodes.values() if node.client is not None]
        if not gateways:
            advice = "give a learner or replica one"
            if config.transport == "queue":
                advice = "use Client.local(), or the addresses that `paxosd local --serve` prints"
            raise ConfigurationError(f"{config.path}: no node has a client address; {advice}")
        options.setdefault("digest", config.digest)
        options.setdefault("command_bytes_max", config.limits.command_bytes_max)
        options.setdefault("frame_bytes_max", config.limits.frame_bytes_max)
        return cls(gateways, **options)

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
        from paxosd.local import local_client, local_config  # noqa: PLC0415 (which imports this module)

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

    def propose(self, value: bytes, timeout: float | None = None) -> Receipt:
        """Put a value into the log, durably, once; returns where it stands.

        Raises, within `timeout` seconds, a `PaxosError` whose `outcome` says what became of it; before anything is
        sent, `TooLarge`, or `TypeError` or `ValueError` for arguments that make no sense.
        """
        return self.propose_async(value, timeout).result()

    def propose_async(self, value: bytes, timeout: float | None = None) -> Future:
        """The same without waiting: many may be under way, and are applied in the order of these calls."""
        if not isinstance(value, bytes):
            raise TypeError(f"a value is bytes, not {type(value).__name__}; encode it first, such as value.encode()")
        if len(value) > self._command_bytes_max:
            raise verdicts.too_large(len(value), self._command_bytes_max)
        deadline = time.monotonic() + self._seconds(timeout)
        command = Command(value, deadline)
        self._await_room(deadline)
        self._submit(command)
        return Future(self, command)

    def _await_room(self, deadline: float) -> None:
        self._require_usable()
        while self._session.is_full or len(self._submitted) >= SUBMITTED_MAX:
            with self._changed:
                self._require_usable()
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Overloaded(
                        "not applied: this client has as many commands under way as it may, and the cluster is slower; "
                        "wait for some results before you propose more"
                    )
                self._sleep_for_room += 1
                try:
                    self._changed.wait(min(left, 0.1))
                finally:  # also after a Ctrl-C
                    self._sleep_for_room -= 1

    # ---- reading ----

    def log(
        self,
        start: Revision = 1,
        follow: bool = False,
        timeout: float | None = None,
        linearizable: bool = True,
    ) -> Iterator[Entry]:
        """The entries from revision `start` on, in order: all that was acknowledged to anybody before the first
        one is taken.

        With `follow` it goes on with what is chosen later, for ever. `timeout` bounds each wait for an answer, in
        seconds; `linearizable=False` asks no leader, needs no quorum, and gives what one gateway has, which may lack
        the latest. While entries are taken, `NoQuorum` or `ReadTimeout` may be raised.
        """
        revision(start)
        timeout = self._seconds(timeout)
        self._require_usable()
        return self._entries(start, follow, timeout, linearizable)

    def _entries(self, start: Revision, follow: bool, timeout: float, linearizable: bool) -> Iterator[Entry]:
        page = self._page(start, linearizable, 0, timeout, 0)
        end = page.last
        while True:
            yield from (entry for entry in page.entries if follow or entry.revision <= end)
            start = page.entries[-1].revision + 1 if page.entries else start
            if not follow and start > end:
                return
            wait_ms = POLL_WAIT_MS if follow and not page.entries else 0
            page = self._page(start, False, min(end, start), timeout + wait_ms / 1000, wait_ms)

    def _page(self, start: Revision, linearizable: bool, seen: Revision, timeout: float, wait_ms: int) -> LogPage:
        read = ReadLog(next(self._requests), start, linearizable, seen, wait_ms)
        answer = self._ask(Question(read, time.monotonic() + timeout))
        assert isinstance(answer, LogPage)
        return answer

    def status(self, timeout: float | None = None) -> StatusReport:
        """Who leads, and how every node is, as one gateway sees it; needs no quorum. Raises `ReadTimeout`."""
        deadline = time.monotonic() + self._seconds(timeout)
        answer = self._ask(Question(GetStatus(next(self._requests)), deadline))
        assert isinstance(answer, StatusReport)
        return answer

    def _seconds(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else seconds(timeout)

    def _ask(self, question: Question) -> LogPage | StatusReport:
        self._require_usable()
        self._submit(question)
        self._wait(question, None)
        if question.error is not None:
            raise question.error
        assert question.answer is not None
        return question.answer

    # ---- between the threads ----

    def _require_own_process(self, became: Outcome) -> None:
        if self._process != os.getpid():
            raise ClientClosed(
                f"{became.replace('_', ' ')}: this client was made before the process forked, and its thread is not in "
                "this one; make a client after the fork",
                became,
            )

    def _require_usable(self) -> None:
        self._require_own_process("not_applied")
        if self._ended is not None:
            raise type(self._ended)(f"not applied: {self._ended}")
        if self._closed:
            raise ClientClosed(f"not applied: {_CLOSED}")

    def _submit(self, pending: Command | Question) -> None:
        self._submitted.append(pending)  # without the lock: the thread holds it for long under load
        if self._ended is not None:  # maybe after the thread took the last one
            self._fail_all(self._ended)
        self._link.wake()

    def _wait(self, pending: Command | Question, timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + seconds(timeout, least=0.0)
        if pending.done:
            return
        self._require_own_process("unknown")
        with self._changed:
            while not pending.done:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError("no result yet; the command goes on, and result() may be called again")
                self._awaited.append(pending)
                try:
                    self._changed.wait(left)
                finally:  # also after a Ctrl-C
                    self._awaited.remove(pending)

    def _wake_waiting(self) -> None:
        """Only if there is news for them: a thread that is woken for nothing takes the interpreter from ours."""
        if self._sleep_for_room or any(pending.done for pending in self._awaited):
            self._changed.notify_all()

    def _run(self) -> None:
        """The thread: takes in what was submitted, sends, receives, and wakes who waits."""
        end: PaxosError = ClientClosed("this client's thread ended by an error of its own; make a new client")
        try:
            while not self._closed:
                self._turn()
            end = ClientClosed(_CLOSED)
        except WrongCluster as error:
            end = error
        except TransportError as error:
            end = ConfigurationError(str(error))
        finally:
            self._ended = end
            self._fail_all(end)
            self._link.close()

    def _fail_all(self, end: PaxosError) -> None:
        with self._changed:
            self._take_submitted()
            self._session.close(type(end), str(end))
            self._changed.notify_all()

    def _turn(self) -> None:
        with self._changed:
            self._take_submitted()
            now = time.monotonic()
            messages = self._session.poll(now)
            gateway = self._session.gateway
            deadline = self._session.next_deadline()
            self._wake_waiting()
        if messages:
            self._dialed = gateway
            for frame in self._codec.frames(
                [self._codec.pack(message) for message in messages], CLIENT_FRAME_BYTES, CLIENT_MESSAGES_MAX
            ):
                self._link.send(gateway, frame)
        wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        frames = self._link.receive(wait_s)
        if frames:
            self._receive(frames)

    def _take_submitted(self) -> None:
        submitted = self._submitted
        while submitted:
            pending = submitted.popleft()
            if isinstance(pending, Command):
                self._session.propose(pending)
            else:
                self._session.ask(pending)

    def _receive(self, frames: Sequence[bytes]) -> None:
        now = time.monotonic()
        with self._changed:
            for frame in frames:
                try:
                    envelope = self._codec.from_gateway(frame)
                except ForeignFrame as foreign:
                    self._session.set_aside(self._dialed, str(foreign), now)
                    continue
                except MalformedFrame:
                    continue  # whatever it was, the session asks again
                for message in envelope.messages:
                    self._session.receive(message, now)  # type: ignore[arg-type]
            self._wake_waiting()

    # ---- the end ----

    def close(self) -> None:
        """End the thread and release everything; what is under way fails with `ClientClosed`. Safe to call twice."""
        if self._process != os.getpid():
            return  # the thread, the sockets and the cluster are the parent's
        if not self._closed:
            self._closed = True
            self._link.wake()
            self._thread.join()
            self._on_close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_CLOSED = "the client was closed; make a new one"
