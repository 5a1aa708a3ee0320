"""What both faces have in common where they drive a recipe: its steps as calls, and what became of them as answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from paxosd.client import verdicts
from paxosd.client.calls import Call, Command, Question
from paxosd.client.clock import Clocks
from paxosd.client.errors import (
    BeyondEnd,
    Compacted,
    ConfigurationError,
    Conflict,
    HoldLost,
    KeysRefused,
    PaxosError,
    ProposeTimeout,
    ReadTimeout,
    TooLarge,
    WaitTimeout,
)
from paxosd.client.leases import HeldLease
from paxosd.client.reads import Read, query
from paxosd.client.watched import WatchCall
from paxosd.core.messages import Answer
from paxosd.core.types import Instant, MachineName, Revision
from paxosd.machine.kv.encoding import encode_command, encode_put, encode_question
from paxosd.machine.kv.events import decode_events
from paxosd.machine.kv.requests import Command as KeyCommand
from paxosd.machine.kv.requests import Compare, Failure, Put
from paxosd.machine.kv.requests import Question as KeyQuestion
from paxosd.machine.kv.results import Failed, MalformedResult, Result, decode_result
from paxosd.recipes import plain
from paxosd.recipes.steps import AwaitChange, Do, Done, KeyGone, NotSo

MACHINE = "kv"
GUARDED_AFTER_S = 1.0
"""How long something is held before its key is watched: most of what is held is given back by then."""
T = TypeVar("T")


class ChangeCall(Call):
    """Waits for a change of some keys. It is done when there may be one."""

    __slots__ = ("step",)

    def __init__(self, step: AwaitChange, deadline: Instant) -> None:
        super().__init__(deadline)
        self.step = step

    def succeed(self) -> None:
        """There may be a change."""
        if not self.done:
            self.tell()


class KeyGuard(NamedTuple):
    """Watches the key of something that is held, from a time on, on the clock of deadlines."""

    watch: WatchCall
    at: Instant


def command_of(change: KeyCommand, deadline: Instant) -> Command:
    """A command for the keys."""
    return Command(encode_command(change), deadline, MACHINE)


def put_command(key: bytes, value: bytes, lease: int, condition: Compare | None, deadline: Instant) -> Command:
    """A command that sets a key, under this condition if there is one."""
    if condition is not None:
        return command_of(plain.under(condition, Put(key, value, lease)), deadline)
    return Command(encode_put(key, value, lease), deadline, MACHINE)


def question_of(request: int, asked: KeyQuestion, deadline: Instant, read: Read, seen: Revision) -> Question:
    """A question about the keys; `seen`: the latest revision that the client has seen."""
    return Question(query(request, MACHINE, encode_question(asked), read, seen), deadline)


def answer_to_command(command: Command) -> Done:
    """What became of it. Raises what the keys said against it."""
    assert command.receipt is not None
    receipt = command.receipt
    return Done(receipt.revision, _checked(decoded(receipt.result)), receipt.slot)


def require_condition(done: Done) -> None:
    """Raise `Conflict` if the change stood under a condition that did not hold."""
    try:
        plain.result_under(done.result)
    except NotSo as error:
        raise of_recipe(error) from None


def answer_to_question(answer: object) -> Any:
    """What was found. Raises what the keys said against it."""
    return _checked(decoded(answered(MACHINE, answer).answer))


def answered(machine: MachineName, answer: object) -> Answer:
    """The answer of a machine. Raises `QuestionRefused` or `ConfigurationError` where there never will be one."""
    assert isinstance(answer, Answer)
    if answer.refused:
        raise verdicts.query_refused(machine, answer)
    return answer


def watch_of(key: bytes, end: bytes, start: Revision, previous: bool) -> WatchCall:
    """A watch of keys."""
    return WatchCall(MACHINE, key, end, start, previous, decode_events)


def decoded(said: bytes) -> Result:
    """What the keys said. Raises `ConfigurationError` where they speak another language."""
    try:
        return decode_result(said)
    except MalformedResult as error:
        raise ConfigurationError(
            f"the machine {MACHINE!r} says what this client cannot read ({error}); install the version that its "
            "nodes have"
        ) from error


def _checked(result: object) -> object:
    if isinstance(result, Failed):
        raise of_failure(result)
    return result


def of_failure(failed: Failed) -> PaxosError:
    """What the keys have to say against a request, as an error."""
    text = f"not applied: {failed.text}"
    if failed.failure is Failure.COMPACTED:
        return Compacted(text, failed.first_revision)
    if failed.failure is Failure.FUTURE_REVISION:
        return BeyondEnd(text)
    if failed.failure is Failure.TOO_LARGE:
        return TooLarge(text)
    if failed.failure is Failure.LEASE_GONE:
        error = HoldLost(text)
        error.outcome = "not_applied"
        return error
    return KeysRefused(text, failed.failure)


def of_lost(lease: HeldLease) -> HoldLost:
    """Of a lease that is over."""
    return HoldLost(f"the lease is over: {lease.why_lost or 'it was given back, or the client was closed'}")


def of_recipe(error: KeyGone | NotSo) -> PaxosError:
    """What a recipe found, as an error."""
    if isinstance(error, NotSo):
        return Conflict("not applied: the key is not as the call demands; `current` has it as it is", error.current)
    return HoldLost(f"{error}: it was removed, or its lease ran out")


def in_vain(error: PaxosError, waits: bool, step: object = None) -> PaxosError:
    """The error that a caller shall see, where a recipe ends with this `step`. Who only waited is told that it has
    nothing, and that nothing is left, unless the step was for good."""
    is_for_good = isinstance(step, Do) and step.for_good
    if waits and isinstance(error, ProposeTimeout | ReadTimeout) and not is_for_good:
        return WaitTimeout(f"not applied, and nothing is left behind; on the way: {error}")
    return error


def deadline_of(until: Instant | None, usual_s: float, lease: HeldLease | None, clocks: Clocks) -> Instant:
    """Until when one step may take: its usual time, not beyond that of the whole call, nor beyond the lease."""
    now = clocks.now()
    deadline = now + usual_s if until is None else min(now + usual_s, until)
    return deadline if lease is None else min(deadline, now + max(0.0, lease.valid_until - clocks.lease_now()))


def require_valid(lease: HeldLease | None, clocks: Clocks) -> None:
    """Raise `HoldLost` if it is over."""
    if lease is not None and (lease.is_lost(clocks.lease_now()) or lease.is_over):
        raise of_lost(lease)


def when_over(lease: HeldLease | None, call: ChangeCall) -> Callable[[], None]:
    """Let the call end with the lease; returns what takes that back."""
    if lease is None:
        return lambda: None

    def end() -> None:
        call.fail(of_lost(lease))

    def take_back() -> None:
        with suppress(ValueError):  # it was called
            lease.watchers.remove(end)

    lease.watchers.append(end)
    if lease.is_over:
        end()
    return take_back


def wait_is_over() -> PaxosError:
    """The time of a call is over that waited."""
    return WaitTimeout("not applied: what was waited for did not come in time; nothing is left behind")
