"""One of many leads: the first of a line (`line.py`). What a candidate has to say stands in its key."""

from __future__ import annotations

from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Put, Range, Sort
from paxosd.recipes.line import TakenTurn
from paxosd.recipes.steps import AwaitChange, KeyGone, Span, Steps, do_if, look, made_at


def proclaim(turn: TakenTurn, value: bytes) -> Steps[None]:
    """Say something else, while leading. Raises `KeyGone` where another one leads."""
    if not (yield from do_if((made_at(turn.key, turn.fence),), Put(turn.key, value, keep_lease=True))):
        raise KeyGone(f"{turn.key!r} is gone")


def leader(candidates: Span) -> Steps[KeyValue | None]:
    """Who leads now; None: nobody does."""
    found = yield from look(Range(*candidates, limit=1, sort=Sort.CREATE))
    return found.items[0] if found.items else None


def next_leader(candidates: Span, seen: KeyValue | None) -> Steps[KeyValue | None]:
    """Wait until another one leads than was `seen`, or says something else; None: nobody leads any more.

    Who leads only for a moment between two looks may be missed; the last one is not.
    """
    while True:
        found = yield from look(Range(*candidates, limit=1, sort=Sort.CREATE))
        now = found.items[0] if found.items else None
        if _what_is_said(now) != _what_is_said(seen):
            return now
        watched = candidates if now is None else Span(now.key)
        yield AwaitChange((watched,), found.revision, gone=False)


def _what_is_said(leading: KeyValue | None) -> tuple[bytes, int, bytes] | None:
    return leading and (leading.key, leading.create_revision, leading.value)
