"""Whether a frame is whole, and how much will be made of it: looked at before anything is made.

Laws:
1. An array that claims more items than there are bytes is refused before memory is set aside for it.
2. A frame of 16 MiB can hold 16 million items, and a gigabyte would be made of them. So the items of a large frame are
   counted first. Small ones are not: what is made of them is small too.
3. Nothing that is meant for us is nested deeper than `DEPTH_MAX`.
"""

from __future__ import annotations

import msgpack

COUNTED_FROM_BYTES = 2 * 1024 * 1024
"""A frame of this size and more has its items counted; of a smaller one at most 80 MB is made, for a moment."""
ITEMS_MAX = 1 << 18
"""How many items one frame may hold, over all its arrays."""
DEPTH_MAX = 6
"""A frame, its messages, their fields, the items of a field, and a ballot in each of those."""


def require_whole(frame: bytes) -> None:
    """Raise ValueError unless the frame is whole and of bearable shape."""
    if len(frame) >= COUNTED_FROM_BYTES:
        _count(frame)
    else:
        unpacker = msgpack.Unpacker(max_buffer_size=len(frame))
        unpacker.feed(frame)
        unpacker.skip()


def require_shallow(value: object, depth: int = DEPTH_MAX) -> None:
    """Raise ValueError if this, which nobody here understands, is nested deeper than that."""
    if type(value) is tuple:
        if not depth:
            raise ValueError("nested too deep")
        for item in value:
            require_shallow(item, depth - 1)


def _sizes() -> list[int]:
    """By first byte: how many bytes the item has if that is fixed; else 0."""
    sizes = [1] * 256
    sizes[0x80:0xA0] = [0] * 32  # maps and arrays
    sizes[0xA0:0xC0] = range(1, 33)  # short texts
    sizes[0xC1] = 0  # never used
    sizes[0xC4:0xCA] = [0] * 6  # bytes, and extensions
    sizes[0xCA:0xD4] = [5, 9, 2, 3, 5, 9, 2, 3, 5, 9]  # floats and numbers
    sizes[0xD4:0xE0] = [0] * 12  # extensions, long texts, arrays and maps
    return sizes


_SIZE = _sizes()
_LENGTH_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""Of bytes and long texts: how many bytes tell their length."""
_ARRAY_BYTES = {0xDC: 2, 0xDD: 4}


def _count(frame: bytes) -> None:
    """Step from item to item, making none."""
    end, at, items = len(frame), 0, 0
    open_arrays = [1]  # how many items are still to come, in each array that is open
    while open_arrays:
        if not open_arrays[-1]:
            open_arrays.pop()
            continue
        if at >= end:
            raise ValueError("the frame ends in the middle")
        open_arrays[-1] -= 1
        items += 1
        first = frame[at]
        size = _SIZE[first]
        if size:
            at += size
        elif first in _LENGTH_BYTES:
            head = 1 + _LENGTH_BYTES[first]
            at += head + int.from_bytes(frame[at + 1 : at + head], "big")
        else:
            count, head = _array(frame, at, first)
            at += head
            open_arrays.append(count)
            if items + count > ITEMS_MAX or len(open_arrays) > DEPTH_MAX + 1:
                raise ValueError("too many items" if len(open_arrays) <= DEPTH_MAX + 1 else "nested too deep")
    if at != end:
        raise ValueError("the frame is longer or shorter than what it holds")


def _array(frame: bytes, at: int, first: int) -> tuple[int, int]:
    """How many items the array here has, and how many bytes its head."""
    if 0x90 <= first < 0xA0:
        return first - 0x90, 1
    if first not in _ARRAY_BYTES:
        raise ValueError("neither a number, a text, bytes nor an array")
    head = 1 + _ARRAY_BYTES[first]
    return int.from_bytes(frame[at + 1 : at + head], "big"), head
