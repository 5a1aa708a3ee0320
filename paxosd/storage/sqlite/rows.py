"""The rows of the SQLite store, and how it is seen that one is damaged.

Laws:
1. Every row carries a checksum over its kind, its key and all that it says. A row that does not fit is `Damaged`,
   and is never left out.
2. The rows of `state` are kept twice, so that one damaged row does not end an acceptor.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter

from paxosd.core.records import Learned, Promised, Round, Told, Voted
from paxosd.core.types import NO_BALLOT, Ballot, Slot, Vote

SCHEMA = (
    "CREATE TABLE state (name TEXT, copy INTEGER, round INTEGER NOT NULL, proposer TEXT NOT NULL, "
    "checksum INTEGER NOT NULL, PRIMARY KEY (name, copy)) WITHOUT ROWID",
    "CREATE TABLE votes (slot INTEGER PRIMARY KEY, round INTEGER NOT NULL, proposer TEXT NOT NULL, "
    "value BLOB NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE learned (slot INTEGER PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL)",
)

ROUND, PROMISED, TOLD, COMMITS = "round", "promised", "told", "commits"
"""The names in `state`. `commits` counts the durable commits (see `acknowledged.py`)."""

_COPIES = (1, 2)


class Damaged(Exception):
    """What was read is not what was written; the text says what."""


def _checksum(what: str, number: int, ballot: Ballot, value: bytes = b"") -> int:
    return zlib.crc32(value, zlib.crc32(f"{what}:{number}:{ballot.round}:{ballot.proposer}".encode()))


# ---- votes and chosen values -----------------------------------------------------------------

VoteRow = tuple[int, int, str, bytes, int]
LearnedRow = tuple[int, bytes, int]


def vote_row(vote: Voted) -> VoteRow:
    """A row of `votes`."""
    checksum = _checksum("vote", vote.slot, vote.ballot, vote.value)
    return vote.slot, vote.ballot.round, vote.ballot.proposer, vote.value, checksum


def vote_of(row: VoteRow) -> Vote:
    """What a row of `votes` says, in the order of its columns; raises `Damaged`."""
    slot, number, proposer, value, checksum = row
    ballot = Ballot(number, proposer)
    if _types(row) != (int, int, str, bytes, int) or checksum != _checksum("vote", slot, ballot, value):
        raise Damaged(f"the vote in slot {slot} is damaged")
    return Vote(slot, ballot, value)


def learned_row(learned: Learned) -> LearnedRow:
    """A row of `learned`."""
    return learned.slot, learned.value, _checksum("learned", learned.slot, NO_BALLOT, learned.value)


def learned_of(row: LearnedRow) -> tuple[Slot, bytes]:
    """What a row of `learned` says, in the order of its columns; raises `Damaged`."""
    slot, value, checksum = row
    if _types(row) != (int, bytes, int) or checksum != _checksum("learned", slot, NO_BALLOT, value):
        raise Damaged(f"the chosen value in slot {slot} is damaged")
    return slot, value


def _types(row: tuple[object, ...]) -> tuple[type, ...]:
    """SQLite gives whatever type stands in a row, whatever the column says."""
    return tuple(map(type, row))


# ---- state -----------------------------------------------------------------------------------

StateRow = tuple[str, int, int, str, int]


def state_rows(name: str, ballot: Ballot) -> list[StateRow]:
    """The rows of `state` that say this, one for each copy."""
    return [(name, copy, *ballot, _checksum(name, copy, ballot)) for copy in _COPIES]


def state_of(record: Round | Promised | Told) -> tuple[str, Ballot]:
    """The name and the content by which `state` holds a record."""
    match record:
        case Round(number):
            return ROUND, Ballot(number, "")
        case Promised(ballot):
            return PROMISED, ballot
        case Told(watermark):
            return TOLD, Ballot(watermark, "")


def read_state(db: sqlite3.Connection) -> tuple[dict[str, Ballot], bool]:
    """All of `state`, and whether one copy of something is damaged; raises `Damaged` if both are.

    A damaged row may say any name. But every name has two rows; so each damaged row must be the other copy of a
    name that has one good row.
    """
    found: dict[str, Ballot] = {}
    copies: Counter[str] = Counter()
    damaged = 0
    for row in db.execute("SELECT name, copy, round, proposer, checksum FROM state"):
        name, copy, number, proposer, checksum = row
        ballot = Ballot(number, proposer)
        if _types(row) == (str, int, int, str, int) and checksum == _checksum(name, copy, ballot):
            found[name] = ballot
            copies[name] += 1
        else:
            damaged += 1
    alone = sum(count == 1 for count in copies.values())
    if damaged != alone:
        raise Damaged("both copies of a promise, a round or a count are damaged")
    return found, damaged > 0
