"""Many byte strings as one, the lengths first: so they are packed and unpacked without a step of Python for each.

    count u32, the length of each u32, the bytes of all of them

`NO_RECORD` in place of a length stands for None.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from struct import pack, unpack_from
from typing import cast

from paxosd.core.agent import require
from paxosd.machine.kv.records import NO_RECORD

LENGTH_BYTES = 4


def pack_column(items: Sequence[bytes | None]) -> bytes:
    """These, as one."""
    lengths = [NO_RECORD if item is None else len(item) for item in items]
    return pack(f">{1 + len(items)}I", len(items), *lengths) + b"".join(filter(None, items))


def unpack_column(content: bytes, place: int) -> tuple[list[bytes | None], int]:
    """Those that stand at this place, and the place behind them."""
    (count,) = unpack_from(">I", content, place)
    lengths = unpack_from(f">{count}I", content, place + LENGTH_BYTES)
    begin = place + LENGTH_BYTES * (1 + count)
    places = list(accumulate([0 if length == NO_RECORD else length for length in lengths], initial=begin))
    items = [
        None if length == NO_RECORD else content[start:stop]
        for length, (start, stop) in zip(lengths, pairwise(places), strict=True)
    ]
    return items, places[-1]


def unpack_full_column(content: bytes, place: int) -> tuple[list[bytes], int]:
    """The same, where none may be None."""
    items, behind = unpack_column(content, place)
    require(None not in items, "a column of keys has none at some place")
    return cast(list[bytes], items), behind
