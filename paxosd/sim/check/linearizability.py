"""Is a history linearizable? A search for one order of its operations that explains every result.

Each operation must seem to happen at one instant between its call and its return (Herlihy and Wing, 1990). The
search is Wing and Gong's (1993) with Lowe's improvements (2017): it walks the returns in time order and orders
operations just in time, which is when one of them returns and must have happened; and it remembers where it was,
so that no state with the same operations behind it is searched twice.

Laws:
1. An operation whose result is `UNKNOWN` may happen at any time after its call, or never.
2. "linearizable" is said with an order in hand, "violation" after all orders failed, "out of budget" otherwise.
   Only the first is good news.
3. The budget counts steps of the model, not time: the same history gets the same verdict on every machine.
4. An operation precedes another only if it returned strictly before the other was called.

An operation that certainly did not happen is left out of the history by the caller; its traces are then a violation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

STEPS_MAX = 5_000_000
"""How many steps of the model a search may take unless told otherwise; some seconds."""

SHOWN_MAX = 8
"""How many operations of a long history a violation shows."""


class Unknown(Enum):
    """The result that nobody was told."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return self.value


UNKNOWN = Unknown.UNKNOWN

State = TypeVar("State", bound=Hashable)
Call = TypeVar("Call")
Result = TypeVar("Result")
C_contra = TypeVar("C_contra", contravariant=True)


class Model(Protocol[State, C_contra, Result]):
    """An object that one caller at a time uses. States are compared and hashed, and never changed."""

    @property
    def initial(self) -> State:
        """The state before the first operation."""
        ...

    def step(self, state: State, call: C_contra) -> Iterable[tuple[State, Result]]:
        """Every state that this call may lead to, with its result; none if it cannot happen in this state."""
        ...

    def possible(self, state: State, call: C_contra, result: Result) -> bool:
        """Whether this call may have this result in this state or in any later one. True is never wrong, only slow."""
        ...


@dataclass(frozen=True, slots=True)
class Operation(Generic[Call, Result]):
    """One call, when it was called and when it returned: never, if its result is `UNKNOWN`."""

    client: str
    call: Call
    result: Result | Unknown
    started: float
    ended: float = math.inf

    def __post_init__(self) -> None:
        told = self.result is not UNKNOWN
        if not self.started <= self.ended or told is not (self.ended < math.inf):
            raise ValueError(f"an operation returns after its call if it has a result, and else never: {self}")


Verdict = Literal["linearizable", "violation", "out of budget"]


@dataclass(frozen=True, slots=True)
class Finding(Generic[Call, Result]):
    """What a search found after `steps` steps of the model.

    `order`: an order that explains the history; after a violation, all that was known just before `stuck` returned.
    `stuck`: the operation with the first return after which no order explains what is known.
    `prefix`: the smallest part of the history that fails, which ends with this return: all that was called by then.
    """

    verdict: Verdict
    steps: int
    order: tuple[Operation[Call, Result], ...]
    stuck: Operation[Call, Result] | None = None
    prefix: tuple[Operation[Call, Result], ...] = ()

    @property
    def ok(self) -> bool:
        return self.verdict == "linearizable"

    def __str__(self) -> str:
        if self.stuck is None:
            return f"{self.verdict}: {len(self.order)} operations explained in {self.steps} steps"
        origin = min(map(_started, self.prefix))
        skipped = len(self.order) - SHOWN_MAX
        lines = [
            f"{self.verdict} after {self.steps} steps; times count from the first call. An order that explains most:"
        ]
        lines += [f"  … {skipped} more before"] * (skipped > 0)
        lines += [f"  {_line(one, origin)}" for one in self.order[-SHOWN_MAX:]]
        lines += ["then this fits nowhere:", f"  {_line(self.stuck, origin)}"]
        placed = {(one.client, one.started) for one in (*self.order, self.stuck)}
        waiting = [one for one in self.prefix if (one.client, one.started) not in placed]
        lines += ["and these had not happened by then:"] * bool(waiting)
        lines += [f"  {_line(one, origin)}" for one in waiting[:SHOWN_MAX]]
        lines += [f"  … {len(waiting) - SHOWN_MAX} more"] * (len(waiting) > SHOWN_MAX)
        return "\n".join(lines)


