"""`paxosd sim --planted`: every planted bug in a process of its own, and where it was found."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paxosd.commands.sim.pool import pool
from paxosd.process.exits import Exit
from paxosd.sim.planted.bugs import BUGS, BY_NAME, BY_TOPIC
from paxosd.sim.planted.hunting import Hunt, hunt
from paxosd.sim.planted.places import Interleavings, KeyLogs, Scenarios, Search, Seeds
from paxosd.sim.planted.planting import Bug

ROUNDS: tuple[Search, ...] = (
    KeyLogs(0, 400),
    Seeds(0, 10),
    Seeds(0, 10, "reads"),
    Seeds(0, 8, "quorums"),
    Seeds(0, 8, "pages"),
    Seeds(0, 8, "disks"),
    Seeds(0, 6, "watches"),
    Seeds(0, 8, "keys"),
    Seeds(0, 4, "locks"),
    Scenarios(),
    Interleavings("two slots", 50_000),
    Interleavings("one slot", 300_000),
    Seeds(10, 60),
    Seeds(12, 40, "reads"),
)
"""Where bugs are looked for that did not show in the places of their own. All are searched for in one round before any
is searched for in the next."""


_PRICES: tuple[type[Search], ...] = (KeyLogs, Scenarios, Seeds, Interleavings)
"""From cheap to dear: what a look into a place takes, as a rule."""


def hunt_all(jobs: int, until: float = math.inf, bugs: Sequence[Bug] = BUGS) -> list[Hunt]:
    """Hunt these bugs, `jobs` at a time, with a progress bar on a terminal; those that are still hunted at `until`, in
    seconds of the monotonic clock, are given up."""
    columns = (TextColumn("planted bugs found"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hunts = {bug.name: Hunt(bug.name, "", "") for bug in bugs}
    with (
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
        pool(jobs, tasks_max=1) as processes,  # a planted bug stays planted
    ):
        bar = progress.add_task("bugs", total=len(hunts))
        for anywhere in (None, *ROUNDS):
            at_large = [bug for bug in in_order(bugs) if not hunts[bug.name].violation]
            tasks = [(bug.name, anywhere or bug.shows_in, until) for bug in at_large if bug.shows_in != anywhere]
            for hunted in processes.imap_unordered(_hunt, tasks if time.monotonic() < until else ()):
                hunts[hunted.bug] = hunted
                progress.update(bar, advance=bool(hunted.violation))
    return list(hunts.values())


def in_order(bugs: Sequence[Bug]) -> list[Bug]:
    """As they are hunted: time may be short, so those of the list come first, and then those that are found soonest."""
    return sorted(bugs, key=lambda bug: (not bug.listed, _PRICES.index(type(bug.shows_in))))


def _hunt(task: tuple[str, Search, float]) -> Hunt:
    name, place, until = task
    return hunt(name, (place,), until)


def bugs_named(topics: Sequence[str]) -> Sequence[Bug]:
    """The planted bugs of these topics, all if there are none; ends the process if there is no such topic."""
    unknown = [topic for topic in topics if topic not in BY_TOPIC]
    if unknown:
        print(
            f"paxosd sim: no planted bugs about {', '.join(unknown)}; there are {', '.join(BY_TOPIC)}", file=sys.stderr
        )
        raise SystemExit(Exit.USAGE)
    return [bug for topic in topics or BY_TOPIC for bug in BY_TOPIC[topic]]


def print_hunts(hunts: Sequence[Hunt], as_json: bool) -> int:
    """One row per bug; returns the exit code: 1 if one was not found."""
    missed = [hunted.bug for hunted in hunts if not hunted.violation]
    if as_json:
        print(json.dumps(as_facts(hunts)))
    else:
        Console().print(as_table(hunts))
    if missed:
        print(f"paxosd sim: not found: {', '.join(missed)}", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK


def as_facts(hunts: Sequence[Hunt]) -> dict[str, dict[str, str]]:
    """By bug, where it was found and what broke there; empty: not found."""
    return {hunted.bug: {"where": hunted.where, "found_by": hunted.violation} for hunted in hunts}


def as_table(hunts: Sequence[Hunt]) -> Table:
    """One row per bug."""
    table = Table(title="planted bugs")
    for column in ("bug", "listed", "found in", "by"):
        table.add_column(column)
    for hunted in hunts:
        listed = "yes" if BY_NAME[hunted.bug].listed else ""
        table.add_row(hunted.bug, listed, hunted.where, hunted.violation or "NOT FOUND")
    return table
