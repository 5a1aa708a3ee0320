"""The rows of the SQLite store, and how it is seen that one is damaged.

Laws:
1. Every row carries a checksum over its kind, its key and all that it says. A row that does not fit is `Damaged`,
   and is never left out.
2. The rows of `state` are kept twice, so that one damaged row does not end an acceptor. What they say is written the
   same way for every record (`contents.py`). What a newer version wrote is refused by its name.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

from paxosd.core.records import WITH_ROWS, Learned, Record, Voted
from paxosd.core.types import NO_BALLOT, Ballot, NodeId, Revision, Slot, Vote
from paxosd.storage.contents import Contents

SCHEMA = (
    "CREATE TABLE state (name TEXT, copy INTEGER, content BLOB NOT NULL, checksum INTEGER NOT NULL, "
    "PRIMARY KEY (name, copy)) WITHOUT ROWID",
    "CREATE TABLE votes (slot INTEGER PRIMARY KEY, round INTEGER NOT NULL, proposer TEXT NOT NULL, "
    "value BLOB NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE learned (slot INTEGER PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE revisions (first_revision INTEGER PRIMARY KEY, slot INTEGER NOT NULL, skipped BLOB NOT NULL, "
    "checksum INTEGER NOT NULL)",
    "CREATE TABLE kept (machine TEXT, key BLOB, content BLOB NOT NULL, checksum INTEGER NOT NULL, "
    "PRIMARY KEY (machine, key)) WITHOUT ROWID",
)

_COPIES = (1, 2)


@dataclass(frozen=True, slots=True)
class FileOwner:
    """A record of the store's own: whose file this is."""

    node: NodeId
    directory: str


@dataclass(frozen=True, slots=True)
class Commits:
    """A record of the store's own: how many durable commits there were (see `acknowledged.py`)."""

    count: int


@dataclass(frozen=True, slots=True)
class KeptAt:
    """A record of the store's own: the slot of the kept state, and where its rows stand (see `kept.py`)."""

    slot: Slot
    side: int
    first: Slot  # what was learned below is kept no longer


STORES_OWN = (FileOwner, Commits, KeptAt)
CONTENTS = Contents([*(kind for kind in get_args(Record) if kind not in WITH_ROWS), *STORES_OWN])


class Damaged(Exception):
    """What was read is not what was written; the text says what."""


def _checksum(what: str, *parts: int | str | bytes) -> int:
    """Over all parts, with the length of each that has one: no two rows run into the same bytes."""
    total = zlib.crc32(what.encode())
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        total = zlib.crc32(data, zlib.crc32(b"%d:" % len(data), total))
    return total


def _ballot_checksum(what: str, number: int, ballot: Ballot, value: bytes = b"") -> int:
    """As format 1 has it: these rows are the same in both."""
    return zlib.crc32(value, zlib.crc32(f"{what}:{number}:{ballot.round}:{ballot.proposer}".encode()))


# ---- votes and chosen values -----------------------------------------------------------------

VoteRow: TypeAlias = tuple[int, int, str, bytes | int, int]
LearnedRow: TypeAlias = tuple[int, bytes, int]


def vote_row(vote: Voted) -> VoteRow:
    """A row of `votes`."""
    checksum = _ballot_checksum("vote", vote.slot, vote.ballot, vote.value)
    return vote.slot, vote.ballot.round, vote.ballot.proposer, vote.value, checksum


def vote_of(row: VoteRow) -> Vote:
    """What a row of `votes` says, in the order of its columns; raises `Damaged`."""
    slot, number, proposer, value, checksum = row
    ballot = Ballot(number, proposer)
    if not isinstance(value, bytes) or _types(row) != (int, int, str, bytes, int):
        raise Damaged(f"the vote in slot {slot} is damaged")
    if checksum != _ballot_checksum("vote", slot, ballot, value):
        raise Damaged(f"the vote in slot {slot} is damaged")
    return Vote(slot, ballot, value)


def pointing_row(vote: Voted) -> VoteRow:
    """A row of `votes` whose value stands in `learned` (see `values.py`): a number that no value is, in its place."""
    slot, number, proposer, _, checksum = vote_row(vote)
    return slot, number, proposer, 0, checksum


def learned_row(learned: Learned) -> LearnedRow:
    """A row of `learned`."""
    return learned.slot, learned.value, _ballot_checksum("learned", learned.slot, NO_BALLOT, learned.value)


