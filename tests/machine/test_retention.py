"""What is kept of the log is decided from the log alone: at least what the file says, and not much more."""

from __future__ import annotations

from itertools import pairwise

import pytest

from paxosd.core.options import Retention
from paxosd.core.records import Learned
from paxosd.core.types import Revision
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.machine.ledger import Ledger
from paxosd.machine.log import Log
from paxosd.machine.retention import GOING_MAX, LOOK_EVERY_SLOTS
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import session_id

PAGE_BYTES = 1 << 20


class Node:
    """A learner: each slot holds one command of ten bytes, a second after the one before."""

    def __init__(self, retention: Retention, keep_every: int = 50) -> None:
        self.store = MemoryStore()
        self.keep_every = keep_every
        self.begin(retention)
        (opened,) = self.learn_batch(Batch(session_id(1), 0, 0, 1, b""))
        self.session = opened.session
        self.seq = 0

    def begin(self, retention: Retention) -> None:
        self.ledger = Ledger(self.store, {"log": Log()}, 10, PAGE_BYTES, retention)
        self.ledger.restore()

    def learn_batch(self, *batches: Batch) -> list:  # type: ignore[type-arg]
        slot = self.ledger.next_slot
        value = encode_value(slot * 1000, batches)
        self.store.commit([Learned(slot, value)])
        outcomes = self.ledger.apply(slot, value)
        if slot % self.keep_every == 0:
            self.store.commit([self.ledger.keep()])
        return outcomes

    def learn(self, commands: int) -> None:
        for _ in range(commands):
            self.seq += 1
            self.learn_batch(Batch(self.session, self.seq, self.seq, 1, encode_body([b"%010d" % self.seq])))

    def noops(self, count: int) -> None:
        for _ in range(count):
            self.learn_batch()

    def revisions(self) -> list[Revision]:
        found: list[Revision] = []
        start = self.ledger.first_revision
        while page := self.ledger.entries(start, PAGE_BYTES):
            found += [entry.revision for entry in page]
            start = found[-1] + 1
        return found


@pytest.mark.parametrize(
    ("retention", "least"),
    [(Retention(entries=100), 100), (Retention(bytes=1000), 100), (Retention(age_ms=100_000), 100)],
    ids=["entries", "bytes", "age"],
)
def test_so_much_is_kept_at_least_and_hardly_more(retention: Retention, least: int) -> None:
    node = Node(retention)
    for _ in range(20):
        node.learn(37)
        kept = node.revisions()
        assert kept == list(range(node.ledger.first_revision, node.ledger.revision + 1))
        assert min(least, node.ledger.revision) <= len(kept) <= least + LOOK_EVERY_SLOTS

    assert len(node.store.learned_slots()) <= least + LOOK_EVERY_SLOTS + node.keep_every


def test_without_bounds_the_log_is_kept_for_ever() -> None:
    node = Node(Retention())
    node.learn(1000)

    assert (node.ledger.first_revision, len(node.revisions())) == (1, 1000)


def test_what_goes_by_age_goes_by_log_time_which_goes_on_though_nothing_is_applied() -> None:
    node = Node(Retention(age_ms=100_000))
    node.learn(50)
    node.noops(4 * LOOK_EVERY_SLOTS)

    assert node.revisions() == [50]  # the last one stays
    node.learn(4 * LOOK_EVERY_SLOTS)
    assert node.revisions()[0] > 50


def test_all_learners_keep_the_same_wherever_they_were_restarted() -> None:
    bounds = Retention(entries=80, bytes=5000)
    steady, other = Node(bounds), Node(bounds, keep_every=7)
    for step in range(30):
        steady.learn(31)
        other.learn(31)
        if step % 3 == 0:
            stop = other.ledger.next_slot
            other.begin(bounds)
            for slot, value in other.store.learned(other.ledger.next_slot, stop, 1 << 30):
                other.ledger.apply(slot, value)
        assert steady.ledger.first_revision == other.ledger.first_revision

    assert steady.revisions() == other.revisions()


def test_a_bound_that_is_lowered_takes_effect_in_steps() -> None:
    node = Node(Retention())
    node.learn(5 * GOING_MAX)
    node.store.commit([node.ledger.keep()])
    node.begin(Retention(entries=10))
    firsts = [node.ledger.first_revision]
    for _ in range(8):
        node.learn(LOOK_EVERY_SLOTS)
        firsts.append(node.ledger.first_revision)

    assert all(0 <= after - before <= GOING_MAX for before, after in pairwise(firsts))
    assert len(node.revisions()) <= 10 + LOOK_EVERY_SLOTS


@pytest.mark.parametrize(
    "retention",
    [Retention(entries=10), Retention(bytes=100), Retention(age_ms=100_000)],
    ids=["entries", "bytes", "age"],
)
def test_all_that_may_go_goes_by_the_time_that_is_wanted_though_nothing_is_proposed(retention: Retention) -> None:
    node = Node(Retention())
    node.learn(5 * GOING_MAX)
    node.store.commit([node.ledger.keep()])
    node.begin(retention)
    went_on = 0
    while (wanted_ms := node.ledger.trims_ms) is not None and went_on < 20 * LOOK_EVERY_SLOTS:
        assert wanted_ms > node.ledger.log_time_ms
        node.noops(1)
        went_on += 1

    assert node.ledger.trims_ms is None
    assert 1 <= len(node.revisions()) <= 10
    assert went_on <= 6 * LOOK_EVERY_SLOTS


def test_by_age_nothing_is_wanted_before_the_oldest_is_so_old() -> None:
    node = Node(Retention(age_ms=1_000_000))
    node.learn(10)

    assert (
        node.ledger.trims_ms == 3000 + 1_000_000
    )  # without the second entry's slot, the third, nothing older is there
    assert Node(Retention()).ledger.trims_ms is None


def test_the_last_slot_with_entries_is_always_kept() -> None:
    node = Node(Retention(entries=1, age_ms=1))
    node.learn(200)

    assert node.revisions()[-1] == 200


class Busy(Node):
    """A learner of a cluster in which keys are busy: their machine has the same commands as the log."""

    def begin(self, retention: Retention) -> None:
        self.ledger = Ledger(self.store, {"log": Log(), "kv": Log()}, 10, PAGE_BYTES, retention)
        self.ledger.restore()

    def keys(self, commands: int) -> None:
        for _ in range(commands):
            self.seq += 1
            body = encode_body([b"%010d" % self.seq])
            self.learn_batch(Batch(self.session, self.seq, self.seq, 1, body, machine="kv"))


def test_entries_of_the_log_do_not_go_early_where_keys_are_busy() -> None:
    node = Busy(Retention(entries=10))
    for _ in range(20):
        node.keys(100)
        node.learn(1)

    assert 10 <= len(node.revisions()) <= 11


def test_where_nothing_is_in_the_log_as_many_commands_of_others_are_kept() -> None:
    node = Busy(Retention(entries=100))
    node.keys(1000)
    node.learn(2)
    node.keys(1000)

    assert len(node.revisions()) == 2
    assert node.ledger.revision - node.ledger.first_revision + 1 <= 1000 + LOOK_EVERY_SLOTS + 102
