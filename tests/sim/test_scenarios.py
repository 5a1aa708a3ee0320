"""The scenarios by id, each as a scripted run of the simulated cluster with every invariant on."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from paxosd.sim import scenarios_crash, scenarios_disk, scenarios_network
from paxosd.sim.scenarios_script import LAYOUTS, Report

SCENARIOS: dict[str, Callable[[int, str], Report]] = {
    name: scenario
    for module in (scenarios_crash, scenarios_disk, scenarios_network)
    for name, scenario in vars(module).items()
    if name[:1] in "cdnko" and name[1:3].isdigit() and callable(scenario)
}


ROLES_ONLY = ("d06_damaged_row_is_asked_for", "n09_late_votes")
LONG = ("c18_storm", "n11_flapping", "o07_duel", "n08_repeated", "n04_chained")
"""Minutes of simulated time."""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in SCENARIOS]
)
def test_a_scenario_ends_as_it_must(name: str, layout: str) -> None:
    logging.disable(logging.CRITICAL)
    if name in ROLES_ONLY and "replicas" in layout:
        pytest.skip("written for separate roles")
    report = SCENARIOS[name](1, layout)

    assert isinstance(report, Report)
