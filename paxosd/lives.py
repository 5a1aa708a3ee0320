"""Which life of a node counts, told by counting and by what peers have seen. No clock of the wall decides anything.

A *life* is one run of a node's process. Its number is `count << 20 | chance`: the count grows durably with every
opening of the data directory, and chance tells two lives apart that count alike (a directory that was copied, or
wiped). Laws:

1. Of two lives of a node that both speak, the one with the higher number is heard. The lower one is told what is
   known (`Outlived`), not more than once in `TELL_EVERY_S`.
2. A newcomer that is told so counts on above it, durably, and goes on: its directory was wiped, or put back to an
   earlier state. So the life that started last is heard, at once.
3. Who ran before and is told so knows that a second process has its id. It says so in its log, and is not heard for
   as long as that one speaks. It never counts on: two processes that outbid each other would never end.
4. Whoever was not heard for `SILENT_S` gives way to any life that speaks. So no claim silences a node for ever: neither
   a rogue's, nor a number that an earlier version took from a clock. One with a lower number is told first, for
   `HEARD_AFTER_S`: a newcomer counts on, or the next late frame of the life before it would shut it out once more.
5. A number more than `COUNT_STEP_MAX` above the known count is not believed while the known life speaks, and one above
   `COUNT_MAX` never. A newcomer follows up to `FOLLOWED_COUNT_MAX` only, so that there is always room to count on.

Why a late or repeated frame does no harm: Paxos takes messages however late they are, so a frame of an earlier life
that comes in under law 4 is an old message and nothing worse; the living one is heard again when it speaks next, or
after `SILENT_S` at the latest. Lives are told apart for the operator, who must not run two processes with one id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from paxosd.core.types import Instant, NodeId

log = logging.getLogger("paxosd")

CHANCE_BITS = 20
COUNT_STEP_MAX = 1 << 20
"""Openings of a directory between two frames that a peer hears: a restart every second for twelve days."""
_STEP_MAX = COUNT_STEP_MAX << CHANCE_BITS
FOLLOWED_COUNT_MAX = 1 << 41
"""What a newcomer follows. Earlier versions counted milliseconds since 1970, which stay below until 2039."""
COUNT_MAX = 1 << 42
"""No life counts higher; its number still fits a message."""

SILENT_S = 5.0
"""After so long without a frame a life of a peer gives way to any other."""
NEWCOMER_S = 10.0
"""For so long after it first heard a peer a process is a newcomer: everybody who remembers has told it by then."""
TELL_EVERY_S = 0.5
"""How often a life of a peer is told that it is outlived."""
HEARD_AFTER_S = 2 * TELL_EVERY_S
"""For so long it is told before it is heard: more than once, for the way to who just started may not be open yet."""
TOLD_MAX = 8
"""Of how many lives of one peer it is known that they were told; there are two at most, unless somebody lies."""
RISES_MAX = 8
"""How often a newcomer counts on: each time costs a write to the disk, and anybody can ask for it."""
COMPLAIN_EVERY_S = 10.0
COMPLAIN_AFTER_S = 2 * HEARD_AFTER_S
"""Who is told for longer than that is not heard because another process speaks."""


class OwnLife:
    """The number of this process. `keep` makes a count durable; `chance` is drawn anew for each process."""

    def __init__(self, count: int, chance: int, keep: Callable[[int], None] = lambda count: None) -> None:
        self.count = count
        self._chance = chance % (1 << CHANCE_BITS)
        self._keep = keep
        self._rises = 0
        self._met_at: Instant | None = None  # when a peer was first heard
        self._refused: tuple[Instant, Instant] | None = None  # told of a later life: since when, until when
        self._complained_at: Instant | None = None

    @property
    def number(self) -> int:
        return self.count << CHANCE_BITS | self._chance

    def meet(self, now: Instant) -> None:
        """A peer is heard."""
        if self._met_at is None:
            self._met_at = now

    def rise_above(self, seen: int, peer: NodeId, now: Instant) -> bool:
        """A peer has seen this number under our id. Whether ours was raised (laws 2 and 3)."""
        if seen <= self.number:
            return False
        count = seen >> CHANCE_BITS
        newcomer = self._met_at is None or now - self._met_at < NEWCOMER_S
        if not newcomer or self._rises == RISES_MAX or count >= FOLLOWED_COUNT_MAX:
            self._complain(peer, now)
            return False
        self._rises += 1
        self.count = count + 1
        self._keep(self.count)
        log.warning(
            "life.raised count=%d: %s has seen a later life of this node than its directory knows of; the directory is "
            "new, or was put back to an earlier state",
            self.count,
            peer,
        )
        return True

    def _complain(self, peer: NodeId, now: Instant) -> None:
        since, until = self._refused or (now, now)
        since = since if now - until < COMPLAIN_AFTER_S else now
        self._refused = since, now
        if now - since < COMPLAIN_AFTER_S:
            return
        if self._complained_at is None or now - self._complained_at >= COMPLAIN_EVERY_S:
            self._complained_at = now
            log.error(
                "life.outlived: %s hears another process with the id of this node, which started later; this one is "
                "not heard any more; stop one of the two, and give each node its own --id and --data-dir",
                peer,
            )


@dataclass(slots=True)
class _Known:
    number: int
    heard_at: Instant
    told: dict[int, Instant] = field(default_factory=dict)
    """Lives of lower numbers, and since when they are told of this one."""

    def is_told(self, number: int, now: Instant) -> bool:
        """Whether that life was told for long enough."""
        return number in self.told and now - self.told[number] >= HEARD_AFTER_S


class Lives:
    """The life of each peer that is heard."""

    def __init__(self) -> None:
        self._known: dict[NodeId, _Known] = {}
        self._told_at: dict[NodeId, Instant] = {}

    def hears(self, peer: NodeId, number: int, now: Instant) -> bool:
        """Whether a frame of this life of a peer counts (laws 1, 4 and 5)."""
        known = self._known.get(peer)
        if known is not None and known.number == number:
            known.heard_at = now
            return True
        if number >> CHANCE_BITS > COUNT_MAX:
            return False
        speaks = known is not None and now - known.heard_at < SILENT_S
        if known is not None and speaks and not known.number < number <= known.number + _STEP_MAX:
            return False
        if known is not None and number < known.number and not known.is_told(number, now):
            return False
        self._known[peer] = _Known(number, now)
        return True

    def seen_above(self, peer: NodeId, number: int, now: Instant) -> int:
        """What to tell this life of a peer that is not heard; 0: nothing, or nothing again so soon."""
        known = self._known.get(peer)
        told_at = self._told_at.get(peer)
        if known is None or known.number < number or (told_at is not None and now - told_at < TELL_EVERY_S):
            return 0
        self._told_at[peer] = now
        if number not in known.told and len(known.told) == TOLD_MAX:
            known.told.clear()
        known.told.setdefault(number, now)
        return known.number
