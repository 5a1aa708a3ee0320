"""The S-level rows of the list of scenarios, by id, as scripted runs of the simulated cluster with every invariant on.

What a row expects is checked where it is played (`paxosd/sim/scenarios/`); here stands with how many seeds.
`paxosd sim --scenarios` plays all of them with as many seeds as one likes.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from paxosd.sim.check.invariants import Violation
from paxosd.sim.scenarios import crash, links, network
from paxosd.sim.scenarios.catalogue import SCENARIOS, Scenario, Scripted, play, stagings
from paxosd.sim.scenarios.props import LAYOUTS, Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script, begin

PACKAGE = Path(__file__).parents[3] / "paxosd"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Dropped frames are no news here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def holds(name: str, seeds: int) -> None:
    """This scenario ends as it must, in each of its layouts and with each seed."""
    rows = [play(name, layout, range(seeds)) for layout in SCENARIOS[name].layouts]

    assert [(row.layout, row.failed) for row in rows if row.failed] == []


def recovers(scenario: Scenario, layout: str, seeds: int = 1) -> None:
    """The same for one that is played longer here than in the table."""
    assert max(scenario(seed, layout).recovered_t_e for seed in range(seeds)) <= RECOVER_T_E


# ---- crashes -----------------------------------------------------------------------------------


def test_c01_an_acceptor_that_ends_before_its_vote_is_synced_told_nobody_and_either_outcome_is_safe() -> None:
    outcomes = {crash.c01_crash_before_sync(seed, layout).text for layout in LAYOUTS for seed in range(5)}

    assert outcomes == {"kept", "lost"}


def test_c02_an_acceptor_that_ends_before_it_tells_its_vote_tells_it_from_disk() -> None:
    holds("C02", 3)


def test_c03_a_promise_survives_a_power_cut_and_refuses_a_lower_ballot() -> None:
    holds("C03", 3)


def test_c05_after_a_power_loss_of_all_nothing_acknowledged_is_missing() -> None:
    holds("C05", 5)


def test_c06_a_minority_that_lost_its_power_and_a_parted_rest_do_not_split() -> None:
    holds("C06", 2)


def test_c07_the_next_leader_proposes_again_what_one_acceptor_has_and_fills_the_hole() -> None:
    holds("C07", 3)


def test_c08_what_a_quorum_voted_for_stays_though_nobody_was_told() -> None:
    holds("C08", 3)


def test_c10_after_a_restart_of_all_the_first_ballot_is_above_every_promise() -> None:
    holds("C10", 2)


def test_c11_a_node_that_ends_at_each_step_of_its_recovery_recovers_what_the_others_have() -> None:
    holds("C11", 1)


def test_c12_a_learner_that_ends_at_any_step_of_taking_a_snapshot_goes_on_with_the_old_state_or_the_new_one() -> None:
    holds("C12", 3)


def test_c14_an_acceptor_that_ends_while_it_lets_go_of_votes_has_all_above_its_floor() -> None:
    holds("C14", 2)


def test_c15_a_leader_that_stood_still_confirms_no_read_and_steps_down() -> None:
    holds("C15", 3)


def test_c17_a_leader_that_was_blocked_acts_in_its_old_ballot_no_more() -> None:
    holds("C17", 3)


def test_c18_after_a_storm_of_crashes_every_call_ends() -> None:
    holds("C18", 1)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_c18_after_ten_minutes_of_storm_every_call_ends(layout: str) -> None:
    recovers(crash.c18_storm, layout, 2)


# ---- disks -------------------------------------------------------------------------------------


def test_d02_a_vote_whose_sync_failed_is_told_only_once_it_is_durable() -> None:
    holds("D02", 3)


def test_d03_a_node_whose_disk_is_full_is_away_until_there_is_room() -> None:
    holds("D03", 2)


def test_d03_one_node_of_several_that_has_no_room_lives_and_the_others_go_on() -> None:
    holds("D03 one without room", 1)


@pytest.mark.parametrize("name", ["O09", "O09 learners"])
def test_o09_commands_that_have_no_room_are_refused_and_all_else_goes_on(name: str) -> None:
    holds(name, 3)


def test_d06_a_vote_that_cannot_be_read_is_refused_and_the_rest_goes_on() -> None:
    holds("D06", 3)


def test_d06_an_old_vote_that_cannot_be_read_is_never_told_as_none() -> None:
    holds("D06 asked for", 2)


def test_d07_a_last_vote_that_cannot_be_read_is_no_torn_tail() -> None:
    holds("D07", 3)


def test_d16_a_slow_disk_of_a_follower_slows_nobody_else() -> None:
    holds("D16 follower", 1)


def test_d16_a_slow_disk_of_the_leader_costs_at_most_one_change() -> None:
    holds("D16 leader", 2)


def test_d21_a_slot_that_can_be_read_nowhere_halts_everybody_and_is_named() -> None:
    holds("D21", 2)


# ---- disks that are lost -----------------------------------------------------------------------


def test_d10_a_wiped_disk_and_one_that_missed_it_do_not_choose_another_value() -> None:
    holds("D10", 2)


def test_d22_a_wrong_bit_in_the_state_of_one_replica_is_found_and_that_one_serves_nothing() -> None:
    holds("D22", 1)


def test_i05_a_blank_disk_and_an_old_one_serve_nobody_until_the_third_is_back() -> None:
    holds("I05", 2)


def test_i06_a_disk_that_went_back_in_time_is_noticed_and_votes_as_a_new_one_only() -> None:
    holds("I06", 2)


def test_i08_of_a_node_and_a_copy_of_it_one_is_heard_and_the_node_works_on() -> None:
    holds("I08", 2)


def test_i09_u11_a_restored_cluster_and_the_stragglers_of_the_old_one_are_two_histories() -> None:
    holds("I09", 5)


def test_i10_two_of_five_disks_are_replaced_while_writes_go_on() -> None:
    holds("I10", 2)


# ---- partial connectivity ------------------------------------------------------------------------


def test_n01_a_leader_in_a_minority_acknowledges_nothing_and_the_majority_goes_on() -> None:
    holds("N01", 6)


def test_n02_the_only_node_that_reaches_a_quorum_leads_though_it_hears_the_old_leader() -> None:
    holds("N02", 3)


def test_n04_a_chain_settles_with_at_most_one_change() -> None:
    holds("N04", 2)


def test_n06_links_that_carry_one_way_cause_no_perpetual_election() -> None:
    holds("N06", 4)


def test_n11_flapping_links_cause_no_flapping_leaders() -> None:
    holds("N11", 3)


def test_n11_links_that_flap_for_ten_minutes() -> None:
    recovers(links.n11_flapping, "3 replicas")


def test_no_links_whatever_stall_a_cluster_while_a_proposer_reaches_a_quorum() -> None:
    holds("N* any links", 6)


def test_a_scenario_that_does_not_end_as_it_must_or_recovers_too_late_failed_with_its_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def odd_seeds_fail(seed: int, layout: str) -> Report:
        """Every other one fails: that is all it does."""
        if seed % 2:
            raise Violation("scenario", "odd")
        return Report(recovered_t_e=float(seed))

    monkeypatch.setitem(SCENARIOS, "C01", Scripted(odd_seeds_fail, ("roles",)))
    row = play("C01", "roles", [3, 4, 10])

    assert (row.id, row.what, row.layout, row.seeds) == ("C01", "Every other one fails", "roles", 3)
    assert row.recovered_t_e == 10
    assert row.failed == {3: "scenario: odd", 10: "scenario: served again after 10.0 T_e, not within 8.0"}
    assert ("C01", "roles") in stagings()
    assert ("C01", "3 replicas") not in stagings()


# ---- messages, clocks, duels ---------------------------------------------------------------------


def test_n08_messages_that_come_again_a_minute_late_do_nothing_twice() -> None:
    holds("N08", 1)


def test_n08_messages_that_come_again_ten_minutes_late_do_nothing_twice() -> None:
    recovers(network.n08_repeated, "3 replicas")


def test_n09_promises_for_an_earlier_ballot_elect_nobody() -> None:
    holds("N09 promises", 3)


def test_n09_votes_for_an_earlier_ballot_choose_nothing() -> None:
    holds("N09 votes", 3)


def test_n10_a_third_of_all_messages_lost_costs_time_and_nothing_else() -> None:
    holds("N10", 1)


def test_n17_a_full_queue_is_counted_and_caught_up_and_nobody_else_waits() -> None:
    holds("N17", 1)


def test_n18_frames_from_before_a_minute_of_absence_lead_to_no_election() -> None:
    holds("N18", 3)


def test_n20_a_client_that_sees_few_nodes_is_served_or_told_in_time() -> None:
    holds("N20", 3)


WALL_CLOCKS = {
    f"time.{name}"
    for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime", "mktime", "clock_gettime")
}


OUTSIDE_OF_NODES = {
    "commands/restore.py": "the user gives a time up to which is restored",
    "backup/taking.py": "a backup says when it was taken, for people",
    "backup/archive.py": "a segment says when its slots were seen, for restores up to a time",
    "commands/ctl/backup.py": "shows these times",
    "client/clock.py": "the kernel's clock since the boot, which nobody sets",
}
"""Files that no node imports, and what they know of such clocks."""


def test_k01_a_wall_clock_that_jumps_has_no_way_into_a_node() -> None:
    looking: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if str(path.relative_to(PACKAGE)) in OUTSIDE_OF_NODES:
            continue
        nodes = list(ast.walk(ast.parse(path.read_text())))
        modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        assert not any(isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime") for node in nodes), path
        assert "datetime" not in modules, path
        if {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)} & WALL_CLOCKS:
            looking.add(str(path.relative_to(PACKAGE)))

    assert looking == set()
    assert "time.monotonic" in (PACKAGE / "server/daemon.py").read_text()


def test_k02_clocks_that_drift_change_nothing() -> None:
    holds("K02", 2)


def test_k05_sessions_expire_alike_whatever_the_clocks_say() -> None:
    holds("K05", 2)


def test_o07_proposers_that_duel_for_ever_still_let_values_pass() -> None:
    holds("O07", 1)


# ---- wrong members, and lives that are miscounted ------------------------------------------------


def test_w01_the_highest_numbers_there_are_move_nobody_and_are_kept_by_nobody() -> None:
    holds("W01", 2)


def test_w02_what_a_proposer_that_does_not_lead_calls_chosen_is_believed_by_nobody() -> None:
    holds("W02", 2)


def test_w03_a_wrong_acceptor_that_refuses_and_asks_without_end_stops_nobody() -> None:
    holds("W03", 1)


def test_w04_a_node_that_forgot_its_lives_and_one_with_an_impostor_are_heard_again() -> None:
    holds("W04", 1)


def test_w05_a_ballot_that_was_lifted_step_by_step_is_followed_by_everybody() -> None:
    holds("W05", 2)


# ---- clients -------------------------------------------------------------------------------------


def test_l01_a_lost_reply_is_told_again_by_another_gateway() -> None:
    holds("L01", 3)


def test_l02_a_command_sent_again_after_restarts_and_another_leader_has_the_same_result() -> None:
    holds("L02", 2)


def test_l04_a_command_that_overtakes_another_is_refused_and_happens_second() -> None:
    holds("L04", 2)


def test_l07_a_new_leader_answers_no_read_before_a_value_of_its_own_ballot_is_chosen() -> None:
    holds("L07", 3)


def test_l07_late_answers_to_an_old_leader_confirm_no_read() -> None:
    holds("L07 old leader", 3)


def test_l10_who_follows_the_log_sees_every_entry_once_in_order_across_leaders() -> None:
    holds("L10", 2)


def test_l14_a_stale_read_says_how_far_it_is_and_is_never_behind_what_was_seen() -> None:
    holds("L14", 3)


def test_commands_of_sessions_that_nobody_opened_take_no_slot() -> None:
    holds("S* forged sessions", 2)


def test_a_session_that_was_forgotten_does_not_come_back_with_a_late_copy_of_its_opening() -> None:
    holds("S* late opening", 2)


def test_a_client_gets_through_a_gateway_that_is_behind() -> None:
    holds("S* lagging gateway", 3)


def test_who_fills_a_gateway_with_reads_keeps_nobody_else_from_reading() -> None:
    holds("S* many readers", 2)


def test_u13_a_learner_below_the_floor_learns_nothing_from_acceptors_and_all_from_a_learner() -> None:
    holds("U13 floor", 3)


def test_u13_what_the_only_learner_has_that_is_left_is_told_by_it_alone_and_the_others_say_whom_to_start() -> None:
    holds("U13 only one left", 3)


def test_u13_a_learner_whose_part_of_the_log_is_trimmed_while_it_asks_takes_a_snapshot() -> None:
    holds("U13", 2)


def test_d18_a_snapshot_with_a_wrong_byte_is_not_taken_up() -> None:
    holds("D18", 4)


def test_n13_learners_that_are_far_behind_take_up_a_snapshot_and_the_tail_under_load() -> None:
    holds("N13", 3)
    holds("N13 two", 3)


def test_n13_a_snapshot_that_is_overtaken_by_a_newer_one_is_given_up_for_it() -> None:
    holds("N13 overtaken", 2)


def test_u15_a_leader_that_stops_hands_over_within_an_election_timeout() -> None:
    holds("U15", 2)


def test_u19_a_learner_believes_no_single_acceptor() -> None:
    holds("U19", 4)


@pytest.mark.parametrize("name", ["L07 heartbeat before", "L07 earlier ballot", "L07 restarted gateway"])
def test_l07_no_old_answer_confirms_a_read(name: str) -> None:
    holds(name, 2)


@pytest.mark.parametrize("name", ["U19 mixed votes", "U19 few accept", "U19 late page", "C07 two ballots"])
def test_u19_c07_of_votes_of_several_ballots_the_right_one_is_taken(name: str) -> None:
    holds(name, 2)


# ---- the script itself ---------------------------------------------------------------------------


def test_29_the_same_scenario_with_the_same_seed_has_the_same_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = []
    for _ in range(2):
        script, leader = begin(3, "5 replicas")
        script.keep_only((leader, other) for other in script.nodes)
        script.run(5)
        script.heal()
        script.finish()
        hashes.append(script.world.trace_hash())

    assert hashes[0] == hashes[1]


def test_what_is_held_arrives_when_it_is_released_and_never_if_it_is_forgotten() -> None:
    script = Script(1, "roles")
    script.begin()
    everything = script.hold(object, target=["l1"])
    script.run(3)
    before = script.nodes["l1"].revision
    script.propose(script.clients[0])
    script.run(1)
    held = script.nodes["l1"].revision
    script.release(everything)
    script.finish()

    assert held == before < script.nodes["l1"].revision
