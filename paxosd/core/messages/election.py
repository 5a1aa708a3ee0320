"""Getting elected (phase 1), being heard, and resigning."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.messages.voters import SeenCommits
from paxosd.core.types import NO_DISK, Ballot, DiskId, Slot, Vote
from paxosd.core.voters import NO_VOTERS, Voters


@dataclass(frozen=True, slots=True)
class PreVote:
    """Proposer to acceptor: would you promise this ballot, which would count with these voters? Changes nothing
    (Ongaro's thesis, 9.6), but that who knows older voters takes these up.

    And to learner: how far is the log durable with you (`Durable`)?
    """

    ballot: Ballot
    voters: Voters = NO_VOTERS


@dataclass(frozen=True, slots=True)
class PreVoteReply:
    """Acceptor to proposer: `granted` unless it promised more or hears from another leader."""

    ballot: Ballot
    granted: bool
    promised: Ballot
    watermark: Slot
    disk: DiskId = NO_DISK
    voters: Voters = NO_VOTERS


@dataclass(frozen=True, slots=True)
class Prepare:
    """Proposer to acceptor: promise this ballot, which counts with these voters, and tell your votes from `from_slot`
    on."""

    ballot: Ballot
    from_slot: Slot
    voters: Voters = NO_VOTERS


@dataclass(frozen=True, slots=True)
class Promise:
    """Acceptor to proposer: no lower ballot any more; my votes in [from_slot, stop), but for those below `floor`.

    `end`: there are none from `stop` on either; otherwise ask on with Prepare(ballot, stop).
    `watermark`: every slot below is chosen, as far as this acceptor was told.
    `floor`: what this acceptor voted for below this slot may be gone (see `floor.py`). Every slot below is chosen.
    `past`: what the disk held before it had a history (see `records.py`); counts before the birth alone.
    """

    ballot: Ballot
    from_slot: Slot
    stop: Slot
    end: bool
    votes: tuple[Vote, ...]
    watermark: Slot
    floor: Slot
    disk: DiskId = NO_DISK
    past: bytes = b""


@dataclass(frozen=True, slots=True)
class Nack:
    """Acceptor to proposer: your `ballot` is below the `promised` one."""

    ballot: Ballot
    promised: Ballot


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Leader to every node: I lead. `sequence` grows within a ballot; `log_time_ms` is the latest stamp.

    `voters` are who votes above the latest decree. `seen`: how many commits each of their disks told
    (`HeartbeatReply`).
    """

    ballot: Ballot
    sequence: int
    watermark: Slot
    log_time_ms: int
    voters: Voters = NO_VOTERS
    seen: tuple[SeenCommits, ...] = ()


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """Acceptor to leader: when your heartbeat `sequence` came I had promised no higher ballot.

    `commits`: so many durable commits are on this disk. A guest answers too; it counts for nothing.
    """

    ballot: Ballot
    sequence: int
    disk: DiskId = NO_DISK
    commits: int = 0


@dataclass(frozen=True, slots=True)
class Resign:
    """Leader to every other node: I stop leading; campaign, or turn to others, without waiting for my silence."""

    ballot: Ballot
