"""Random commands, as `Kv` and as a naive model see them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.encoding import encode_command, encode_question
from paxosd.machine.kv.kv import Kv
from paxosd.machine.kv.ranges import NO_END
from paxosd.machine.kv.requests import (
    Command,
    Compact,
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Grant,
    Keep,
    Op,
    Put,
    Range,
    Revoke,
    Sort,
    Txn,
)
from paxosd.machine.kv.results import Failed, Result, decode_result
from paxosd.sim.keys.model import NaiveKeys, Refusal, without_resume, without_text
from tests.machine.kv.fed import take_changes

WINDOW = 6
BOUNDS = KvBounds(window_revisions=WINDOW)

keys = st.sampled_from([b"\0", b"a", b"a\0", b"b", b"b\xff", b"\xff"])
ends = st.sampled_from([b"", b"\0", b"a\0", b"b", b"c", b"\xff\xff"])
values = st.sampled_from([b"", b"1", b"2"])
revisions = st.integers(0, 20)
flags = st.booleans()

compares = st.one_of(
    st.builds(Compare, keys, st.just(CompareTarget.VALUE), st.sampled_from(CompareOp), values, ends),
    st.builds(
        Compare, keys, st.sampled_from(list(CompareTarget)[1:]), st.sampled_from(CompareOp), st.integers(0, 6), ends
    ),
)
puts = st.one_of(
    st.builds(Put, keys, values),
    st.builds(Put, keys, values, revisions, flags),
    st.builds(Put, keys, st.just(b""), st.just(0), flags, flags, flags),
)
deletes = st.builds(Delete, keys, ends, flags)
ranges = st.builds(
    Range,
    keys,
    ends,
    st.one_of(st.just(0), revisions),
    st.integers(0, 3),
    flags,
    st.sampled_from(Sort),
    flags,
    st.integers(0, 9).map(lambda number: number == 0),
    *[st.sampled_from([0, 0, 0, 2, 5, 9])] * 4,
)


def txns(ops: st.SearchStrategy[Op]) -> st.SearchStrategy[Txn]:
    some = st.lists(ops, max_size=3).map(tuple)
    return st.builds(Txn, st.lists(compares, max_size=2).map(tuple), some, some)


simple_ops: st.SearchStrategy[Op] = st.one_of(puts, puts, deletes, ranges)
commands: st.SearchStrategy[Command] = st.one_of(
    puts,
    puts,
    deletes,
    txns(simple_ops),
    txns(st.one_of(simple_ops, simple_ops, txns(st.one_of(simple_ops, txns(simple_ops))))),
    st.builds(Compact, revisions),
    st.builds(Grant, st.integers(1, 60)),
    st.builds(Grant, st.integers(1, 60)),
    st.builds(Revoke, revisions),
    st.builds(Keep, st.lists(revisions, max_size=4).map(tuple)),
)
slots = st.tuples(st.integers(0, 40), st.lists(commands, max_size=5))


class Both:
    """A machine and the model, fed alike. `time_passes` and `take` are what a ledger does."""

    def __init__(self) -> None:
        self.kv = Kv(BOUNDS)
        self.rows: dict[bytes, bytes] = {}
        self.model = NaiveKeys(WINDOW)
        self.log_time_ms = 0

    def slot(self, ms: int, batch: list[Command]) -> None:
        self.log_time_ms += ms
        due_ms = self.kv.due_ms
        deadlines = [deadline for _, deadline in self.model.leases.values()]
        assert due_ms == (min(deadlines) if deadlines else None)
        if due_ms is not None and due_ms <= self.log_time_ms:
            self.model.expire(self.log_time_ms)
            self.kv.expire(self.model.revision, self.log_time_ms)
        first = self.model.revision + 1
        expected = [self.model.apply(command, self.log_time_ms) for command in batch]
        results = self.kv.apply(first, [encode_command(command) for command in batch], self.log_time_ms)
        assert [without_text(decode_result(result)) for result in results] == [*map(without_resume, expected)]

    def live_again(self) -> None:
        """The state is kept, and another life begins with it."""
        take_changes(self.kv, self.rows)
        self.kv = Kv(BOUNDS)
        self.kv.restore(sorted(self.rows.items()))

    def ask(self, asked: Range) -> Result:
        question = encode_question(asked)
        return without_text(decode_result(self.kv.query(question, self.model.revision, self.log_time_ms)))

    def events(self) -> list[object]:
        found = self.kv.events(self.kv.first_revision, self.model.revision + 1)
        return [(revision, set(events)) for revision, events in found]

    def expected_events(self) -> list[object]:
        told = range(self.model.first_revision, self.model.revision + 1)
        return [(revision, events) for revision in told if (events := self.model.events_of(revision))]


def expected_answer(model: NaiveKeys, asked: Range) -> Result:
    try:
        return without_resume(model.range(asked))
    except Refusal as refusal:
        is_compacted = refusal.failure.name == "COMPACTED"
        return Failed(refusal.failure, "", model.first_revision if is_compacted else 0)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(slots, max_size=10), st.lists(ranges, max_size=8))
def test_a_machine_gives_the_results_the_answers_and_the_events_of_the_model(
    log: list[tuple[int, list[Command]]], questions: list[Range]
) -> None:
    both = Both()
    for ms, batch in log:
        both.slot(ms, batch)

        assert both.kv.first_revision == both.model.first_revision
        assert both.events() == both.expected_events()
        for asked in questions:
            assert both.ask(asked) == expected_answer(both.model, asked)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(slots, max_size=10), st.sets(st.integers(0, 9)))
def test_a_machine_that_was_restored_again_and_again_is_the_one_that_ran(
    log: list[tuple[int, list[Command]]], kept_after: set[int]
) -> None:
    lives, steady = Both(), Both()
    for number, (ms, batch) in enumerate(log):
        lives.slot(ms, batch)
        steady.slot(ms, batch)
        if number in kept_after:
            lives.live_again()

        assert lives.kv.digest() == steady.kv.digest()
    assert lives.events() == steady.expected_events()
    for revision in range(lives.kv.first_revision, steady.model.revision + 1):
        asked = Range(b"\0", NO_END, revision)
        assert lives.ask(asked) == expected_answer(steady.model, asked)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(commands, max_size=20), st.lists(st.integers(0, 5)))
def test_how_commands_are_batched_makes_no_difference(batch: list[Command], sizes: list[int]) -> None:
    one_by_one, in_runs = Both(), Both()
    for command in batch:
        one_by_one.slot(0, [command])
    for size in [*sizes, len(batch)]:
        run, batch = batch[:size], batch[size:]
        in_runs.slot(0, run)

    assert in_runs.kv.digest() == one_by_one.kv.digest()
    assert in_runs.events() == one_by_one.events()
