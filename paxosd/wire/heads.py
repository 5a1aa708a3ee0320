"""What a client's frame of commands says besides them, read from its first bytes: a full gateway refuses it by that.

Laws:
1. Nothing is made of the commands, however many they are, and the frame is not copied.
2. Only the plainest frame has a head: one message of this version's fields, and nothing behind it. Of any other one
   nothing is said here; who decodes it whole finds out what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack

HEAD_BYTES_MAX = 256
"""More than stands in front of the commands."""
_LENGTH_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
"""By the first byte of what holds the commands: how many bytes tell its length."""


def head(frame: bytes, envelope_items: int, kind: int, fields: int) -> Sequence[Any] | None:
    """The fields of the only message in a frame, if it is of this kind, has so many of them, and bytes as the last one;
    without that one. Raises whatever its bytes make the decoder raise."""
    unpacker = msgpack.Unpacker(use_list=False, raw=False, max_buffer_size=HEAD_BYTES_MAX)
    unpacker.feed(frame[:HEAD_BYTES_MAX])
    if unpacker.read_array_header() != envelope_items + 1:
        return None
    for _ in range(envelope_items):
        unpacker.skip()
    if (unpacker.read_array_header(), unpacker.read_array_header(), unpacker.unpack()) != (1, fields + 1, kind):
        return None
    found = [unpacker.unpack() for _ in range(fields - 1)]
    return found if _ends_with_bytes_at(frame, unpacker.tell()) else None


def _ends_with_bytes_at(frame: bytes, at: int) -> bool:
    """Whether the rest of the frame, from here on, is one item of bytes."""
    stop = at + 1 + _LENGTH_BYTES[frame[at]]
    return stop + int.from_bytes(frame[at + 1 : stop], "big") == len(frame)
