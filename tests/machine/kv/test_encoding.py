from __future__ import annotations

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.machine.kv.encoding import (
    DEPTH_MAX,
    LEASE_MS_MAX,
    LEASE_NAME_BYTES_MAX,
    OPS_MAX,
    PUT,
    TXN,
    Malformed,
    decode_command,
    decode_question,
    encode_command,
    encode_put,
    encode_question,
)
from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import (
    AskLease,
    AskLeases,
    Command,
    Compact,
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Failure,
    Grant,
    Keep,
    Put,
    Question,
    Range,
    Revoke,
    Sort,
    Txn,
)
from paxosd.machine.kv.results import (
    CompactDone,
    Deleted,
    Failed,
    Granted,
    KeepDone,
    LeaseFound,
    LeasesFound,
    MalformedResult,
    PutDone,
    RangeFound,
    Result,
    Revoked,
    TxnDone,
    decode_result,
    encode_range,
    encode_result,
)

KV = KeyValue(b"k", b"", 3, 5, 2, 9)
COMPARES = (
    Compare(b"k", CompareTarget.VALUE, CompareOp.EQUAL, b""),
    Compare(b"k", CompareTarget.MOD, CompareOp.GREATER, 7, b"\0"),
)
COMMANDS: tuple[Command, ...] = (
    Put(b"k", b"v"),
    Put(b"\0", b"", 7, previous=True),
    Put(b"k", b"", keep_value=True, keep_lease=True),
    Delete(b"k"),
    Delete(b"k", b"\0", previous=True),
    Txn(),
    Txn(COMPARES, (Put(b"k", b"v"), Txn(COMPARES, (Range(b"k"),))), (Delete(b"k"),)),
    Compact(5),
    Grant(1, b"name"),
    Revoke(2**63 - 1),
    Keep((1, 2, 3)),
)
QUESTIONS: tuple[Question, ...] = (
    Range(b"k"),
    Range(b"a", b"b", 7, 3, True, Sort.MOD, True, True, 1, 2, 3, 4),
    AskLease(4),
    AskLeases(2),
)
RESULTS: tuple[Result, ...] = (
    PutDone(),
    PutDone(KV),
    Deleted(3, (KV, KV)),
    RangeFound((KV,), 7, True, 9, b"k\0"),
    TxnDone(True, (PutDone(), TxnDone(False, (RangeFound((), 0, False, 1),)))),
    CompactDone(5),
    Granted(5, 1000),
    Revoked(2),
    KeepDone((1000, 0)),
    LeaseFound(4, 1000, 30, b"name", (b"a", b"b"), True),
    LeasesFound((LeaseFound(4, 1000, 30, b""),), True),
    Failed(Failure.COMPACTED, "it is gone", 7),
)


@pytest.mark.parametrize("command", COMMANDS, ids=repr)
def test_a_command_is_read_as_it_was_written(command: Command) -> None:
    assert decode_command(encode_command(command)) == command


@pytest.mark.parametrize("question", QUESTIONS, ids=repr)
def test_a_question_is_read_as_it_was_written(question: Question) -> None:
    assert decode_question(encode_question(question)) == question


@pytest.mark.parametrize("result", RESULTS, ids=repr)
def test_a_result_is_read_as_it_was_written(result: Result) -> None:
    assert decode_result(encode_result(result)) == result


def test_a_range_that_was_found_is_written_alike_from_records_and_from_items() -> None:
    record = b"".join(number.to_bytes(8, "big") for number in (3, 5, 2, 9))

    assert encode_range([(b"k", record)], 1, False, 7, b"") == encode_result(RangeFound((KV,), 1, False, 7))


def test_the_bytes_of_a_put_stay_as_they_are() -> None:
    assert encode_command(Put(b"k", b"v", 7)).hex() == "9701c4016bc4017607c2c2c2"


@pytest.mark.parametrize("command", [Put(b"", b"v"), Delete(b""), Txn(then=(Range(b""),))], ids=repr)
def test_an_empty_key_is_refused(command: Command) -> None:
    with pytest.raises(Malformed) as refused:
        decode_command(encode_command(command))

    assert refused.value.failure == Failure.EMPTY_KEY


@pytest.mark.parametrize(
    "command",
    [
        Put(b"k", b"v", keep_value=True),
        Put(b"k", b"", 7, keep_lease=True),
        Grant(0),
        Grant(LEASE_MS_MAX + 1),
        Grant(1, b"x" * (LEASE_NAME_BYTES_MAX + 1)),
    ],
    ids=lambda command: repr(command)[:50],
)
def test_what_contradicts_itself_or_is_out_of_bounds_is_invalid(command: Command) -> None:
    with pytest.raises(Malformed) as refused:
        decode_command(encode_command(command))

    assert refused.value.failure == Failure.INVALID


