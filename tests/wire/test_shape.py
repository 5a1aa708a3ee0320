"""A frame is looked at before anything is made of it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.wire import shape as frame_shape
from paxosd.wire.frames import ARRAY_ITEMS_MAX
from paxosd.wire.shape import COUNTED_FROM_BYTES, DEPTH_MAX, ITEMS_MAX, require_shallow, require_whole

LARGE = b"\xc6" + COUNTED_FROM_BYTES.to_bytes(4, "big") + bytes(COUNTED_FROM_BYTES)
"""So many bytes as one item: a frame that holds it has its items counted."""

SCALAR = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=70),
    st.binary(max_size=70),
)
ITEM = st.recursive(SCALAR, lambda item: st.lists(item, max_size=20), max_leaves=30)


def depth_of(value: Any) -> int:
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@settings(derandomize=True, deadline=None, max_examples=100)
@given(ITEM)
def test_whatever_msgpack_writes_is_whole_and_one_byte_more_or_less_is_not(value: Any) -> None:
    frame = msgpack.packb(value)
    if depth_of(value) <= DEPTH_MAX:
        frame_shape._count(frame)
        for broken in (frame + b"\x00", frame[:-1]):
            with pytest.raises(ValueError, match=r"longer|ends|neither"):
                frame_shape._count(broken)
    else:
        with pytest.raises(ValueError, match="nested too deep"):
            frame_shape._count(frame)


@pytest.mark.parametrize("first", [0xC1, 0x81, 0xC7, 0xC8, 0xC9, 0xD4, 0xD8, 0xDE, 0xDF])
def test_what_no_message_is_made_of_is_refused(first: int) -> None:
    with pytest.raises(ValueError, match="neither"):
        require_whole(b"\x92" + LARGE + bytes([first]) + bytes(20))


ARRAY = b"\xdc\xff\xff"


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xdd\x00\x80\x00\x00" + b"\x91\x00" * (1 << 23),
        b"\x91" * (1 << 24),
        b"\xdd\x7f\xff\xff\xff" * (1 << 21),
        b"\xdc\x00\x20" + (ARRAY + b"\xa2ab" * 65535) * 32,
    ],
    ids=["pairs", "one deep tower", "false lengths", "many texts"],
)
def test_m08_of_16_megabytes_of_tiny_items_nothing_is_made(bomb: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_shape, "ITEMS_MAX", 200_000)  # counting is slow while memory is traced
    frame = b"\x92" + LARGE + bomb
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"too many items|nested too deep"):
        require_whole(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1_000_000


def test_a_large_frame_of_as_many_items_as_nodes_send_is_whole() -> None:
    votes = [[slot, [7, "p1"], b"v"] for slot in range(ARRAY_ITEMS_MAX)]
    frame = msgpack.packb([1, b"12345678", "a1", 1, [[4, [7, "p1"], 1, 65537, True, votes, 1, 1]] * 2, bytes(1 << 21)])
    require_whole(frame)

    assert ITEMS_MAX > 2 * ARRAY_ITEMS_MAX * 6


def test_m08_of_a_frame_that_is_not_counted_a_bounded_amount_is_made() -> None:
    frame = ARRAY + b"\x91\x00" * 65535
    require_whole(frame)
    tracemalloc.start()
    msgpack.unpackb(frame, use_list=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak * COUNTED_FROM_BYTES / len(frame) < 80_000_000


def test_what_nobody_understands_is_not_nested_deeper_than_anything_here() -> None:
    value: Any = ()
    for _ in range(DEPTH_MAX - 1):
        value = (value,)
    require_shallow(value)
    with pytest.raises(ValueError, match="nested too deep"):
        require_shallow(((value,),))
