"""`paxosd sim --planted`: every planted bug in a process of its own, and how many seeds it took to find it."""

from __future__ import annotations

import json
import math
import multiprocessing
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paxosd.exits import Exit
from paxosd.sim.planted import BUGS, BY_NAME, Hunt, hunt

SEEDS_MAX = 1000
"""How many seeds a hunt plays before it gives up: a few minutes of one processor."""

ROUNDS = (10, 100)
"""All bugs are hunted with so many seeds before any is hunted with more: most show at once."""


def hunt_all(jobs: int, seeds_max: int = SEEDS_MAX, until: float = math.inf) -> list[Hunt]:
    """Hunt every planted bug, `jobs` at a time, with a progress bar on a terminal; those that are still hunted at
    `until`, in seconds of the monotonic clock, are given up."""
    columns = (TextColumn("planted bugs found"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hunts = {bug.name: Hunt(bug.name, 0, "") for bug in BUGS}
    with (
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
        multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool,  # a changed module stays changed
    ):
        bar = progress.add_task("bugs", total=len(hunts))
        for stop in (*(stop for stop in ROUNDS if stop < seeds_max), seeds_max):
            more = [
                (name, stop, "swarm", hunted.seeds, until) for name, hunted in hunts.items() if not hunted.violation
            ]
            for hunted in pool.starmap(hunt, more, chunksize=1):
                hunts[hunted.bug] = hunted
                progress.update(bar, advance=bool(hunted.violation))
    return list(hunts.values())


def print_hunts(hunts: Sequence[Hunt], as_json: bool) -> int:
    """One row per bug; returns the exit code: 1 if one was not found."""
    missed = [hunted.bug for hunted in hunts if not hunted.violation]
    if as_json:
        print(json.dumps({hunted.bug: {"seeds": hunted.seeds, "found_by": hunted.violation} for hunted in hunts}))
    else:
        table = Table(title="planted bugs")
        for column in ("bug", "listed", "seeds", "found by"):
            table.add_column(column, justify="right" if column == "seeds" else "left")
        for hunted in hunts:
            listed = "yes" if BY_NAME[hunted.bug].listed else ""
            table.add_row(hunted.bug, listed, str(hunted.seeds), hunted.violation or "NOT FOUND")
        Console().print(table)
    if missed:
        print(f"paxosd sim: not found in {SEEDS_MAX} seeds: {', '.join(missed)}", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK
