"""The checker accepts what can be explained, and nothing else: known histories, and a checker that tries everything."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.sim.check.linearizability import UNKNOWN, Finding, Model, Operation, check, check_each
from paxosd.sim.check.objects import (
    Append,
    CompareAndSet,
    Entries,
    LogCall,
    LogModel,
    LogResult,
    Read,
    ReadFrom,
    Register,
    RegisterCall,
    Write,
    check_log,
    told_by,
)

T = TypeVar("T")
History = Sequence[Operation[Any, Any]]

always_the_same = settings(derandomize=True, deadline=None, max_examples=400)


def op(client: str, started: float, ended: float, call: object, result: object) -> Operation[Any, Any]:
    return Operation(client, call, result, started, ended)


def lost(client: str, started: float, call: object) -> Operation[Any, Any]:
    """An operation whose client was never told what became of it."""
    return Operation(client, call, UNKNOWN, started)


# ---- histories from the literature ---------------------------------------------------------------


class Queue:
    """The object of Herlihy and Wing's examples: ("enq", value) gives None, ("deq",) a value and waits for one."""

    initial: tuple[str, ...] = ()

    def step(self, state: tuple[str, ...], call: tuple[str, ...]) -> list[tuple[tuple[str, ...], str | None]]:
        if call[0] == "enq":
            return [((*state, call[1]), None)]
        return [(state[1:], state[0])] if state else []

    def possible(self, state: tuple[str, ...], call: tuple[str, ...], result: str | None) -> bool:
        return True


HERLIHY_AND_WING: dict[str, tuple[bool, History]] = {
    "overlapping enqueues may take either order": (
        True,
        [
            op("A", 0, 3, ("enq", "x"), None),
            op("B", 1, 2, ("enq", "y"), None),
            op("B", 4, 5, ("deq",), "x"),
            op("A", 6, 7, ("deq",), "y"),
            lost("A", 8, ("enq", "z")),
        ],
    ),
    "y before x, though x was enqueued before y was": (
        False,
        [op("A", 0, 1, ("enq", "x"), None), op("B", 2, 4, ("enq", "y"), None), op("A", 3, 5, ("deq",), "y")],
    ),
    "an enqueue that never returned is dequeued": (True, [lost("A", 0, ("enq", "x")), op("B", 1, 2, ("deq",), "x")]),
    "y is dequeued twice": (
        False,
        [
            op("A", 0, 2, ("enq", "x"), None),
            op("B", 1, 3, ("enq", "y"), None),
            op("A", 4, 6, ("deq",), "y"),
            op("C", 5, 7, ("deq",), "y"),
        ],
    ),
}


@pytest.mark.parametrize("name", HERLIHY_AND_WING)
def test_the_queues_of_herlihy_and_wing_are_judged_as_in_their_paper(name: str) -> None:
    linearizable, history = HERLIHY_AND_WING[name]

    assert check(Queue(), history).ok is linearizable


