"""What a client's frame of commands says besides them, read around them: a full gateway refuses it by that.

Laws:
1. Nothing is made of the commands, however many they are, and the frame is not copied.
2. Only the plainest frame has a head: one message of this version's fields, and nothing behind it. Of any other one
   nothing is said here; who decodes it whole finds out what it is.
"""

from __future__ import annotations

from typing import Any

import msgpack

HEAD_BYTES_MAX = 256
"""More than stands in front of the commands, or behind them."""
_LENGTH_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
"""By the first byte of what holds the commands: how many bytes tell its length."""


def head(frame: bytes, envelope_items: int, kind: int, before: int, behind: int) -> list[Any] | None:
    """The fields of the only message in a frame but the one that holds the commands, if the message is of this kind and
    has so many fields before that one, and so many behind it. Raises whatever its bytes make the decoder raise."""
    unpacker = _reader(frame[:HEAD_BYTES_MAX])
    if unpacker.read_array_header() != envelope_items + 1:
        return None
    for _ in range(envelope_items):
        unpacker.skip()
    shape = unpacker.read_array_header(), unpacker.read_array_header(), unpacker.unpack()
    if shape != (1, 1 + before + 1 + behind, kind):
        return None
    fields = [unpacker.unpack() for _ in range(before)]
    stop = _behind_bytes(frame, unpacker.tell())
    unpacker = _reader(frame[stop : stop + HEAD_BYTES_MAX])
    fields += [unpacker.unpack() for _ in range(behind)]
    return fields if stop + unpacker.tell() == len(frame) else None


def _reader(some: bytes) -> msgpack.Unpacker:
    unpacker = msgpack.Unpacker(use_list=False, raw=False, max_buffer_size=HEAD_BYTES_MAX)
    unpacker.feed(some)
    return unpacker


def _behind_bytes(frame: bytes, at: int) -> int:
    """Where the item of bytes that begins here is over."""
    stop = at + 1 + _LENGTH_BYTES[frame[at]]
    return stop + int.from_bytes(frame[at + 1 : stop], "big")
