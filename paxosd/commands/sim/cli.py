"""`paxosd sim`: many seeds on all cores, a summary of what happened, and a small failing plan if one fails."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from paxosd.commands.flags import Parser, add_write_out, command_parser
from paxosd.commands.sim.explore import STATES
from paxosd.commands.sim.explore import main as explore_main
from paxosd.commands.sim.gate import main as gate_main
from paxosd.commands.sim.hunt import bugs_named, hunt_all, print_hunts
from paxosd.commands.sim.scenarios import SEEDS as SCENARIO_SEEDS
from paxosd.commands.sim.scenarios import main as scenarios_main
from paxosd.commands.sim.scenarios import named
from paxosd.commands.sim.scenarios import replay as replay_scenarios
from paxosd.commands.sim.seeds import Wanted, be_quiet, machine_named, print_summary, run_seeds
from paxosd.machine.base import StateMachine
from paxosd.process.exits import Exit
from paxosd.sim.draw import draw
from paxosd.sim.families import FAMILIES
from paxosd.sim.plan import Plan
from paxosd.sim.run import Result, run
from paxosd.sim.shrink import shrink

HELP = """\
examples:
  paxosd sim --seeds 100                        a hundred seeds, 0 to 99
  paxosd sim --minutes 10                       as many as fit
  paxosd sim --gate                             all of it in ten minutes, and a table of what was asked and seen
  paxosd sim --seeds 60 --fresh 20              and twenty that nobody has seen; their numbers are printed
  paxosd sim --nodes 5 --profile network        one size of cluster, one family of faults
  paxosd sim --minutes 10 --profile wide        clients that think longer, as the gate plays them
  paxosd sim --replay 4711                      one seed again, with its trace
  paxosd sim --plan failure-4711.json           a shrunk plan again, with its trace
  paxosd sim --planted                          is the simulator any good? bugs planted into the real source
  paxosd sim --planted reads pages              those of some topics
  paxosd sim --scenarios N04 N06 --seeds 10     what was scripted, and how fast the cluster serves again
  paxosd sim --scenarios N04 --replay 3         what happens in it, with one seed
  paxosd sim --explore --states 300000          every interleaving of a small world, instead of chance
  paxosd sim --machine mypackage.bank:Bank      your own state machine in the place of the log (see docs/machines.md)

Exit codes: 0 every invariant held, 1 one did not (its seed, a small plan and its trace are printed), 2 usage.
"""

SEEDS = 100
GATE_MINUTES = 10.0
MARKS_WANTED_FROM_SEEDS = 300
"""From so many seeds on, each mark must have been hit: a night in which nothing happened proves nothing."""


def main(arguments: Sequence[str]) -> int:
    """Run `paxosd sim` with these arguments; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.machine and not _takes_machine(options):
        parser.error("--machine goes with seeds alone, and not with --profile watches, which has a machine of its own")
    as_json = options.write_out == "json"
    machine = machine_named(options.machine)
    if options.gate:
        return gate_main(options.minutes or GATE_MINUTES, options.start, options.jobs, as_json)
    if options.planted is not None:
        return print_hunts(hunt_all(options.jobs, bugs=bugs_named(options.planted)), as_json)
    if options.scenarios is not None:
        names = named(options.scenarios)
        if options.replay is not None:
            return replay_scenarios(names, options.replay)
        return scenarios_main(names, options.seeds or SCENARIO_SEEDS, options.start, options.jobs, as_json)
    if options.explore:
        return explore_main(options.states, as_json)
    if options.replay is not None:
        return _replay(draw(options.replay, options.profile, options.nodes), machine)
    if options.plan is not None:
        return _replay(_read_plan(options.plan), machine)
    return _run_all(options, machine)


def _takes_machine(options: argparse.Namespace) -> bool:
    has_its_own = options.gate or options.explore or options.profile == "watches"
    return not has_its_own and options.planted is None and options.scenarios is None


def _parser() -> Parser:
    parser = command_parser("sim", HELP)
    parser.add_argument("--seeds", type=_count, metavar="N", help="how many seeds (default: 100, or as --minutes says)")
    parser.add_argument("--start", type=int, default=0, metavar="SEED", help="the first seed (default: 0)")
    parser.add_argument("--fresh", type=_count, default=0, metavar="N", help="and so many seeds drawn at random")
    parser.add_argument("--minutes", type=float, metavar="M", help="seed after seed for so long")
    parser.add_argument("--nodes", type=int, choices=range(3, 8), help="the size of the cluster (default: any)")
    parser.add_argument("--profile", choices=FAMILIES, default="swarm", help="which faults may come (default: swarm)")
    parser.add_argument("--jobs", type=_count, default=os.cpu_count() or 1, metavar="N", help="processes at once")
    parser.add_argument("--gate", action="store_true", help="seeds, planted bugs, exploration, scenarios; one table")
    parser.add_argument("--planted", nargs="*", metavar="TOPIC", help="hunt planted bugs, of these topics or all")
    parser.add_argument("--scenarios", nargs="*", metavar="ID", help="these scripted scenarios, or all, as a table")
    parser.add_argument("--explore", action="store_true", help="every interleaving of a small world, breadth first")
    parser.add_argument(
        "--states", type=_count, default=STATES, metavar="N", help="so many at most (default: %(default)s)"
    )
    parser.add_argument("--replay", type=int, metavar="SEED", help="one seed again, with its trace")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="a plan from a file, with its trace")
    parser.add_argument("--machine", default="", metavar="MODULE:CLASS", help="a state machine in the place of the log")
    parser.add_argument("--no-shrink", action="store_true", help="print a failing plan as it is")
    add_write_out(parser, "table")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _read_plan(path: Path) -> Plan:
    try:
        return Plan.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"paxosd sim: {path} is no plan ({error}); give a file that `paxosd sim` wrote", file=sys.stderr)
        raise SystemExit(Exit.USAGE) from error


# ---- many seeds --------------------------------------------------------------------------------


def _run_all(options: argparse.Namespace, machine: Callable[[], StateMachine]) -> int:
    count = None if options.minutes else options.seeds or SEEDS
    wanted = Wanted(
        count,
        options.start,
        options.minutes,
        options.fresh,
        options.profile,
        options.nodes,
        options.machine,
        options.jobs,
    )
    started = time.monotonic()
    summary = run_seeds(wanted)
    print_summary(summary, time.monotonic() - started, options.write_out == "json")
    if summary.failed:
        _explain(summary.failed[0], machine, options)
        return Exit.ERROR
    missing = summary.missing_marks()
    if missing and options.profile == "swarm" and options.nodes is None and summary.seeds >= MARKS_WANTED_FROM_SEEDS:
        print(f"paxosd sim: these never happened: {', '.join(missing)}; the faults are too tame", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK


# ---- one seed ----------------------------------------------------------------------------------


def _replay(plan: Plan, machine: Callable[[], StateMachine]) -> int:
    be_quiet()
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
    be_quiet()
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