REGISTERS: dict[str, tuple[bool, History]] = {
    "nothing happened": (True, []),
    "both reads overlap the write, the old value first": (  # this and the next: Porcupine's examples
        True,
        [op("w", 0, 100, Write(100), None), op("r", 25, 75, Read(), 100), op("s", 30, 60, Read(), 0)],
    ),
    "the new value was read, and then the old one": (
        False,
        [op("w", 0, 100, Write(200), None), op("r", 10, 30, Read(), 200), op("s", 40, 90, Read(), 0)],
    ),
    "stale read: of a value that was overwritten before the call": (
        False,
        [op("w", 0, 1, Write(1), None), op("w", 2, 3, Write(2), None), op("r", 4, 5, Read(), 1)],
    ),
    "stale read at a deposed leader, by another client than the writer": (
        False,
        [op("a", 0, 1, CompareAndSet(0, 1), True), op("b", 2, 3, Read(), 0)],
    ),
    "lost update: two set the same expected value": (
        False,
        [op("a", 0, 2, CompareAndSet(0, 1), True), op("b", 1, 3, CompareAndSet(0, 2), True)],
    ),
    "one of two updates fails": (
        True,
        [op("a", 0, 2, CompareAndSet(0, 1), True), op("b", 1, 3, CompareAndSet(0, 2), False)],
    ),
    "lost update: a failed set left a trace": (
        False,
        [op("a", 0, 1, CompareAndSet(7, 1), False), op("r", 2, 3, Read(), 1)],
    ),
    "duplicate apply: a set came back after another one": (
        False,
        [
            op("a", 0, 9, CompareAndSet(0, 1), True),
            op("b", 1, 2, Read(), 1),
            op("b", 3, 4, Write(0), None),
            op("b", 5, 6, Read(), 1),
        ],
    ),
    "reordering: two readers disagree about the order of two writes": (
        False,
        [
            op("a", 0, 9, Write(1), None),
            op("b", 0, 9, Write(2), None),
            op("r", 1, 2, Read(), 1),
            op("r", 3, 4, Read(), 2),
            op("s", 1, 2, Read(), 2),
            op("s", 3, 4, Read(), 1),
        ],
    ),
    "l12: an unknown set may have happened": (True, [lost("a", 0, CompareAndSet(0, 1)), op("r", 5, 6, Read(), 1)]),
    "l12: an unknown set may not have happened": (True, [lost("a", 0, CompareAndSet(0, 1)), op("r", 5, 6, Read(), 0)]),
    "l12: an unknown write may happen long after its client gave up": (
        True,
        [lost("a", 0, Write(1)), op("r", 5, 6, Read(), 0), op("r", 7, 8, Read(), 1)],
    ),
    "l12: an unknown write happens once": (
        False,
        [
            lost("a", 0, Write(1)),
            op("r", 1, 2, Read(), 1),
            op("w", 3, 4, Write(2), None),
            op("r", 5, 6, Read(), 1),
        ],
    ),
    "an unknown write does not happen before its call": (False, [op("r", 0, 1, Read(), 1), lost("a", 2, Write(1))]),
    "what returns at the very time of another call may come after it": (
        True,
        [op("w", 0, 1, Write(1), None), op("r", 1, 2, Read(), 0)],
    ),
}


@pytest.mark.parametrize("name", REGISTERS)
def test_known_histories_of_a_register_are_judged_as_they_should_be(name: str) -> None:
    linearizable, history = REGISTERS[name]

    assert check(Register(0), history).verdict == ("linearizable" if linearizable else "violation")


LOGS: dict[str, tuple[bool, History]] = {
    "reads see all that was acknowledged": (
        True,
        [op("a", 0, 1, Append(b"x"), 1), op("b", 2, 3, Append(b"y"), 2), op("r", 4, 5, ReadFrom(1), (b"x", b"y"))],
    ),
    "an unknown value is found in the middle": (
        True,
        [op("a", 0, 1, Append(b"x"), 2), lost("b", 0, Append(b"u")), op("r", 2, 3, ReadFrom(1), (b"u", b"x"))],
    ),
    "l01: duplicate apply: a retried value is found twice": (
        False,
        [op("a", 0, 1, Append(b"x"), 1), op("r", 2, 3, ReadFrom(1), (b"x", b"x"))],
    ),
    "an acknowledged value is lost": (False, [op("a", 0, 1, Append(b"x"), 1), op("r", 2, 3, ReadFrom(1), ())]),
    "stale read: of the log before another read": (
        False,
        [
            op("a", 0, 9, Append(b"x"), 1),
            op("r", 1, 2, ReadFrom(1), (b"x",)),
            op("s", 3, 4, ReadFrom(1), ()),
        ],
    ),
    "reordering: the later call stands first": (
        False,
        [op("a", 0, 1, Append(b"x"), 2), op("b", 2, 3, Append(b"y"), 1)],
    ),
    "split brain: two values were given the same revision": (
        False,
        [op("a", 0, 9, Append(b"x"), 1), op("b", 0, 9, Append(b"y"), 1)],
    ),
    "two readers were shown different values at one revision": (
        False,
        [
            lost("a", 0, Append(b"x")),
            lost("b", 0, Append(b"y")),
            op("r", 1, 2, ReadFrom(1), (b"x",)),
            op("s", 1, 2, ReadFrom(1), (b"y",)),
        ],
    ),
    "a revision is skipped": (False, [op("a", 0, 1, Append(b"x"), 2)]),
    "a value that nobody proposed is read": (False, [op("r", 0, 1, ReadFrom(1), (b"x",))]),
    "a read from beyond the end is empty": (
        True,
        [op("a", 0, 1, Append(b"x"), 1), op("r", 2, 3, ReadFrom(2), ()), op("r", 4, 5, ReadFrom(9), ())],
    ),
}


