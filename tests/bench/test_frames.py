"""Requests of etcd by hand: fields by the numbers of its rpc.proto, as protobuf and gRPC put them into bytes."""

from __future__ import annotations

from bench.peers import frames


def test_a_put_has_key_value_and_lease() -> None:
    assert frames.put(b"k", b"v", 300) == bytes.fromhex("0a016b 120176 18ac02")


def test_a_large_value_has_its_length_in_three_bytes() -> None:
    request = frames.put(b"k", bytes(100_000))

    assert request[:7] == bytes.fromhex("0a016b 12a08d06")
    assert len(request) == 7 + 100_000


def test_a_frame_has_no_compression_and_its_length_in_front() -> None:
    assert frames.framed(b"abc") == b"\0\0\0\0\3abc"


def test_a_number_is_found_below_other_messages() -> None:
    header = frames.field(1, 7) + frames.field(3, 300)

    assert frames.number_in(frames.field(1, header) + frames.field(4, 5), 1, 3) == 300
    assert frames.number_in(frames.field(1, header), 4) == 0
