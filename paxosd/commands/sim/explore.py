"""`paxosd sim --explore`: every interleaving of small worlds, with a progress bar, tables, and a trace if need be."""

from __future__ import annotations

import json
import math
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from paxosd.process.exits import Exit
from paxosd.sim.explore.bounds import WORLDS
from paxosd.sim.explore.search import Exploration, explore

STATES = 5_000_000
"""How many distinct states of a world are visited unless told otherwise: one to two minutes, and 1.4 GB of memory."""


def visit(world: str, states_max: int, until: float = math.inf) -> Exploration:
    """Explore this small world, until then on the monotonic clock at most, with a progress bar on a terminal."""
    columns = (TextColumn(world), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("states", total=states_max)
        return explore(
            WORLDS[world], states_max, lambda depth, states: progress.update(bar, completed=states), until=until
        )


def main(states_max: int, as_json: bool) -> int:
    """Explore and print; returns the exit code: 1 if a law is broken, or if nothing interesting was seen."""
    world, started = "two slots", time.monotonic()
    report = visit(world, states_max)
    print_report(world, report, time.monotonic() - started, as_json)
    if report.violation is not None:
        print("\n".join(report.violation.lines))
        print(f"paxosd sim: broken in {len(report.violation.lines)} steps: {report.violation.text}", file=sys.stderr)
        return Exit.ERROR
    missing = [mark for mark, depth in report.seen.items() if depth is None]
    if missing:
        print(f"paxosd sim: never seen: {', '.join(missing)}; visit more states", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK


def print_report(world: str, report: Exploration, elapsed_s: float, as_json: bool) -> None:
    """What was visited, and at which depth each interesting thing was seen first."""
    bounds = WORLDS[world]
    crashes = f"{bounds.crashes} crash" if bounds.crashes == 1 else f"{bounds.crashes} crashes"
    facts: dict[str, object] = {
        "world": f"{bounds.acceptors} acceptors, {bounds.proposers} proposers, {bounds.slots} slots, "
        f"{bounds.rounds} rounds, {crashes}",
        "distinct_states": report.distinct_states,
        "transitions": report.transitions,
        "depth": report.depth,
        "complete": report.complete,
        "states_per_second": round(report.distinct_states / elapsed_s),
    }
    if as_json:
        print(json.dumps(facts | {"seen_at_depth": dict(report.seen)}))
        return
    table = Table(title="exploration", show_header=False)
    for name, fact in facts.items():
        table.add_row(name.replace("_", " "), f"{fact:,}" if type(fact) is int else str(fact))
    for mark, depth in report.seen.items():
        table.add_row(mark, "never" if depth is None else f"at depth {depth}")
    Console().print(table)