def unlearned_row(vote: Voted) -> LearnedRow:
    """A row of `learned` with a value that was voted for. What it says of itself is the complement, which takes as many
    bytes: so the row has its place when the value is learned."""
    slot, value, checksum = learned_row(Learned(vote.slot, vote.value))
    return slot, value, ~checksum


def learned_of(row: LearnedRow) -> tuple[Slot, bytes]:
    """What a row of `learned` says, in the order of its columns; raises `Damaged`, and so if it was not learned."""
    slot, value, checksum = row
    if _types(row) != (int, bytes, int) or checksum != _ballot_checksum("learned", slot, NO_BALLOT, value):
        raise Damaged(f"the chosen value in slot {slot} is damaged")
    return slot, value


def chosen_of(row: LearnedRow) -> tuple[Slot, bytes] | None:
    """The same; None: it was voted for, and not learned."""
    slot, value, checksum = row
    if _types(row) == (int, bytes, int) and checksum < 0:
        learned_of((slot, value, ~checksum))
        return None
    return learned_of(row)


def _types(row: tuple[object, ...]) -> tuple[type, ...]:
    """SQLite gives whatever type stands in a row, whatever the column says."""
    return tuple(map(type, row))


# ---- the kept state --------------------------------------------------------------------------

RevisionRow: TypeAlias = tuple[int, int, bytes, int]
KeptRow: TypeAlias = tuple[str, bytes, bytes, int]


def revision_row(first_revision: Revision, slot: Slot, skipped: bytes) -> RevisionRow:
    """A row of `revisions`: the first revision of a slot, and which of its commands have none."""
    return first_revision, slot, skipped, _checksum("revision", first_revision, slot, skipped)


def revision_of(row: RevisionRow) -> tuple[Revision, Slot, bytes]:
    """What a row of `revisions` says, in the order of its columns; raises `Damaged`."""
    first, slot, skipped, checksum = row
    if _types(row) != (int, int, bytes, int) or checksum != _checksum("revision", first, slot, skipped):
        raise Damaged(f"the row of revision {first!r} is damaged")
    return first, slot, skipped


def kept_row(machine: str, key: bytes, content: bytes) -> KeptRow:
    """A row of `kept`: a part of a machine's state."""
    return machine, key, content, _checksum("kept", machine, key, content)


def kept_of(row: KeptRow) -> tuple[str, bytes, bytes]:
    """What a row of `kept` says, in the order of its columns; raises `Damaged`."""
    machine, key, content, checksum = row
    if _types(row) != (str, bytes, bytes, int) or checksum != _checksum("kept", machine, key, content):
        raise Damaged(f"the row {key!r:.40} of the state of {machine!r:.40} is damaged")
    return machine, key, content


# ---- state -----------------------------------------------------------------------------------

StateRow: TypeAlias = tuple[str, int, bytes, int]
State: TypeAlias = dict[type, Any]
"""The latest record of each class."""


def state_rows(record: object) -> list[StateRow]:
    """The rows of `state` that hold this record, one for each copy."""
    name, content = CONTENTS.name(record), CONTENTS.pack(record)
    return [(name, copy, content, _state_checksum(name, copy, content)) for copy in _COPIES]


def _state_checksum(name: str, copy: int, content: bytes) -> int:
    """Made for each commit, so quicker than the one for all rows; no name and no number has a colon in it."""
    return zlib.crc32(content, zlib.crc32(f"{name}:{copy}:".encode()))


def read_state(db: sqlite3.Connection) -> tuple[State, bool]:
    """All of `state`, and whether one copy of something is damaged. Raises `Damaged` if both are, or `UnknownContent`.

    A damaged row may say any name. But every name has two rows; so each damaged row must be the other copy of a
    name that has one good row.
    """
    contents: dict[str, bytes] = {}
    copies: Counter[str] = Counter()
    damaged = 0
    for row in db.execute("SELECT name, copy, content, checksum FROM state"):
        name, copy, content, checksum = row
        if _types(row) == (str, int, bytes, int) and checksum == _state_checksum(name, copy, content):
            contents[name] = content
            copies[name] += 1
        else:
            damaged += 1
    alone = sum(count == 1 for count in copies.values())
    if damaged != alone:
        raise Damaged("both copies of a promise, a round or another record of which there is one are damaged")
    return _state(contents), damaged > 0


def _state(contents: dict[str, bytes]) -> State:
    try:
        records = [CONTENTS.unpack(name, content) for name, content in contents.items()]
    except ValueError as error:
        raise Damaged(str(error)) from error
    return {type(record): record for record in records}
