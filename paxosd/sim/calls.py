"""The calls of a simulated client, as they would be seen from outside, and what of them is checked at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from paxosd.client.calls import Command, Question
from paxosd.client.errors import PaxosError
from paxosd.core.messages import Answer, LogPage, Query, ReadLog
from paxosd.core.types import LOG, Revision
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.check.invariants import ensure
from paxosd.sim.check.order import Order

REQUEST_BITS = 32
"""How many requests a client numbers, beside its own number."""


@dataclass(slots=True)
class SimCall:
    """One call of a client, as it would be seen from outside. `outcome` is empty while it is under way. `seen_before`:
    the highest revision that anybody had been told, of each history that the call may come to."""

    client: str
    name: str
    value: bytes
    invoked_s: float
    seen_before: Mapping[Ghost, Revision]
    pending: Command | Question
    then: Callable[[SimCall, float], None]
    outcome: str = ""
    revision: Revision = 0
    ended_s: float = 0.0


def ignore(call: SimCall, now: float) -> None:
    """What to do then: nothing."""


class SimCalls:
    """Those of one client, the only one with this number. `ghosts` gives what is known of its history, of every history
    while that is not known."""

    def __init__(self, client: str, number: int, timeout_s: float, ghosts: Callable[[], Sequence[Ghost]]) -> None:
        self.all: list[SimCall] = []
        self.under_way: list[SimCall] = []
        self.seen: Revision = 0  # the latest revision that the client saw itself
        self.timeout_s = timeout_s
        self.woke_at = 0.0  # when the client last stood still until
        self._client = client
        self._ghosts = ghosts
        self._requests = number << REQUEST_BITS

    def next_request(self) -> int:
        """A number for a request that nobody else uses."""
        self._requests += 1
        return self._requests

    def proposed(self, command: Command) -> None:
        """The client begins a command, of whichever kind."""
        assert command.value is not None
        for ghost in self._ghosts():
            ghost.safety.submitted.add(command.value)
            ghost.commands.append((command, command.value))

    def begin(
        self,
        name: str,
        pending: Command | Question,
        now: float,
        then: Callable[[SimCall, float], None] = ignore,
        needs_seen: bool = False,
    ) -> SimCall:
        """Note a call that begins; `then` is called when it is over. `needs_seen`: its answer is to show all that the
        client has seen."""
        value = b""
        if isinstance(pending, Command):
            value = pending.value or b""
        elif isinstance(pending.message, ReadLog | Query):
            asked = pending.message
            asked = replace(asked, seen=max(asked.seen, self.seen)) if needs_seen else asked
            for ghost in self._ghosts():
                ghost.answers.asked(asked, now)
        seen_before = {ghost: ghost.answers.seen for ghost in self._ghosts()}
        call = SimCall(self._client, name, value, now, seen_before, pending, then)
        self.all.append(call)
        self.under_way.append(call)
        return call

    # ---- results ----

    def settle(self, now: float) -> None:
        """Take up what is done."""
        done = [call for call in self.under_way if call.pending.done]
        if done:
            self.under_way = [call for call in self.under_way if not call.pending.done]
            for call in done:
                self._conclude(call, now)
                call.then(call, now)

    def abandon(self) -> None:
        """The client died: nobody will know what became of all that is under way."""
        for call in self.under_way:
            call.outcome = "unknown"
        self.under_way = []

    def _conclude(self, call: SimCall, now: float) -> None:
        call.ended_s = now
        pending = call.pending
        if isinstance(pending, Command) and pending.receipt is not None:
            call.outcome, call.revision = "acked", pending.receipt.revision
            (ghost,) = self._ghosts()  # whoever has a result knows of which history
            ghost.answers.acked(call.value, call.revision, call.seen_before[ghost])
            if pending.machine != LOG and ghost.replay is not None:
                ghost.replay.check_told(self._client, call.revision, call.value, pending.receipt.result)
        elif isinstance(pending, Question) and isinstance(pending.answer, LogPage | Answer):
            answer = pending.answer
            call.outcome = "acked"
            call.revision = answer.last if isinstance(answer, LogPage) else answer.revision
            self._ghosts()[-1].answers.told(answer, now)
        elif pending.error is None:  # its caller took it back before it was sent
            call.outcome = "not_applied"
        else:
            assert isinstance(pending.error, PaxosError)
            call.outcome = pending.error.outcome
        if call.outcome == "acked":
            self.seen = max(self.seen, call.revision)
        due = max(call.invoked_s + self.timeout_s * 1.1, self.woke_at)
        late = now > due + 0.1
        ensure(not late, "timeout", f"a call of {self._client} took {now - call.invoked_s:.3f} s")


def check_ends(operations: Sequence[SimCall], order: Order, certain: bool) -> None:
    """What was called not applied is not in the log. `certain`: no frame came twice, or nobody can be that sure."""
    present = set(order.log)
    for operation in operations:
        if operation.name == "propose" and operation.outcome == "not_applied" and certain:
            ensure(
                operation.value not in present, "not applied", f"{operation.value[:20]!r} is in the log all the same"
            )


def check_commands(ghost: Ghost, certain: bool) -> None:
    """The same of commands of which several may be alike: no more are in the log than may have been applied."""
    may_be = Counter(value for command, value in ghost.commands if not _is_not_applied(command))
    is_there = Counter(ghost.order.log)
    for command, value in ghost.commands:
        if certain and _is_not_applied(command):
            too_many = is_there[value] > may_be[value]
            ensure(not too_many, "not applied", f"{value[:40]!r} is in the log {is_there[value]} times")


def _is_not_applied(command: Command) -> bool:
    if command.receipt is not None:
        return False
    error = command.error
    return command.taken_back if error is None else isinstance(error, PaxosError) and error.outcome == "not_applied"
