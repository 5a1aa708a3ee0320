"""43, 44: entries of queues go in their order, each to one; a number is what was added to it."""

from __future__ import annotations

from paxosd.core.types import Revision
from paxosd.machine.kv.records import KeyValue
from paxosd.recipes.counter import Counted
from paxosd.recipes.queue import QueuePlaces, Taken
from paxosd.sim.check.attempts import COUNTER_LAW, QUEUE_LAW, Attempt, Attempts
from paxosd.sim.check.invariants import ensure
from paxosd.sim.keys.model import Keys


def check_taken(attempts: Attempts, attempt: Attempt, places: QueuePlaces, taker: bytes, taken: Taken) -> None:
    """Somebody is told that it took an entry, or locked it; `taker` is its key in the line."""
    replay = attempts.replay
    revision = attempt.did[-1] if taken.lock else attempts.tell(attempt, QUEUE_LAW)
    replay.at(revision)
    before, after = replay.keys.states[revision - 1], replay.keys.states[revision]
    what = f"{attempt.client} is told by {revision} that it took {taken.entry}"
    ensure(before.get(taken.entry.key) == taken.entry, QUEUE_LAW, f"{what}, and that was not there")
    ensure(taker not in after, QUEUE_LAW, f"{what}, and its key is in the line still")
    if taken.lock:
        lock = after.get(taken.lock)
        ensure(taken.lock not in before and taken.fence == revision, QUEUE_LAW, f"{what}, which was locked")
        ensure(lock is not None and lock.create_revision == revision, QUEUE_LAW, f"{what}, and has no lock")
    else:
        ensure(taken.entry.key not in after, QUEUE_LAW, f"{what}, and it is still there")
    states = [*_at(attempts, attempt.looks_before), before]
    passed = [entry for entry in _free_in_all(places, states) if _rank(places, entry) < _rank(places, taken.entry)]
    ensure(not passed, QUEUE_LAW, f"{what}, and passed over {passed}")
    _mark(attempts, attempt, taken)


def _mark(attempts: Attempts, attempt: Attempt, taken: Taken) -> None:
    attempts.marks.hit("entry locked" if taken.lock else "entry taken")
    if taken.lock and taken.fence > attempts.first_fences.setdefault(taken.entry.create_revision, taken.fence):
        attempts.marks.hit("entry locked again")
    if attempt.slept:
        attempts.marks.hit("entry got by one who waited for it")


def check_consumed(attempts: Attempts, attempt: Attempt, entry: KeyValue) -> None:
    """Somebody is told that it is done with an entry, which is gone now."""
    revision = attempts.tell(attempt, QUEUE_LAW)
    attempts.replay.at(revision)
    before, after = (attempts.replay.keys.states[at].get(entry.key) for at in (revision - 1, revision))
    what = f"{attempt.client} is told by {revision} that it is done with {entry}: {before} became {after}"
    ensure(before == entry and after is None, QUEUE_LAW, what)
    attempts.marks.hit("entry done with")


def check_none(attempts: Attempts, attempt: Attempt, places: QueuePlaces) -> None:
    """Somebody is told that there is no entry that nobody has."""
    free = _free_in_all(places, _at(attempts, attempt.looks))
    ensure(not free, QUEUE_LAW, f"{attempt.client} is told that there is no entry, and there were {free}")


def check_added(attempts: Attempts, attempt: Attempt, key: bytes, counted: Counted) -> None:
    """Somebody is told what it made of a number."""
    revision = attempts.tell(attempt, COUNTER_LAW)
    attempts.replay.at(revision)
    states = attempts.replay.keys.states
    before, after = (number_in(states[at], key) for at in (revision - 1, revision))
    is_so = counted == (before, after, revision)
    ensure(is_so, COUNTER_LAW, f"{attempt.client} is told {counted}, and {revision} made {before} into {after}")
    attempts.marks.hit("number changed" if len(attempt.did) == 1 else "number changed at the second try")


def check_number(attempts: Attempts, attempt: Attempt, key: bytes, told: int) -> None:
    """Somebody is told what a number is."""
    (keys,) = _at(attempts, attempt.looks)
    ensure(told == number_in(keys, key), COUNTER_LAW, f"{attempt.client} is told {told}, not {number_in(keys, key)}")


def has_free_entry(places: QueuePlaces, keys: Keys) -> bool:
    """Whether there is an entry that nobody took."""
    return bool(_free_in_all(places, [keys]))


def number_in(keys: Keys, key: bytes) -> int:
    """What a counter stands at that begins with 0."""
    kv = keys.get(key)
    return int(kv.value) if kv else 0


def _at(attempts: Attempts, revisions: list[Revision]) -> list[Keys]:
    for revision in revisions:
        if revision:
            attempts.replay.at(revision)
    return [attempts.replay.keys.states[revision] for revision in revisions]


def _free_in_all(places: QueuePlaces, states: list[Keys]) -> list[KeyValue]:
    """The entries that were there, and locked by nobody, in each of these states."""
    first, end = places.entries
    return [
        kv
        for key, kv in states[0].items()
        if first <= key < end and all(keys.get(key) == kv and places.lock_of(key) not in keys for keys in states)
    ]


def _rank(places: QueuePlaces, entry: KeyValue) -> tuple[bytes, Revision]:
    """Its priority, and when it was put."""
    return entry.key.removeprefix(places.entries.key).partition(b"/")[0], entry.create_revision
