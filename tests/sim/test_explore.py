"""Small worlds, visited whole: every law holds in every one, and a broken role is found by a shortest way."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from paxosd.core.acceptor import Acceptor
from paxosd.core.agent import Timer
from paxosd.core.messages import Heartbeat
from paxosd.core.phase1 import PhaseOne
from paxosd.core.quorum import Quorum
from paxosd.core.records import Promised, Record, Voted
from paxosd.core.types import Instant, Vote
from paxosd.sim.explore import Report, explore
from paxosd.sim.explore_world import Configuration

ELECTIONS_ONLY = frozenset({Timer.ELECTION})
CALM = Configuration(slots=2, rounds=1, crashes=0, lost=(Heartbeat,), timers=ELECTIONS_ONLY)
"""Two proposers duel for two slots; no crash, and nothing but a proposer's impatience makes things happen."""

BROKEN_WITHIN = 300_000


def test_a_world_of_one_acceptor_and_one_crash_is_visited_whole() -> None:
    report = explore(Configuration(acceptors=1, slots=1, rounds=1, crashes=1, window_slots=1))

    assert report.complete
    assert report.violation is None
    assert report.distinct_states > 20_000
    assert report.seen["two ballots duelled"] is not None


def test_a_world_of_three_acceptors_and_one_proposer_is_visited_whole() -> None:
    report = explore(Configuration(acceptors=3, proposers=1, slots=1, rounds=1, crashes=0, window_slots=1))

    assert report.complete
    assert report.violation is None
    assert report.seen["a value was chosen"] is not None


def test_the_same_world_is_visited_in_the_same_way_each_time() -> None:
    first, second = (explore(CALM, 30_000) for _ in range(2))

    assert first == second


@pytest.mark.slow
def test_five_million_worlds_with_a_crash_keep_every_law() -> None:
    report = explore(Configuration(slots=2, rounds=1, crashes=1), 5_000_000)

    assert report.violation is None
    assert report.distinct_states >= 5_000_000
    assert None not in report.seen.values()


# ---- it is seen to fail ----------------------------------------------------------------------


def broken(configuration: Configuration = CALM) -> str:
    report: Report = explore(configuration, BROKEN_WITHIN)
    assert report.violation is not None, f"{report.distinct_states} states and no law broken"
    assert report.violation.lines
    return report.violation.law


def test_a_quorum_of_half_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Quorum, "can_accept", lambda self, voters: len(set(voters)) >= 1)

    assert broken() in ("agreement", "what is called chosen is chosen")


def test_a_prepare_quorum_of_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Quorum, "can_prepare", lambda self, voters: len(set(voters)) >= 1)

    assert broken() in ("agreement", "P2c")


def test_a_leader_that_forgets_what_was_reported_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PhaseOne, "value", lambda self, slot: None)

    assert broken() in ("agreement", "P2c")


def test_a_vote_that_does_not_raise_the_promise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def vote(self: Acceptor, vote: Vote) -> None:
        self._votes[vote.slot] = vote
        self._votes_stop = max(self._votes_stop, vote.slot + 1)
        self.record(Voted(vote.slot, vote.ballot, vote.value))

    monkeypatch.setattr(Acceptor, "_vote", vote)

    assert broken() in ("no vote below the promise", "durable before told")


def test_an_acceptor_that_forgets_its_votes_in_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Acceptor.restore

    def forget(self: Acceptor, records: Iterable[Record], now: Instant) -> None:
        restore(self, [record for record in records if isinstance(record, Promised)], now)

    monkeypatch.setattr(Acceptor, "restore", forget)

    assert broken(Configuration(slots=1, rounds=1, crashes=1, window_slots=1, lost=(Heartbeat,))) in (
        "a promise tells every vote",
        "agreement",
        "P2c",
    )
