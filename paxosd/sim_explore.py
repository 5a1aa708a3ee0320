"""`paxosd sim --explore`: every interleaving of a small world, with a progress bar, a table, and a trace if need be."""

from __future__ import annotations

import json
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from paxosd.exits import Exit
from paxosd.sim.explore import Report, explore
from paxosd.sim.explore_world import Configuration

STATES = 5_000_000
"""How many distinct states are visited unless told otherwise: about a minute."""

SMALL_WORLD = Configuration(acceptors=3, proposers=2, slots=2, rounds=1, crashes=1)


def visit(states_max: int) -> Report:
    """Explore the small world, with a progress bar on a terminal."""
    columns = (TextColumn("states"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("states", total=states_max)
        return explore(SMALL_WORLD, states_max, lambda depth, states: progress.update(bar, completed=states))


def main(states_max: int, as_json: bool) -> int:
    """Explore and print; returns the exit code: 1 if a law is broken, or if nothing interesting was seen."""
    started = time.monotonic()
    report = visit(states_max)
    print_report(report, time.monotonic() - started, as_json)
    if report.violation is not None:
        print("\n".join(report.violation.lines))
        print(f"paxosd sim: broken in {len(report.violation.lines)} steps: {report.violation.text}", file=sys.stderr)
        return Exit.ERROR
    missing = [mark for mark, depth in report.seen.items() if depth is None]
    if missing:
        print(f"paxosd sim: never seen: {', '.join(missing)}; visit more states", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK


def print_report(report: Report, elapsed_s: float, as_json: bool) -> None:
    """What was visited, and at which depth each interesting thing was seen first."""
    world = SMALL_WORLD
    facts: dict[str, object] = {
        "world": f"{world.acceptors} acceptors, {world.proposers} proposers, {world.slots} slots, one crash",
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
