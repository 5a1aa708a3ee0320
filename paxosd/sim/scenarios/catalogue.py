"""Every scripted scenario by name, and what came of it over many seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from paxosd.sim.check.invariants import Violation
from paxosd.sim.scenarios import (
    client,
    crash,
    disk,
    floor,
    greedy,
    identity,
    links,
    lost,
    mixed,
    network,
    reading,
    recipes,
    rogue,
    snapshots,
    space,
)
from paxosd.sim.scenarios.props import LAYOUTS, Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script
from paxosd.sim.world import World

Scenario: TypeAlias = Callable[[int, str], Report]
"""Takes a seed and a layout, and raises `Violation` if its expectation fails."""

ROLES = ("roles", "roles, 5 acceptors")
REPLICAS = ("3 replicas", "5 replicas")
SMALL = ("3 replicas", "roles")
SHORT_MINUTES = 0.5
"""How long those go on here that could go on for ever."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """A scenario and the layouts in which it makes sense. `is_partial`: it is about some links being gone."""

    play: Scenario
    layouts: tuple[str, ...] = tuple(LAYOUTS)
    is_partial: bool = False


SCENARIOS: Mapping[str, Scripted] = {
    "C01": Scripted(crash.c01_crash_before_sync),
    "C02": Scripted(crash.c02_crash_after_sync),
    "C03": Scripted(crash.c03_promise_survives),
    "C05": Scripted(crash.c05_power_loss_of_all),
    "C06": Scripted(crash.c06_power_loss_and_partition),
    "C07": Scripted(crash.c07_crash_after_some_accepts, ("5 replicas", *ROLES)),  # of three, one more is a quorum
    "C07 two ballots": Scripted(mixed.c07_two_ballots, ROLES),
    "C08": Scripted(crash.c08_crash_before_telling),
    "C10": Scripted(crash.c10_all_restart),
    "C11": Scripted(crash.c11_crash_in_recovery),
    "C12": Scripted(snapshots.c12_crashes),
    "C14": Scripted(floor.c14_crash_while_trimming),
    "C15": Scripted(crash.c15_paused_leader),
    "C17": Scripted(crash.c17_blocked_leader),
    "C18": Scripted(partial(crash.c18_storm, minutes=SHORT_MINUTES)),
    "D02": Scripted(disk.d02_failed_sync),
    "D03": Scripted(disk.d03_disk_full),
    "D03 one without room": Scripted(space.d03_one_without_room),
    "D06": Scripted(disk.d06_damaged_row),
    "D06 asked for": Scripted(disk.d06_damaged_row_is_asked_for, ROLES),
    "D07": Scripted(disk.d07_damaged_last_row),
    "D10": Scripted(lost.d10_wiped_voter),
    "D16 follower": Scripted(disk.d16_slow_follower),
    "D16 leader": Scripted(disk.d16_slow_leader),
    "D18": Scripted(snapshots.d18_wrong_byte),
    "D21": Scripted(disk.d21_damaged_everywhere),
    "D22": Scripted(identity.d22_wrong_bit, REPLICAS),  # of two learners nobody can say which one is wrong
    "I05": Scripted(lost.i05_one_blank_one_stale, ("3 replicas", "roles")),
    "I06": Scripted(lost.i06_rolled_back),
    "I08": Scripted(identity.i08_copy),
    "I09": Scripted(identity.i09_restored),
    "I10": Scripted(lost.i10_two_blank, ("5 replicas", "roles, 5 acceptors")),
    "K02": Scripted(network.k02_drift),
    "K05": Scripted(client.k05_session_expiry),
    "L01": Scripted(client.l01_lost_reply),
    "L02": Scripted(client.l02_retry_after_restart),
    "L04": Scripted(client.l04_sequence_gap),
    "L07": Scripted(client.l07_read_at_a_new_leader),
    "L07 old leader": Scripted(client.l07_read_at_an_old_leader),
    "L07 heartbeat before": Scripted(reading.l07_heartbeat_before, ROLES),
    "L07 earlier ballot": Scripted(reading.l07_earlier_ballot, ROLES),
    "L07 restarted gateway": Scripted(reading.l07_restarted_gateway),
    "L10": Scripted(client.l10_follow_the_log),
    "L14": Scripted(client.l14_stale_read),
    "N01": Scripted(links.n01_leader_in_minority, is_partial=True),
    "N02": Scripted(links.n02_quorum_loss, is_partial=True),
    "N04": Scripted(links.n04_chained, is_partial=True),
    "N06": Scripted(links.n06_one_way, is_partial=True),
    "N08": Scripted(partial(network.n08_repeated, late_s=60.0)),
    "N09 promises": Scripted(network.n09_late_promises),
    "N09 votes": Scripted(network.n09_late_votes, ROLES),
    "N10": Scripted(network.n10_lossy, REPLICAS),
    "N11": Scripted(partial(links.n11_flapping, minutes=1), is_partial=True),
    "N13": Scripted(snapshots.n13_far_behind),
    "N13 two": Scripted(snapshots.n13_two_at_once, ("5 replicas",)),
    "N13 overtaken": Scripted(snapshots.n13_overtaken),
    "N17": Scripted(network.n17_full_queue, ("3 replicas", "roles")),
    "N18": Scripted(network.n18_old_frames),
    "N20": Scripted(network.n20_client_sees_few),
    "N* any links": Scripted(links.any_links, is_partial=True),
    "O07": Scripted(partial(network.o07_duel, minutes=SHORT_MINUTES)),
    "O09": Scripted(space.o09_nearly_full),
    "O09 learners": Scripted(space.o09_learners),
    "R* re-entered": Scripted(recipes.reentered, SMALL),
    "R* lost inside": Scripted(recipes.lost_inside, SMALL),
    "R* dead inside": Scripted(recipes.dead_inside, SMALL),
    "R* newcomers": Scripted(recipes.newcomers, SMALL),
    "R* woken at the door": Scripted(recipes.woken_at_the_door, SMALL),
    "R* opener gone": Scripted(recipes.opener_gone, SMALL),
    "R* given back": Scripted(recipes.given_back, SMALL),
    "R* leaders": Scripted(recipes.leaders, SMALL),
    "S* forged sessions": Scripted(greedy.forged_sessions),
    "S* late opening": Scripted(greedy.late_opening),
    "S* lagging gateway": Scripted(greedy.lagging_gateway),
    "S* many readers": Scripted(greedy.many_readers),
    "U13": Scripted(snapshots.u13_trimmed_while_asked),
    "U13 floor": Scripted(floor.u13_below_the_floor, ROLES),
    "U13 only one left": Scripted(floor.u13_only_one_learner_left, ROLES),
    "U15": Scripted(client.u15_handing_over),
    "U19": Scripted(client.u19_one_acceptors_vote, ROLES),
    "U19 mixed votes": Scripted(mixed.u19_mixed_votes, ROLES),
    "U19 few accept": Scripted(mixed.u19_few_accept, ("roles, 5 acceptors",)),
    "U19 late page": Scripted(mixed.u19_late_page, ROLES),
    "W01": Scripted(rogue.w01_highest_numbers),
    "W02": Scripted(rogue.w02_chosen_by_nobody),
    "W03": Scripted(rogue.w03_refusals_and_questions),
    "W04": Scripted(rogue.w04_lives),
    "W05": Scripted(rogue.w05_climb),
}
"""By the id of what they play, and where there are several by a word more."""


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario in one layout over all seeds: the slowest recovery in election timeouts, the most leaders that were
    elected in a run, the most rounds that the ballots grew by, and what failed, by seed."""

    id: str
    what: str
    layout: str
    is_partial: bool
    seeds: int
    recovered_t_e: float
    leader_changes: int
    ballots: int
    failed: Mapping[int, str]


