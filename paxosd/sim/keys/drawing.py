"""Commands and questions for keys, at random, as clients of a simulated cluster make them.

Each value is put once, so a put that is applied twice is another log. The keys of locks and the like are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from paxosd.core.types import Revision
from paxosd.machine.kv.ranges import prefix_end
from paxosd.machine.kv.requests import (
    AskLease,
    Compact,
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Op,
    Put,
    Question,
    Range,
    Sort,
    Txn,
)
from paxosd.machine.kv.requests import Command as KeyCommand
from paxosd.machine.kv.results import RangeFound

PREFIX = b"k/"
KEYS = tuple(PREFIX + name for name in (b"", b"\0", b"a", b"a\0", b"b", b"b/1", b"c", b"\xff"))
ENDS = (b"", b"", PREFIX + b"a\0", PREFIX + b"c", prefix_end(PREFIX))
PLACES = tuple((key, b"") for key in KEYS) + tuple((KEYS[at], end) for at in (4, 2, 0) for end in ENDS[2:])
"""Which keys are watched, and which ranges of them; the last one is all of them."""


class KeyDraw:
    """Of one client, which conditions its commands by what it saw."""

    def __init__(self, name: str, random: Random) -> None:
        self._name = name.encode()
        self._random = random
        self._count = 0
        self._seen: dict[bytes, Revision] = {}  # by key, the revision of its latest put that was seen

    def saw(self, found: RangeFound) -> None:
        """An answer came."""
        self._seen.update((kv.key, kv.mod_revision) for kv in found.items)

    def key(self) -> bytes:
        """One of few, so that they meet."""
        return self._random.choice(KEYS)

    def value(self) -> bytes:
        """One that nobody puts twice, or none."""
        self._count += 1
        return b"%s-%d" % (self._name, self._count)

    def command(self, log: Sequence[bytes]) -> KeyCommand:
        """One command."""
        random = self._random
        match random.randrange(12):
            case 0 | 1 | 2 | 3:
                return self._put()
            case 4 | 5:
                return self._delete()
            case 6 | 7 | 8:
                return self._put_if()
            case 9 if random.random() < 0.1:
                return Compact(max(1, len(log) - random.randrange(60)))
            case _:
                return self._transaction(1)

    def _put(self) -> Put:
        kind = self._random.randrange(8)
        if kind == 0:
            return Put(self.key(), b"", 0, True, True, self._random.random() < 0.5)
        return Put(self.key(), self.value(), 0, kind < 3)

    def _delete(self) -> Delete:
        return Delete(self.key(), self._random.choice(ENDS), self._random.random() < 0.3)

    def _put_if(self) -> Txn:
        """A put with a condition: that the key is absent, or as it was seen last."""
        key = self.key()
        known = self._seen.get(key, 0)
        if self._random.random() < 0.3:
            condition = Compare(key, CompareTarget.VERSION, CompareOp.EQUAL, 0)
        else:
            condition = Compare(key, CompareTarget.MOD, CompareOp.EQUAL, known)
        return Txn((condition,), (Put(key, self.value(), 0, True),), (Range(key),))

    def _transaction(self, depth: int) -> Txn:
        random = self._random
        compares = tuple([self._compare() for _ in range(random.randrange(3))])
        then, otherwise = (tuple([self._op(depth) for _ in range(random.randrange(4))]) for _ in range(2))
        return Txn(compares, then, otherwise)

    def _op(self, depth: int) -> Op:
        match self._random.randrange(7):
            case 0:
                return self._range(0)
            case 1:
                return self._delete()
            case 2 if depth:
                return self._transaction(depth - 1)
            case _:
                return Put(self.key(), self.value())

    def _compare(self) -> Compare:
        random = self._random
        key = self.key()
        target = random.choice(list(CompareTarget))
        operand: bytes | int = random.choice((0, 1, 2, self._seen.get(key, 0)))
        if target == CompareTarget.VALUE:
            operand = random.choice((b"", self._name))
        return Compare(key, target, random.choice(list(CompareOp)), operand, random.choice(ENDS))

    def question(self, end: Revision, lease: int) -> Question:
        """One question, where `end` is the latest revision; about this lease, if there is one."""
        if lease:
            return AskLease(lease)
        random = self._random
        past = max(0, end - random.randrange(80)) if random.random() < 0.2 else 0
        return self._range(past)

    def _range(self, revision: Revision) -> Range:
        random = self._random
        key, end = self.key(), random.choice(ENDS)
        if random.random() < 0.5:
            return Range(key, end, revision)
        sort, limit = random.choice((Sort.KEY, *Sort)), random.randrange(4)
        keys_only, count_only = random.random() < 0.2, random.random() < 0.1
        return Range(key, end, revision, limit, random.random() < 0.5, sort, keys_only, count_only)
