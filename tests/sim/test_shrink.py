"""A failing plan is made small, and still fails for the same reason."""

from __future__ import annotations

from dataclasses import replace

from paxosd.sim.draw import draw
from paxosd.sim.plan import Fault, Plan
from paxosd.sim.run import Result
from paxosd.sim.shrink import shrink


def fails_on_a_kill_after_a_cut(plan: Plan) -> Result:
    kinds = [fault.kind for fault in plan.faults]
    bad = "cut" in kinds and "kill" in kinds[kinds.index("cut") :]
    return Result(plan, violation="1 agreement" if bad else "")


def plan_with(*kinds: str) -> Plan:
    faults = tuple(Fault(float(number), kind, ("r1",), 1.0) for number, kind in enumerate(kinds))
    return replace(draw(1), faults=faults)


def test_only_the_faults_that_matter_are_left() -> None:
    failed = fails_on_a_kill_after_a_cut(plan_with("pause", "power", "cut", "loss", "kill", "hub", "clog", "kill"))

    small = shrink(failed, fails_on_a_kill_after_a_cut)

    assert [fault.kind for fault in small.plan.faults] == ["cut", "kill"]
    assert small.violation == "1 agreement"


def test_fewer_clients_and_a_calmer_world_are_tried_too() -> None:
    small = shrink(fails_on_a_kill_after_a_cut(plan_with("cut", "kill")), fails_on_a_kill_after_a_cut)

    assert small.plan.clients == 1
    assert (small.plan.loss, small.plan.repeat, small.plan.drift) == (0.0, 0.0, 0.0)


def test_what_fails_for_another_reason_is_not_taken() -> None:
    def attempt(plan: Plan) -> Result:
        return Result(plan, violation="1 agreement" if len(plan.faults) == 3 else "30 liveness")

    failed = attempt(plan_with("cut", "kill", "pause"))

    assert shrink(failed, attempt).plan.faults == failed.plan.faults
