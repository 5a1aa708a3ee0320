"""A leader stamps a slot where something ran out and nobody proposes: once, for all that ask, and nothing else."""

from __future__ import annotations

import pytest

from paxosd.core.messages import Chosen, WantTime
from paxosd.core.proposer import Proposer
from paxosd.core.values import is_noop, stamp_ms
from tests.core.helpers import Stage, choose, elect, lead, proposer
from tests.core.test_proposer_leading import forward, proposed


def log_time(stage: Stage[Proposer]) -> int:
    return stage.agent._log_time.stamp(stage.now)


def leader() -> Stage[Proposer]:
    stage = proposer()
    lead(stage)
    stage.wait(0.05)
    stage.set_aside()
    return stage


def test_a_log_time_that_has_come_is_told_to_the_log_by_a_noop_once_for_all_that_ask() -> None:
    stage = leader()
    wanted = log_time(stage)
    stage.deliver("l1", WantTime(wanted))
    ((slot, value),) = proposed(stage)
    stage.deliver("l2", WantTime(wanted), WantTime(wanted - 5))
    assert proposed(stage) == []
    choose(stage, stage.agent.ballot, slot)
    stage.take(Chosen)
    stage.deliver("l2", WantTime(wanted))

    assert is_noop(value)
    assert stamp_ms(value) >= wanted
    assert proposed(stage) == []
    stage.set_aside()


def test_a_log_time_that_has_not_come_moves_nothing() -> None:
    stage = leader()
    stage.deliver("l1", WantTime(log_time(stage) + 1), WantTime(2**63 - 1))
    stage.wait(0.03)

    assert proposed(stage) == []
    stage.set_aside()


def test_where_commands_wait_they_tell_the_time() -> None:
    stage = leader()
    stage.deliver("l1", WantTime(log_time(stage)), forward())
    ((_, value),) = proposed(stage)

    assert not is_noop(value)
    stage.turn()
    assert proposed(stage) == []


def test_what_is_in_flight_with_an_older_stamp_is_waited_for_and_then_the_time_is_told() -> None:
    stage = leader()
    stage.deliver("l1", forward())
    ((slot, _),) = proposed(stage)
    stage.wait(0.02)
    wanted = log_time(stage)
    stage.deliver("l1", WantTime(wanted))
    assert proposed(stage) == []
    choose(stage, stage.agent.ballot, slot)
    ((_, value),) = proposed(stage)

    assert is_noop(value)
    assert stamp_ms(value) >= wanted
    stage.set_aside()


def test_a_leader_that_leads_again_does_not_count_what_it_proposed_before() -> None:
    stage = leader()
    wanted = log_time(stage)
    stage.deliver("l1", WantTime(wanted))
    assert len(proposed(stage)) == 1
    stage.wait(2.0)  # a quorum is silent
    elect(stage)
    stage.set_aside()

    assert not stage.agent._wanted.is_due(0)
    stage.agent._wanted.want(wanted, wanted)
    assert stage.agent._wanted.is_due(0)


@pytest.mark.parametrize("times", [1, 3])
def test_who_does_not_lead_proposes_nothing_for_the_time(times: int) -> None:
    stage = proposer()
    stage.deliver("l1", *[WantTime(0)] * times)

    assert proposed(stage) == []
