"""Byte strings that are packed as one are the same when they are unpacked."""

from __future__ import annotations

import pytest

from paxosd.core.agent import InvariantBroken
from paxosd.machine.kv.columns import pack_column, unpack_column, unpack_full_column


@pytest.mark.parametrize("items", [[], [b""], [None], [b"a", None, b"", b"bcd", None, None, bytes(1000)]])
def test_a_column_has_its_items_and_ends_where_the_next_one_begins(items: list[bytes | None]) -> None:
    packed = b"head" + pack_column(items) + b"tail"

    assert unpack_column(packed, 4) == (items, len(packed) - 4)


def test_a_column_that_must_be_full_is_refused_where_it_is_not() -> None:
    full, gaps = pack_column([b"a", b""]), pack_column([b"a", None])

    assert unpack_full_column(full, 0)[0] == [b"a", b""]
    with pytest.raises(InvariantBroken, match="has none at some place"):
        unpack_full_column(gaps, 0)
