"""Machines that break the contract, each in one way, and the test of the suite that tells it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import pytest

from paxosd.machine.base import Changes, QueryRefused
from paxosd.testing import MachineContract


class Counter:
    """Counts each word that it is told; a word is forgotten 100 ms after it was told first."""

    def __init__(self) -> None:
        self.words: dict[bytes, tuple[int, int]] = {}
        self.dirty: dict[bytes, bool] = {}

    def apply(self, first_revision: int, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        return [self.count(word, log_time_ms) for word in commands]

    def count(self, word: bytes, log_time_ms: int) -> bytes:
        count, until = self.words.get(word, (0, log_time_ms + 100))
        self.dirty.setdefault(word, word in self.words)
        self.words[word] = count + 1, until
        return b"%d" % (count + 1)

    def query(self, question: bytes, revision: int, log_time_ms: int) -> bytes:
        if question not in self.words:
            raise QueryRefused("never heard")
        return b"%d" % self.words[question][0]

    @property
    def due_ms(self) -> int | None:
        return min((until for _, until in self.words.values()), default=None)

    def expire(self, revision: int, log_time_ms: int) -> None:
        for word in [word for word, (_, until) in self.words.items() if until <= log_time_ms]:
            self.dirty.setdefault(word, True)
            del self.words[word]

    def digest(self) -> bytes:
        return repr(sorted(self.words.items())).encode()

    @property
    def changed_rows(self) -> int:
        return len(self.dirty)

    def changes(self) -> Changes:
        dirty, self.dirty = self.dirty, {}
        put = [(word, repr(self.words[word]).encode()) for word in dirty if word in self.words]
        return Changes(put, [word for word, was_there in dirty.items() if was_there and word not in self.words])

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        Counter.__init__(self)
        for word, content in rows:
            count, until = re.findall(rb"\d+", content)
            self.words[word] = int(count), int(until)


class Contract(MachineContract):
    commands = (b"one", b"two", b"three")
    questions = (b"one", b"never")


class TestCounter(Contract):
    """It keeps the contract."""

    make = staticmethod(Counter)
    dotted = "tests.testing.test_machines:Counter"


class CountsCalls(Counter):
    calls = 0

    def count(self, word: bytes, log_time_ms: int) -> bytes:
        CountsCalls.calls += 1
        return b"%d" % CountsCalls.calls


class CountsBatches(Counter):
    def apply(self, first_revision: int, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        super().apply(first_revision, [b"batch"], log_time_ms)
        return super().apply(first_revision, commands, log_time_ms)


class CountsQuestions(Counter):
    def query(self, question: bytes, revision: int, log_time_ms: int) -> bytes:
        self.count(b"asked", log_time_ms)
        return b""


class ForgetsTime(Counter):
    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        super().restore(rows)
        self.words = {word: (count, 0) for word, (count, _) in self.words.items()}


class TellsAgain(Counter):
    def changes(self) -> Changes:
        return Changes(super().changes().put or [(b"always", b"(1, 1)")], [])


class TellsTooLittle(Counter):
    def changes(self) -> Changes:
        return Changes(super().changes().put[:1], [])


class DeletesWhatWasNeverThere(Counter):
    def changes(self) -> Changes:
        return Changes(super().changes().put, [b"never"])


class Strict(Counter):
    def count(self, word: bytes, log_time_ms: int) -> bytes:
        return word.decode("ascii").encode()


class StrictAboutQuestions(Counter):
    def query(self, question: bytes, revision: int, log_time_ms: int) -> bytes:
        return question.decode("ascii").encode()


class Hashes(Counter):
    def count(self, word: bytes, log_time_ms: int) -> bytes:
        return b"%d" % hash(word)


class TakesCommandsAway(Counter):
    def apply(self, first_revision: int, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        return [self.count(commands.pop(), log_time_ms) for _ in list(commands)]


class KeepsOldRows(Counter):
    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        before = dict(self.words)
        super().restore(rows)
        self.words = {**before, **self.words}


@pytest.mark.parametrize(
    ("kind", "test", "sentence"),
    [
        (CountsCalls, "test_equal_logs_give_equal_states_and_results", "different results"),
        (CountsBatches, "test_how_commands_are_batched_makes_no_difference", "one by one"),
        (CountsQuestions, "test_to_look_changes_nothing", "changed it"),
        (ForgetsTime, "test_a_restored_machine_goes_on_as_the_one_that_ran", "another one"),
        (TellsAgain, "test_what_was_told_is_not_told_again", "told again"),
        (TellsTooLittle, "test_a_machine_that_is_written_now_and_then_is_restored_from_all_that_was_told", "the rows"),
        (DeletesWhatWasNeverThere, "test_what_was_told_is_not_told_again", "was told before"),
        (Strict, "test_bytes_that_make_no_sense_are_no_exception", "ascii"),
        (StrictAboutQuestions, "test_bytes_that_make_no_sense_are_no_exception", "ascii"),
        (Hashes, "test_another_process_with_another_hash_seed_finds_the_same_state", "another state"),
        (TakesCommandsAway, "test_equal_logs_give_equal_states_and_results", "as they are"),
        (KeepsOldRows, "test_a_machine_without_rows_is_a_fresh_one", "fresh"),
    ],
)
def test_a_machine_that_breaks_a_law_is_told_so(kind: Callable[[], Counter], test: str, sentence: str) -> None:
    contract = Contract()
    contract.make = kind  # type: ignore[method-assign]
    contract.dotted = f"tests.testing.test_machines:{kind.__name__}"

    with pytest.raises((AssertionError, UnicodeDecodeError), match=sentence):
        getattr(contract, test)()


def test_a_contract_that_makes_no_machine_says_what_is_missing() -> None:
    with pytest.raises(AssertionError, match="say how to make one"):
        MachineContract().test_fresh_machines_are_equal()
