"""`paxosd sim`: many seeds on all cores, a summary of what happened, and a small failing plan if one fails."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from paxosd.exits import Exit
from paxosd.machine.base import StateMachine
from paxosd.machine.log import Log
from paxosd.sim.marks import EXPECTED
from paxosd.sim.plan import PROFILES, Plan, draw
from paxosd.sim.run import Result, run
from paxosd.sim.shrink import shrink
from paxosd.sim_explore import STATES
from paxosd.sim_explore import main as explore_main
from paxosd.sim_hunt import hunt_all, print_hunts

HELP = """\
examples:
  paxosd sim --seeds 100                        a hundred seeds, 0 to 99
  paxosd sim --minutes 10                       as many as fit
  paxosd sim --seeds 60 --fresh 20              and twenty that nobody has seen; their numbers are printed
  paxosd sim --nodes 5 --profile network        one size of cluster, one family of faults
  paxosd sim --replay 4711                      one seed again, with its trace
  paxosd sim --plan failure-4711.json           a shrunk plan again, with its trace
  paxosd sim --planted                          is the simulator any good? bugs planted into the real source
  paxosd sim --explore --states 300000          every interleaving of a small world, instead of chance
  paxosd sim --machine mypackage.bank:Bank      your own state machine in it (see paxosd/machine/base.py)

