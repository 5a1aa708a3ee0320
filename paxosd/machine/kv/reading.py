"""Reading a range, as it is now or was in the past.

An answer in the order of the keys is cut where it is long, and says where to go on. One in another order must be whole:
there is no place to go on from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from paxosd.core.types import Revision
from paxosd.machine.kv.ranges import ONE_KEY
from paxosd.machine.kv.records import HEADER, HEADER_BYTES
from paxosd.machine.kv.refusing import NotDone, Scan, require_told
from paxosd.machine.kv.requests import Failure, Range, Sort
from paxosd.machine.kv.state import KeyState

PAIR_BYTES = 10
"""What stands around a key and its record in an answer, at most."""
ANSWER_BYTES = 64
"""What stands around the pairs, besides `resume`."""

Pair = tuple[bytes, bytes]


class Found(NamedTuple):
    """What a `RangeFound` is made of (see `results.py`), with records."""

    pairs: list[Pair]
    keys: int
    more: bool
    revision: Revision
    resume: bytes


def find(state: KeyState, question: Range, now: Revision, scan: Scan, bytes_max: int) -> Found:
    """Answer a question, with `bytes_max` at most; `now` is the latest revision. Raises `NotDone`."""
    at = question.revision or now
    if question.revision:
        require_told(at, now, state.past.first_revision)
    is_past = state.past.last_revision > at
    count = _count(state, question, at, is_past)
    if question.count_only:
        return Found([], count, False, at, b"")
    seen = _seen(state, question, at, is_past)
    if question.end == ONE_KEY or question.sort == Sort.KEY:
        return _in_order(question, seen, scan, bytes_max, Found([], count, False, at, b""))
    scan.spend(count)
    return _sorted(question, seen, bytes_max, Found([], count, False, at, b""))


def _count(state: KeyState, question: Range, at: Revision, is_past: bool) -> int:
    if is_past:
        return state.past_count(at, question.key, question.end)
    return state.count(question.key, question.end)


def _seen(state: KeyState, question: Range, at: Revision, is_past: bool) -> Iterable[tuple[bytes, bytes | None]]:
    if is_past:
        return state.past_pairs(at, question.key, question.end, question.descending and question.sort == Sort.KEY)
    return state.pairs(question.key, question.end, question.descending and question.sort == Sort.KEY)


def _in_order(
    question: Range, seen: Iterable[tuple[bytes, bytes | None]], scan: Scan, bytes_max: int, found: Found
) -> Found:
    pairs, left, wanted = found.pairs, bytes_max - ANSWER_BYTES, _filter(question)
    resume = b""
    for key, record in seen:
        scan.left -= 1
        is_wanted = record is not None and (wanted is None or wanted(record))
        if scan.left < 0 or (is_wanted and question.limit and len(pairs) == question.limit):
            resume = key
            break
        if record is None or not is_wanted:
            continue
        if question.keys_only:
            record = record[:HEADER_BYTES]
        left -= PAIR_BYTES + len(key) + len(record)
        if left < len(key) and pairs:
            resume = key
            break
        pairs.append((key, record))
    if resume and question.descending:
        resume += b"\0"
    return found._replace(more=bool(resume), resume=resume)


def _sorted(question: Range, seen: Iterable[tuple[bytes, bytes | None]], bytes_max: int, found: Found) -> Found:
    wanted = _filter(question)
    pairs = [(key, record) for key, record in seen if record is not None and (wanted is None or wanted(record))]
    by = _SORTED_BY[question.sort]
    pairs.sort(key=lambda pair: by(pair[1]), reverse=question.descending)
    more = 0 < question.limit < len(pairs)
    if question.limit:
        del pairs[question.limit :]
    if question.keys_only:
        pairs = [(key, record[:HEADER_BYTES]) for key, record in pairs]
    if ANSWER_BYTES + sum(PAIR_BYTES + len(key) + len(record) for key, record in pairs) > bytes_max:
        raise NotDone(Failure.TOO_LARGE, "what is found does not fit one answer: ask for less, or in the order of keys")
    return found._replace(pairs=pairs, more=more)


_SORTED_BY: dict[Sort, Callable[[bytes], bytes]] = {
    Sort.VALUE: lambda record: record[HEADER_BYTES:],
    Sort.VERSION: lambda record: record[16:24],
    Sort.CREATE: lambda record: record[:8],
    Sort.MOD: lambda record: record[8:16],
}


def _filter(question: Range) -> Callable[[bytes], bool] | None:
    """Whether a record is within the bounds of a question; None: all are."""
    low_mod, high_mod = question.min_mod_revision, question.max_mod_revision
    low_create, high_create = question.min_create_revision, question.max_create_revision
    if not (low_mod or high_mod or low_create or high_create):
        return None

    def is_wanted(record: bytes) -> bool:
        create, mod, _, _ = HEADER.unpack_from(record)
        return (
            low_mod <= mod
            and low_create <= create
            and (not high_mod or mod <= high_mod)
            and (not high_create or create <= high_create)
        )

    return is_wanted


def is_cut(found: Found, limit: int) -> bool:
    """Whether an answer has less than was asked for, because it is long."""
    return found.more and not (limit and len(found.pairs) == limit)
