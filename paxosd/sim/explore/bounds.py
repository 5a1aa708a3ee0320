"""How small an explored world is, and the worlds that are explored.

Those about voters can be walked to their end, or begin where it gets interesting: an *opening* fixes the order of what
does not matter, and everything after it is left open. No opening decides what a role does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from paxosd.core.agent import Timer
from paxosd.core.messages import Accept, Heartbeat, HeartbeatReply, Nack, Prepare, Promise
from paxosd.core.messages.catchup import FetchVotes
from paxosd.core.messages.voters import Outdated
from paxosd.core.options import Limits
from paxosd.core.types import NodeId


class FromOutside(Enum):
    """What comes from outside."""

    SUBMIT = auto()
    """A gateway forwards the command that belongs to this proposer."""
    KILL = auto()
    """The process ends, and starts again from its records."""
    WIPE = auto()
    """The process ends, and starts again on an empty disk."""


Opening: TypeAlias = tuple[tuple[NodeId, "type | Timer | FromOutside", NodeId], ...]
"""Who takes in which kind of message, from whom ("": anybody); or which timer is due, or what comes from outside."""

_CAMPAIGNS = frozenset({Timer.ELECTION})

_A_GUEST_IS_HEARD: Opening = (
    ("p1", Timer.ELECTION, ""),
    ("a1", Prepare, "p1"),
    ("a2", Prepare, "p1"),
    ("p1", Promise, ""),
    ("a3", FromOutside.WIPE, ""),
    ("a3", Heartbeat, "p1"),
    ("p1", HeartbeatReply, "a3"),
)
"""p1 leads with a1 and a2, and proposes the decree for the empty disk of a3, in slot 2."""

_A_DECREE_IS_PASSED_OVER: Opening = (
    ("p1", Timer.ELECTION, ""),
    ("a1", Prepare, "p1"),
    ("a2", Prepare, "p1"),
    ("p1", Promise, ""),
    ("a2", Accept, "p1"),
    ("p2", Timer.ELECTION, ""),
    ("a2", Prepare, "p2"),
    ("a3", Prepare, "p2"),
    ("a3", FromOutside.WIPE, ""),
    ("a3", Heartbeat, "p1"),
    ("p1", HeartbeatReply, "a3"),
    ("a1", Accept, "p1"),
    ("p2", Promise, ""),
    ("p2", FromOutside.SUBMIT, ""),
    ("a1", Accept, "p2"),
    ("a2", Accept, "p2"),
    ("p1", Timer.ELECTION, ""),
    ("a1", Prepare, "p1"),
    ("a2", Prepare, "p1"),
)
"""a1 votes for a decree in slot 2, and then, with a2, for what a higher ballot proposes in slot 3, which is chosen:
that ballot was prepared with a2 and the lost disk of a3, and knew of no decree. Then who proposed the decree prepares
anew."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """How small the world is; everything in it is explored. Slots and rounds count from 1."""

    acceptors: int = 3
    proposers: int = 2
    slots: int = 2
    """Accepts of later slots are lost."""
    rounds: int = 2
    """No proposer campaigns in a later round."""
    crashes: int = 1
    """Of any nodes, at any point of any turn and between turns."""
    window_slots: int = 2
    page_bytes_max: int = Limits().page_bytes_max
    """How much of its votes an acceptor tells in one promise; 1: one vote a page."""
    lost: tuple[type, ...] = ()
    """Messages of these types never arrive."""
    unborn: bool = False
    """Nobody voted yet, and nothing is decreed. Otherwise the cluster was born before the first slot."""
    wipes: int = 0
    """How often the last acceptor may find an empty disk in the place of its own, at any time."""
    submits: tuple[NodeId, ...] = ("p1", "p2")
    """Who may be forwarded commands."""
    campaigns: Mapping[NodeId, int] = field(default_factory=dict)
    """The last round of those proposers for whom it is another one than `rounds`."""
    opening: Opening = ()
    """What has happened before anything is left open."""
    timers: frozenset[Timer] = frozenset({Timer.ELECTION, Timer.QUORUM, Timer.HEARTBEAT, Timer.RETRY, Timer.PREPARE})
    """What may become due, at any time."""

    @property
    def is_about_voters(self) -> bool:
        """Whether decrees can happen."""
        return self.unborn or self.wipes > 0

    def last_round(self, proposer: NodeId) -> int:
        """The last one in which this proposer campaigns."""
        return self.campaigns.get(proposer, self.rounds)


WORLDS: Mapping[str, Configuration] = {
    "two slots": Configuration(slots=2, rounds=1, crashes=1),
    "one slot": Configuration(
        slots=1, rounds=2, crashes=0, window_slots=1, lost=(Heartbeat,), timers=frozenset({Timer.ELECTION})
    ),
    "birth": Configuration(
        unborn=True, slots=1, rounds=1, crashes=0, wipes=1, window_slots=1, lost=(Heartbeat,), timers=_CAMPAIGNS
    ),
    "birth again": Configuration(
        unborn=True,
        acceptors=2,
        slots=1,
        rounds=2,
        campaigns={"p2": 1},
        crashes=0,
        wipes=1,
        window_slots=1,
        lost=(Heartbeat, Nack),
        timers=_CAMPAIGNS,
    ),
    "empty disk": Configuration(
        slots=1, rounds=1, crashes=0, wipes=1, window_slots=1, lost=(Heartbeat,), timers=_CAMPAIGNS
    ),
    "admission": Configuration(
        slots=3,
        rounds=2,
        campaigns={"p1": 1, "p2": 0},
        crashes=0,
        wipes=1,
        window_slots=3,
        lost=(Nack,),
        timers=_CAMPAIGNS,
        submits=(),
        opening=_A_GUEST_IS_HEARD,
    ),
    "admission, two proposers": Configuration(
        slots=3,
        rounds=2,
        campaigns={"p1": 1, "p2": 1},
        crashes=0,
        wipes=1,
        window_slots=3,
        lost=(Nack,),
        timers=_CAMPAIGNS,
        submits=(),
        opening=_A_GUEST_IS_HEARD,
    ),
    "passed over": Configuration(
        slots=3,
        rounds=2,
        campaigns={"p2": 1},
        crashes=0,
        wipes=1,
        window_slots=3,
        lost=(Nack, Outdated, FetchVotes),
        timers=_CAMPAIGNS,
        submits=("p2",),
        opening=_A_DECREE_IS_PASSED_OVER,
    ),
}
"""Small worlds, by name. In the first two proposers duel for two slots, and a node may crash; in the second little
happens, but a proposer may come back after another one led. In the others decrees say who votes, and the disk of the
last acceptor may be lost: a cluster is born; is born, and a proposer comes back; was born long ago; admits the new disk
and goes on, without and with another proposer about; and passed over the decree for it."""
