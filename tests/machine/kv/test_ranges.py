from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.machine.kv.ranges import FIRST_KEY, NO_END, ONE_KEY, covers, prefix_end, prefix_range


@pytest.mark.parametrize(
    ("prefix", "end"),
    [(b"a", b"b"), (b"a/", b"a0"), (b"a\xff", b"b"), (b"a\xff\xff", b"b"), (b"\xff", NO_END), (b"\xff\xff", NO_END),
     (b"", NO_END), (b"\0", b"\1"), (b"a\xfe", b"a\xff")],
)  # fmt: skip
def test_the_end_of_a_prefix_has_its_last_byte_one_higher(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


def test_the_empty_prefix_is_all_keys() -> None:
    assert prefix_range(b"") == (FIRST_KEY, NO_END)


@settings(derandomize=True)
@given(st.binary(max_size=3), st.binary(min_size=1, max_size=4))
def test_the_range_of_a_prefix_has_the_keys_that_begin_so_and_no_others(prefix: bytes, key: bytes) -> None:
    assert covers(*prefix_range(prefix), key) == key.startswith(prefix)


def test_a_range_without_an_end_has_its_key_and_all_behind_it() -> None:
    assert [key for key in (b"a", b"b", b"b\0", b"\xff") if covers(b"b", NO_END, key)] == [b"b", b"b\0", b"\xff"]


def test_a_range_of_one_key_has_no_other() -> None:
    assert [key for key in (b"a", b"b", b"b\0") if covers(b"b", ONE_KEY, key)] == [b"b"]


def test_a_range_that_ends_before_it_begins_is_empty() -> None:
    assert [key for key in (b"a", b"b", b"c") if covers(b"c", b"a", key)] == []
