"""Requests of etcd as bytes: protobuf by hand, and the frames of gRPC around it. What is not set is not sent.

The numbers of fields are those of etcd's `rpc.proto`.
"""

from __future__ import annotations

PUT, RANGE, TXN, DELETE, GRANT = (
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.KV/DeleteRange",
    "/etcdserverpb.Lease/LeaseGrant",
)
NUMBER = b"0000000000"
"""Stands in a key where each request gets a number of its own."""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | int) -> bytes:
    """One field: bytes, or a number."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def put(key: bytes, value: bytes, lease: int = 0) -> bytes:
    """A PutRequest."""
    return field(1, key) + field(2, value) + (field(3, lease) if lease else b"")


def range_of(key: bytes, end: bytes = b"", count_only: bool = False) -> bytes:
    """A RangeRequest; linearizable."""
    return field(1, key) + (field(2, end) if end else b"") + (field(9, 1) if count_only else b"")


def delete(key: bytes) -> bytes:
    """A DeleteRangeRequest."""
    return field(1, key)


def enter_line(span: tuple[bytes, bytes], key: bytes, lease: int) -> bytes:
    """The TxnRequest with which a lock is taken: who is there, the last one only, and a key of one's own."""
    newest = range_of(*span) + field(3, 1) + field(5, 2) + field(6, 2)  # limit, descending, by creation
    return field(2, field(1, newest)) + field(2, field(2, put(key, b"", lease)))


def grant(ttl_s: int) -> bytes:
    """A LeaseGrantRequest."""
    return field(1, ttl_s)


def number_in(answer: bytes, *path: int) -> int:
    """The number at a path of fields of an answer; 0 if it is not there."""
    found: bytes | int = answer
    for number in path:
        assert isinstance(found, bytes)
        found = dict(_fields(found)).get(number, 0)
        if found == 0:
            return 0
    assert isinstance(found, int)
    return found


def _fields(message: bytes) -> list[tuple[int, bytes | int]]:
    found: list[tuple[int, bytes | int]] = []
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, at = _read_varint(message, at)
        if tag & 7 == 0:
            found.append((tag >> 3, number))
        else:
            assert tag & 7 == 2, f"a field of kind {tag & 7}"
            found.append((tag >> 3, message[at : at + number]))
            at += number
    return found


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def framed(message: bytes) -> bytes:
    """One message of gRPC: not compressed, its length, the message."""
    return b"\0" + len(message).to_bytes(4, "big") + message
