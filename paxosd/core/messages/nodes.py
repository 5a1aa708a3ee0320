"""How nodes tell each other how they are, and which life of one counts."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import NO_DISK, NO_HISTORY, Ballot, DiskId, HistoryId, Revision, Sentence, Slot


@dataclass(frozen=True, slots=True)
class Ping:
    """To every node: how are you? From gateways, and from who has heard of a history (`core/hearsay.py`)."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Node to gateway. Zero or no ballot where the role has no such thing.

    `ballot`: promised (acceptor), led or followed (proposer, learner). `standing`: whether an acceptor's disk votes, in
    a few words. `waits_for`: the acceptors without which a proposer cannot found a history, by name. `alarm`: what is
    wrong here so that somebody has to do something, in a sentence; empty: nothing is.
    """

    sequence: int
    leading: bool
    ballot: Ballot
    watermark: Slot
    applied: Slot
    revision: Revision
    history: HistoryId = NO_HISTORY
    disk: DiskId = NO_DISK
    standing: str = ""
    waits_for: str = ""
    alarm: Sentence = ""


@dataclass(frozen=True, slots=True)
class Outlived:
    """Node to node: I hear a later life of yours, with the number `seen` (see `lives.py`)."""

    seen: int
