"""The exploration is seen to fail: each bug, planted into the real roles, is found within the states that stand beside
it, and told as a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from paxosd.core.acceptor import Acceptor
from paxosd.core.messages import Accepted, Promise
from paxosd.core.phase1 import PhaseOne
from paxosd.core.phase2 import PhaseTwo
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.records import Promised, Record, Round, Voted
from paxosd.core.types import Ballot, Instant, NodeId, Slot, Vote
from paxosd.driver import Driver
from paxosd.sim.explore.bounds import WORLDS, Configuration
from paxosd.sim.explore.search import Exploration, explore

Plant = Callable[[pytest.MonkeyPatch], None]

TWO_SLOTS, ONE_SLOT = WORLDS["two slots"], WORLDS["one slot"]


# ---- counting --------------------------------------------------------------------------------


def half_is_a_quorum(patch: pytest.MonkeyPatch) -> None:
    def majority(weights: dict[NodeId, int]) -> Quorum:
        half = sum(weights.values()) // 2
        return Quorum(dict(weights), half, half)

    patch.setattr(Quorum, "majority", majority)


def any_vote_is_a_quorum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Quorum, "can_accept", lambda self, voters: len(set(voters)) > 0)


def one_promise_is_enough(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Quorum, "can_prepare", lambda self, voters: len(set(voters)) > 0)


def a_vote_told_twice_counts_twice(patch: pytest.MonkeyPatch) -> None:
    vote = PhaseTwo.vote

    def count(self: PhaseTwo, voter: NodeId, slot: Slot) -> bytes | None:
        proposal = self._in_flight.get(slot)
        again = proposal is not None and voter in proposal.voters
        other = next(name for name in self._quorum.weights if name != voter)
        return vote(self, other if again else voter, slot)

    patch.setattr(PhaseTwo, "vote", count)


def votes_of_older_ballots_count(patch: pytest.MonkeyPatch) -> None:
    on_accepted = Proposer._on_accepted

    def count(self: Proposer, source: NodeId, message: Accepted, now: Instant) -> None:
        on_accepted(self, source, replace(message, ballot=self.ballot), now)

    patch.setattr(Proposer, "_on_accepted", count)


def promises_of_older_ballots_count(patch: pytest.MonkeyPatch) -> None:
    take = PhaseOne.take

    def count(self: PhaseOne, source: NodeId, promise: Promise) -> bool:
        return take(self, source, replace(promise, ballot=self.ballot))

    patch.setattr(PhaseOne, "take", count)


# ---- choosing a value ------------------------------------------------------------------------


def no_op_over_a_reported_value(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PhaseOne, "value", lambda self, slot: None)


def the_first_vote_seen_is_taken(patch: pytest.MonkeyPatch) -> None:
    take = PhaseOne.take

    def first(self: PhaseOne, source: NodeId, promise: Promise) -> bool:
        known = tuple(vote for vote in promise.votes if vote.slot not in self._highest)
        return take(self, source, replace(promise, votes=known))

    patch.setattr(PhaseOne, "take", first)


def reported_slots_are_overlooked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PhaseOne, "stop", property(lambda self: self.watermark))


def the_window_has_no_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PhaseTwo, "has_room", property(lambda self: True))


# ---- promises and votes ----------------------------------------------------------------------


def a_vote_does_not_raise_the_promise(patch: pytest.MonkeyPatch) -> None:
    def vote(self: Acceptor, vote: Vote) -> None:
        self._votes.restore(vote)
        self.record(Voted(vote.slot, vote.ballot, vote.value))

    patch.setattr(Acceptor, "_vote", vote)


def lower_ballots_are_not_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Acceptor, "_speaks_for_leader", lambda self, source, ballot, now: True)


def a_promise_keeps_a_vote_back(patch: pytest.MonkeyPatch) -> None:
    votes_in = Acceptor._votes_in

    def some(self: Acceptor, first: Slot, stop: Slot) -> tuple[tuple[Vote, ...], Slot]:
        votes, told = votes_in(self, first, stop)
        return votes[1:], told

    patch.setattr(Acceptor, "_votes_in", some)


def a_watermark_is_one_too_high(patch: pytest.MonkeyPatch) -> None:
    def note(self: Acceptor, ballot: Ballot, watermark: Slot) -> None:
        self.watermark = max(self.watermark, watermark + 1)

    patch.setattr(Acceptor, "_note_watermark", note)


# ---- what must be on disk --------------------------------------------------------------------


def promises_leave_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Acceptor, "send", lambda self, target, message: self.send_early(target, message))


def prepares_leave_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proposer, "send", lambda self, target, message: self.send_early(target, message))


def the_driver_sends_before_it_commits(patch: pytest.MonkeyPatch) -> None:
    def turn(self: Driver) -> None:
        now = self._clock()
        self._take_in(now)
        self.agent.tick(now)
        output = self.agent.take_output()
        self._send([*output.early, *output.messages])
        if output.records:
            self._store.commit(output.records)

    patch.setattr(Driver, "turn", turn)


def promises_are_not_recorded(patch: pytest.MonkeyPatch) -> None:
    leave_out(patch, Acceptor, "record", Promised)


def votes_are_not_recorded(patch: pytest.MonkeyPatch) -> None:
    leave_out(patch, Acceptor, "record", Voted)


def rounds_are_not_recorded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proposer, "record", lambda self, record: None)


def leave_out(patch: pytest.MonkeyPatch, role: type, method: str, kind: type) -> None:
    record = getattr(role, method)

    def some(self: Any, kept: Record) -> None:
        if not isinstance(kept, kind):
            record(self, kept)

    patch.setattr(role, method, some)


def votes_are_forgotten_in_a_crash(patch: pytest.MonkeyPatch) -> None:
    forget(patch, Acceptor, Voted)


def promises_are_forgotten_in_a_crash(patch: pytest.MonkeyPatch) -> None:
    forget(patch, Acceptor, Promised, Voted)


def rounds_are_forgotten_in_a_crash(patch: pytest.MonkeyPatch) -> None:
    forget(patch, Proposer, Round)


def forget(patch: pytest.MonkeyPatch, role: type[Acceptor] | type[Proposer], *kinds: type) -> None:
    restore = role.restore

    def some(self: Any, records: Iterable[Record], now: Instant) -> None:
        restore(self, [record for record in records if not isinstance(record, kinds)], now)

    patch.setattr(role, "restore", some)


# ---- each is found ---------------------------------------------------------------------------

FOUND_WITHIN: list[tuple[Plant, Configuration, int]] = [
    (half_is_a_quorum, TWO_SLOTS, 40),
    (any_vote_is_a_quorum, TWO_SLOTS, 400),
    (one_promise_is_enough, TWO_SLOTS, 40),
    (a_vote_told_twice_counts_twice, TWO_SLOTS, 400),
    (promises_of_older_ballots_count, ONE_SLOT, 200),
    (no_op_over_a_reported_value, TWO_SLOTS, 5_000),
    (reported_slots_are_overlooked, TWO_SLOTS, 40_000),
    (the_window_has_no_end, TWO_SLOTS, 8_000),
    (a_vote_does_not_raise_the_promise, TWO_SLOTS, 100),
    (lower_ballots_are_not_refused, TWO_SLOTS, 300),
    (a_promise_keeps_a_vote_back, TWO_SLOTS, 200),
    (a_watermark_is_one_too_high, TWO_SLOTS, 200),
    (promises_leave_before_the_commit, TWO_SLOTS, 1),
    (prepares_leave_before_the_commit, TWO_SLOTS, 1),
    (the_driver_sends_before_it_commits, TWO_SLOTS, 1),
    (promises_are_not_recorded, TWO_SLOTS, 1),
    (votes_are_not_recorded, TWO_SLOTS, 100),
    (rounds_are_not_recorded, TWO_SLOTS, 1),
    (votes_are_forgotten_in_a_crash, TWO_SLOTS, 200),
    (promises_are_forgotten_in_a_crash, TWO_SLOTS, 30),
    (rounds_are_forgotten_in_a_crash, TWO_SLOTS, 20),
]

FOUND_LATE: list[tuple[Plant, Configuration, int]] = [
    (votes_of_older_ballots_count, ONE_SLOT, 150_000),
    (the_first_vote_seen_is_taken, ONE_SLOT, 300_000),
]

FOUND_BY_AGREEMENT_ALONE: list[tuple[Plant, Configuration, int]] = [
    (half_is_a_quorum, ONE_SLOT, 80_000),
    (one_promise_is_enough, ONE_SLOT, 70_000),
    (no_op_over_a_reported_value, ONE_SLOT, 80_000),
    (a_promise_keeps_a_vote_back, ONE_SLOT, 80_000),
    (promises_of_older_ballots_count, ONE_SLOT, 400_000),
    (votes_are_forgotten_in_a_crash, replace(ONE_SLOT, crashes=1), 400_000),
]
"""With no law but this: that two values are never chosen, and that no role finds itself at odds with the protocol."""


def names(found: list[tuple[Plant, Configuration, int]]) -> list[str]:
    return [plant.__name__ for plant, _, _ in found]


@pytest.mark.parametrize(("plant", "configuration", "states"), FOUND_WITHIN, ids=names(FOUND_WITHIN))
def test_a_planted_bug_is_found(
    plant: Plant, configuration: Configuration, states: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    assert_found(explore(configuration, states + 1))


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "configuration", "states"), FOUND_LATE, ids=names(FOUND_LATE))
def test_a_planted_bug_that_needs_three_ballots_is_found(
    plant: Plant, configuration: Configuration, states: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    assert_found(explore(configuration, states + 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "configuration", "states"), FOUND_BY_AGREEMENT_ALONE, ids=names(FOUND_BY_AGREEMENT_ALONE)
)
def test_two_chosen_values_are_found_where_no_other_law_is_asked(
    plant: Plant, configuration: Configuration, states: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    report = explore(configuration, states + 1, laws=["agreement"])

    assert_found(report)
    assert report.violation is not None
    assert report.violation.law == "agreement"


def assert_found(report: Exploration) -> None:
    assert report.violation is not None, f"{report.distinct_states} states and no law broken"
    assert report.violation.lines[0].startswith("  1. p1 campaigns")
    assert report.violation.text.startswith(report.violation.law)


def test_a_trace_tells_what_each_node_did_up_to_the_broken_law(monkeypatch: pytest.MonkeyPatch) -> None:
    promises_are_forgotten_in_a_crash(monkeypatch)
    violation = explore(TWO_SLOTS, 100).violation

    assert violation is not None
    assert violation.text == "a promise never falls: the promise on record fell from 1.p2 to 1.p1"
    assert [line.partition("; sends")[0] for line in violation.lines] == [
        "  1. p1 campaigns, and a quorum would follow; records Round(round 1)",
        "  2. p2 campaigns, and a quorum would follow; records Round(round 1)",
        "  3. a1 receives Prepare(ballot 1.p2, from_slot 1, voters of slot 0) from p2; records Promised(ballot 1.p2); "
        "is killed after the commit and starts again",
        "  4. a1 receives Prepare(ballot 1.p1, from_slot 1, voters of slot 0) from p1; records Promised(ballot 1.p1)",
    ]


def test_a_role_that_ends_its_process_is_a_finding_with_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    lower_ballots_are_not_refused(monkeypatch)
    violation = explore(TWO_SLOTS, 1_000).violation

    assert violation is not None
    assert violation.law == "a node goes on"
    assert violation.lines[-1].endswith("a1 ends its process: InvariantBroken('a vote in 1.p1 under the promise 1.p2')")
