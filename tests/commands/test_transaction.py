"""The text of a transaction on stdin: three parts, and a complaint with the line for all else."""

from __future__ import annotations

import pytest

from paxosd.commands.ctl.transaction import parse
from paxosd.machine.kv.requests import Compare, CompareOp, CompareTarget, Delete, Put, Range


def test_compares_stand_first_then_what_to_do_and_then_what_to_do_otherwise() -> None:
    text = b"""value("owner") = "me"
mod("conf") > "12"

put conf "a b"
del --prefix drafts/

get conf
"""
    assert parse(text) == (
        [
            Compare(b"owner", CompareTarget.VALUE, CompareOp.EQUAL, b"me"),
            Compare(b"conf", CompareTarget.MOD, CompareOp.GREATER, 12),
        ],
        [Put(b"conf", b"a b"), Delete(b"drafts/", b"drafts0")],
        [Range(b"conf")],
    )


def test_without_compares_the_text_begins_with_an_empty_line() -> None:
    assert parse(b"\nput a b\n") == ([], [Put(b"a", b"b")], [])


def test_what_to_do_may_be_only_otherwise() -> None:
    compares, then, otherwise = parse(b'version("a") = "0"\n\n\nget a z\n')
    assert (len(compares), then, otherwise) == (1, [], [Range(b"a", b"z")])


def test_an_empty_value_in_quotes_is_one() -> None:
    assert parse(b'value("a") != ""\n\nput a ""\n')[:2] == (
        [Compare(b"a", CompareTarget.VALUE, CompareOp.NOT_EQUAL, b"")],
        [Put(b"a", b"")],
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "nothing to do"),
        (b'value("a") = "b"\n', "nothing to do"),
        (b"put a b\n\nget a\n", "line 1: .* is no compare"),
        (b'mod("a") = "x"\n\nget a\n', "line 1: mod is compared with a number"),
        (b"\nput a\n", "line 2: 'put a' is none of"),
        (b"\nget a b c\n", "line 2"),
        (b"\nput a b --prefix\n", "line 2"),
        (b'\nput a "b\n', "line 2: No closing quotation"),
        (b"\nget a\n\nget b\n\nget c\n", "more than three parts"),
        (b"\xff\n", "not text in UTF-8"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(text: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text)