def check(
    model: Model[State, Call, Result], operations: Iterable[Operation[Call, Result]], steps_max: int = STEPS_MAX
) -> Finding[Call, Result]:
    """Search an order of these operations that the model explains.

    Where a violation takes the whole budget to find, the prefix that is shown fails too, but need not be the smallest.
    """
    history = list(operations)
    search = _Search(model, history, steps_max)
    verdict = search.run()
    if verdict == "violation":
        return _smallest(model, history, search, steps_max)
    return Finding(verdict, search.steps, tuple(history[one] for one in search.best))


def _smallest(
    model: Model[State, Call, Result],
    history: list[Operation[Call, Result]],
    search: _Search[State, Call, Result],
    steps_max: int,
) -> Finding[Call, Result]:
    """Cut the history after each return in turn, from where the search got stuck on, until what is left fails.

    It may have got stuck before anybody could notice, because it knows the results of calls that had yet to return.
    """
    steps, stuck = search.steps, search.deepest
    order = tuple(history[one] for one in search.best)
    for position in range(search.deepest, len(search.returns)):
        cut = _cut(history, search.returns, position)
        shorter = _Search(model, cut, steps_max - steps)
        verdict = shorter.run()
        steps += shorter.steps
        if verdict != "linearizable":
            stuck = position if verdict == "violation" else stuck
            break
        order = tuple(cut[one] for one in shorter.best)
    last = history[search.returns[stuck].operation]
    called = sorted((one for one in history if one.started <= last.ended), key=_started)
    return Finding("violation", steps, order, last, tuple(called))


def _cut(
    history: list[Operation[Call, Result]], returns: Sequence[_Return], position: int
) -> list[Operation[Call, Result]]:
    """The history as it looked right after a return: what had been called, and what was known of it."""
    returned = {id(history[one.operation]) for one in returns[: position + 1]}
    return [
        one if id(one) in returned else replace(one, result=UNKNOWN, ended=math.inf)
        for one in history
        if one.started <= history[returns[position].operation].ended
    ]


def check_each(
    model: Model[State, Call, Result],
    operations: Iterable[Operation[Call, Result]],
    key: Callable[[Call], Hashable],
    steps_max: int = STEPS_MAX,
) -> Finding[Call, Result]:
    """The same for many objects in one history, told apart by `key`: it is linearizable if each of them is.

    Returns the first finding that is not good; `steps_max` is for all together.
    """
    parts: dict[Hashable, list[Operation[Call, Result]]] = {}
    for operation in operations:
        parts.setdefault(key(operation.call), []).append(operation)
    steps, order = 0, list[Operation[Call, Result]]()
    for part in parts.values():
        found = check(model, part, steps_max - steps)
        if not found.ok:
            return found
        steps += found.steps
        order += found.order
    return Finding("linearizable", steps, tuple(order))


# ---- the search ------------------------------------------------------------------------------


class _Return(NamedTuple):
    """One return in the history: whose, who else was called by then and had not returned, and how many had no end."""

    operation: int
    others: tuple[int, ...]
    endless: int


class _Place(NamedTuple, Generic[State]):
    """Where a search is: the first `returns` are explained, and so are the operations `ahead` of theirs."""

    returns: int
    state: State
    ahead: frozenset[int]


class _OutOfBudget(Exception):
    pass


