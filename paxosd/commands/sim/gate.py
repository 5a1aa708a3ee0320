"""`paxosd sim --gate`: everything that the simulator is asked to reach, in a given time, as one table.

Asked are the figures for ten minutes on two cores. Those that grow with time are asked in proportion to the minutes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from paxosd.commands.sim.explore import visit
from paxosd.commands.sim.hunt import as_facts, hunt_all
from paxosd.commands.sim.pool import pool
from paxosd.commands.sim.scenarios import failures as scenarios_failed
from paxosd.commands.sim.scenarios import play_all
from paxosd.commands.sim.seeds import Summary, Wanted, run_seeds
from paxosd.process.exits import Exit
from paxosd.sim.explore.search import Exploration
from paxosd.sim.planted.bugs import BUGS, BY_NAME
from paxosd.sim.planted.hunting import Hunt
from paxosd.sim.scenarios.catalogue import Row

STATES_ASKED, STATES_AIM = 300_000, 5_000_000
ONE_SLOT_STATES = 300_000
SEEDS_S_MIN = 6.0
"""For so long seeds are run at least, though all other things took longer than they should."""
EXPLORE_S_MIN = 5.0
"""The same for exploration, whose process takes a second to start."""
PROFILE = "wide"
EXPLORE_SHARE, HUNT_SHARE = 0.06, 0.05
"""How much of the time goes to exploration and to planted bugs at most. Scenarios take what they need, and seeds get
the rest; the processes that do not explore begin with those."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure; `at_most` if less is better."""

    what: str
    asked: float
    aim: float
    seen: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.seen <= self.asked if self.at_most else self.seen >= self.asked


def main(minutes: float, start: int, jobs: int, as_json: bool) -> int:
    """Do all of it in about so many minutes and print the table; returns the exit code: 1 if a figure is not met."""
    end = time.monotonic() + 60 * minutes
    share = minutes / 10
    explored_by = time.monotonic() + max(60 * EXPLORE_SHARE * minutes, EXPLORE_S_MIN)
    with pool(1) as beside:
        exploring = beside.starmap_async(visit, [(*world, explored_by) for world in _worlds(share)])
        summary = _seeds_until(explored_by, start, max(1, jobs - 1), Summary())
        explored = exploring.get()
    rows = play_all((start,), jobs)
    hunts = hunt_all(jobs, until=time.monotonic() + 60 * HUNT_SHARE * minutes)
    summary = _seeds_until(max(end, time.monotonic() + SEEDS_S_MIN), start, jobs, summary)

    failures = _failures(summary, rows, explored)
    lines = _lines(share, summary, rows, hunts, explored, len(failures))
    _print(lines, hunts, as_json)
    missed = [line.what for line in lines if not line.met]
    for text in failures:
        print(f"paxosd sim: {text}", file=sys.stderr)
    if summary.missing_marks():
        print(f"paxosd sim: these never happened: {', '.join(summary.missing_marks())}", file=sys.stderr)
    if missed:
        print(f"paxosd sim: not reached: {', '.join(missed)}", file=sys.stderr)
    return Exit.ERROR if missed else Exit.OK


def _seeds_until(end: float, start: int, jobs: int, summary: Summary) -> Summary:
    """As many seeds more as there is time for; those that were run before are the first ones from `start` on."""
    minutes = (end - time.monotonic()) / 60
    wanted = Wanted(start=start + summary.seeds, minutes=minutes, profile=PROFILE, jobs=jobs)
    return run_seeds(wanted, summary)


def _worlds(share: float) -> list[tuple[str, int]]:
    """The small worlds, and how many states of each are visited; the one that takes the longest comes last."""
    return [("one slot", round(share * ONE_SLOT_STATES)), ("two slots", round(share * STATES_AIM))]


def _failures(summary: Summary, rows: Sequence[Row], explored: Sequence[Exploration]) -> list[str]:
    seeds = [
        f"seed {result.plan.seed}: {result.text}; see it: paxosd sim --replay {result.plan.seed} --profile {PROFILE}"
        for result in summary.failed
    ]
    return seeds + scenarios_failed(rows) + [report.violation.text for report in explored if report.violation]


def _lines(
    share: float,
    summary: Summary,
    rows: Sequence[Row],
    hunts: Sequence[Hunt],
    explored: Sequence[Exploration],
    failures: int,
) -> list[Line]:
    """`share`: how much of the ten minutes there was."""
    found = [hunt for hunt in hunts if hunt.violation]
    listed = sum(BY_NAME[hunt.bug].listed for hunt in found)
    listed_all = sum(bug.listed for bug in BUGS)
    slowest_t_e = max((row.recovered_t_e for row in rows if row.is_partial), default=0.0)
    states = sum(report.distinct_states for report in explored)
    return [
        Line("simulated time per time of one core, 5 nodes", 60, 300, round(summary.speed)),
        Line("seeds", round(1000 * share), round(5000 * share), summary.seeds),
        Line("simulated hours", round(15 * share, 1), round(80 * share, 1), round(summary.simulated_hours, 1)),
        Line("client operations checked", round(300_000 * share), round(1_500_000 * share), summary.operations),
        Line("client operations per simulated second", 5, 5, round(summary.operations_per_simulated_s, 1)),
        Line("simulated seconds from fault to fault", 5, 5, round(summary.seconds_between_faults, 1), at_most=True),
        Line("coverage marks never hit", 0, 0, len(summary.missing_marks()), at_most=True),
        Line("planted bugs found, of the list", 20, listed_all, listed),
        Line("planted bugs found, all", 20, len(BUGS), len(found)),
        Line("distinct states, every interleaving", round(STATES_ASKED * share), round(STATES_AIM * share), states),
        Line("slowest recovery with partial connectivity, T_e", 8, 4, round(slowest_t_e, 1), at_most=True),
        Line("violations", 0, 0, failures, at_most=True),
    ]


def _print(lines: Sequence[Line], hunts: Sequence[Hunt], as_json: bool) -> None:
    if as_json:
        figures = {
            line.what: {"asked": line.asked, "aim": line.aim, "seen": line.seen, "met": line.met} for line in lines
        }
        print(json.dumps({"figures": figures, "planted": as_facts(hunts)}))
        return
    table = Table(title="the gate")
    table.add_column("")
    for column in ("asked", "the aim", "seen"):
        table.add_column(column, justify="right")
    table.add_column("")
    for line in lines:
        sign = "≤ " if line.at_most else ""
        table.add_row(
            line.what,
            f"{sign}{line.asked:,}",
            f"{sign}{line.aim:,}",
            f"{line.seen:,}",
            "ok" if line.met else "MISSED",
        )
    console = Console()
    console.print(table)
    missing = [hunt.bug for hunt in hunts if not hunt.violation]
    if missing:
        console.print(f"planted and not found in this time: {', '.join(missing)}", highlight=False)
