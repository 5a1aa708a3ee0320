"""Many seeds on all cores, and what they came to."""

from __future__ import annotations

import importlib
import json
import logging
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from paxosd.commands.sim.pool import pool
from paxosd.machine.base import StateMachine
from paxosd.machine.log import Log
from paxosd.process.exits import Exit
from paxosd.process.garbage import collect_less_garbage
from paxosd.sim.check.marks import EXPECTED
from paxosd.sim.draw import draw
from paxosd.sim.run import Result, run

FRESH_FROM = 1_000_000
SPEED_NODES = 5
"""The size of the clusters by which the speed of the simulator is told."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which seeds: `count` of them from `start` on, or as many as fit into `minutes`, and `fresh` ones before them."""

    count: int | None = None
    start: int = 0
    minutes: float | None = None
    fresh: int = 0
    profile: str = "swarm"
    nodes: int | None = None
    machine: str = ""
    jobs: int = 1

    def seeds(self, fresh: Sequence[int], end: float) -> Iterator[int]:
        """The seeds, one by one; before `end` on the monotonic clock, if there is a limit in minutes."""
        yield from fresh
        for seed in count(self.start):
            if time.monotonic() >= end if self.minutes else seed >= self.start + (self.count or 0):
                return
            yield seed


@dataclass(slots=True)
class Summary:
    """All runs so far. Times of the world are in simulated seconds, those of this machine in processor seconds."""

    seeds: int = 0
    simulated_s: float = 0.0
    operations: int = 0
    acknowledged: int = 0
    recovery_t_e: float = 0.0
    speed_simulated_s: float = 0.0
    speed_processor_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    failed: list[Result] = field(default_factory=list)

    def add(self, result: Result, processor_s: float) -> None:
        self.seeds += 1
        self.simulated_s += result.simulated_s
        self.operations += result.operations
        self.acknowledged += result.acknowledged
        self.recovery_t_e = max(self.recovery_t_e, result.recovery_t_e)
        if len(result.plan.roles) == SPEED_NODES:
            self.speed_simulated_s += result.simulated_s
            self.speed_processor_s += processor_s
        self.faults.update(result.faults)
        self.marks.update(result.marks)
        if result.violation:
            self.failed.append(result)

    def missing_marks(self) -> list[str]:
        return [mark for mark in EXPECTED if not self.marks[mark]]

    @property
    def simulated_hours(self) -> float:
        return self.simulated_s / 3600

    @property
    def speed(self) -> float:
        """Simulated time per time of one core, in clusters of five nodes; 0 if there was none."""
        return self.speed_simulated_s / self.speed_processor_s if self.speed_processor_s else 0.0

    @property
    def operations_per_simulated_s(self) -> float:
        return self.operations / max(1.0, self.simulated_s)

    @property
    def seconds_between_faults(self) -> float:
        return self.simulated_s / max(1, self.faults.total())


def run_seeds(wanted: Wanted, before: Summary | None = None) -> Summary:
    """Run them all, with a progress bar on a terminal; a violation is printed as soon as it is found. They are added to
    what was run `before`, if anything was."""
    summary = before or Summary()
    fresh = [FRESH_FROM + random.SystemRandom().randrange(10**9) for _ in range(wanted.fresh)]
    if fresh:
        print(f"fresh seeds: {' '.join(map(str, fresh))}", file=sys.stderr)
    end = time.monotonic() + 60 * wanted.minutes if wanted.minutes else math.inf
    total = None if wanted.minutes else (wanted.count or 0) + wanted.fresh
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
        pool(wanted.jobs, begin_to_play) as processes,
    ):
        bar = progress.add_task("seeds", total=total)
        for ran in processes.imap_unordered(partial(_run_seed, wanted, end), wanted.seeds(fresh, end)):
            if ran is None:
                continue
            result, processor_s = ran
            summary.add(result, processor_s)
            progress.update(bar, advance=1)
            if result.violation:
                print(f"seed {result.plan.seed}: {result.text}", file=sys.stderr)
        processes.terminate()
    return summary


def _run_seed(wanted: Wanted, end: float, seed: int) -> tuple[Result, float] | None:
    """What came of it, and the processor time it took; None if it waited in the pool's queue until it was too late."""
    if time.monotonic() >= end:
        return None
    started = time.process_time()
    result = run(draw(seed, wanted.profile, wanted.nodes), machine_named(wanted.machine))
    return result, time.process_time() - started


def machine_named(name: str) -> Callable[[], StateMachine]:
    """The class "module:Class", the log if none is named; ends the process with a message if there is no such."""
    if not name:
        return Log
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")
    try:
        found: Callable[[], StateMachine] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        print(f"paxosd sim: --machine {name}: {error}; write module:Class, importable from here", file=sys.stderr)
        raise SystemExit(Exit.USAGE) from error
    return found


def be_quiet() -> None:
    """What simulated nodes log is in the trace."""
    logging.disable(logging.CRITICAL)


def begin_to_play() -> None:
    """What a process does first that plays one seed after the other."""
    be_quiet()
    collect_less_garbage()


def print_summary(summary: Summary, elapsed_s: float, as_json: bool) -> None:
    """Numbers, faults and marks."""
    facts: Mapping[str, object] = {
        "seeds": summary.seeds,
        "seeds_per_minute": round(summary.seeds / elapsed_s * 60),
        "simulated_hours": round(summary.simulated_hours, 2),
        "times_real_time_per_core_5_nodes": round(summary.speed),
        "operations": summary.operations,
        "operations_acknowledged": summary.acknowledged,
        "operations_per_simulated_s": round(summary.operations_per_simulated_s, 1),
        "seconds_between_faults": round(summary.seconds_between_faults, 1),
        "slowest_recovery_t_e": round(summary.recovery_t_e, 1),
        "violations": len(summary.failed),
        "seeds_failed": [result.plan.seed for result in summary.failed],
    }
    if as_json:
        print(json.dumps({**facts, "faults": dict(summary.faults), "marks": dict(summary.marks)}))
        return
    console = Console()
    for title, rows in (("simulation", facts), ("faults", summary.faults), ("marks", summary.marks)):
        table = Table(title=title, show_header=False)
        for name, value in rows.items():
            table.add_row(name.replace("_", " "), str(value))
        console.print(table)