@pytest.mark.parametrize("name", LOGS)
def test_known_histories_of_the_log_are_judged_alike_with_and_without_a_witness(name: str) -> None:
    linearizable, history = LOGS[name]
    expected = "linearizable" if linearizable else "violation"

    assert check(LogModel(), history).verdict == expected
    assert check(LogModel(told_by(history)), history).verdict == expected
    assert check_log(history).verdict == expected


# ---- against a checker that tries everything -----------------------------------------------------


def explainable(model: Model[Any, Any, Any], must: History, may: History = ()) -> bool:
    """Whether some order has all of `must` and any of `may`: by trying all of them, without a thought."""

    def goes_on(state: Any, left: list[Operation[Any, Any]], optional: list[Operation[Any, Any]]) -> bool:
        if not left:
            return True
        for one in [*left, *optional]:
            if any(other.ended < one.started for other in left):
                continue
            for after, result in model.step(state, one.call):
                if one.result in (UNKNOWN, result) and goes_on(after, without(left, one), without(optional, one)):
                    return True
        return False

    return goes_on(model.initial, list(must), list(may))


def without(operations: list[T], one: T) -> list[T]:
    return [other for other in operations if other is not one]


def known(history: History) -> list[Operation[Any, Any]]:
    return [one for one in history if one.result is not UNKNOWN]


def unknown(history: History) -> list[Operation[Any, Any]]:
    return [one for one in history if one.result is UNKNOWN]


REGISTER_CALLS: st.SearchStrategy[RegisterCall] = st.one_of(
    st.just(Read()),
    st.builds(Write, st.integers(0, 2)),
    st.builds(CompareAndSet, st.integers(0, 2), st.integers(0, 2)),
)
LOG_CALLS: st.SearchStrategy[LogCall] = st.one_of(
    st.builds(Append, st.sampled_from([b"a", b"b", b"c"])), st.builds(ReadFrom, st.integers(1, 3))
)


@st.composite
def histories(
    draw: st.DrawFn, model: Model[Any, Any, Any], calls: st.SearchStrategy[Any], most: int
) -> list[Operation[Any, Any]]:
    """What clients are told by one object that takes their calls one at a time, each at an instant of its own.

    Some are never told, and some of those are never taken. Equal times are likely.
    """
    taken: list[tuple[int, float, Operation[Any, Any]]] = []
    history: list[Operation[Any, Any]] = []
    for number in range(draw(st.integers(1, most))):
        started = draw(st.integers(0, 2 * most))
        instant = started + draw(st.integers(0, 4))
        one = lost(f"c{number}", started, draw(calls))
        fate = draw(st.sampled_from(["told", "told", "told", "not told", "not taken"]))
        if fate == "not taken":
            history.append(one)
        else:
            ended = instant + draw(st.integers(0, 4)) if fate == "told" else float("inf")
            taken.append((instant, ended, one))
    state = model.initial
    for _, ended, one in sorted(taken, key=lambda taking: taking[0]):
        state, result = next(iter(model.step(state, one.call)))
        history.append(one if ended == float("inf") else replace(one, result=result, ended=ended))
    return history


@st.composite
def mutated(
    draw: st.DrawFn,
    original: st.SearchStrategy[list[Operation[Any, Any]]],
    lie: Callable[[Any], st.SearchStrategy[Any]],
) -> list[Operation[Any, Any]]:
    """A history in which one client is told something else."""
    history = draw(original)
    victims = [position for position, one in enumerate(history) if one.result not in (UNKNOWN, None)]
    if victims:
        position = draw(st.sampled_from(victims))
        false = lie(history[position].result).filter(lambda result: result != history[position].result)
        history[position] = replace(history[position], result=draw(false))
    return history


def lie_of_register(result: object) -> st.SearchStrategy[object]:
    return st.booleans() if isinstance(result, bool) else st.integers(0, 2)


def lie_of_log(result: LogResult) -> st.SearchStrategy[LogResult]:
    if isinstance(result, int):
        return st.integers(1, 5)
    return st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=3).map(tuple)