@pytest.mark.parametrize(
    "fields",
    [
        None,
        7,
        {},
        [],
        [0],
        [True, b"k", b"v", 0, False, False, False],
        [1.0, b"k", b"v", 0, False, False, False],
        [PUT],
        [PUT, b"k", b"v", 0, False, False, False, 1],
        [PUT, "k", b"v", 0, False, False, False],
        [PUT, b"k", b"v", -1, False, False, False],
        [PUT, b"k", b"v", 2**63, False, False, False],
        [PUT, b"k", b"v", True, False, False, False],
        [PUT, b"k", b"v", 0, 1, False, False],
        [PUT, [b"k"], b"v", 0, False, False, False],
        [TXN, [], []],
        [TXN, [], [], [], []],
        [TXN, [[b"k", 9, 1, b"", b""]], [], []],
        [TXN, [[b"k", 1, 1, 7, b""]], [], []],
        [TXN, [[b"k", 2, 1, b"7", b""]], [], []],
        [TXN, [[]], [], []],
        [TXN, [], [[]], []],
        [TXN, [], [7], []],
        [TXN, [], [[5, 1]], []],
        [99],
    ],
    ids=repr,
)
def test_what_is_no_command_is_malformed(fields: Any) -> None:
    with pytest.raises(Malformed) as refused:
        decode_command(msgpack.packb(fields))

    assert refused.value.failure == Failure.MALFORMED


def test_a_question_is_no_command_and_a_command_no_question() -> None:
    with pytest.raises(Malformed):
        decode_command(encode_question(Range(b"k")))
    with pytest.raises(Malformed):
        decode_question(encode_command(Delete(b"k")))


def test_a_transaction_may_have_so_many_operations_and_no_more() -> None:
    inner = Txn(then=(Range(b"k"),) * (OPS_MAX - 1))

    assert decode_command(encode_command(Txn(then=(inner,)))) == Txn(then=(inner,))
    with pytest.raises(Malformed, match="more than"):
        decode_command(encode_command(Txn(then=(inner, Range(b"k")))))


def test_transactions_may_be_nested_so_deep_and_no_deeper() -> None:
    txn = Txn()
    for _ in range(DEPTH_MAX - 1):
        txn = Txn(then=(txn, txn) if txn == Txn() else (txn,))

    assert decode_command(encode_command(txn)) == txn
    with pytest.raises(Malformed, match="deeper"):
        decode_command(encode_command(Txn(otherwise=(txn,))))


@pytest.mark.parametrize("nested", [b"\x91" * 100_000, b"\x94\x04\x90\x91" * 20_000], ids=["arrays", "transactions"])
def test_what_is_nested_without_end_is_malformed_in_either_direction(nested: bytes) -> None:
    with pytest.raises(Malformed):
        decode_command(nested)
    with pytest.raises(MalformedResult):
        decode_result(nested)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.binary(max_size=60))
def test_bytes_of_anybody_are_refused_and_nothing_else_happens(content: bytes) -> None:
    for decode, refusal in (
        (decode_command, Malformed),
        (decode_question, Malformed),
        (decode_result, MalformedResult),
    ):
        with contextlib.suppress(refusal):
            decode(content)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.sampled_from([*COMMANDS]), st.integers(0, 200), st.integers(0, 255))
def test_a_command_with_a_flipped_byte_is_a_command_or_malformed(command: Command, place: int, byte: int) -> None:
    content = bytearray(encode_command(command))
    content[place % len(content)] = byte
    with contextlib.suppress(Malformed):
        assert decode_command(encode_command(decode_command(bytes(content)))) == decode_command(bytes(content))


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.sampled_from([*RESULTS]), st.integers(0, 200), st.integers(0, 255))
def test_a_result_with_a_flipped_byte_ends_in_no_other_error(result: Result, place: int, byte: int) -> None:
    content = bytearray(encode_result(result))
    content[place % len(content)] = byte
    with contextlib.suppress(MalformedResult):
        decode_result(bytes(content))


def test_a_number_that_no_message_carries_is_an_error_of_its_caller() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        encode_command(Put(b"k", b"v", lease=2**70))
    with pytest.raises(ValueError, match="64 bits"):
        encode_question(Range(b"k", revision=2**70))


@pytest.mark.parametrize("lease", [0, 7, 2**40])
def test_a_put_that_is_encoded_by_itself_has_the_bytes_of_any_put(lease: int) -> None:
    assert encode_put(b"k", b"v", lease) == encode_command(Put(b"k", b"v", lease))
