"""Keys and leases. A key is bytes or text, which is encoded as UTF-8; a value is bytes. Missing is not empty."""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.client.arguments import at, at_most, command_name, maybe_at, range_of, text_or_bytes, value_bytes
from paxosd.client.arguments import key as a_key
from paxosd.client.leases import HeldLease, KeyHold
from paxosd.client.outcomes import CommandOutcome, Receipt
from paxosd.client.reads import LINEARIZABLE, Read
from paxosd.client.threads.driver import Lost, RecipeDriver, Watcher
from paxosd.client.threads.locks import Lock, ReadWriteLock, RLock, Semaphore
from paxosd.client.threads.meetings import Barrier, DoubleBarrier, Election, Party
from paxosd.client.threads.queues import Counter, LockingQueue, PriorityQueue, Queue
from paxosd.client.transactions import transaction
from paxosd.core.messages import Answer
from paxosd.core.types import MachineName, Revision, SessionId
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Compare, Delete, Op, Put, Range, Sort
from paxosd.machine.kv.results import RangeFound
from paxosd.recipes import plain
from paxosd.recipes.plain import DeleteReceipt, PutReceipt, TxnReceipt
from paxosd.recipes.steps import look


class Lease:
    """A lease that is kept until it is closed; a context manager. Keys that were put with it go with it."""

    def __init__(self, driver: RecipeDriver, lease: HeldLease) -> None:
        self.id = lease.id
        self.ttl = lease.ttl_s
        self.lost = Lost(KeyHold(lease))
        """Set when it ran out, or may have."""
        self.held = lease
        self._driver = driver

    def close(self) -> None:
        """Revoke it: its keys go, now or as soon as somebody answers."""
        self._driver.give_up(self.held)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Keys:
    """The verbs of the keys, and what is made of them. `timeout` is in seconds everywhere."""

    _driver: RecipeDriver

    # ---- keys ----

    def put(
        self,
        key: str | bytes,
        value: bytes,
        *,
        lease: Lease | None = None,
        previous: bool = False,
        if_absent: bool = False,
        if_revision: Revision | None = None,
        timeout: float | None = None,
    ) -> PutReceipt:
        """Set a key. `previous`: tell what was there.

        `if_absent`, or `if_revision` (its `mod_revision`; 0: it is missing), is a condition: `Conflict` says that it
        does not hold, and has the key as it is.
        """
        named = a_key(key)
        request = Put(named, value_bytes(value), 0 if lease is None else lease.id, previous)
        condition = plain.absence_or(named, if_absent, maybe_at(if_revision))
        held = None if lease is None else lease.held
        return self._driver.drive(plain.put(request, condition), timeout, held)

    def get(
        self, key: str | bytes, *, revision: Revision = 0, read: Read = LINEARIZABLE, timeout: float | None = None
    ) -> KeyValue | None:
        """A key, as of now or of a past revision; None: it is missing. `read`: how new that must be."""
        return self._driver.drive(plain.get(a_key(key), at(revision)), timeout, read=read)

    def get_range(
        self,
        key: str | bytes = b"",
        end: str | bytes = b"",
        *,
        prefix: str | bytes | None = None,
        revision: Revision = 0,
        limit: int = 0,
        descending: bool = False,
        sort: Sort = Sort.KEY,
        keys_only: bool = False,
        count_only: bool = False,
        read: Read = LINEARIZABLE,
        timeout: float | None = None,
    ) -> RangeFound:
        """The keys from `key` on and below `end`, or those that begin with `prefix`: b"" begins all. `limit` 0: all."""
        first, last = range_of(key, end, prefix)
        asked = Range(first, last, at(revision), at_most(limit), descending, sort, keys_only, count_only)
        return self._driver.drive(look(asked), timeout, read=read)

    def watch(
        self,
        key: str | bytes = b"",
        end: str | bytes = b"",
        *,
        prefix: str | bytes | None = None,
        start: Revision = 0,
        previous: bool = False,
        timeout: float | None = None,
    ) -> Watcher:
        """What happens to these keys from revision `start` on, in order, each revision whole. 0: from now on, which is
        behind all that was acknowledged to anybody before this call; so it asks, and may raise what a read raises."""
        first, last = range_of(key, end, prefix)
        if not at(start):
            found = self._driver.drive(look(Range(first, count_only=True)), timeout)
            start = found.revision + 1
        return self._driver.watch(first, last, start, previous)

    def get_and_watch(
        self,
        key: str | bytes = b"",
        end: str | bytes = b"",
        *,
        prefix: str | bytes | None = None,
        previous: bool = False,
        timeout: float | None = None,
    ) -> tuple[RangeFound, Watcher]:
        """The keys as they are, and all that happens to them from then on."""
        first, last = range_of(key, end, prefix)
        found = self._driver.drive(look(Range(first, last)), timeout)
        return found, self._driver.watch(first, last, found.revision + 1, previous)

    def delete(
        self,
        key: str | bytes = b"",
        end: str | bytes = b"",
        *,
        prefix: str | bytes | None = None,
        previous: bool = False,
        if_revision: Revision | None = None,
        timeout: float | None = None,
    ) -> DeleteReceipt:
        """Delete a key, a range of keys, or those that begin with `prefix`. `if_revision` as with `put`, of `key`."""
        first, last = range_of(key, end, prefix)
        condition = None if if_revision is None else plain.absence_or(a_key(key), False, at(if_revision))
        return self._driver.drive(plain.delete(Delete(first, last, previous), condition), timeout)

    def txn(
        self,
        compares: Sequence[Compare],
        then: Sequence[Op],
        otherwise: Sequence[Op] = (),
        *,
        timeout: float | None = None,
    ) -> TxnReceipt:
        """If all compares hold, do `then`, else `otherwise`: one revision, all or nothing."""
        steps = plain.transact(*transaction(compares, then, otherwise))
        return self._driver.drive(steps, timeout)

    def compact(self, revision: Revision, *, timeout: float | None = None) -> None:
        """Let go of the history of keys before this revision."""
        self._driver.drive(plain.compact(at(revision)), timeout)

    def lease(self, ttl: float, *, name: str | bytes = b"", timeout: float | None = None) -> Lease:
        """A lease of so many seconds that this client keeps until it is closed. `name`: for people."""
        return Lease(self._driver, self._driver.grant(ttl, timeout, text_or_bytes(name)))

    # ---- machines of any kind ----

    def call(self, machine: MachineName, command: bytes, *, timeout: float | None = None) -> Receipt:
        """Let a machine apply a command, once; what it says is the `result` of the receipt."""
        return self._driver.command(machine, value_bytes(command), timeout)

    def query(
        self, machine: MachineName, question: bytes, *, read: Read = LINEARIZABLE, timeout: float | None = None
    ) -> Answer:
        """Ask a machine; nothing is changed by it. Raises `QuestionRefused`."""
        return self._driver.ask(machine, value_bytes(question), read, timeout)

    def outcome(self, session: SessionId | str, seq: int, *, timeout: float | None = None) -> CommandOutcome:
        """What became of a command of unknown outcome, whatever machine it is for. `error.session` and `error.seq`
        name it; hexadecimal digits will do for a session, too. Any client may ask, also in another process.

        `WasApplied`, `NeverApplied` (and it never will be: to ask makes sure of that, also of earlier commands of
        its session that are not in the log yet), or `NoLongerKnown`, where nobody can know any more. Raises what a read
        raises, and is asked again then; `QuestionRefused` where the session has had far fewer commands.
        """
        return self._driver.outcome(*command_name(session, seq), timeout)

    # ---- what is made of keys ----

    def lock(self, name: str | bytes, *, value: str | bytes = b"", ttl: float | None = None) -> Lock:
        """A lock: `with client.lock("job") as held: … held.fence, held.lost`."""
        return Lock(self._driver, name, value, ttl)

    def rlock(self, name: str | bytes, *, value: str | bytes = b"", ttl: float | None = None) -> RLock:
        """A lock that its holder may take again."""
        return RLock(self._driver, name, value, ttl)

    def read_write_lock(
        self, name: str | bytes, *, value: str | bytes = b"", ttl: float | None = None
    ) -> ReadWriteLock:
        """`read` and `write`, two locks: many readers, or one writer."""
        return ReadWriteLock(self._driver, name, value, ttl)

    def semaphore(
        self, name: str | bytes, limit: int, *, value: str | bytes = b"", ttl: float | None = None
    ) -> Semaphore:
        """A lock that `limit` may hold at once."""
        return Semaphore(self._driver, name, limit, value, ttl)

    def election(self, name: str | bytes, *, ttl: float | None = None) -> Election:
        """One of many leads."""
        return Election(self._driver, name, ttl)

    def barrier(self, name: str | bytes, *, ttl: float | None = None) -> Barrier:
        """All wait while it stands."""
        return Barrier(self._driver, name, ttl)

    def double_barrier(self, name: str | bytes, count: int, *, ttl: float | None = None) -> DoubleBarrier:
        """`count` of them begin together and end together."""
        return DoubleBarrier(self._driver, name, count, ttl)

    def queue(self, name: str | bytes, *, ttl: float | None = None) -> Queue:
        """First in, first out."""
        return Queue(self._driver, name, ttl)

    def priority_queue(self, name: str | bytes, *, ttl: float | None = None) -> PriorityQueue:
        """The lowest priority number first."""
        return PriorityQueue(self._driver, name, ttl)

    def locking_queue(self, name: str | bytes, *, ttl: float | None = None) -> LockingQueue:
        """A queue whose entries are locked while somebody works on them."""
        return LockingQueue(self._driver, name, ttl)

    def counter(self, name: str | bytes, *, default: int = 0) -> Counter:
        """A number that many may change."""
        return Counter(self._driver, name, default)

    def party(self, name: str | bytes, *, ttl: float | None = None) -> Party:
        """Who is there."""
        return Party(self._driver, name, ttl)
