"""`paxosd sim` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from paxosd.commands.sim.gate import Line
from paxosd.commands.sim.seeds import Wanted, run_seeds
from paxosd.sim.scenarios.catalogue import SCENARIOS, stagings

WRONG_MACHINE = '''
from paxosd.machine.log import Log

class Wrong(Log):
    """Its digest differs from node to node."""

    def digest(self) -> bytes:
        return str(id(self)).encode()
'''


def sim(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paxosd", "sim", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250, stdin=subprocess.DEVNULL)


def test_seeds_are_summed_up_as_json(tmp_path: Path) -> None:
    done = sim("--seeds", "4", "-w", "json", folder=tmp_path)
    summary = json.loads(done.stdout)

    assert done.returncode == 0
    assert (summary["seeds"], summary["violations"]) == (4, 0)
    assert summary["operations_acknowledged"] > 400
    assert summary["faults"]


def test_more_seeds_are_added_to_what_was_run_before() -> None:
    one = run_seeds(Wanted(count=1, profile="quiet", nodes=3))
    simulated_s = one.simulated_s
    both = run_seeds(Wanted(count=1, start=1, profile="quiet", nodes=3), one)

    assert both.seeds == 2
    assert both.simulated_s > 1.5 * simulated_s


def test_the_summary_is_a_table_for_people(tmp_path: Path) -> None:
    done = sim("--seeds", "1", "--profile", "quiet", "--nodes", "3", folder=tmp_path)

    assert done.returncode == 0
    assert "simulated hours" in done.stdout


def test_fresh_seeds_are_named_before_they_run(tmp_path: Path) -> None:
    done = sim("--seeds", "1", "--fresh", "2", "--profile", "quiet", "-w", "json", folder=tmp_path)
    names = done.stderr.splitlines()[0].removeprefix("fresh seeds: ").split()

    assert len(names) == 2
    assert json.loads(done.stdout)["seeds"] == 3


def test_a_replay_prints_the_trace_and_gives_the_same_one_each_time(tmp_path: Path) -> None:
    first, second = (sim("--replay", "3", folder=tmp_path) for _ in range(2))

    assert first.returncode == 0
    assert "leader.elected" in first.stdout
    assert first.stdout == second.stdout


def test_a_violation_is_exit_code_1_with_its_seed_a_small_plan_and_how_to_see_it_again(tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(WRONG_MACHINE)
    done = sim("--start", "7", "--seeds", "1", "--machine", "bank:Wrong", folder=tmp_path)
    again = sim("--plan", "failure-7.json", "--machine", "bank:Wrong", folder=tmp_path)

    assert done.returncode == 1
    assert "15 state digest" in done.stdout
    assert "paxosd sim --replay 7" in done.stdout
    assert again.returncode == 1
    assert "15 state digest" in again.stderr


def test_every_scenario_in_every_layout_is_a_row(tmp_path: Path) -> None:
    done = sim("--scenarios", "N02", "N09", "--seeds", "1", "-w", "json", folder=tmp_path)
    rows = json.loads(done.stdout)

    assert done.returncode == 0
    assert [(row["id"], row["layout"]) for row in rows] == list(stagings(["N02", "N09 promises", "N09 votes"]))
    assert all(row["recovered_t_e"] <= 8 and not row["failed"] for row in rows)
    assert all(row["recovered_t_e"] > 0 for row in rows if row["is_partial"])


def test_a_scenario_is_told_line_by_line(tmp_path: Path) -> None:
    done = sim("--scenarios", "L07", "--replay", "3", folder=tmp_path)
    told = len(list(stagings([name for name in SCENARIOS if name.split()[0] == "L07"])))

    assert done.returncode == 0
    assert "L07 old leader, 5 replicas, seed 3" in done.stdout
    assert done.stdout.count("leader.elected") > done.stdout.count("it ended as it must") == told


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_gate_names_every_figure_and_fails_if_one_is_missed(tmp_path: Path) -> None:
    done = sim("--gate", "--minutes", "0.5", "-w", "json", folder=tmp_path)
    report = json.loads(done.stdout)
    figures = report["figures"]

    assert done.returncode == (0 if all(figure["met"] for figure in figures.values()) else 1)
    assert figures["distinct states, every interleaving"]["asked"] == 15_000
    assert figures["distinct states, every interleaving"]["met"]
    assert figures["violations"]["seen"] == 0
    assert figures["seeds"]["seen"] > 0
    assert {hunted["found_by"] for hunted in report["planted"].values()} - {""}


@pytest.mark.parametrize(
    ("seen", "at_most", "met"), [(4, False, False), (5, False, True), (5, True, True), (6, True, False)]
)
def test_a_figure_is_met_at_what_was_asked(seen: float, at_most: bool, met: bool) -> None:
    assert Line("a figure", asked=5, aim=10, seen=seen, at_most=at_most).met == met


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--machine", "nowhere:Bank"), "write module:Class"),
        (("--machine", "json"), "write module:Class"),
        (("--machine", "bank:Bank", "--scenarios"), "goes with seeds alone"),
        (("--machine", "bank:Bank", "--profile", "watches"), "has a machine of its own"),
        (("--plan", "missing.json"), "is no plan"),
        (("--nodes", "12"), "invalid choice"),
        (("--scenarios", "N99"), "no scenario N99; there are C01, "),
        (("--seeds", "0"), "not at least 1"),
    ],
)
def test_a_wrong_call_is_exit_code_2_with_a_reason(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    done = sim(*arguments, folder=tmp_path)

    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
