"""Which keys a range names. It is etcd's `range_end`.

    end b""      the one key
    end b"\0"    the key, and all keys behind it
    else         the key, and all behind it that are below `end`

So all keys are `b"\0", b"\0"`: no key is empty, and none is below b"\0".
"""

from __future__ import annotations

ONE_KEY = b""
NO_END = b"\0"
FIRST_KEY = b"\0"


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin so: the prefix with its last byte one higher. What is 0xff has no
    higher byte; so it goes, and where nothing is left, the range has no end."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else NO_END


def prefix_range(prefix: bytes) -> tuple[bytes, bytes]:
    """The key and the end of the range of all keys that begin so; of all keys if the prefix is empty."""
    return prefix or FIRST_KEY, prefix_end(prefix)


def covers(key: bytes, end: bytes, other: bytes) -> bool:
    """Whether the range `key`, `end` has the key `other`."""
    if end == ONE_KEY:
        return other == key
    return other >= key and (end == NO_END or other < end)
