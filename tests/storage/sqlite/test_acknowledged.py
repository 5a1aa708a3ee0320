"""The count beside a store: never too high, and nothing worse than 0 when it cannot be read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from paxosd.storage.sqlite.acknowledged import Acknowledged, read


def written(path: Path, *counts: int) -> bytes:
    with closing(Acknowledged(path)) as beside:
        for count in counts:
            beside.write(count)
    return path.read_bytes()


def test_a_count_that_was_never_written_is_0(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") == 0


def test_the_latest_count_is_read_back_in_one_file_of_one_length(tmp_path: Path) -> None:
    lengths = {len(written(tmp_path / "count", 10**number)) for number in range(19)}

    assert len(lengths) == 1
    assert read(tmp_path / "count") == 10**18


@pytest.mark.parametrize("count", [0, 1, 9_999_999, 2**63 - 1])
def test_every_flipped_bit_is_seen(tmp_path: Path, count: int) -> None:
    whole = written(tmp_path / "count", count)
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "count").write_bytes(flipped)

        assert read(tmp_path / "count") == 0


@pytest.mark.parametrize("text", [b"", b"12\n", b"\xff" * 30, b"1" * 5000, b"0" * 20 + b" zzzzzzzz\n"])
def test_what_is_no_count_is_0(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "count").write_bytes(text)

    assert read(tmp_path / "count") == 0
