"""A machine of keys that is fed commands one by one, as a ledger would."""

from __future__ import annotations

from typing import TypeVar

from paxosd.machine.kv.bounds import DEFAULT_BOUNDS, KvBounds
from paxosd.machine.kv.encoding import encode_command, encode_question
from paxosd.machine.kv.kv import Kv
from paxosd.machine.kv.ranges import NO_END
from paxosd.machine.kv.records import KeyEvent, KeyValue
from paxosd.machine.kv.requests import Command, Failure, Question, Range
from paxosd.machine.kv.results import Failed, RangeFound, Result, decode_result

R = TypeVar("R", bound=Result)


class FedKv:
    """`revision`: the latest one."""

    def __init__(self, bounds: KvBounds = DEFAULT_BOUNDS) -> None:
        self.kv = Kv(bounds)
        self.revision = 0
        self.log_time_ms = 1000

    def do(self, command: Command, kind: type[R]) -> R:
        """What becomes of a command, which is to have a result of this kind."""
        return expect(decode_result(self.do_bytes(encode_command(command))), kind)

    def do_all(self, *commands: Command) -> None:
        """Commands that all can be done."""
        for command in commands:
            result = decode_result(self.do_bytes(encode_command(command)))
            assert not isinstance(result, Failed), result

    def do_bytes(self, content: bytes) -> bytes:
        self.revision += 1
        (result,) = self.kv.apply(self.revision, [content], self.log_time_ms)
        return result

    def fails(self, command: Command) -> Failure:
        """Why a command is refused; it is to change nothing."""
        before = self.all_keys(), self.kv.digest()
        failure = self.do(command, Failed).failure
        assert (self.all_keys(), self.kv.digest()) == before
        return failure

    def wait_ms(self, ms: int) -> None:
        """So much log time passes, and the next slot comes."""
        self.log_time_ms += ms
        if self.kv.due_ms is not None and self.kv.due_ms <= self.log_time_ms:
            self.revision += 1
            self.kv.expire(self.revision, self.log_time_ms)

    def ask(self, question: Question, kind: type[R]) -> R:
        answer = self.kv.query(encode_question(question), self.revision, self.log_time_ms)
        return expect(decode_result(answer), kind)

    def range(self, asked: Range) -> list[bytes]:
        """The keys that are found."""
        return [kv.key for kv in self.ask(asked, RangeFound).items]

    def get(self, key: bytes, revision: int = 0) -> KeyValue | None:
        return next(iter(self.ask(Range(key, revision=revision), RangeFound).items), None)

    def all_keys(self) -> tuple[KeyValue, ...]:
        return self.ask(Range(b"\0", NO_END), RangeFound).items

    def events(self, first: int) -> list[tuple[int, tuple[KeyEvent, ...]]]:
        """All that is told from this revision on."""
        return list(self.kv.events(first, self.revision + 1))


def expect(result: Result, kind: type[R]) -> R:
    assert isinstance(result, kind), result
    return result


def take_changes(machine: Kv, rows: dict[bytes, bytes]) -> None:
    """Write what changed into these rows."""
    put, deleted = machine.changes()
    assert not set(dict(put)) & set(deleted)
    for key in deleted:
        del rows[key]
    rows |= put
