"""A world of recipes under one seed: the real keys, clients whose commands and answers take their time, get lost, or
come too late, clocks, leases that run out, callers that are cancelled, clients that die.

What may happen next is drawn; so a seed is one order of everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from paxosd.machine.kv.encoding import encode_command, encode_question
from paxosd.machine.kv.kv import Kv
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Command, Grant, Keep, Range, Revoke
from paxosd.machine.kv.results import Failed, RangeFound, decode_result
from paxosd.recipes.course import Course
from paxosd.recipes.line import RoomDiffers
from paxosd.recipes.steps import AwaitChange, Do, Done, KeyGone, Look, Span, Steps

TTL_MS = 10_000
FIRST, LAST = b"\0", b"\0"


class Unknown(Exception):
    """Thrown into a recipe: nobody knows what became of the command."""


class Cancelled(Exception):
    """Thrown into a recipe: its caller wants it no more."""


class Lost(Exception):
    """Thrown into a recipe: its lease is lost."""


@dataclass(eq=False)
class Sent:
    """A command of a client on its way."""

    command: Command
    answered: Callable[[Done], None] | None = None
    withdrawn: bool = False


@dataclass(eq=False)
class Run:
    """A recipe that a client goes through."""

    client: WorldClient
    course: Course[Any]
    then: Callable[[Any], object] = lambda result: None
    failed: Callable[[BaseException], object] = lambda error: None
    answer: Any = None
    has_answer: bool = False
    sent: Sent | None = None


@dataclass(eq=False)
class WorldClient:
    """One client: its commands are applied in the order in which it sent them."""

    lease: int
    outbox: deque[Sent] = field(default_factory=deque)
    runs: list[Run] = field(default_factory=list)
    dead: bool = False
    expired: bool = False
    """The cluster ended its lease."""
    lost: bool = False
    """By its own clock, or because it is dead."""

    @property
    def is_over(self) -> bool:
        """Whether nothing counts any more that it holds."""
        return self.dead or self.lost


class World:
    """All of it. `trouble`: how often a command's answer is lost, a caller cancelled, a lease lost, a client killed."""

    def __init__(self, seed: int, trouble: float = 0.1) -> None:
        self.random = Random(seed)
        self.kv = Kv()
        self.trouble = trouble
        self.revision = 0
        self.now_ms = 1000
        self.changed: dict[bytes, tuple[int, bool]] = {}  # by key: the latest revision that changed it; whether it went
        self.went: dict[bytes, int] = {}
        self.clients: list[WorldClient] = []
        self.checks: list[Callable[[], None]] = []
        self.callers: list[Callable[[], object]] = []
        """What callers do next, each once."""
        self.wakes = 0

    # ---- the cluster ----

    def apply(self, command: Command) -> Done:
        """Into the log."""
        before = self.items()
        self.revision += 1
        (result,) = self.kv.apply(self.revision, [encode_command(command)], self.now_ms)
        self._note(before)
        return Done(self.revision, decode_result(bytes(result)))

    def query(self, question: Range) -> Any:
        """Read, as of now."""
        return decode_result(self.kv.query(encode_question(question), self.revision, self.now_ms))

    def items(self) -> dict[bytes, KeyValue]:
        """All keys."""
        found = self.query(Range(FIRST, LAST))
        assert isinstance(found, RangeFound)
        return {item.key: item for item in found.items}

    def _note(self, before: dict[bytes, KeyValue]) -> None:
        after = self.items()
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key):
                self.changed[key] = self.revision, key not in after
                if key not in after:
                    self.went[key] = self.revision

    def pass_time(self, ms: int) -> None:
        """Time passes, and leases may run out."""
        self.now_ms += ms
        while (due := self.kv.due_ms) is not None and due <= self.now_ms:
            before = self.items()
            self.revision += 1
            self.kv.expire(self.revision, self.now_ms)
            self._note(before)

    def may_have_changed(self, step: AwaitChange) -> bool:
        """Whether a watch would tell something."""
        if step.gone:
            return any(at > step.after and _within(key, step.spans) for key, at in self.went.items())
        return any(at > step.after and _within(key, step.spans) for key, (at, _) in self.changed.items())

    # ---- clients ----

    def client(self) -> WorldClient:
        """A client with a lease, which is kept as long as it lives."""
        granted = self.apply(Grant(TTL_MS))
        made = WorldClient(granted.result.lease)
        self.clients.append(made)
        return made

    def start(
        self,
        client: WorldClient,
        steps: Steps[Any],
        then: Callable[[Any], object] = lambda result: None,
        failed: Callable[[BaseException], object] = lambda error: None,
    ) -> Run:
        """Let a client go through a recipe."""
        course = Course(steps, lambda change: client.outbox.append(Sent(change)))
        run = Run(client, course, then, failed)
        if not client.dead:
            client.runs.append(run)
            self._go_on(run, course.begin)
        return run

    def _go_on(self, run: Run, move: Callable[[], None], is_error: bool = False) -> None:
        run.sent, run.has_answer, run.answer = None, False, None
        try:
            move()
        except (Unknown, Cancelled, Lost, KeyGone, RoomDiffers) as error:
            run.client.runs.remove(run)
            run.failed(error)
            return
        if run.course.is_over:
            run.client.runs.remove(run)
            if not is_error:
                run.then(run.course.result)
            return
        assert not is_error, f"after an error a recipe waits for {run.course.step}"
        if isinstance(run.course.step, Do):
            run.sent = Sent(run.course.step.change, lambda done: self._answered(run, done))
            run.client.outbox.append(run.sent)

    def _answered(self, run: Run, done: Done) -> None:
        run.answer, run.has_answer = done, True

    def throw(self, run: Run, error: Exception) -> None:
        """The step ends with an error; a command that was sent may be applied all the same."""
        if run.sent is not None:
            run.sent.answered = None
            if isinstance(error, Unknown) and self.random.random() < 0.3:
                run.sent.withdrawn = True  # unless it is applied already
        if isinstance(error, Cancelled):
            run.client.runs.remove(run)
            run.course.give_up()
            assert run.course.is_over
            run.failed(error)
        else:
            self._go_on(run, lambda: run.course.fail(error), is_error=True)

    def kill(self, client: WorldClient) -> None:
        """It is no more. What it sent may still be applied."""
        client.dead = client.lost = True
        client.runs.clear()
        while client.outbox and self.random.random() < 0.5:
            client.outbox.pop()

    def lose(self, client: WorldClient) -> None:
        """Its clock says that its lease is over; the cluster comes to know of that later."""
        client.lost = True
        for run in list(client.runs):
            self.throw(run, Lost())
        client.outbox.append(Sent(Revoke(client.lease)))

    # ---- what may happen ----

    def moves(self) -> list[Callable[[], object]]:
        """All that may happen next, without trouble."""
        found: list[Callable[[], object]] = [lambda call=call: self._call(call) for call in self.callers]  # type: ignore[misc]
        for client in self.clients:
            if client.outbox:
                found.append(lambda client=client: self._apply_next(client))  # type: ignore[misc]
            for run in client.runs:
                if run.has_answer:
                    found.append(lambda run=run: self._deliver(run))  # type: ignore[misc]
                elif isinstance(run.course.step, Look):
                    found.append(lambda run=run: self._read(run))  # type: ignore[misc]
                elif isinstance(run.course.step, AwaitChange) and self.may_have_changed(run.course.step):
                    found.append(lambda run=run: self._wake(run))  # type: ignore[misc]
        return found

    def _call(self, call: Callable[[], object]) -> None:
        self.callers.remove(call)
        call()

    def _apply_next(self, client: WorldClient) -> None:
        sent = client.outbox.popleft()
        if sent.withdrawn:
            return
        done = self.apply(sent.command)
        if sent.answered is not None and not client.dead:
            sent.answered(done)

    def _read(self, run: Run) -> None:
        assert isinstance(run.course.step, Look)
        run.answer = self.query(run.course.step.question)
        run.has_answer = True

    def _wake(self, run: Run) -> None:
        self.wakes += 1
        run.answer, run.has_answer = None, True

    def _deliver(self, run: Run) -> None:
        answer = run.answer
        if isinstance(answer, Done) and isinstance(answer.result, Failed):  # its lease is gone
            return self._go_on(run, lambda: run.course.fail(Lost()), is_error=True)
        return self._go_on(run, lambda: run.course.answer(answer))

    def step(self, alive: Callable[[], list[WorldClient]]) -> bool:
        """One thing happens; False: nothing can."""
        moves = self.moves()
        if self.random.random() < self.trouble:
            self._trouble(alive())
        elif moves:
            self.random.choice(moves)()
        elif any(client.is_over and not client.expired for client in self.clients):
            self._expire_the_dead()
        else:
            return False
        for check in self.checks:
            check()
        return True

    def _trouble(self, clients: list[WorldClient]) -> None:
        if not clients:
            return
        client = self.random.choice(clients)
        kind = self.random.random()
        if kind < 0.05:
            self.kill(client)
        elif kind < 0.15:
            self.lose(client)
        elif client.runs:
            run = self.random.choice(client.runs)
            if isinstance(run.course.step, Do | Look) and kind < 0.6:
                self.throw(run, Unknown())
            else:
                self.throw(run, Cancelled())

    def _expire_the_dead(self) -> None:
        """Those that live keep their leases, the others' run out."""
        self.now_ms += TTL_MS // 2
        for client in self.clients:
            client.expired = client.is_over
            if not client.is_over and client.lease:
                self.apply(Keep((client.lease,)))
        self.pass_time(TTL_MS // 2 + 1)

    def run(self, steps_max: int = 20_000) -> None:
        """Until nothing can happen any more."""
        for _ in range(steps_max):
            if not self.step(lambda: [client for client in self.clients if not client.is_over]):
                return
        raise AssertionError("it goes on for ever")

    def waiting(self) -> list[Run]:
        """Recipes that are not at their end."""
        return [run for client in self.clients for run in client.runs]


def _within(key: bytes, spans: tuple[Span, ...]) -> bool:
    return any(key == span.key if not span.end else span.key <= key < span.end for span in spans)
