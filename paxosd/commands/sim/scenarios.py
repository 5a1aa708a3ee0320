"""`paxosd sim --scenarios`: what was scripted, played in every layout, and how fast the cluster served again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paxosd.commands.sim.pool import pool
from paxosd.commands.sim.seeds import be_quiet, begin_to_play
from paxosd.process.exits import Exit
from paxosd.sim.scenarios.catalogue import SCENARIOS, Row, play, stagings, trace

SEEDS = 3


def play_all(seeds: Iterable[int], jobs: int, names: Sequence[str] = tuple(SCENARIOS)) -> list[Row]:
    """These scenarios in every layout in which they make sense with these seeds, with a progress bar on a terminal."""
    tried = tuple(seeds)
    columns = (TextColumn("scenarios"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    rows: list[Row] = []
    with (
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
        pool(jobs, begin_to_play) as processes,
    ):
        waiting = [processes.apply_async(play, (name, layout, tried)) for name, layout in stagings(names)]
        bar = progress.add_task("scenarios", total=len(waiting))
        for row in waiting:
            rows.append(row.get())
            progress.update(bar, advance=1)
    return rows


def failures(rows: Iterable[Row]) -> list[str]:
    """One line for every scenario, layout and seed that did not end as it must."""
    see = "see it: paxosd sim --scenarios"
    return [
        f"{row.id}, {row.layout}, seed {seed}: {text}; {see} {row.id.split()[0]} --replay {seed}"
        for row in rows
        for seed, text in row.failed.items()
    ]


def main(names: Sequence[str], count: int, start: int, jobs: int, as_json: bool) -> int:
    """Play these with so many seeds each, and print the table; returns the exit code: 1 if one ended as it must not."""
    rows = play_all(range(start, start + count), jobs, names)
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        Console().print(_table(rows))
    failed = failures(rows)
    for line in failed:
        print(f"paxosd sim: {line}", file=sys.stderr)
    return Exit.ERROR if failed else Exit.OK


def replay(names: Sequence[str], seed: int) -> int:
    """Print what happens in each of these in each layout with this seed; returns the exit code: 1 if one failed."""
    be_quiet()
    failed = False
    for name, layout in stagings(names):
        lines, wrong = trace(name, layout, seed)
        print("\n".join([f"{name}, {layout}, seed {seed}", *lines, f"---- {wrong or 'it ended as it must'}", ""]))
        failed = failed or bool(wrong)
    return Exit.ERROR if failed else Exit.OK


def named(ids: Sequence[str]) -> list[str]:
    """The names of the scenarios with these ids, of all if there are none; ends the process if there is no such."""
    known = dict.fromkeys(name.split()[0] for name in SCENARIOS)
    unknown = [wanted for wanted in ids if wanted not in known]
    if unknown:
        print(f"paxosd sim: no scenario {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        raise SystemExit(Exit.USAGE)
    return [name for name in SCENARIOS if not ids or name.split()[0] in ids]


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="scenarios: the worst of all layouts and seeds")
    table.add_column("id")
    table.add_column("what")
    for column in ("runs", "served again after, T_e", "leaders elected", "ballots", "failed"):
        table.add_column(column, justify="right")
    for name, group in groupby(rows, lambda row: row.id):
        of_all = list(group)
        table.add_row(
            name,
            of_all[0].what,
            str(sum(row.seeds for row in of_all)),
            f"{max(row.recovered_t_e for row in of_all):.1f}",
            str(max(row.leader_changes for row in of_all)),
            str(max(row.ballots for row in of_all)),
            str(sum(len(row.failed) for row in of_all)),
        )
    return table
