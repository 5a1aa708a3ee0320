"""Logs of random commands for the keys: what a machine makes of them, and what the model does.

Beside the machine that is looked at runs one that was never restored; so what is lost on the way to a disk and back
shows.
"""

from __future__ import annotations

from random import Random

from paxosd.core.agent import InvariantBroken
from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.encoding import encode_command, encode_question
from paxosd.machine.kv.kv import Kv
from paxosd.machine.kv.requests import (
    Command,
    Compact,
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Grant,
    Keep,
    Op,
    Put,
    Range,
    Revoke,
    Sort,
    Txn,
)
from paxosd.machine.kv.results import Failed, Result, decode_result
from paxosd.sim.keys.model import NaiveKeys, Refusal, without_resume, without_text
from paxosd.testing.feeding import START_MS, FedMachine

WINDOW = 6
BOUNDS = KvBounds(window_revisions=WINDOW, spare_bytes=10_000)
SLOTS = 12
KEYS = (b"\0", b"a", b"a\0", b"b", b"b\xff", b"\xff")
ENDS = (b"", b"", b"\0", b"a\0", b"b", b"c", b"\xff\xff")
VALUES = (b"", b"1", b"2")
REVISIONS_MAX = 25
WRONG = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    InvariantBroken,
    LookupError,
    NameError,
    TypeError,
    ValueError,
)


def play(seed: int) -> str:
    """What went wrong with the log of this seed; empty: nothing did."""
    try:
        return _play(Random(seed))
    except WRONG as error:
        return f"{type(error).__name__}: {error}"


def _play(random: Random) -> str:
    game = Game()
    for _ in range(SLOTS):
        ms = random.choice((0, 0, 5, 20, 60))
        violation = game.slot(ms, [draw_command(random) for _ in range(random.randrange(6))])
        if random.random() < 0.4:
            game.lives.keep()
            game.lives.live_again()
        violation = violation or game.compare() or game.ask([draw_range(random) for _ in range(4)])
        if violation:
            return violation
    return ""


class Game:
    """The machine with its many lives, the one that is steady, and the model, fed alike."""

    def __init__(self) -> None:
        self.lives = FedMachine(lambda: Kv(BOUNDS))
        self.steady = FedMachine(lambda: Kv(BOUNDS))
        self.model = NaiveKeys(WINDOW)
        self.log_time_ms = START_MS

    def slot(self, ms: int, commands: list[Command]) -> str:
        """Apply these commands so much later; says what is wrong with the results."""
        self.log_time_ms += ms
        if any(deadline <= self.log_time_ms for _, deadline in self.model.leases.values()):
            self.model.expire(self.log_time_ms)
        expected = [without_resume(self.model.apply(command, self.log_time_ms)) for command in commands]
        encoded = [encode_command(command) for command in commands]
        for fed in (self.lives, self.steady):
            results = [without_text(decode_result(result)) for result in fed.slot(encoded, ms)]
            for command, result, wanted in zip(commands, results, expected, strict=True):
                if result != wanted:
                    return f"{command} has the result {result}, the model {wanted}"
        return ""

    def compare(self) -> str:
        """What differs in the two machines and the model."""
        if self.lives.machine.digest() != self.steady.machine.digest():
            return "a machine that was restored has another digest than the one that ran"
        told = range(self.model.first_revision, self.model.revision + 1)
        expected = [(revision, each) for revision in told if (each := self.model.events_of(revision))]
        for fed in (self.lives, self.steady):
            kv = fed.machine
            assert isinstance(kv, Kv)
            if kv.first_revision != self.model.first_revision:
                return f"the history begins at {kv.first_revision}, in the model at {self.model.first_revision}"
            events = [(revision, set(each)) for revision, each in kv.events(kv.first_revision, fed.revision + 1)]
            if fed.revision != self.model.revision or events != expected:
                return "events are not the difference of the states"
        return ""

    def ask(self, questions: list[Range]) -> str:
        """What is wrong with the answers."""
        for asked in questions:
            answer = self.lives.ask(encode_question(asked))
            assert answer is not None
            found, expected = without_text(decode_result(answer)), self.expected_answer(asked)
            if found != expected:
                return f"{asked} is answered {found}, by the model {expected}"
        return ""

    def expected_answer(self, asked: Range) -> Result:
        """What the model says."""
        try:
            return without_resume(self.model.range(asked))
        except Refusal as refusal:
            is_compacted = refusal.failure.name == "COMPACTED"
            return Failed(refusal.failure, "", self.model.first_revision if is_compacted else 0)


# ---- drawing ----


def draw_command(random: Random) -> Command:
    """One command; keys, values and revisions are few, so that they meet."""
    kind = random.randrange(10)
    if kind < 3:
        return draw_put(random)
    if kind == 3:
        return draw_delete(random)
    if kind < 6:
        return draw_txn(random, 2)
    if kind == 6 and random.random() < 0.3:
        return Compact(_revision(random))
    if kind == 9:
        return Revoke(_revision(random)) if random.random() < 0.5 else Keep(tuple(_revision(random) for _ in range(4)))
    return Grant(random.randrange(1, 80))


def draw_txn(random: Random, depth: int) -> Txn:
    """A transaction, with others in it up to this depth."""
    compares = tuple([_draw_compare(random) for _ in range(random.randrange(3))])
    then, otherwise = ([_draw_op(random, depth) for _ in range(random.randrange(4))] for _ in range(2))
    return Txn(compares, tuple(then), tuple(otherwise))


def _draw_op(random: Random, depth: int) -> Op:
    """Most can be done: of a transaction that is refused not much is seen."""
    kind = random.randrange(6)
    if kind == 0:
        return draw_range(random)
    if kind == 1:
        return draw_delete(random)
    if kind == 2 and depth:
        return draw_txn(random, depth - 1)
    return Put(random.choice(KEYS), random.choice(VALUES)) if random.random() < 0.7 else draw_put(random)


def _draw_compare(random: Random) -> Compare:
    target = random.choice(list(CompareTarget))
    operand = random.choice(VALUES) if target == CompareTarget.VALUE else random.randrange(6)
    return Compare(random.choice(KEYS), target, random.choice(list(CompareOp)), operand, random.choice(ENDS))


def draw_put(random: Random) -> Put:
    """A put of any kind."""
    key, is_asked = random.choice(KEYS), random.random() < 0.5
    kind = random.randrange(4)
    if kind == 0:
        return Put(key, b"", 0, is_asked, random.random() < 0.5, random.random() < 0.5)
    if kind == 1:
        return Put(key, random.choice(VALUES), _revision(random), is_asked)
    return Put(key, random.choice(VALUES))


def draw_delete(random: Random) -> Delete:
    """A delete of one key or some."""
    return Delete(random.choice(KEYS), random.choice(ENDS), random.random() < 0.5)


def draw_range(random: Random) -> Range:
    """A question of any kind."""
    revision = random.choice((0, _revision(random)))
    sort, limit = random.choice((Sort.KEY, *Sort)), random.randrange(4)
    is_descending, keys_only = random.random() < 0.5, random.random() < 0.3
    bounds = [random.choice((0, 0, 0, 2, 5, 9)) for _ in range(4)]
    ends = random.choice(KEYS), random.choice(ENDS)
    return Range(*ends, revision, limit, is_descending, sort, keys_only, random.random() < 0.1, *bounds)


def _revision(random: Random) -> int:
    return random.randrange(REVISIONS_MAX)
