"""Rows of SQLite: what does not fit its checksum is damaged, whatever stands in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from paxosd.core.records import Learned, Voted
from paxosd.core.types import Ballot, Vote
from paxosd.storage.sqlite import rows
from paxosd.storage.sqlite.rows import Damaged

ROWS: dict[str, tuple[tuple[Any, ...], Callable[[Any], object], object]] = {
    "vote": (
        rows.vote_row(Voted(7, Ballot(2, "p1"), b"value")),
        rows.vote_of,
        Vote(7, Ballot(2, "p1"), b"value"),
    ),
    "learned": (rows.learned_row(Learned(7, b"value")), rows.learned_of, (7, b"value")),
    "revision": (rows.revision_row(9, 7, b"skipped"), rows.revision_of, (9, 7, b"skipped")),
    "kept": (rows.kept_row("log", b"key", b"content"), rows.kept_of, ("log", b"key", b"content")),
}
INSTEAD: tuple[object, ...] = (None, 0, 8, -(2**63), 2.5, "", "text", "�", b"", b"other", True)


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_is_read_as_it_was_written(kind: str) -> None:
    row, read, meant = ROWS[kind]

    assert read(row) == meant


@pytest.mark.parametrize("kind", ROWS)
def test_d18_a_row_in_which_any_column_holds_something_else_is_damaged(kind: str) -> None:
    row, read, _ = ROWS[kind]
    for place in range(len(row)):
        for instead in INSTEAD:
            with pytest.raises(Damaged, match="is damaged"):
                read((*row[:place], instead, *row[place + 1 :]))


@pytest.mark.parametrize(("one", "other"), [
    (rows.kept_row("log", b"ab", b"c"), rows.kept_row("log", b"a", b"bc")),
    (rows.kept_row("logk", b"", b""), rows.kept_row("log", b"k", b"")),
    (rows.revision_row(1, 11, b""), rows.revision_row(11, 1, b"")),
])  # fmt: skip
def test_d18_what_moves_from_one_column_to_the_next_changes_the_checksum(one: Any, other: Any) -> None:
    assert one[-1] != other[-1]
