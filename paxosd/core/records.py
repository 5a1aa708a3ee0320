"""What must survive a crash. A store keeps the latest record of each key and knows no more of Paxos.

| record    | written by | key   | why it must not be lost                                                    |
|-----------|------------|-------|----------------------------------------------------------------------------|
| Round     | proposer   | -     | no ballot may be used twice, not even by the same proposer after a restart |
| Promised  | acceptor   | -     | "an acceptor needs to remember only the highest-numbered proposal that it  |
|           |            |       | has ever accepted and the number of the highest-numbered prepare request   |
|           |            |       | to which it has responded" (Paxos Made Simple, 2.2)                        |
| Voted     | acceptor   | slot  | the same sentence: its votes                                               |
| Told      | acceptor   | -     | may be lost: a watermark that it heard of; saves work after a restart      |
| Learned   | learner    | slot  | may be lost: a quorum of acceptors can tell it again                       |

A record without a key is kept in one way, whatever it says (`storage/contents.py`): a new one is a dataclass in the
union `Record`, and nothing else. A class is never renamed, and fields are only appended, with a default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from paxosd.core.types import Ballot, Slot


@dataclass(frozen=True, slots=True)
class Round:
    """The proposer may use ballots of this round; every later life starts above it."""

    round: int


@dataclass(frozen=True, slots=True)
class Promised:
    """The acceptor answers no lower ballot any more."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Voted:
    """The acceptor accepted this value; it replaces an older vote in the same slot."""

    slot: Slot
    ballot: Ballot
    value: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """Every slot below is chosen, by a leader's word."""

    watermark: Slot


@dataclass(frozen=True, slots=True)
class Learned:
    """This value is chosen in this slot."""

    slot: Slot
    value: bytes


Record: TypeAlias = Round | Promised | Voted | Told | Learned

WITH_ROWS = (Voted, Learned)
"""The records with a key. Of all others a store keeps the latest of each class."""

MAY_BE_LOST = (Told, Learned)
"""The records that a store may lose in a power cut: it need not wait for the disk before it says that it has them."""