REGISTER_HISTORIES = histories(Register(0), REGISTER_CALLS, 7)
LOG_HISTORIES = histories(LogModel(), LOG_CALLS, 7)


@always_the_same
@given(histories(Register(0), REGISTER_CALLS, 30))
def test_whatever_an_atomic_register_does_is_accepted(history: History) -> None:
    found = check(Register(0), history)

    assert found.ok
    assert explains(Register(0), found, history)


@always_the_same
@given(histories(LogModel(), LOG_CALLS, 30))
def test_whatever_an_atomic_log_does_is_accepted(history: History) -> None:
    found = check(LogModel(), history)

    assert found.ok
    assert explains(LogModel(), found, history)
    assert check_log(history).ok


def explains(model: Model[Any, Any, Any], found: Finding[Any, Any], history: History) -> bool:
    """Whether the order that was found has every known operation, gives its result, and respects time."""
    states = {model.initial}
    for position, one in enumerate(found.order):
        outcomes = [outcome for state in states for outcome in model.step(state, one.call)]
        states = {after for after, result in outcomes if one.result in (UNKNOWN, result)}
        if not states or any(later.ended < one.started for later in found.order[position:]):
            return False
    return all(one in found.order for one in known(history))


@always_the_same
@given(mutated(REGISTER_HISTORIES, lie_of_register))
def test_a_register_history_with_one_lie_is_rejected_exactly_if_no_order_explains_it(history: History) -> None:
    assert check(Register(0), history).ok is explainable(Register(0), known(history), unknown(history))


@always_the_same
@given(mutated(LOG_HISTORIES, lie_of_log))
def test_a_log_history_with_one_lie_is_rejected_exactly_if_no_order_explains_it(history: History) -> None:
    expected = explainable(LogModel(), known(history), unknown(history))

    assert check(LogModel(), history).ok is expected
    assert check(LogModel(told_by(history)), history).ok is expected


@always_the_same
@given(st.one_of(mutated(REGISTER_HISTORIES, lie_of_register), mutated(LOG_HISTORIES, lie_of_log)))
def test_a_violation_names_the_first_return_that_cannot_be_explained(history: History) -> None:
    model: Model[Any, Any, Any] = LogModel() if isinstance(history[0].call, Append | ReadFrom) else Register(0)
    found = check(model, history)
    if found.stuck is None:
        return
    end = found.stuck.ended
    called = [one for one in history if one.started <= end]
    cut = [one if one.ended <= end else replace(one, result=UNKNOWN, ended=float("inf")) for one in called]
    before = [one if one.ended < end else replace(one, result=UNKNOWN, ended=float("inf")) for one in called]

    assert sorted(map(id, found.prefix)) == sorted(map(id, called))
    assert not explainable(model, known(cut), unknown(cut))
    assert explainable(model, known(before), unknown(before))
    assert explains(model, found, before)


# ---- the rest of what it promises ----------------------------------------------------------------


def log_history(count: int, appenders: int, readers: int, lost_share: float, seed: int) -> History:
    """What clients of an atomic log are told: closed loops, reads of the whole log or of its end."""
    chance = random.Random(seed)
    clients = [f"append-{number}" for number in range(appenders)] + [f"read-{number}" for number in range(readers)]
    free_at = dict.fromkeys(clients, 0.0)
    calls: list[tuple[float, Operation[Any, Any]]] = []
    for number in range(count):
        client = min(clients, key=lambda client: free_at[client])
        started = free_at[client] + chance.expovariate(1000)
        ended = started + chance.expovariate(100)
        instant = chance.uniform(started, ended)
        call = Append(b"%d" % number) if client.startswith("append") else ReadFrom(1)
        if isinstance(call, Append) and chance.random() < lost_share:
            ended, instant = started + 1.0, started + chance.choice([0.5, 2.0, float("inf")])
            calls.append((instant, lost(client, started, call)))
        else:
            calls.append((instant, op(client, started, ended, call, None)))
        free_at[client] = ended
    state = Entries()
    history = [one for instant, one in calls if instant == float("inf")]
    for _, one in sorted((pair for pair in calls if pair[0] < float("inf")), key=lambda pair: pair[0]):
        start = max(1, state.length - chance.choice([10, 10**6]))
        call = one.call if isinstance(one.call, Append) else ReadFrom(start)
        state, result = next(LogModel().step(state, call))
        history.append(replace(one, call=call, result=result if one.result is None else UNKNOWN))
    return history