class _Search(Generic[State, Call, Result]):
    """One search, depth first. `deepest` returns are explained by the order `best`, and no order explains more."""

    def __init__(
        self, model: Model[State, Call, Result], operations: list[Operation[Call, Result]], steps_max: int
    ) -> None:
        self._model = model
        self._operations = operations
        self._steps_max = steps_max
        self._endless = sorted((i for i, one in enumerate(operations) if one.result is UNKNOWN), key=self._called)
        self._path: list[tuple[int, Iterator[tuple[int, _Place[State]]]]] = []
        self.returns = list(self._walk())
        self.steps = 0
        self.deepest = 0
        self.best: list[int] = []

    def _called(self, operation: int) -> float:
        return self._operations[operation].started

    def _ended(self, operation: int) -> float:
        return self._operations[operation].ended

    def _walk(self) -> Iterator[_Return]:
        """All returns in the order of time; at equal times calls come first, so that they count as concurrent."""
        everyone = range(len(self._operations))
        calls = sorted(everyone, key=self._called, reverse=True)
        open_calls: list[int] = []
        endless = 0
        for operation in sorted(set(everyone).difference(self._endless), key=lambda one: (self._ended(one), one)):
            while calls and self._called(calls[-1]) <= self._ended(operation):
                called = calls.pop()
                if self._operations[called].result is UNKNOWN:
                    endless += 1
                else:
                    open_calls.append(called)
            open_calls.remove(operation)
            yield _Return(operation, tuple(sorted(open_calls, key=self._ended)), endless)

    def run(self) -> Verdict:
        """Search; the stack is our own, because histories are longer than Python's recursion is deep."""
        start = _Place(0, self._model.initial, frozenset[int]())
        seen = {start}
        self._path = [(-1, self._choices(start))]
        depth = 1  # of the path that explains `deepest` returns
        try:
            while self.deepest < len(self.returns):
                operation, place = next(self._path[-1][1], (-1, None))
                if place is None:
                    if len(self._path) == depth:
                        self._keep_best()
                    self._path.pop()
                    if not self._path:
                        return "violation"
                elif place not in seen:
                    seen.add(place)
                    self._path.append((operation, self._choices(place)))
                    if place.returns > self.deepest:
                        self.deepest, depth, self.best = place.returns, len(self._path), []
        except _OutOfBudget:
            self._keep_best()
            return "out of budget"
        self._keep_best()
        return "linearizable"

    def _keep_best(self) -> None:
        if not self.best:
            self.best = [operation for operation, _ in self._path[1:]]

    def _choices(self, place: _Place[State]) -> Iterator[tuple[int, _Place[State]]]:
        """What may happen next, now that the operation of the next return must have happened; that one first."""
        returned, others, endless = self.returns[place.returns]
        waiting = [one for one in (returned, *others) if one not in place.ahead]
        for operation in (*waiting, *(one for one in self._endless[:endless] if one not in place.ahead)):
            for state in self._outcomes(place.state, operation):
                if not all(self._possible(state, other) for other in waiting if other != operation):
                    continue
                if operation == returned:
                    yield operation, self._skip(place.returns + 1, state, place.ahead)
                else:
                    yield operation, _Place(place.returns, state, place.ahead | {operation})

    def _possible(self, state: State, operation: int) -> bool:
        """Whether the operation may still have the result that its client was told."""
        told = self._operations[operation]
        return told.result is UNKNOWN or self._model.possible(state, told.call, told.result)

    def _outcomes(self, state: State, operation: int) -> Iterator[State]:
        """The states after this operation, where it has the result that its client was told."""
        told = self._operations[operation]
        self.steps += 1
        if self.steps > self._steps_max:
            raise _OutOfBudget
        if self._possible(state, operation):
            for after, result in self._model.step(state, told.call):
                if told.result is UNKNOWN or told.result == result:
                    yield after

    def _skip(self, returns: int, state: State, ahead: frozenset[int]) -> _Place[State]:
        """Go on to the next return that is not explained yet."""
        while returns < len(self.returns) and self.returns[returns].operation in ahead:
            ahead -= {self.returns[returns].operation}
            returns += 1
        return _Place(returns, state, ahead)


def _started(operation: Operation[Any, Any]) -> float:
    return operation.started


def _line(operation: Operation[Any, Any], origin: float) -> str:
    began = operation.started - origin
    ended = "" if operation.result is UNKNOWN else f"{operation.ended - origin:.6f}"
    return f"{operation.client}: {operation.call!r} -> {operation.result!r}  [{began:.6f} … {ended}]"
