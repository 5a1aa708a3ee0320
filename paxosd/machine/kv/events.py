"""Events as bytes, one behind the other: a msgpack array each, of its revision, its key, the record of the key after it
and that of the key before it. nil: the key was not there. Where nobody wants what was there before, it is left out."""

from __future__ import annotations

import msgpack

from paxosd.machine.kv.records import HEADER_BYTES, Change, KeyEvent, KeyValue, pack, unpack

NUMBER_MAX = 2**63 - 1

_pack = msgpack.Packer(use_bin_type=True).pack


class MalformedEvents(ValueError):
    """Bytes that are no events."""


def encode_event(event: KeyEvent, previous: bool) -> bytes:
    """The bytes of an event; `previous`: with what was there before."""
    key, kv, before, revision = event
    return encode_change((revision, key, kv and pack(kv), before and pack(before)), previous)


def encode_change(change: Change, previous: bool) -> bytes:
    """The same of a change as the history has it."""
    return bytes(_pack(change if previous else change[:3]))


def decode_events(content: bytes) -> list[KeyEvent]:
    """The events that these bytes are, in order; raises `MalformedEvents`."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(content) or 1, use_list=False, raw=False, strict_map_key=True)
    unpacker.feed(content)
    found: list[KeyEvent] = []
    try:
        while unpacker.tell() < len(content):
            found.append(_event(unpacker.unpack()))
    except (ValueError, TypeError, msgpack.UnpackException) as error:  # the last where bytes end inside an event
        raise MalformedEvents("an event that is none") from error
    return found


def _event(item: object) -> KeyEvent:
    if type(item) is not tuple or len(item) not in (3, 4):
        raise ValueError("not an array of three or four")
    revision, key = item[:2]
    if type(revision) is not int or not 0 < revision <= NUMBER_MAX or type(key) is not bytes:
        raise ValueError("not a revision and a key")
    return KeyEvent(key, _kv(key, item[2]), _kv(key, item[3]) if len(item) == 4 else None, revision)


def _kv(key: bytes, record: object) -> KeyValue | None:
    if record is None:
        return None
    if type(record) is not bytes or len(record) < HEADER_BYTES:
        raise ValueError("not the record of a key")
    return unpack(key, record)
