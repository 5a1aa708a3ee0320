"""43, 44: what counts is done once, and whoever did it knows, or was told that nobody does.

An entry that goes from a queue counts, and so does each change of a counter: whoever asks for it counts on the result.
Laws:
1. Each such revision is told to one attempt, which is told no other one.
2. If it is told to none, then the one that made it was told `unknown`, or was given up, or its client died.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from paxosd.core.types import Revision, SessionId
from paxosd.machine.kv.records import KeyEvent
from paxosd.recipes.barrier import MeetingRoom
from paxosd.sim.check.invariants import ensure
from paxosd.sim.check.marks import Marks
from paxosd.sim.check.replay import Replay

QUEUE_LAW, COUNTER_LAW = "43 queues", "44 counters"
COUNTERS = b"counter/"
QUEUES = (b"queue/", b"priority-queue/", b"locking-queue/")
ENTRIES = b"/entries/"
TOLD = "told"


@dataclass(eq=False)
class Attempt:
    """One way through a recipe. `session` gives the session of the client that goes it. `by`: what is added to a
    counter; `lock`: by which key with which fence an entry is held that shall go."""

    client: str
    what: str
    session: Callable[[], SessionId]
    by: int = 0
    lock: tuple[bytes, Revision] | None = None
    outcome: str = ""  # as the caller was told; empty: it is under way, or its client died
    did: list[Revision] = field(default_factory=list)  # as which its changes were applied
    looks: list[Revision] = field(default_factory=list)  # as of which it looked since it last did something or slept
    looks_before: list[Revision] = field(default_factory=list)  # the same, before its latest change
    commands: list[Any] = field(default_factory=list)
    slept: bool = False
    told: Revision = 0  # what it was told to have done, where that counts

    def looked_at(self, law: str, before: int = 0) -> Revision:
        """As of which revision it looked last, or so many looks `before`; it must have looked since it slept."""
        ensure(len(self.looks) > before, law, f"{self.client} comes to an end without a look: {self.what}")
        return self.looks[-1 - before]

    def changes(self, command: Any) -> None:
        """It begins a change."""
        self.commands.append(command)
        self.looks_before, self.looks = self.looks, []

    def sleeps(self) -> None:
        """It begins to wait for somebody else's change."""
        self.slept, self.looks = True, []

    def answered(self, revision: Revision, is_change: bool) -> None:
        """A step was answered, as of this revision."""
        (self.did if is_change else self.looks).append(revision)


class Attempts:
    """All of one history."""

    def __init__(self, replay: Replay, marks: Marks) -> None:
        self.replay = replay
        self.marks = marks
        self.rooms: set[MeetingRoom] = set()  # of the double barriers that anybody wants to enter
        self._all: list[Attempt] = []
        self._told: dict[Revision, Attempt] = {}
        self.first_fences: dict[Revision, Revision] = {}  # with which an entry, made by this revision, was first locked

    def begin(self, attempt: Attempt) -> Attempt:
        """One more."""
        self._all.append(attempt)
        return attempt

    def tell(self, attempt: Attempt, law: str) -> Revision:
        """It is told that its latest change counts: that it took an entry, or changed a number."""
        revision = attempt.told = attempt.did[-1]
        other = self._told.setdefault(revision, attempt)
        ensure(
            other is attempt, law, f"{attempt.client} and {other.client} are both told of {revision}: {attempt.what}"
        )
        return revision

    # ---- at the end ----

    def check_ends(self) -> None:
        """Whoever did what counts was told so, or may not know it."""
        self.replay.advance()
        states, made_by = self.replay.keys.states, self._made_by()
        for revision in range(1, self.replay.revision + 1):
            if states[revision] is not states[revision - 1]:
                for event in self.replay.keys.events_of(revision):
                    if _counts(event):
                        self._check(event, made_by)

    def _made_by(self) -> dict[tuple[SessionId, int], Attempt]:
        return {
            (attempt.session(), command.seq): attempt
            for attempt in self._all
            for command in attempt.commands
            if command.seq  # it was sent
        }

    def _check(self, event: KeyEvent, made_by: dict[tuple[SessionId, int], Attempt]) -> None:
        law = COUNTER_LAW if event.key.startswith(COUNTERS) else QUEUE_LAW
        made = self.replay.at(event.revision)
        attempt = made_by.get((made.session, made.seq))
        ensure(attempt is not None, law, f"{event.key!r} was changed by {event.revision}, and nobody did that")
        assert attempt is not None
        if attempt.told == 0 and attempt.outcome in ("", "unknown"):
            self.marks.hit("nobody knows what became of a taking or a change of a number")
        else:
            what = f"{attempt.client} made {event.revision}, which changed {event.key!r}, and was told: "
            what += f"{attempt.outcome} {attempt.told} ({attempt.what})"
            ensure(attempt.told == event.revision, law, what)
        if law == COUNTER_LAW:
            before, after = (int(kv.value) if kv else 0 for kv in (event.previous, event.kv))
            ensure(after == before + attempt.by, law, f"{event.revision} adds {attempt.by} to {before}: {after}")
        elif attempt.lock is not None:
            key, fence = attempt.lock
            lock = self.replay.keys.states[event.revision - 1].get(key)
            is_its_own = lock is not None and lock.create_revision == fence
            ensure(is_its_own, law, f"{attempt.client} is done with {event.key!r}, and its lock is {lock}, not {fence}")


def _counts(event: KeyEvent) -> bool:
    return event.key.startswith(COUNTERS) or (
        event.kv is None and event.key.startswith(QUEUES) and ENTRIES in event.key
    )