@pytest.mark.parametrize("lost_share", [0.0, 0.05])
def test_thousands_of_operations_by_eight_clients_take_a_few_steps_each(lost_share: float) -> None:
    history = log_history(4000, 4, 4, lost_share, seed=1)
    steps_max = 4 * len(history)

    assert check(LogModel(), history, steps_max).ok
    assert check(LogModel(told_by(history)), history, steps_max).ok


def test_one_stale_read_among_thousands_of_operations_is_found_and_named() -> None:
    history = list(log_history(2000, 4, 4, 0.05, seed=2))
    position, victim = next(
        (position, one) for position, one in enumerate(history) if position > 1000 and one.call == ReadFrom(1)
    )
    assert isinstance(victim.result, tuple)
    history[position] = replace(victim, result=victim.result[:-8])

    found = check_log(history)

    assert found.verdict == "violation"
    assert found.stuck is not None
    assert history[position] in found.prefix


def test_what_does_not_fit_the_budget_is_not_called_linearizable_and_takes_no_step_more() -> None:
    history = log_history(200, 4, 4, 0.0, seed=3)
    enough = check(LogModel(), history).steps

    assert check(LogModel(), history, enough).ok
    assert check(LogModel(), history, enough - 1).verdict == "out of budget"
    assert not check(LogModel(), history, enough - 1).ok


def test_the_same_history_takes_the_same_steps_to_the_same_order() -> None:
    history = log_history(500, 4, 4, 0.05, seed=4)

    assert check(LogModel(), history) == check(LogModel(), history)


def test_each_key_is_an_object_of_its_own() -> None:
    history = [
        op("a", 0, 1, ("x", Write(1)), None),
        op("b", 2, 3, ("y", Read()), 0),
        op("b", 4, 5, ("x", Read()), 1),
    ]
    stale = op("b", 6, 7, ("x", Read()), 0)

    class Keyed(Register):
        def step(self, state: Any, call: Any) -> Any:
            return super().step(state, call[1])

    assert check_each(Keyed(0), history, key=lambda call: call[0]).ok
    found = check_each(Keyed(0), [*history, stale], key=lambda call: call[0])
    assert found.verdict == "violation"
    assert found.stuck == stale
    assert found.prefix == (history[0], history[2], stale)
    assert check_each(Keyed(0), history, lambda call: call[0], steps_max=2).verdict == "out of budget"


def test_a_violation_reads_as_an_order_and_what_does_not_fit_it() -> None:
    history = [
        *(op("a", number, number + 0.5, Append(b"%d" % number), number) for number in range(1, 12)),
        lost("b", 2, Append(b"lost")),
        op("r", 20, 21.25, ReadFrom(10), (b"10",)),
        op("later", 30, 31, ReadFrom(12), ()),
    ]

    text = str(check_log(history))

    assert "violation" in text
    assert "… 3 more before" in text
    assert "a: Append(value=b'11') -> 11  [10.000000 … 10.500000]" in text
    assert "then this fits nowhere:\n  r: ReadFrom(start=10) -> (b'10',)  [19.000000 … 20.250000]" in text
    assert "and these had not happened by then:\n  b: Append(value=b'lost') -> unknown  [1.000000 … ]" in text
    assert "later" not in text


def test_a_good_finding_says_how_much_was_explained() -> None:
    assert str(check(Register(0), REGISTERS["one of two updates fails"][1])).startswith("linearizable: 2 operations")


def test_an_operation_that_returns_before_its_call_is_refused() -> None:
    with pytest.raises(ValueError, match="returns after its call"):
        op("a", 2, 1, Read(), 0)
    with pytest.raises(ValueError, match="returns after its call"):
        Operation("a", Read(), 0, 1)


def test_a_log_that_is_appended_to_leaves_the_one_before_as_it_was() -> None:
    one = Entries().append(b"a")
    two, other = one.append(b"b"), one.append(b"c")

    assert (one.since(1), two.since(1), other.since(2)) == ((b"a",), (b"a", b"b"), (b"c",))
    assert two != other
    assert two == Entries().append(b"a").append(b"b")
