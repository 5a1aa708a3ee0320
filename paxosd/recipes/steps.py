"""What a recipe asks of whoever drives it, step by step.

Laws:
1. A step may end with an error: the driver throws it in where the recipe waits, and so it does when the time of the
   call is over, when the caller is cancelled, or when the lease of what the recipe made is lost.
2. Before a recipe makes something that must not stay, it says what removes it: `OnFailure`. The driver sees to that,
   however the recipe ends without a result. So it can be given up at any step, in no time.
3. `AwaitChange` says no more than "look again". A recipe looks, and awaits a change after the revision that it saw; so
   no change is missed in between.
4. A key that a recipe makes for itself has a random name, given by the caller. Whoever does not know whether the key
   was made knows at least its name, and removes it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

from paxosd.core.types import Revision, Slot
from paxosd.machine.kv.ranges import prefix_end
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Compact, Compare, CompareOp, CompareTarget, Delete, Put, Range, Txn
from paxosd.machine.kv.results import RangeFound, TxnDone

Change: TypeAlias = Put | Delete | Txn | Compact


class Span(NamedTuple):
    """Keys from `key` on, below `end`; an empty `end`: this key alone."""

    key: bytes
    end: bytes = b""

    @classmethod
    def of_prefix(cls, prefix: bytes) -> Span:
        """All keys that begin with it."""
        return cls(prefix, prefix_end(prefix))


class Do(NamedTuple):
    """Change keys, once. The answer is `Done`. `for_good`: nothing takes it back, so who does not know whether it
    happened must hear that; else what `OnFailure` says makes up for it."""

    change: Change
    for_good: bool = False


class Done(NamedTuple):
    """A change was applied as this revision."""

    revision: Revision
    result: Any
    slot: Slot = 0


class Look(NamedTuple):
    """Read keys, as of now. The answer is `RangeFound`."""

    question: Range


class AwaitChange(NamedTuple):
    """Sleep until one of the spans may have changed after this revision. `gone`: only keys that go are of interest."""

    spans: tuple[Span, ...]
    after: Revision
    gone: bool = True


class Later(NamedTuple):
    """Change keys, and wait for nothing: it is tried again until it is certain that it happened, or need not."""

    change: Change


class OnFailure(NamedTuple):
    """Make this change `Later` if the recipe ends without a result; waits for nothing."""

    change: Change


Step: TypeAlias = Do | Look | AwaitChange | Later | OnFailure
T = TypeVar("T")
Steps: TypeAlias = Generator[Step, Any, T]


class KeyGone(Exception):
    """The key that a recipe made for itself is gone: its lease ran out, or somebody removed it."""


class NotSo(Exception):
    """A condition of the caller's does not hold; `current` is the key as it is."""

    def __init__(self, current: KeyValue | None) -> None:
        super().__init__()
        self.current = current


def do(change: Change, for_good: bool = False) -> Steps[Done]:
    """One change."""
    done: Done = yield Do(change, for_good)
    return done


def do_if(conditions: tuple[Compare, ...], *changes: Put | Delete, for_good: bool = False) -> Steps[Revision]:
    """Change keys if all conditions hold; 0: they do not."""
    done = yield from do(Txn(conditions, changes, ()), for_good)
    assert isinstance(done.result, TxnDone)
    return done.revision if done.result.succeeded else 0


def look(question: Range) -> Steps[RangeFound]:
    """One look."""
    found: RangeFound = yield Look(question)
    return found


def made_at(key: bytes, revision: Revision) -> Compare:
    """The key is there, and was made by this revision."""
    return Compare(key, CompareTarget.CREATE, CompareOp.EQUAL, revision)


def absent(span: Span) -> Compare:
    """There is no such key."""
    return Compare(span.key, CompareTarget.VERSION, CompareOp.EQUAL, 0, span.end)
