"""All planted bugs, by subject; a file for each."""

from __future__ import annotations

from collections.abc import Mapping

from paxosd.sim.planted.disks import DISKS
from paxosd.sim.planted.histories import HISTORIES
from paxosd.sim.planted.kept import KEPT
from paxosd.sim.planted.keys import KEYS
from paxosd.sim.planted.leading import LEADING
from paxosd.sim.planted.pages import PAGES
from paxosd.sim.planted.planting import Bug
from paxosd.sim.planted.quorums import QUORUMS
from paxosd.sim.planted.reads import READS
from paxosd.sim.planted.recipes import RECIPES
from paxosd.sim.planted.services import SERVICES
from paxosd.sim.planted.sessions import SESSIONS
from paxosd.sim.planted.space import SPACE
from paxosd.sim.planted.voters import VOTERS
from paxosd.sim.planted.votes import VOTES
from paxosd.sim.planted.watches import WATCHES

BY_TOPIC: Mapping[str, tuple[Bug, ...]] = {
    "disks": DISKS,
    "votes": VOTES,
    "quorums": QUORUMS,
    "pages": PAGES,
    "leading": LEADING,
    "sessions": SESSIONS,
    "reads": READS,
    "kept": KEPT,
    "space": SPACE,
    "voters": VOTERS,
    "histories": HISTORIES,
    "keys": KEYS,
    "watches": WATCHES,
    "services": SERVICES,
    "recipes": RECIPES,
}

BUGS: tuple[Bug, ...] = tuple(bug for bugs in BY_TOPIC.values() for bug in bugs)

BY_NAME: Mapping[str, Bug] = {bug.name: bug for bug in BUGS}
