"""`paxosd sim --scenarios`: how fast a cluster serves again when some of its links are gone, as a table."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paxosd.exits import Exit
from paxosd.sim.scenarios import PARTIAL, Row, play
from paxosd.sim.scenarios_props import LAYOUTS
from paxosd.sim_seeds import be_quiet

SEEDS = 10


def play_all(seeds: Iterable[int], jobs: int) -> list[Row]:
    """Every scenario of partial connectivity in every layout with these seeds, with a progress bar on a terminal."""
    tried = tuple(seeds)
    columns = (TextColumn("scenarios"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    rows: list[Row] = []
    with (
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
        multiprocessing.get_context("spawn").Pool(jobs, be_quiet) as pool,
    ):
        waiting = [pool.apply_async(play, (name, layout, tried)) for name in PARTIAL for layout in LAYOUTS]
        bar = progress.add_task("scenarios", total=len(waiting))
        for row in waiting:
            rows.append(row.get())
            progress.update(bar, advance=1)
    return rows


def main(count: int, start: int, jobs: int, as_json: bool) -> int:
    """Play them with so many seeds each and print the table; returns the exit code: 1 if one did not end as it must."""
    rows = play_all(range(start, start + count), jobs)
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        _print(rows)
    for row in rows:
        for seed, text in row.failed.items():
            print(f"paxosd sim: {row.id}, {row.layout}, seed {seed}: {text}", file=sys.stderr)
    return Exit.ERROR if any(row.failed for row in rows) else Exit.OK


def _print(rows: Sequence[Row]) -> None:
    table = Table(title="partial connectivity: worst of all seeds")
    for column in ("id", "what", "layout"):
        table.add_column(column)
    for column in ("seeds", "served again after, T_e", "leaders elected", "ballots", "failed"):
        table.add_column(column, justify="right")
    for row in rows:
        figures = (row.seeds, f"{row.recovered_t_e:.1f}", row.leader_changes, row.ballots, len(row.failed))
        table.add_row(row.id, row.what, row.layout, *map(str, figures))
    Console().print(table)
