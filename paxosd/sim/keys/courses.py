"""Drives recipes for a simulated client, as its two faces do, but for callers that are woken instead of waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from paxosd.client import driving
from paxosd.client.calls import Command, Question
from paxosd.client.clock import Clocks
from paxosd.client.driving import ChangeCall
from paxosd.client.engine import Engine
from paxosd.client.errors import PaxosError
from paxosd.client.leases import HeldLease
from paxosd.client.reads import LINEARIZABLE
from paxosd.core.types import Instant, Revision
from paxosd.recipes.course import Course
from paxosd.recipes.steps import AwaitChange, Change, Do, KeyGone, Look, NotSo, Steps
from paxosd.sim.calls import SimCall, SimCalls
from paxosd.sim.check.attempts import TOLD, Attempt
from paxosd.sim.check.invariants import ensure
from paxosd.sim.keys.model import Keys

LAW = "40 who waits gets on"
SLEEPS_S_MAX = 1e6
MayGoOn: TypeAlias = Callable[[Keys], bool]


@dataclass(eq=False)
class Going:
    """One recipe on its way. `until`: the time of all of it; `hurried`: also with a lease that is over; `may_go_on`:
    whether it waits for nothing any more, where the keys stand so; it has been so since `free_since`; `waits`: who has
    waited in vain is told so; `attempt`: what is to be known of it later."""

    course: Course[Any]
    lease: HeldLease | None
    until: Instant | None
    hurried: bool
    then: Callable[[Any, Revision], None]
    failed: Callable[[Exception], None]
    change: ChangeCall | None = None
    may_go_on: MayGoOn | None = None
    waits: bool = True
    attempt: Attempt | None = None
    free_since: Instant | None = None
    call: SimCall | None = None
    answered_at: Revision = 0  # as of which revision its latest call was answered
    take_back: Callable[[], None] = lambda: None


class SimCourses:
    """Those of one client."""

    def __init__(self, calls: SimCalls, clocks: Clocks) -> None:
        self._calls = calls
        self._clocks = clocks
        self._engine: Engine | None = None
        self._going: list[Going] = []

    def begin(self, engine: Engine) -> None:
        """The client has a new session, and nothing is on its way."""
        self._engine, self._going = engine, []

    @property
    def engine(self) -> Engine:
        """What moves the client."""
        assert self._engine is not None
        return self._engine

    def start(
        self,
        steps: Steps[Any],
        lease: HeldLease | None,
        then: Callable[[Any, Revision], None] = lambda result, at: None,
        failed: Callable[[Exception], None] = lambda error: None,
        until: Instant | None = None,
        hurried: bool = False,
        may_go_on: MayGoOn | None = None,
        waits: bool = True,
        attempt: Attempt | None = None,
    ) -> Going:
        """Go through a recipe; at its end one of the two is called, the first with the revision of its last look."""
        course = Course(steps, partial(self._later, lease))
        going = Going(course, lease, until, hurried, then, failed, None, may_go_on, waits, attempt)
        self._going.append(going)
        self._move(going, course.begin)
        return going

    def cancel(self, going: Going) -> None:
        """Its caller wants it no more."""
        if going in self._going:
            self._leave(going, "unknown")

    def _later(self, lease: HeldLease | None, change: Change) -> None:
        self.engine.upkeep.later(lease, change)  # type: ignore[arg-type]

    # ---- steps ----

    def step(self, now: Instant) -> None:
        """Go on with those that wait for a change, or for which it is too late."""
        for going in self._going.copy():
            change = going.change
            if change is None or going not in self._going:
                continue
            if change.error is not None or (not change.done and now >= change.deadline):
                error = change.error or driving.wait_is_over()
                self._stop_watching(going)
                self._move(going, partial(going.course.fail, driving.in_vain(error, going.waits)))
            elif change.done:
                self._stop_watching(going)
                self._move(going, partial(going.course.answer, None))
        for going in self._going:
            waits = going.change is not None and not going.change.done
            over = going.lease is not None and not going.hurried and going.lease.is_over
            ensure(not (waits and over), LAW, f"{going.course.step} goes on with a lease that is over")

    def next_due(self) -> list[Instant]:
        """When `step` has something to do if nothing comes before."""
        return [going.change.deadline for going in self._going if going.change is not None]

    def check_waiting(self, keys: Keys, now: Instant, patience_s: float) -> None:
        """40: in a healed cluster whoever waits for nothing any more gets on."""
        for going in self._going:
            if going.may_go_on is None or not going.may_go_on(keys):
                going.free_since = None
            elif going.free_since is None:
                going.free_since = now
            else:
                waits_s = now - going.free_since
                what = f"{going.course.step} of {going.lease and going.lease.id} could go on for {waits_s:.1f} s"
                ensure(waits_s <= patience_s, LAW, what)

    def _move(self, going: Going, move: Callable[[], None]) -> None:
        course = going.course
        try:
            move()
            while not course.is_over:
                try:
                    self._perform(going)
                except PaxosError as error:
                    course.fail(driving.in_vain(error, going.waits, course.step))
                else:
                    return
        except (PaxosError, KeyGone, NotSo, ValueError) as error:
            self._leave(going, _outcome_of(error))
            return going.failed(error)
        self._leave(going, TOLD)
        return going.then(course.result, going.answered_at)

    def _perform(self, going: Going) -> None:
        """Begin the step that the recipe waits for."""
        step, lease, now = going.course.step, None if going.hurried else going.lease, self._clocks.now()
        driving.require_valid(lease, self._clocks)
        if going.waits and going.until is not None and now >= going.until:
            raise driving.wait_is_over()
        deadline = driving.deadline_of(going.until, self._calls.timeout_s, lease, self._clocks)
        match step:
            case Do(change, _):
                command: Command = driving.command_of(change, deadline)
                self.engine.take(command)
                if going.attempt is not None:
                    going.attempt.changes(command)
                going.call = self._calls.begin("keys", command, now, partial(self._on_answer, going))
            case Look(asked):
                request, seen = self._calls.next_request(), self.engine.session.seen
                question: Question = driving.question_of(request, asked, deadline, LINEARIZABLE, seen)
                self.engine.take(question)
                going.call = self._calls.begin("look", question, now, partial(self._on_answer, going))
            case AwaitChange():
                going.change = ChangeCall(step, now + SLEEPS_S_MAX if going.until is None else going.until)
                going.take_back = driving.when_over(lease, going.change)
                if going.attempt is not None:
                    going.attempt.sleeps()
                self.engine.take(going.change)

    def _on_answer(self, going: Going, call: SimCall, now: Instant) -> None:
        if going not in self._going or call is not going.call:
            return
        going.call, going.answered_at = None, call.revision
        if going.attempt is not None and call.pending.error is None:
            going.attempt.answered(call.revision, isinstance(call.pending, Command))
        self._move(going, partial(self._answer, going, call.pending))

    def _answer(self, going: Going, pending: Command | Question) -> None:
        try:
            if pending.error is not None:
                raise pending.error
            answer: Any
            if isinstance(pending, Command):
                answer = driving.answer_to_command(pending)
            else:
                answer = driving.answer_to_question(pending.answer)
        except PaxosError as error:
            return going.course.fail(driving.in_vain(error, going.waits, going.course.step))
        return going.course.answer(answer)

    def _stop_watching(self, going: Going) -> None:
        going.take_back()
        going.take_back = lambda: None
        if going.change is not None:
            self.engine.stop_watching(going.change)
            going.change = None

    def _leave(self, going: Going, outcome: str) -> None:
        """It is over, and its caller was told so, or left before it was told anything."""
        self._going.remove(going)
        if going.attempt is not None:
            going.attempt.outcome = outcome
        self._stop_watching(going)
        if going.call is not None and isinstance(going.call.pending, Command):
            going.call.pending.take_back()
        going.course.give_up()


def _outcome_of(error: Exception) -> str:
    if isinstance(error, KeyGone | NotSo):
        error = driving.of_recipe(error)
    return error.outcome if isinstance(error, PaxosError) else "not_applied"
