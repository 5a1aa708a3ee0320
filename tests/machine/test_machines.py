"""Several machines over one log: one order, one count of revisions, and what they say told once and for all."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.core.records import Learned
from paxosd.core.types import Entry, Outcome, SessionId
from paxosd.core.values import RESULT_DROPPED, UNKNOWN_MACHINE, Batch, commands, encode_body, encode_value
from paxosd.machine import ledger as module
from paxosd.machine.base import StateMachine
from paxosd.machine.ledger import Ledger
from paxosd.machine.log import Log
from paxosd.machine.mounts import MachineMissing
from paxosd.machine.sessions import INLINE_BYTES_MAX, RESULTS_PER_SESSION_MAX, SAID_PER_RUN_MAX, SAID_PER_SESSION_MAX
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import session_id
from tests.machine.echo import Echo

PAGE_BYTES = 1 << 20


class Node:
    """A learner's disk, and the ledger of this life."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.begin()
        (opened,) = self.learn(Batch(session_id(7), 0, 0, 1, b""))
        self.session: SessionId = opened.session
        self.next_seq = 1

    def begin(self, machines: Mapping[str, StateMachine] | None = None) -> None:
        self.echo, self.bell = Echo(), Echo()
        mounted = machines or {"log": Log(), "echo": self.echo, "bell": self.bell}
        self.ledger = Ledger(self.store, mounted, 10, PAGE_BYTES)
        self.ledger.restore()

    def learn(self, *batches: Batch, stamp_ms: int = 0) -> list[Outcome]:
        slot = self.ledger.next_slot
        value = encode_value(stamp_ms or 1000 * slot, batches)
        self.store.commit([Learned(slot, value)])
        return self.ledger.apply(slot, value)

    def tell(self, machine: str, *said: bytes, acknowledged: int = 1, stamp_ms: int = 0) -> list[Outcome]:
        """The next slot holds these commands for a machine."""
        batch = self.batch(machine, *said, acknowledged=acknowledged)
        self.next_seq += len(said)
        return self.learn(batch, stamp_ms=stamp_ms)

    def batch(self, machine: str, *said: bytes, acknowledged: int = 1) -> Batch:
        return Batch(self.session, acknowledged, self.next_seq, len(said), encode_body(said), machine)

    def keep(self) -> None:
        self.store.commit([self.ledger.keep()])

    def restart(self) -> None:
        stop = self.ledger.next_slot
        self.begin()
        for slot, value in self.store.learned(self.ledger.next_slot, stop, 1 << 30):
            self.ledger.apply(slot, value)

    def stored(self, first_seq: int, count: int = 1) -> list[Outcome]:
        return list(self.ledger.stored(self.session, first_seq, count) or ())


def results(outcomes: list[Outcome]) -> list[bytes]:
    return [result for told in outcomes for result in (commands(told.said, told.count) if told.said else ())]


@pytest.fixture
def node() -> Node:
    return Node()


# ---- results ----


def test_each_command_has_the_result_of_its_machine_and_revisions_count_all_of_them(node: Node) -> None:
    told = node.tell("echo", b"a", b"b")
    logged = node.tell("log", b"c")
    again = node.tell("bell", b"d")

    assert (results(told), results(logged), results(again)) == ([b"a", b"b"], [], [b"d"])
    assert [outcome.revision for outcome in (*told, *logged, *again)] == [1, 3, 4]
    assert node.ledger.revision == 4


@pytest.mark.parametrize("event", ["", "keep", "restart", "keep, restart"])
@pytest.mark.parametrize("length", [1, INLINE_BYTES_MAX, 5 * INLINE_BYTES_MAX, SAID_PER_RUN_MAX + 1])
def test_a_repetition_tells_the_same_result_also_after_a_restart(node: Node, event: str, length: int) -> None:
    told = node.tell("echo", b"a", b"say %d" % length, b"b")
    node.tell("echo", *(b"%d" % number for number in range(10)))
    if "keep" in event:
        node.keep()
    if "restart" in event:
        node.restart()

    assert node.stored(1, 3) == told
    assert results(told) == [b"a", b"x" * length, b"b"]
    assert results(node.stored(2, 1)) == [b"x" * length]
    node.next_seq = 1
    repeated = results(node.tell("echo", b"a", b"say %d" % length, b"b"))
    assert repeated == (results(told) if length < SAID_PER_RUN_MAX else [b"a"])  # the gateway tells the others
    assert node.ledger.revision == 13


