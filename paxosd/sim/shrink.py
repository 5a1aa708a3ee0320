"""Making a failing plan small: fewer faults, then less to do, as long as the same invariant breaks.

After "Simplifying and Isolating Failure-Inducing Input" (Zeller and Hildebrandt, 2002): leave out ever smaller
pieces of the list of faults, and keep what still fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from paxosd.sim.plan import Plan
from paxosd.sim.run import Result

RUNS_MAX = 150

Try = Callable[[Plan], Result]


def shrink(failed: Result, attempt: Try, on_run: Callable[[Result], None] = lambda best: None) -> Result:
    """The smallest failing run that was found; `attempt` plays a plan, `on_run` is told the best after each."""
    best, left, progress = failed, RUNS_MAX, True
    while progress and left > 0:
        progress = False
        for candidate in _smaller(best.plan):
            if left == 0:
                break
            left -= 1
            result = attempt(candidate)
            if result.violation == failed.violation:
                best, progress = result, True
                break
        on_run(best)
    return best


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them, the boldest first."""
    faults = plan.faults
    size = len(faults) // 2
    while size:
        for start in range(0, len(faults), size):
            yield replace(plan, faults=faults[:start] + faults[start + size :])
        size //= 2
    if plan.clients > 1:
        yield replace(plan, clients=plan.clients - 1)
    if plan.faults_s > 2:
        yield replace(plan, faults_s=plan.faults_s / 2, faults=tuple(f for f in faults if f.at_s < plan.faults_s / 2))
    if plan.think_s < 5:
        yield replace(plan, think_s=plan.think_s * 2)
    if plan.loss or plan.repeat or plan.drift or plan.late:
        yield replace(plan, loss=0.0, repeat=0.0, drift=0.0, late=0.0)
