"""What somebody else sent is shown short, in printable ASCII, and at no cost."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from paxosd.excerpts import EXCERPT_CHARS_MAX, excerpt


def nested(depth: int) -> tuple[Any, ...]:
    value: tuple[Any, ...] = ()
    for _ in range(depth):
        value = (value,)
    return value


FOREIGN: list[Any] = [
    "a2",
    "\x1b[2J\x1b]0;owned\x07\r\nnode=a1 leader.elected",
    "\u202e\u00e4\U0001f98a\udc80",
    "x" * 10_000_000,
    b"\x00\x1b[31m" * 100_000,
    nested(10_000),
    list(range(1000)),
    10**10_000,
    -(2**63),
    1.5,
    True,
    None,
    {"a": 1},
    ValueError("\x1b[2J\nsecond line" * 1000),
    ValueError(),
    object(),
]


@pytest.mark.parametrize("what", FOREIGN, ids=lambda what: type(what).__name__)
def test_m08_an_excerpt_is_one_short_line_of_printable_ascii(what: Any) -> None:
    shown = excerpt(what)

    assert 0 < len(shown) <= EXCERPT_CHARS_MAX
    assert shown.isascii()
    assert shown.isprintable()


def test_an_excerpt_tells_what_fits() -> None:
    known: list[Any] = ["a2", b"\x01", 7, None, (1, 2), ValueError("no"), {}]

    assert [excerpt(what) for what in known] == [
        "'a2'", "b'\\x01'", "7", "None", "an array of 2", "no", "a dict",
    ]  # fmt: skip
    assert excerpt("x" * 81).endswith("...")


def test_m08_an_excerpt_of_16_megabytes_costs_nothing() -> None:
    huge: list[Any] = ["\x1b" * (1 << 24), b"\x00" * (1 << 24), tuple(range(1 << 20))]
    tracemalloc.start()
    started = time.process_time()
    for what in huge:
        excerpt(what)
    spent_s, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10_000
    assert spent_s < 0.05
