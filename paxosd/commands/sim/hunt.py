"""`paxosd sim --planted`: every planted bug in a process of its own, and where it was found."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paxosd.commands.sim.pool import pool
from paxosd.process.exits import Exit
from paxosd.sim.planted.bugs import BUGS, BY_NAME
from paxosd.sim.planted.hunting import Hunt, Interleavings, Scenarios, Search, Seeds, hunt

ROUNDS: tuple[Search, ...] = (
    Seeds(0, 10),
    Seeds(0, 10, "reads"),
    Seeds(0, 8, "quorums"),
    Seeds(0, 8, "pages"),
    Seeds(0, 8, "disks"),
    Scenarios(),
    Interleavings("two slots", 50_000),
    Interleavings("one slot", 300_000),
    Seeds(10, 100),
    Seeds(100, 1000),
)
"""All bugs are searched for in one round before any is searched for in the next: most show at once."""


def hunt_all(jobs: int, until: float = math.inf) -> list[Hunt]:
    """Hunt every planted bug, `jobs` at a time, with a progress bar on a terminal; those that are still hunted at
    `until`, in seconds of the monotonic clock, are given up."""
    columns = (TextColumn("planted bugs found"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hunts = {bug.name: Hunt(bug.name, "", "") for bug in BUGS}
    with (
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
        pool(jobs, tasks_max=1) as processes,  # a planted bug stays planted
    ):
        bar = progress.add_task("bugs", total=len(hunts))
        for search in ROUNDS:
            at_large = [(name, search, until) for name, hunted in hunts.items() if not hunted.violation]
            for hunted in processes.starmap(hunt, at_large, chunksize=1):
                hunts[hunted.bug] = hunted
                progress.update(bar, advance=bool(hunted.violation))
    return list(hunts.values())


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
