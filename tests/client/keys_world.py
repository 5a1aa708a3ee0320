"""A cluster of keys within the process, behind the sessions of real clients: both faces, without a network.

It is applied at once what a session proposes, unless the cluster is `cut`; its log time is what tests say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from paxosd.client.aio.client import AsyncClient
from paxosd.client.asking import A_WORD
from paxosd.client.calls import Command, Question
from paxosd.client.client import Client
from paxosd.client.outcomes import Receipt
from paxosd.client.watched import Changed, WatchCall
from paxosd.client.watching import WatchingSession
from paxosd.core.messages import Answer, FromClient, Query, StatusReport
from paxosd.core.types import NO_BALLOT, Instant
from paxosd.machine.kv.encoding import encode_question
from paxosd.machine.kv.events import decode_events
from paxosd.machine.kv.kv import Kv
from paxosd.machine.kv.ranges import covers
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Range
from paxosd.machine.kv.results import RangeFound, decode_result
from paxosd.transport.queues.switchboard import QueueLink, Switchboard

ADDRESS = "queue://g1"
WITHIN_S = 10.0


class KeysCluster:
    """The keys, and the clients of them. `cut`: nobody is answered; `loses`: which commands are applied without an
    answer."""

    def __init__(self) -> None:
        self.kv = Kv()
        self.revision = 0
        self.log_time_ms = 1000
        self.cut = False
        self.loses: Callable[[bytes], bool] = lambda command: False
        self.applied: list[bytes] = []
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._clients: list[tuple[KeysSession, QueueLink]] = []
        self._switchboard = Switchboard(1 << 20)
        self._before: dict[bytes, KeyValue] = {}

    # ---- clients ----

    def _session(self, kind: type[Any]) -> tuple[Any, KeysSession]:
        link = self._switchboard.link()
        client = kind([ADDRESS], link=link)
        mover = client._worker if kind is Client else client._pump
        session = KeysSession(self, mover.session)
        mover._engine.session = session
        self._clients.append((session, link))
        link.wake()
        return client, session

    def client(self) -> Client:
        """One for threads."""
        made: Client = self._session(Client)[0]
        return made

    def async_client(self) -> AsyncClient:
        """One for the loop that runs."""
        made: AsyncClient = self._session(AsyncClient)[0]
        return made

    def close(self) -> None:
        self._switchboard.close()

    def heal(self) -> None:
        """Answer again."""
        self.cut = False
        self._wake_all()

    def _wake_all(self) -> None:
        for _, link in self._clients:
            link.wake()

    # ---- the machine ----

    def apply(self, command: bytes) -> Receipt:
        with self._lock:
            self.revision += 1
            self.applied.append(command)
            (result,) = self.kv.apply(self.revision, [command], self.log_time_ms)
            self._tell()
            return Receipt(self.revision, self.revision, bytes(result))

    def pass_time(self, ms: int) -> None:
        """Log time goes on, and what has run out by then goes."""
        with self._lock:
            self.log_time_ms += ms
            if self.kv.due_ms is not None and self.kv.due_ms <= self.log_time_ms:
                self.revision += 1
                self.kv.expire(self.revision, self.log_time_ms)
                self._tell()

    def query(self, question: bytes) -> bytes:
        with self._lock:
            return self.kv.query(question, self.revision, self.log_time_ms)

    def keys(self, prefix: bytes = b"") -> dict[bytes, bytes]:
        """All keys that begin so."""
        found = decode_result(self.query(encode_question(Range(b"\0", b"\0"))))
        assert isinstance(found, RangeFound)
        return {item.key: item.value for item in found.items if item.key.startswith(prefix)}

    def await_keys(self, prefix: bytes, count: int) -> None:
        """Wait until so many keys begin so."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.keys(prefix)) >= count, WITHIN_S), self.keys()

    def events_since(self, position: int) -> list[Changed]:
        with self._lock:
            found = []
            for revision, events in self.kv.events(position + 1, self.revision + 1):
                decoded = decode_events(events) if isinstance(events, bytes) else events
                found.append(Changed(revision, tuple(decoded)))
            return found

    def _tell(self) -> None:
        self._changed.notify_all()
        self._wake_all()

    @property
    def watches(self) -> int:
        """How many watches clients have."""
        return sum(len(session._watches) for session, _ in self._clients)


class KeysSession:
    """In the place of a client's session."""

    def __init__(self, cluster: KeysCluster, real: WatchingSession) -> None:
        self.cluster = cluster
        self.gateways = real.gateways
        self.is_full = False
        self._waiting: list[Command | Question] = []
        self._unanswered: list[Command] = []  # they are applied, and nobody will hear of it
        self._watches: list[WatchCall] = []

    gateway = ADDRESS
    seen = 0

    def propose(self, *commands: Command) -> None:
        self._waiting += commands

    def ask(self, question: Question) -> None:
        self._waiting.append(question)

    def attend(self, call: WatchCall) -> None:
        if call.closed or call.error is not None:
            if call in self._watches:
                self._watches.remove(call)
        elif call not in self._watches:
            self._watches.append(call)

    def poll(self, now: Instant) -> list[FromClient]:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if now >= call.deadline:
                self._fail(call)
            elif self.cluster.cut:
                self._waiting.append(call)
            elif isinstance(call, Command):
                if call.begin():
                    self._apply(call)
            elif call.message == A_WORD:
                call.succeed(StatusReport(0, "demo", "g1", "g1", NO_BALLOT, 1, 1, self.cluster.revision, ()))
            else:
                assert isinstance(call.message, Query)
                answer = self.cluster.query(call.message.question)
                call.succeed(Answer(call.message.request, answer, self.cluster.revision))
        for watch in () if self.cluster.cut else list(self._watches):
            self._tell(watch)
        return []

    def _apply(self, command: Command) -> None:
        assert command.value is not None
        if command in self._unanswered:
            self._waiting.append(command)
            return
        receipt = self.cluster.apply(command.value)
        if self.cluster.loses(command.value):
            self._unanswered.append(command)
            self._waiting.append(command)
        else:
            command.succeed(receipt)

    def _fail(self, call: Command | Question) -> None:
        from paxosd.client.errors import ProposeTimeout, ReadTimeout  # noqa: PLC0415 (of this alone)

        call.fail(ProposeTimeout("unknown") if isinstance(call, Command) else ReadTimeout("not answered"))

    def _tell(self, watch: WatchCall) -> None:
        position = watch.position or 0
        mine: list[Changed] = []
        for revision, events in self.cluster.events_since(position):
            own = tuple(event for event in events if covers(watch.key, watch.end, event.key))
            if own:
                mine.append(Changed(revision, own))
        watch.hand(mine, [1] * len(mine), self.cluster.revision)

    def next_deadline(self) -> Instant | None:
        return min((call.deadline for call in self._waiting), default=None)

    def close(self, kind: type[Any], why: str) -> None:
        for call in self._waiting:
            call.fail(kind(why))
        for watch in self._watches:
            watch.fail(kind(why))
