"""Bugs to plant, each a small change to the real code (see `editing.py`), to see that the simulator finds them.

A simulator that has never been seen to fail proves little.
"""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.sim.planted.editing import Change, carry_out
from paxosd.sim.planted.places import Search, Seeds

FIRST_SEEDS = Seeds(0, 10)
"""Where a bug shows that does not say where."""


@dataclass(frozen=True, slots=True)
class Bug:
    """`listed`: it stands in the list of bugs that every consensus simulator should find. `shows_in`: where it is
    looked for first; that makes a hunt short, and if it does not show there any more it is looked for everywhere."""

    name: str
    changes: tuple[Change, ...]
    listed: bool
    shows_in: Search

    def plant(self) -> None:
        """Change this process, for good; raises `OutOfDate` if what is to be changed is not there."""
        carry_out(self.changes)


def listed(name: str, *changes: Change, shows_in: Search = FIRST_SEEDS) -> Bug:
    """A bug of the list."""
    return Bug(name, changes, True, shows_in)


def other(name: str, *changes: Change, shows_in: Search = FIRST_SEEDS) -> Bug:
    """One of the same kinds that is not in the list."""
    return Bug(name, changes, False, shows_in)