def test_results_that_are_acknowledged_take_no_room_and_no_rows(node: Node) -> None:
    for _ in range(70):
        node.tell("echo", b"say 1000")
    node.keep()
    rows, held = len(list(node.store.kept_rows("ledger"))), node.ledger.results
    node.tell("echo", b"a", acknowledged=node.next_seq)
    node.keep()

    assert rows > 70
    assert held == 70 * (1 + 1004 // 128)
    assert len(list(node.store.kept_rows("ledger"))) == 2
    assert node.ledger.results == 1


def test_rows_of_long_results_go_with_their_session(node: Node) -> None:
    node.tell("echo", b"say 1000")
    node.keep()
    for number in range(10):
        node.learn(Batch(session_id(100 + number), 0, 0, 1, b""))
    node.keep()

    assert not node.ledger.knows(node.session)
    assert [key for key, _ in node.store.kept_rows("ledger") if key[:1] == b"m"] == []


def test_a_session_that_acknowledges_nothing_loses_results_and_not_itself(node: Node) -> None:
    for _ in range(SAID_PER_SESSION_MAX // SAID_PER_RUN_MAX + 3):
        told = node.tell("echo", b"say %d" % SAID_PER_RUN_MAX, b"small")

    assert results(told) == [RESULT_DROPPED, b"small"]
    assert node.ledger.knows(node.session)
    assert node.ledger.results < RESULTS_PER_SESSION_MAX
    node.keep()
    node.restart()
    assert results(node.stored(node.next_seq - 2, 2)) == [RESULT_DROPPED, b"small"]


def test_what_machines_say_to_one_slot_is_bounded(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAID_PER_SLOT_MAX", 1000)
    (opened,) = node.learn(Batch(session_id(8), 0, 0, 1, b""))
    other = Batch(opened.session, 1, 1, 1, encode_body([b"say 600"]), "echo")
    told = node.learn(node.batch("echo", b"say 600"), other)

    assert [len(result) for result in results(told)] == [600, len(RESULT_DROPPED)]
    node.next_seq = 2
    assert [len(result) for result in results(node.tell("echo", b"say 600"))] == [600]


def test_a_run_holds_only_so_much_of_what_was_said(node: Node) -> None:
    told = node.tell("echo", *[b"say 100000"] * 5)

    assert [(outcome.first_seq, outcome.count, outcome.revision) for outcome in told] == [
        (1, 2, 1),
        (3, 2, 3),
        (5, 1, 5),
    ]
    assert node.stored(1, 5) == told


def test_a_withdrawn_command_has_no_result(node: Node) -> None:
    (told,) = node.learn(Batch(node.session, 1, 1, 2, b"", "echo"))

    assert (told.revision, told.count, told.said) == (0, 2, b"")


def test_a_machine_that_is_not_mounted_says_so_and_every_command_has_a_revision(node: Node) -> None:
    told = node.tell("nobody", b"a", b"b")

    assert results(told) == [UNKNOWN_MACHINE, UNKNOWN_MACHINE]
    assert node.ledger.revision == 2


def test_state_that_was_kept_with_a_machine_is_not_taken_up_without_it(node: Node) -> None:
    node.keep()

    with pytest.raises(MachineMissing, match="bell, echo"):
        node.begin({"log": Log()})
    node.begin({"log": Log(), "echo": Echo(), "bell": Echo(), "one more": Echo()})


# ---- log time ----


def test_what_runs_out_goes_before_the_commands_of_its_slot_and_takes_a_revision(node: Node) -> None:
    node.tell("echo", b"ring 5000")
    told = node.tell("log", b"a", stamp_ms=5000)

    assert node.echo.rung == [(2, 5000)]
    assert told[0].revision == 3
    assert node.ledger.entries(1, PAGE_BYTES) == (Entry(3, 3, b"a"),)


def test_what_runs_out_goes_with_an_empty_value_too(node: Node) -> None:
    node.tell("echo", b"ring 5000")
    node.learn(stamp_ms=4999)
    assert node.echo.rung == []
    node.learn(stamp_ms=6000)

    assert node.echo.rung == [(2, 6000)]
    assert node.ledger.revision == 2
    assert node.ledger.due_ms is None


def test_machines_in_which_something_runs_out_are_asked_by_their_names(node: Node) -> None:
    node.tell("echo", b"ring 7000")
    node.tell("bell", b"ring 6000")
    assert node.ledger.due_ms == 6000
    node.learn(stamp_ms=9000)

    assert (node.bell.rung, node.echo.rung) == ([(3, 9000)], [(4, 9000)])


def test_log_time_that_goes_back_lets_nothing_run_out_twice(node: Node) -> None:
    node.tell("echo", b"ring 5000", stamp_ms=4000)
    node.learn(stamp_ms=5000)
    node.learn(stamp_ms=1)

    assert node.echo.rung == [(2, 5000)]
    assert node.ledger.log_time_ms == 5000


# ---- reading ----


def test_pages_show_commands_of_the_log_alone_and_say_where_to_go_on(node: Node) -> None:
    node.tell("echo", b"no", b"no")
    node.tell("log", b"a")
    node.tell("echo", b"ring 1")
    node.tell("log", b"b", b"c")
    node.tell("echo", b"no")
    page = node.ledger.page(1, PAGE_BYTES)

    assert [(entry.revision, entry.value) for entry in page.entries] == [(3, b"a"), (6, b"b"), (7, b"c")]
    assert page.next == node.ledger.revision + 1 == 9
    assert node.ledger.log_revision == 7
    assert node.ledger.page(8, PAGE_BYTES) == ((), 0, 0, 9)


said = st.tuples(
    st.sampled_from(["log", "echo", "bell"]), st.lists(st.sampled_from([b"a", b"say 300", b"ring 3"]), max_size=3)
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.tuples(said, st.sampled_from(["", "keep", "restart", "noop"]))), st.integers(1, 600))
def test_pages_of_any_size_tell_the_log_whole_and_restarts_change_nothing(
    steps: list[tuple[tuple[str, list[bytes]], str]], bytes_max: int
) -> None:
    node, steady, logged = Node(), Node(), list[tuple[int, bytes]]()
    for (machine, commands_said), event in steps:
        for one in (node, steady):
            told = one.tell(machine, *commands_said) if commands_said else one.learn()
        if machine == "log" and commands_said:
            logged += enumerate(commands_said, told[0].revision)
        if event == "noop":
            node.learn()
            steady.learn()
        if event == "keep":
            node.keep()
        if event == "restart":
            node.restart()
    node.keep()
    node.restart()
    read, start = list[tuple[int, bytes]](), 1
    while start <= node.ledger.revision:
        page = node.ledger.page(start, bytes_max)
        assert page.next > start
        read += [(entry.revision, entry.value) for entry in page.entries]
        start = page.next

    assert read == logged
    assert node.ledger.state_digest() == steady.ledger.state_digest()
    assert node.stored(1, node.next_seq - 1) == steady.stored(1, steady.next_seq - 1)


# ---- questions ----


def test_a_question_is_answered_or_it_is_said_why_not(node: Node) -> None:
    node.tell("log", b"a")

    assert node.ledger.query("echo", b"what") == (b"what at 1", "")
    assert node.ledger.query("echo", b"") == (b"", "nothing was asked")
    assert node.ledger.query("echo", b"fail") == (b"", "the machine failed: KeyError: 'a mistake'")
    assert node.ledger.query("log", b"what") == (b"", "the log answers no questions; read it")