Exit codes: 0 every invariant held, 1 one did not (its seed, a small plan and its trace are printed), 2 usage.
"""

FRESH_FROM = 1_000_000
MARKS_WANTED_FROM_SEEDS = 300
"""From so many seeds on, each mark must have been hit: a night in which nothing happened proves nothing."""


@dataclass(slots=True)
class Summary:
    """All runs so far."""

    seeds: int = 0
    simulated_s: float = 0.0
    operations: int = 0
    acknowledged: int = 0
    recovery_t_e: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    failed: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.simulated_s += result.simulated_s
        self.operations += result.operations
        self.acknowledged += result.acknowledged
        self.recovery_t_e = max(self.recovery_t_e, result.recovery_t_e)
        self.faults.update(result.faults)
        self.marks.update(result.marks)
        if result.violation:
            self.failed.append(result)

    def missing_marks(self) -> list[str]:
        return [mark for mark in EXPECTED if not self.marks[mark]]


def main(arguments: Sequence[str]) -> int:
    """Run `paxosd sim` with these arguments; returns the exit code."""
    options = _parser().parse_args(arguments)
    machine = _machine(options.machine)
    if options.planted:
        return print_hunts(hunt_all(options.jobs), options.write_out == "json")
    if options.explore:
        return explore_main(options.states, options.write_out == "json")
    if options.replay is not None:
        return _replay(draw(options.replay, options.profile, options.nodes), machine)
    if options.plan is not None:
        return _replay(_read_plan(options.plan), machine)
    started = time.monotonic()
    summary = _run_all(options, machine)
    elapsed_s = time.monotonic() - started
    _print_summary(summary, elapsed_s, options)
    if summary.failed:
        _explain(summary.failed[0], machine, options)
        return Exit.ERROR
    missing = summary.missing_marks()
    if missing and options.profile == "swarm" and options.nodes is None and summary.seeds >= MARKS_WANTED_FROM_SEEDS:
        print(f"paxosd sim: these never happened: {', '.join(missing)}; the faults are too tame", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="paxosd sim", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=_count, metavar="N", help="how many seeds (default: 100, or as --minutes says)")
    parser.add_argument("--start", type=int, default=0, metavar="SEED", help="the first seed (default: 0)")
    parser.add_argument("--fresh", type=_count, default=0, metavar="N", help="and so many seeds drawn at random")
    parser.add_argument("--minutes", type=float, metavar="M", help="seed after seed for so long")
    parser.add_argument("--nodes", type=int, choices=range(3, 8), help="the size of the cluster (default: any)")
    parser.add_argument("--profile", choices=PROFILES, default="swarm", help="which faults may come (default: swarm)")
    parser.add_argument("--jobs", type=_count, default=os.cpu_count() or 1, metavar="N", help="processes at once")
    parser.add_argument("--planted", action="store_true", help="hunt bugs that are planted into the real source")
    parser.add_argument("--explore", action="store_true", help="every interleaving of a small world, breadth first")
    parser.add_argument(
        "--states", type=_count, default=STATES, metavar="N", help="so many at most (default: %(default)s)"
    )
    parser.add_argument("--replay", type=int, metavar="SEED", help="one seed again, with its trace")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="a plan from a file, with its trace")
    parser.add_argument("--machine", default="", metavar="MODULE:CLASS", help="the state machine (default: the log)")
    parser.add_argument("--no-shrink", action="store_true", help="print a failing plan as it is")
    parser.add_argument("-w", "--write-out", choices=["table", "json"], default="table")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _machine(name: str) -> Callable[[], StateMachine]:
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


def _read_plan(path: Path) -> Plan:
    try:
        return Plan.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"paxosd sim: {path} is no plan ({error}); give a file that `paxosd sim` wrote", file=sys.stderr)
        raise SystemExit(Exit.USAGE) from error


# ---- many seeds --------------------------------------------------------------------------------


def _run_all(options: argparse.Namespace, machine: Callable[[], StateMachine]) -> Summary:
    summary = Summary()
    total = None if options.minutes else (options.seeds or 100) + options.fresh
    fresh = [FRESH_FROM + random.SystemRandom().randrange(10**9) for _ in range(options.fresh)]
    if fresh:
        print(f"fresh seeds: {' '.join(map(str, fresh))}", file=sys.stderr)
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    context = multiprocessing.get_context("spawn")
    task = partial(_run_seed, options.profile, options.nodes, options.machine)
    with (
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
        context.Pool(options.jobs, _be_quiet) as pool,
    ):
        bar = progress.add_task("seeds", total=total)
        for result in pool.imap_unordered(task, _seeds(options, fresh)):
            summary.add(result)
            progress.update(bar, advance=1)
            if result.violation:
                print(f"seed {result.plan.seed}: {result.text}", file=sys.stderr)
        pool.terminate()
    return summary


def _seeds(options: argparse.Namespace, fresh: Sequence[int]) -> Iterator[int]:
    yield from fresh
    if options.minutes:
        end = time.monotonic() + options.minutes * 60
        seed = options.start
        while time.monotonic() < end:
            yield seed
            seed += 1
    else:
        yield from range(options.start, options.start + (options.seeds or 100))


def _run_seed(profile: str, nodes: int | None, machine: str, seed: int) -> Result:
    return run(draw(seed, profile, nodes), _machine(machine))


def _be_quiet() -> None:
    logging.disable(logging.CRITICAL)


# ---- one seed ----------------------------------------------------------------------------------


def _replay(plan: Plan, machine: Callable[[], StateMachine]) -> int:
    _be_quiet()
    result = run(plan, machine, tracing=True)
    print("\n".join(result.trace))
    print(f"trace {result.trace_hash}, {result.simulated_s:.1f} s, {result.operations} operations", file=sys.stderr)
    if result.violation:
        print(f"paxosd sim: {result.text}", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK


TRACE_LINES = 60


def _explain(failed: Result, machine: Callable[[], StateMachine], options: argparse.Namespace) -> None:
    """Print how to see it again: the seed, and the smallest plan that still fails, with the end of its trace."""
    _be_quiet()
    seed, profile = failed.plan.seed, failed.plan.profile
    nodes = "" if options.nodes is None else f" --nodes {options.nodes}"
    smallest = failed
    if not options.no_shrink:
        with Console(stderr=True).status(f"shrinking seed {seed}"):
            smallest = shrink(failed, partial(run, machine=machine))
    file = Path(f"failure-{seed}.json")
    file.write_text(smallest.plan.to_json() + "\n")
    traced = run(smallest.plan, machine, tracing=True)
    lines = [
        *traced.trace[-TRACE_LINES:],
        "",
        failed.text,
        f"seed {seed}: {len(failed.plan.faults)} faults, shrunk to {len(smallest.plan.faults)}",
        f"again, whole:  paxosd sim --replay {seed} --profile {profile}{nodes}",
        f"again, shrunk: paxosd sim --plan {file}",
    ]
    print("\n".join(lines), file=sys.stderr if options.write_out == "json" else sys.stdout)


# ---- the summary -------------------------------------------------------------------------------


def _print_summary(summary: Summary, elapsed_s: float, options: argparse.Namespace) -> None:
    facts = {
        "seeds": summary.seeds,
        "seeds_per_minute": round(summary.seeds / elapsed_s * 60),
        "simulated_hours": round(summary.simulated_s / 3600, 2),
        "times_real_time_per_process": round(summary.simulated_s / elapsed_s / options.jobs),
        "operations": summary.operations,
        "operations_acknowledged": summary.acknowledged,
        "operations_per_simulated_s": round(summary.operations / max(1.0, summary.simulated_s), 1),
        "seconds_between_faults": round(summary.simulated_s / max(1, summary.faults.total()), 1),
        "slowest_recovery_t_e": round(summary.recovery_t_e, 1),
        "violations": len(summary.failed),
        "seeds_failed": [result.plan.seed for result in summary.failed],
    }
    if options.write_out == "json":
        print(json.dumps(facts | {"faults": dict(summary.faults), "marks": dict(summary.marks)}))
        return
    console = Console()
    for title, rows in (("simulation", facts), ("faults", summary.faults), ("marks", summary.marks)):
        table = Table(title=title, show_header=False)
        for name, value in rows.items():
            table.add_row(name.replace("_", " "), str(value))
        console.print(table)
