"""Watches: what happens to keys, told to a client as it happens; and the time, which a gateway wants of a leader.

A *stream* is what one gateway tells one client about all of its watches. The client draws its number, and a higher one
for the next stream; what the gateway tells in it is numbered 1, 2, 3 … So a message that is lost, late or repeated
shows, and a client that misses one, or hears nothing for some seconds, begins another stream, here or elsewhere: it
registers all watches again, each from where it stands. `begun` says when the gateway began it, by its own clock in
microseconds: a gateway that forgot a stream, and begins it again with the next registration, shows by that. So a loss,
a restart and a move are one case.
"""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import Revision


@dataclass(frozen=True, slots=True)
class WatchKeys:
    """Client to gateway: tell me what happens to these keys from revision `start` on; 0: from now on.

    `watch`: the number of this registration, never used again. `end`: the first key that is not meant; empty: `key`
    alone is, "\\0": all from `key` on. `previous`: also tell what was there before. `credit_bytes`: how much of the
    stream may be untaken.
    """

    stream: int
    watch: int
    machine: str
    key: bytes
    end: bytes
    start: Revision
    previous: bool
    credit_bytes: int


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Client to gateway: these registrations are over."""

    stream: int
    watches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WatchTaken:
    """Client to gateway: I am there, and took all of the stream up to this number."""

    stream: int
    number: int


@dataclass(frozen=True, slots=True)
class Watching:
    """Gateway to client: what happens above `revision` follows; or, with `refused`, this registration is over.

    `refused`: 0 or a `Reason`; for COMPACTED `first` says from which revision on there is something to tell. `watch`
    0: the whole stream is over. `number` 0: no such stream is known here.
    """

    stream: int
    begun: int
    number: int
    watch: int
    revision: Revision
    refused: int = 0
    first: Revision = 0


@dataclass(frozen=True, slots=True)
class WatchEvents:
    """Gateway to client: all that happened to the keys of these watches above `after` and up to `upto`, in order.

    Revisions are whole: of one that is too large for a message the bytes come in several, `more` with all but the last.
    `events`: as the machine encodes them, one behind the other.
    """

    stream: int
    begun: int
    number: int
    watches: tuple[int, ...]
    after: Revision
    upto: Revision
    events: bytes
    more: bool


@dataclass(frozen=True, slots=True)
class WatchMark:
    """Gateway to client: all that is registered in this stream has been told all up to this revision. 0: not all has,
    but the gateway is there."""

    stream: int
    begun: int
    number: int
    revision: Revision


@dataclass(frozen=True, slots=True)
class WantTime:
    """Gateway to leader: something runs out at this log time, which has come; the log shall know."""

    log_time_ms: int
