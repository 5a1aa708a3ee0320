"""Drives recipes for callers that are threads: each waits for its own step, woken by that alone.

Laws:
1. Whatever ends a recipe without a result, a Ctrl-C as well, its course is given up: what removes what it made is left
   to the client, and waits for nothing.
2. A lease is shared by all that a client holds for the same time to live. Who finds it over takes a new one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TypeVar

from paxosd.client import driving
from paxosd.client.arguments import lease_ms
from paxosd.client.calls import Command, Question
from paxosd.client.clock import Clocks, lease_now
from paxosd.client.driving import ChangeCall, KeyGuard
from paxosd.client.errors import PaxosError, ProposeTimeout
from paxosd.client.inquiring import Inquiry
from paxosd.client.leases import HeldLease, KeyHold
from paxosd.client.outcomes import CommandOutcome, Receipt
from paxosd.client.reads import LINEARIZABLE, Read, query
from paxosd.client.upkeep import ConnectionState
from paxosd.client.watched import WatchCall
from paxosd.client.watcher import Watcher
from paxosd.client.worker import Worker
from paxosd.core.messages import Answer
from paxosd.core.types import Instant, MachineName, Revision, SessionId
from paxosd.machine.kv.requests import Grant, Revoke
from paxosd.machine.kv.results import Granted
from paxosd.process import native
from paxosd.recipes.course import Course
from paxosd.recipes.steps import AwaitChange, Change, Do, KeyGone, Look, NotSo, Steps

T = TypeVar("T")
TTL_S = 10.0
"""The time to live of a lease, where nobody says another one."""
FOR_EVER_S = 1e6
CLOCKS = Clocks()

__all__ = ["Lost", "RecipeDriver", "Watcher", "current_owner"]


class _Thread(threading.local):
    """What a thread has for itself as long as it lives; the system gives its number to the next one."""

    def __init__(self) -> None:
        self.itself = object()


_thread = _Thread()


def current_owner() -> object:
    """Who calls: its thread, or its greenlet."""
    return _thread.itself, threading.get_ident()


class RecipeDriver:
    """Of one client, for any number of threads. `timeout` is that of each step, in seconds."""

    def __init__(self, worker: Worker, timeout: float, requests: count[int]) -> None:
        self._worker = worker
        self._timeout = timeout
        self._requests = requests
        self._leases: dict[float, HeldLease] = {}
        self._granting = threading.Lock()

    # ---- recipes ----

    def drive(
        self,
        steps: Steps[T],
        timeout: float | None = None,
        lease: HeldLease | None = None,
        waits: bool = False,
        hurried: bool = False,
        read: Read = LINEARIZABLE,
    ) -> T:
        """Go through a recipe. `timeout` of all of it, in seconds; `lease`: what hangs on it is lost with it; `waits`:
        None is for ever, otherwise it is the usual time; `hurried`: also with a lease that is over; `read`: how new
        must be what it looks at."""
        self._worker.require_usable()
        until = None if timeout is None else time.monotonic() + timeout
        course = Course(steps, partial(self.later, lease))
        bound = None if hurried else lease
        try:
            course.begin()
            while not course.is_over:
                try:
                    driving.require_valid(bound, CLOCKS)
                    answer = self._perform(course.step, until, bound, waits, read)
                except PaxosError as error:
                    course.fail(driving.in_vain(error, waits, course.step))
                else:
                    course.answer(answer)
            return course.result
        except (KeyGone, NotSo) as error:
            raise driving.of_recipe(error) from None
        finally:
            course.give_up()

    def _perform(self, step: object, until: Instant | None, lease: HeldLease | None, waits: bool, read: Read) -> object:
        if waits and until is not None and time.monotonic() >= until:
            raise driving.wait_is_over()
        deadline = driving.deadline_of(until, self._timeout, lease, CLOCKS)
        if isinstance(step, Do):
            command = driving.command_of(step.change, deadline)
            self._worker.propose(command)
            self._worker.finish(command)
            return driving.answer_to_command(command)
        if isinstance(step, Look):
            seen = self._worker.session.seen
            question = driving.question_of(next(self._requests), step.question, deadline, read, seen)
            self._await(question)
            return driving.answer_to_question(question.answer)
        assert isinstance(step, AwaitChange)
        self._await_change(step, until, lease)
        return None

    def _await(self, call: Command | Question) -> None:
        self._worker.submit(call)
        self._worker.finish(call)

    def _await_change(self, step: AwaitChange, until: Instant | None, lease: HeldLease | None) -> None:
        call = ChangeCall(step, time.monotonic() + FOR_EVER_S if until is None else until)
        take_back = driving.when_over(lease, call)
        try:
            self._worker.submit(call)
            while not call.done:
                left_s = min(call.deadline - time.monotonic(), self._left_s(lease))
                if call.deadline <= time.monotonic():
                    raise driving.wait_is_over()
                self._worker.wait(call, max(0.0, left_s))
                driving.require_valid(lease, CLOCKS)
        finally:
            take_back()
            self._worker.do_soon(partial(self._worker.stop_watching, call))
        if call.error is not None:
            raise call.error

    def _left_s(self, lease: HeldLease | None) -> float:
        return FOR_EVER_S if lease is None else lease.valid_until - lease_now()

    # ---- machines, and watches of keys ----

    def command(self, machine: MachineName, command: bytes, timeout: float | None) -> Receipt:
        """A command for any machine."""
        self._worker.require_usable()
        call = Command(command, time.monotonic() + (self._timeout if timeout is None else timeout), machine)
        self._await(call)
        assert call.receipt is not None
        return call.receipt

    def ask(self, machine: MachineName, question: bytes, read: Read, timeout: float | None) -> Answer:
        """A question to any machine."""
        self._worker.require_usable()
        asked = query(next(self._requests), machine, question, read, self._worker.session.seen)
        call = Question(asked, time.monotonic() + (self._timeout if timeout is None else timeout))
        self._await(call)
        return driving.answered(machine, call.answer)

    def outcome(self, session: SessionId, seq: int, timeout: float | None) -> CommandOutcome:
        """What became of a command whose outcome was unknown."""
        self._worker.require_usable()
        call = Inquiry(session, seq, time.monotonic() + (self._timeout if timeout is None else timeout))
        self._await(call)
        assert isinstance(call.answer, CommandOutcome)
        return call.answer

    def watch(self, key: bytes, end: bytes, start: Revision, previous: bool) -> Watcher:
        """What happens to keys."""
        self._worker.require_usable()
        call = driving.watch_of(key, end, start, previous)
        return Watcher(call, self._attend, self._worker.require_usable)

    def _attend(self, call: WatchCall) -> None:
        self._worker.do_soon(lambda: self._worker.session.attend(call))

    def hold(self, lease: HeldLease, key: bytes, fence: Revision) -> tuple[KeyHold, KeyGuard]:
        """What is held by this key; it is noticed if somebody removes it."""
        watch = driving.watch_of(key, b"", fence + 1, previous=False)
        hold, guard = KeyHold(lease), KeyGuard(watch, time.monotonic() + driving.GUARDED_AFTER_S)
        self._worker.do_later(lambda: self._worker.guard(hold, guard))
        return hold, guard

    def let_go(self, guard: KeyGuard) -> None:
        """The key may go that is guarded."""
        guard.watch.closed = True  # before the look at the clock: who begins to watch looks at it behind
        if time.monotonic() >= guard.at:
            self._attend(guard.watch)

    # ---- leases ----

    def later(self, lease: HeldLease | None, change: Change) -> None:
        """Leave a change to the client."""
        self._worker.do_soon(lambda: self._worker.upkeep.later(lease, change))  # type: ignore[arg-type]

    def take_lease(self, ttl: float | None, timeout: float | None) -> tuple[HeldLease, float | None]:
        """The lease that all share who want one for so many seconds; and what is left of the time for the whole call.

        Raises what any command raises, and `WaitTimeout` if no time is left.
        """
        begun = time.monotonic()
        try:
            lease = self._shared(TTL_S if ttl is None else ttl, timeout)
        except ProposeTimeout as error:  # a lease that nobody knows of runs out
            raise driving.in_vain(error, waits=True) from error
        if timeout is None:
            return lease, None
        left_s = timeout - (time.monotonic() - begun)
        if left_s <= 0:
            raise driving.wait_is_over()
        return lease, left_s

    def _shared(self, asked: float, timeout: float | None) -> HeldLease:
        lease = self._leases.get(asked)
        if lease is not None and not lease.is_lost(lease_now()) and not lease.is_over:
            return lease
        with self._granting:
            lease = self._leases.get(asked)
            if lease is None or lease.is_lost(lease_now()) or lease.is_over:
                lease = self._leases[asked] = self.grant(asked, timeout)
            return lease

    def grant(self, ttl: float, timeout: float | None = None, name: bytes = b"") -> HeldLease:
        """A new lease, kept until it is given up."""
        self._worker.require_usable()
        asked_at = lease_now()
        command = driving.command_of(
            Grant(lease_ms(ttl), name), time.monotonic() + (self._timeout if timeout is None else timeout)
        )
        self._await(command)
        granted = driving.answer_to_command(command).result
        assert isinstance(granted, Granted)
        lease = HeldLease(granted.lease, granted.ttl_ms, asked_at)
        self._worker.do_soon(lambda: self._worker.upkeep.add(lease))
        return lease

    def give_up(self, lease: HeldLease) -> None:
        """Nobody needs it any more: revoke it. If nobody answers in time, the client goes on trying."""
        self._worker.do_soon(lambda: self._worker.upkeep.give_up(lease))
        with suppress(PaxosError):
            self._await(driving.command_of(Revoke(lease.id), time.monotonic() + self._timeout))

    def revoke_all(self, within_s: float) -> None:
        """Revoke what is still kept, as far as somebody answers in time."""
        leases = [lease for lease in self._worker.upkeep.holds if not lease.is_over]
        if not leases:
            return
        deadline = time.monotonic() + within_s
        revoking = [driving.command_of(Revoke(lease.id), deadline) for lease in leases]
        with suppress(PaxosError):  # they run out
            self._worker.require_usable()
            for lease, command in zip(leases, revoking, strict=True):
                lease.end()
                self._worker.submit(command)
            for command in revoking:
                self._worker.finish(command)

    def listen(self, listener: Callable[[ConnectionState], None]) -> None:
        """Tell it, in the client's own thread, whenever leases stand otherwise."""
        self._worker.listen(listener)


class Lost:
    """Set when something is lost: by a word of the cluster, or by the clock, with no need of a thread that runs."""

    def __init__(self, hold: KeyHold) -> None:
        self._hold = hold

    def __repr__(self) -> str:
        return f"<lost: {self._hold.why_lost}>" if self.is_set() else "<not lost>"

    def is_set(self) -> bool:
        """Whether others may have it."""
        return self._hold.is_lost(lease_now())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is lost, or so many seconds; whether it is."""
        end = None if timeout is None else time.monotonic() + timeout
        lease = self._hold.lease
        while not self.is_set() and not lease.is_over:
            left_s = FOR_EVER_S if end is None else end - time.monotonic()
            if left_s <= 0:
                break
            turnstile = native.allocate_lock()
            turnstile.acquire()
            opened = partial(_open, turnstile)
            lease.watchers.append(opened)
            self._hold.watchers.append(opened)
            try:
                native.wait(turnstile, min(left_s, max(0.001, lease.valid_until - lease_now())))
            finally:
                for watchers in (lease.watchers, self._hold.watchers):
                    with suppress(ValueError):  # it was called
                        watchers.remove(opened)
        return self.is_set()


def _open(turnstile: object) -> None:
    turnstile.release()  # type: ignore[attr-defined]
