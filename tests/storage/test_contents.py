"""Records as bytes: what is written follows from the fields, and nothing is read that was not written."""

from __future__ import annotations

import struct
from dataclasses import dataclass, make_dataclass
from typing import Any

import msgpack
import pytest

from paxosd.core.types import Ballot, Slot
from paxosd.storage.contents import Contents, UnknownContent


@dataclass(frozen=True, slots=True)
class Inner:
    number: int
    flag: bool


@dataclass(frozen=True, slots=True)
class Sample:
    slot: Slot
    text: str
    ballot: Ballot
    inner: tuple[Inner, ...]
    pair: tuple[str, int]
    perhaps: bytes | None
    later: int = 7


CONTENTS = Contents([Sample])
SAMPLE = Sample(2**63 - 1, "é", Ballot(3, "p1"), (Inner(-1, True), Inner(0, False)), ("a", 1), b"\x00", 9)
PLAIN: list[Any] = [1, "t", [3, "p1"], [[1, True]], ["a", 1], None, 9]


@pytest.mark.parametrize("sample", [SAMPLE, Sample(0, "", Ballot(0, ""), (), ("", 0), None)])
def test_a_record_is_read_as_it_was_written(sample: Sample) -> None:
    assert CONTENTS.name(sample) == "sample"
    assert CONTENTS.unpack("sample", CONTENTS.pack(sample)) == sample


def test_u05_a_field_that_an_earlier_version_did_not_write_has_its_default() -> None:
    assert CONTENTS.unpack("sample", msgpack.packb(PLAIN[:-1])).later == 7


def test_u06_a_field_that_only_a_newer_version_knows_is_told_as_such() -> None:
    with pytest.raises(UnknownContent, match="a Sample of 8 fields"):
        CONTENTS.unpack("sample", msgpack.packb([*PLAIN, 1]))


def test_u06_a_record_that_only_a_newer_version_knows_is_told_by_its_name() -> None:
    with pytest.raises(UnknownContent, match="a record 'later'"):
        CONTENTS.unpack("later", b"\x90")


@pytest.mark.parametrize(("place", "wrong"), [
    (0, "1"), (0, True), (0, 2**63), (0, 1.0), (1, b"t"), (2, [3]), (2, [3, "p1", 0]), (2, "p1"), (3, [[1]]),
    (3, [[1, 1]]), (3, 5), (4, ["a"]), (4, ["a", 1, 2]), (5, "text"),
])  # fmt: skip
def test_what_no_record_says_is_refused(place: int, wrong: object) -> None:
    plain = [*PLAIN]
    plain[place] = wrong
    with pytest.raises((ValueError, UnknownContent)):
        CONTENTS.unpack("sample", msgpack.packb(plain))


@pytest.mark.parametrize("content", [b"", b"\x90", b"\xc1", b"\x97\x01", b"\x80", msgpack.packb(PLAIN) + b"\x00"])
def test_what_is_no_content_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="the record 'sample' cannot be read"):
        CONTENTS.unpack("sample", content)


def test_a_number_of_more_than_64_bits_is_not_written() -> None:
    with pytest.raises(OverflowError, match="more than 64 bits"):
        CONTENTS.pack(Sample(2**63, "", Ballot(0, ""), (), ("", 0), None))


@pytest.mark.parametrize("hint", [dict[str, int], float, int | str, object, list[int], struct.Struct])
def test_a_field_that_could_not_be_read_again_is_refused_when_its_class_is_registered(hint: Any) -> None:
    wrong = make_dataclass("Wrong", [("field", hint)])
    with pytest.raises(TypeError, match="a record cannot hold"):
        Contents([wrong])