def stagings(names: Iterable[str] = tuple(SCENARIOS)) -> Iterator[tuple[str, str]]:
    """These scenarios (all of them), by name, in every layout in which they make sense."""
    return ((name, layout) for name in names for layout in SCENARIOS[name].layouts)


def play(name: str, layout: str, seeds: Iterable[int]) -> Row:
    """One row of the table."""
    tried = tuple(seeds)
    scripted = SCENARIOS[name]
    reports: list[Report] = []
    failed: dict[int, str] = {}
    for seed in tried:
        try:
            report = scripted.play(seed, layout)
        except Violation as violation:
            failed[seed] = str(violation)
            continue
        reports.append(report)
        if report.recovered_t_e > RECOVER_T_E:
            failed[seed] = f"scenario: served again after {report.recovered_t_e:.1f} T_e, not within {RECOVER_T_E}"
    return Row(
        name,
        _what(scripted.play),
        layout,
        scripted.is_partial,
        len(tried),
        max((report.recovered_t_e for report in reports), default=0.0),
        max((report.leader_changes for report in reports), default=0),
        max((report.ballots for report in reports), default=0),
        failed,
    )


def trace(name: str, layout: str, seed: int) -> tuple[list[str], str]:
    """What happens in a scenario, line by line, and what is wrong with it in the end; empty: nothing is."""
    worlds: list[World] = []
    Script.on_world = worlds.append
    try:
        row = play(name, layout, (seed,))
    finally:
        Script.on_world = None
    return [line for world in worlds for line in world.trace], row.failed.get(seed, "")


def _what(scenario: Scenario) -> str:
    """The first words of its docstring."""
    told = scenario.func if isinstance(scenario, partial) else scenario
    return " ".join((told.__doc__ or "").split(":")[0].split())
