"""What goes into a value comes out of it, and other bytes are refused by one error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.types import SESSION_BYTES
from paxosd.core.values import (
    OLD_OPENING,
    STAMP_BITS,
    Batch,
    Kind,
    MalformedValue,
    batches,
    commands,
    encode_body,
    encode_value,
    is_noop,
    kind,
    old_session,
    stamp_ms,
)
from tests.core.helpers import always_the_same, session_id

u64 = st.integers(0, 2**64 - 1)
stamps = st.integers(0, 2**STAMP_BITS - 1)
a_session = st.binary(min_size=SESSION_BYTES, max_size=SESSION_BYTES)
a_batch = st.builds(Batch, a_session, u64, u64, st.integers(0, 2**32 - 1), st.binary(max_size=50))
some_commands = st.lists(st.binary(max_size=20), max_size=10)


@always_the_same
@given(stamps, st.lists(a_batch, max_size=5))
def test_a_value_gives_back_its_stamp_and_its_batches(stamp: int, made: list[Batch]) -> None:
    value = encode_value(stamp, made)

    assert (stamp_ms(value), list(batches(value))) == (stamp, made)
    assert is_noop(value) == (made == [])


@always_the_same
@given(some_commands)
def test_a_body_gives_back_its_commands(made: list[bytes]) -> None:
    assert commands(encode_body(made), len(made)) == made


@always_the_same
@given(some_commands, st.integers(0, 12))
def test_a_body_is_read_with_its_own_count_or_not_at_all(made: list[bytes], count: int) -> None:
    body = encode_body(made)
    try:
        read = commands(body, count)
    except MalformedValue:
        assert count != len(made)
    else:
        assert len(read) == count
        assert encode_body(read) == body


@always_the_same
@given(st.lists(a_batch, min_size=1, max_size=3), st.data())
def test_a_value_that_was_cut_short_is_refused_or_ends_between_two_batches(
    made: list[Batch], data: st.DataObject
) -> None:
    whole = encode_value(1, made)
    value = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        read = list(batches(value))
    except MalformedValue:
        return
    assert read == made[: len(read)]
    assert encode_value(1, read) == value


@always_the_same
@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_bytes_of_any_kind_raise_nothing_else(held: bytes, count: int) -> None:
    for read in (lambda: list(batches(held)), lambda: stamp_ms(held), lambda: commands(held, count)):
        try:
            read()
        except MalformedValue as error:
            assert str(error)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "the value is shorter than its stamp"),
        (bytes(7), "the value is shorter than its stamp"),
        (bytes(8) + bytes(31), "the value ends inside a batch header"),
        (b"\x01" + bytes(7) + bytes(40), "the value ends inside a batch header"),
        (b"\x03" + bytes(7), "nobody here knows values of kind 3"),
        (encode_value(0, [Batch(session_id(1), 1, 1, 1, b"body")])[:-1], "the value ends inside a batch body"),
    ],
)
def test_a_malformed_value_says_where_it_ends(value: bytes, why: str) -> None:
    with pytest.raises(MalformedValue, match=why):
        list(batches(value))


def test_the_layout_is_the_one_that_is_written_down() -> None:
    value = encode_value(1, [Batch(b"0123456789abcdef", 3, 4, 2, encode_body([b"ab", b"c"]), "kv")])

    assert value == bytes.fromhex(
        "01 00000000000001"  # kind, stamp
        "30313233343536373839616263646566 0000000000000003 0000000000000004 00000002 0000000b 02 6b76"  # session …
        "00000002 00000001 61 62 63"  # lengths, commands
    )


def test_a_value_of_version_0_2_0_is_read_as_it_was_meant() -> None:
    value = bytes.fromhex(
        "0000000000000001"  # stamp
        "0000000000000000 0000000000000000 0000000000000007 00000001 00000003 6d6521"  # a session is opened
        "0000000000000002 0000000000000003 0000000000000004 00000002 0000000b"  # session … size
        "00000002 00000001 61 62 63"  # lengths, commands
    )
    opening, held = batches(value)

    assert (kind(value), stamp_ms(value), is_noop(value), is_noop(value[:8])) == (Kind.OLD, 1, False, True)
    assert opening == Batch(OLD_OPENING, 0, 7, 1, b"me!")
    assert held == Batch(old_session(2), 3, 4, 2, encode_body([b"ab", b"c"]))
    assert (opening.opens, held.opens) == (True, False)


def test_a_decree_has_a_stamp_and_no_batches_and_is_no_noop() -> None:
    for value in (b"\x02" + bytes(6) + b"\x07", b"\x02" + bytes(6) + b"\x07" + b"whatever"):
        assert (kind(value), stamp_ms(value), list(batches(value)), is_noop(value)) == (Kind.DECREE, 7, [], False)


def test_a_batch_opens_a_session_where_it_has_no_first_command() -> None:
    assert Batch(session_id(1), 0, 0, 1, b"").opens
    assert not Batch(session_id(1), 0, 1, 1, b"").opens
    assert not Batch(old_session(1), 0, 0, 1, b"").opens
