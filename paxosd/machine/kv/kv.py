"""Keys as a state machine, with etcd's data model.

Laws:
1. A command is one revision, and so is all that runs out in one slot. What it changes of keys, it changes at that
   revision, whole; most commands change one key, some none.
2. Bytes that make no sense, and what cannot be done, change nothing; the result says why, the same on every node.
3. Nothing depends on the order of a set or a dict: what is done in an order is done in that of keys or numbers. So a
   machine that was restored goes on as the one that ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from paxosd.core.types import Revision
from paxosd.machine.base import Changes, QueryRefused
from paxosd.machine.kv.bounds import DEFAULT_BOUNDS, KvBounds
from paxosd.machine.kv.digest import RunningDigest
from paxosd.machine.kv.encoding import Malformed, Puts, decode_command, decode_question, plain_get, plain_puts
from paxosd.machine.kv.events import encode_change
from paxosd.machine.kv.leases import Leases, LeaseTerms
from paxosd.machine.kv.reading import find
from paxosd.machine.kv.records import Change, KeyEvent, unpack_if
from paxosd.machine.kv.refusing import NotDone, Scan, full_of_keys
from paxosd.machine.kv.requests import (
    AskLease,
    AskLeases,
    Command,
    Compact,
    Delete,
    Failure,
    Grant,
    Keep,
    Put,
    Range,
    Revoke,
    Txn,
)
from paxosd.machine.kv.results import (
    CompactDone,
    Failed,
    Granted,
    KeepDone,
    LeaseFound,
    LeasesFound,
    PutDone,
    Result,
    Revoked,
    encode_range,
    encode_result,
)
from paxosd.machine.kv.rows import Rows
from paxosd.machine.kv.state import KeyState
from paxosd.machine.kv.transactions import Writer

PUT_DONE = encode_result(PutDone())
LEASES_PER_ANSWER = 1000


class Kv:
    """Keys, leases, and the history of both for a window of revisions."""

    def __init__(self, bounds: KvBounds = DEFAULT_BOUNDS) -> None:
        self._bounds = bounds
        self._no_room = encode_result(full_of_keys(bounds.keys_bytes).result)
        self._begin()

    def _begin(self) -> None:
        self._state = KeyState(self._bounds)
        self._leases = Leases()
        self._rows = Rows(self._bounds)
        self._digest = RunningDigest()
        self._writer = Writer(self._state, self._leases, self._bounds)

    # ---- applying ----

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        results: list[bytes] = []
        while (done := len(results)) < len(commands):
            revision = first_revision + done
            if (puts := plain_puts(commands, done)).keys:
                results += self._put_all(puts, revision)
            else:
                results.append(encode_result(self._result(commands[done], revision, log_time_ms)))
        return results

    def _put_all(self, puts: Puts, first_revision: Revision) -> list[bytes]:
        """What `Writer.run` does for puts that ask for nothing else."""
        changes = self._state.put_all(first_revision, puts)
        made = list(filter(None, changes))
        self._digest.put_all(made)
        self._digest.went(self._state.past.add_all(made))
        self._rows.keys.note(made)
        if len(made) == len(changes):
            return [PUT_DONE] * len(made)
        return [self._no_room if change is None else PUT_DONE for change in changes]

    def _result(self, content: bytes, revision: Revision, log_time_ms: int) -> Result:
        try:
            return self._do(decode_command(content), revision, log_time_ms)
        except Malformed as error:
            return Failed(error.failure, str(error))
        except NotDone as error:
            return error.result

    def _do(self, command: Command, revision: Revision, log_time_ms: int) -> Result:
        match command:
            case Put() | Delete() | Txn():
                result = self._writer.run(command, revision, log_time_ms)
                self._changed(self._writer.changes)
                return result
            case Compact(first_revision):
                return self._compact(first_revision, revision)
            case Grant():
                return self._grant(command, revision, log_time_ms)
            case Revoke(lease):
                return self._revoke(lease, revision, log_time_ms)
            case Keep(leases):
                return KeepDone(tuple([self._keep(lease, log_time_ms) for lease in leases]))

    def _changed(self, count: int) -> None:
        """The latest `count` changes are one whole revision."""
        if not count:
            return
        past = self._state.past
        changes = past.latest(count)
        for change in changes:
            self._digest.changed(change)
        self._rows.keys.note(changes)
        self._digest.went(past.settle())

    def _compact(self, first_revision: Revision, revision: Revision) -> Result:
        begins = self._state.past.first_revision
        if first_revision > revision:
            raise NotDone(Failure.FUTURE_REVISION, f"revision {first_revision} is not there yet")
        if first_revision <= begins:
            raise NotDone(Failure.COMPACTED, f"the history begins at {begins} already", begins)
        self._digest.went(self._state.past.compact(first_revision))
        return CompactDone(first_revision)

    # ---- leases ----

    def _grant(self, grant: Grant, revision: Revision, log_time_ms: int) -> Result:
        if len(self._leases) >= self._bounds.leases:
            raise NotDone(Failure.FULL, f"there are {self._bounds.leases} leases")
        self._set_lease(revision, LeaseTerms(grant.ttl_ms, log_time_ms + grant.ttl_ms, grant.name))
        return Granted(revision, grant.ttl_ms)

    def _keep(self, lease: int, log_time_ms: int) -> int:
        """Returns its time; 0: it is gone."""
        terms = self._leases.running(lease, log_time_ms)
        if terms is None:
            return 0
        self._set_lease(lease, terms._replace(deadline_ms=log_time_ms + terms.ttl_ms))
        return terms.ttl_ms

    def _set_lease(self, lease: int, terms: LeaseTerms) -> None:
        before = self._leases.set(lease, terms)
        self._rows.leases.setdefault(lease, before is not None)
        self._digest.lease(lease, before, terms)

    def _revoke(self, lease: int, revision: Revision, log_time_ms: int) -> Result:
        if self._leases.running(lease, log_time_ms) is None:
            raise NotDone(Failure.LEASE_GONE, f"there is no lease {lease}, or it ran out")
        deleted = self._end_lease(lease, revision)
        self._changed(deleted)
        return Revoked(deleted)

    def _end_lease(self, lease: int, revision: Revision) -> int:
        """A lease goes, with its keys; returns how many."""
        keys = self._state.keys_of(lease)
        for key in keys:
            self._state.write(revision, key, None)
        before = self._leases.remove(lease)
        self._rows.leases.setdefault(lease, before is not None)
        self._digest.lease(lease, before, None)
        return len(keys)

    @property
    def due_ms(self) -> int | None:
        return self._leases.due_ms

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        deleted = 0
        for lease in self._leases.due(log_time_ms):
            if deleted and deleted + self._state.count_of(lease) > self._bounds.changes:
                break
            deleted += self._end_lease(lease, revision)
        self._changed(deleted)

    # ---- asking ----

    def query(self, question: bytes, revision: Revision, log_time_ms: int) -> bytes:
        key = plain_get(question)
        if key is not None:
            record = self._state.get(key)
            pairs = [] if record is None else [(key, record)]
            return encode_range(pairs, len(pairs), False, revision, b"")
        try:
            asked = decode_question(question)
        except Malformed as error:
            raise QueryRefused(str(error)) from error
        try:
            match asked:
                case Range():
                    scan = Scan(self._bounds.question_scan)
                    return encode_range(*find(self._state, asked, revision, scan, self._bounds.result_bytes))
                case AskLease(lease):
                    return encode_result(self._ask_lease(lease, log_time_ms))
                case AskLeases(start):
                    return encode_result(self._ask_leases(start, log_time_ms))
        except NotDone as error:
            return encode_result(error.result)

    def _ask_lease(self, lease: int, log_time_ms: int) -> LeaseFound:
        terms = self._leases.running(lease, log_time_ms)
        if terms is None:
            raise NotDone(Failure.LEASE_GONE, f"there is no lease {lease}, or it ran out")
        keys = self._state.keys_of(lease)
        told: list[bytes] = []
        left = self._bounds.result_bytes // 2
        for key in keys:
            left -= len(key) + 5
            if left < 0:
                break
            told.append(key)
        return _lease_found(lease, terms, log_time_ms, tuple(told), len(told) < len(keys))

    def _ask_leases(self, start: int, log_time_ms: int) -> LeasesFound:
        found: list[LeaseFound] = []
        left = self._bounds.result_bytes // 2
        for lease, terms in self._leases.from_id(start):
            if terms.deadline_ms <= log_time_ms:
                continue
            left -= 64 + len(terms.name)
            if left < 0 or len(found) == LEASES_PER_ANSWER:
                return LeasesFound(tuple(found), True)
            found.append(_lease_found(lease, terms, log_time_ms))
        return LeasesFound(tuple(found))

    # ---- the history, for who watches ----

    @property
    def first_revision(self) -> Revision:
        """The changes of revisions are told from this one on."""
        return self._state.past.first_revision

    @property
    def last_revision(self) -> Revision:
        """The latest revision that changed a key, if it is still told; else 0."""
        return self._state.past.last_revision

    def events(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, tuple[KeyEvent, ...]]]:
        """What the revisions from `first` on, below `stop`, changed: each that changed something, whole, in order.

        `first` is at least `first_revision`. Nothing may be applied while this is read.
        """
        for revision, changes in self.revisions(first, stop):
            yield revision, tuple([event_of(change) for change in changes])

    def revisions(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, list[Change]]]:
        """The same, packed: what makes an event is made only for who wants it (`event_of`)."""
        return self._state.past.revisions(first, stop)

    def encode_change(self, change: Change, previous: bool) -> bytes:
        """What `events.decode_events` reads."""
        return encode_change(change, previous)

    # ---- keeping ----

    def digest(self) -> bytes:
        return self._digest.value(self._state)

    @property
    def changed_rows(self) -> int:
        return self._rows.changed_rows(self._state)

    def changes(self) -> Changes:
        return self._rows.take(self._state, self._leases)

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self._begin()
        self._rows.restore(rows, self._state, self._leases)
        self._digest.restore(self._state, self._leases.from_id(0))


def event_of(change: Change) -> KeyEvent:
    """What a change is to who watches its key."""
    revision, key, record, previous = change
    return KeyEvent(key, unpack_if(key, record), unpack_if(key, previous), revision)


def _lease_found(
    lease: int, terms: LeaseTerms, log_time_ms: int, keys: tuple[bytes, ...] = (), more: bool = False
) -> LeaseFound:
    return LeaseFound(lease, terms.ttl_ms, max(0, terms.deadline_ms - log_time_ms), terms.name, keys, more)
