"""A state machine that is fed as a ledger feeds it, and written to rows as a learner writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from paxosd.core.types import Revision
from paxosd.machine.base import QueryRefused, StateMachine

START_MS = 1000


class FedMachine:
    """A machine with the log time and the revisions that it was told, and the rows that it told. `results`: of all
    commands."""

    def __init__(self, make: Callable[[], StateMachine]) -> None:
        self.make = make
        self.machine = make()
        self.revision: Revision = 0
        self.log_time_ms = START_MS
        self.rows: dict[bytes, bytes] = {}
        self.results: list[bytes] = []

    def slot(self, commands: Sequence[bytes], ms: int = 0) -> list[bytes]:
        """`ms` later by log time, what has run out goes, and then these commands are applied; returns their results."""
        self.log_time_ms += ms
        due_ms = self.machine.due_ms
        if due_ms is not None and due_ms <= self.log_time_ms:
            self.revision += 1
            self.machine.expire(self.revision, self.log_time_ms)
        if not commands:
            return []
        given = list(commands)
        results = list(self.machine.apply(self.revision + 1, given, self.log_time_ms))
        self.revision += len(given)
        assert given == list(commands), "a machine leaves the commands that it is given as they are"
        assert len(results) in (0, len(given)), f"{len(given)} commands have {len(results)} results"
        assert all(type(result) is bytes for result in results), "a result is bytes"
        self.results += results
        return results

    def ask(self, question: bytes) -> bytes | None:
        """The answer to a question; None: it was refused."""
        try:
            answer = self.machine.query(question, self.revision, self.log_time_ms)
        except QueryRefused:
            return None
        assert type(answer) is bytes, "an answer is bytes"
        return answer

    def keep(self) -> None:
        """What changed is written to the rows."""
        put, delete = self.machine.changes()
        for key, content in put:
            assert type(key) is bytes and type(content) is bytes, "a row is bytes, and so is its key"
        keys = [key for key, _ in put] + delete
        assert len(set(keys)) == len(keys), "no row is told twice, and none as new and as gone"
        for key in delete:
            assert key in self.rows, "what is told as gone was told before"
            del self.rows[key]
        self.rows.update(put)

    def live_again(self) -> None:
        """Another life begins with the rows, and what was not written is lost."""
        self.machine = self.make()
        self.machine.restore(sorted(self.rows.items()))

    def facts(self, questions: Sequence[bytes] = ()) -> tuple[object, ...]:
        """All that can be seen of its state."""
        return self.machine.digest(), self.machine.due_ms, [self.ask(question) for question in questions]
