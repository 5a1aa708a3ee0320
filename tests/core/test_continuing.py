"""A node that was restored: it goes on in one history only, and has nothing to do with the one that is over."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from paxosd.core.continuing import Continues
from paxosd.core.decrees import Birth, Replace, after, encode_decree
from paxosd.core.learner import Learner
from paxosd.core.messages import Heartbeat, PreVote, PreVoteReply
from paxosd.core.node import Node
from paxosd.core.proposer import Proposer
from paxosd.core.records import Record
from paxosd.core.types import NO_BALLOT, Ballot, HistoryId, Slot
from paxosd.core.values import encode_value
from paxosd.core.voters import NO_VOTERS, Known, Voter, Voters
from paxosd.storage.memory import MemoryStore
from tests.core.helpers import LIMITS, TIMING, Stage, Steady, disk_of, learned, membership, promise

B3 = Ballot(3, "p1")
OLD, NEW = b"the history over", b"one that goes on"
CONTINUES = Continues(OLD, 4, b"digest")


def voters(history: HistoryId, birth: Slot) -> Voters:
    return Voters(history, birth, birth, 1, 1, (Voter("a1", 5, birth, 1),))


def known(*records: Record) -> Known:
    found = Known()
    found.restore(records)
    return found


def test_the_history_that_is_over_is_refused_however_it_is_told() -> None:
    node = known(CONTINUES)

    assert node.refuses(OLD)
    assert not node.refuses(NEW)
    assert not node.take_up(voters(OLD, 1))
    assert not node.take_up(NO_VOTERS._replace(history=OLD))
    assert node.voters == NO_VOTERS


def test_it_joins_a_history_that_is_born_where_its_own_log_ends_and_no_other() -> None:
    node = known(CONTINUES)

    assert not node.take_up(voters(NEW, 3))
    assert not node.take_up(voters(NEW, 5))
    assert not node.hear_of(NEW)  # its name alone does not say where it was born
    assert not node.take_up(NO_VOTERS._replace(history=NEW))
    assert node.take_up(voters(NEW, 4))
    assert known(CONTINUES, voters(NEW, 4)).voters == voters(NEW, 4)


def test_proposers_say_that_acceptors_were_restored_to_different_ends() -> None:
    stage = Stage(lambda _: Proposer("p1", membership(), TIMING, LIMITS, Steady(1)), is_born=False)
    stage.wait(TIMING.election_s)
    wish = stage.take(PreVote)[-1][1].ballot
    for node in ("a1", "a2", "a3"):
        stage.deliver(node, PreVoteReply(wish, True, NO_BALLOT, 1, disk_of(node)))
    for node, ends in (("a1", 4), ("a2", 4), ("a3", 5)):
        past = Continues(OLD, ends, b"digest").past
        stage.deliver(node, replace(promise(stage.agent.ballot), disk=disk_of(node), past=past))

    assert not stage.agent.leading
    assert [(event.name, event.is_warning) for event in stage.events] == [("history.disks_differ", True)]
    assert "a1, a2: history 74686520 up to slot 3; a3: history" in stage.agent.loss
    stage.set_aside()


def test_who_continues_nothing_refuses_nothing() -> None:
    assert not known().refuses(OLD)
    assert known().take_up(voters(OLD, 1))


def test_what_a_promise_tells_differs_wherever_two_restores_do() -> None:
    others = [
        Continues(NEW, 4, b"digest"),
        Continues(OLD, 5, b"digest"),
        Continues(OLD, 4, b"other!"),
        Continues(b"", 4),
    ]

    assert len({each.past for each in [CONTINUES, *others, Continues(OLD, 4, b"digest")]}) == 5


def test_a_replacement_from_before_the_birth_makes_no_voters() -> None:
    assert after(NO_VOTERS, 9, Replace("a1", 5, 6)) == NO_VOTERS


HEARD = [voters(OLD, 1), voters(NEW, 5), NO_VOTERS._replace(history=OLD)]


@pytest.mark.parametrize("told", HEARD)
def test_decrees_of_the_history_that_is_over_mean_nothing_and_its_leader_is_not_heard(told: Voters) -> None:
    birth = encode_decree(1, Birth(OLD, b"", 1, 1, (("a1", 5, 1),)))
    log = learned(birth, encode_value(2), encode_decree(3, Replace("a1", 5, 6)))
    disk = MemoryStore()
    disk.commit([*log, CONTINUES])
    role = Learner("l1", membership(), TIMING, LIMITS, disk, Random(1))
    node = Node("l1", membership(), LIMITS, learner=role)
    node.restore(disk.records(), 0.0)
    node.tick(0.0)
    node.receive("p1", Heartbeat(B3, 1, 9, 0, told, ()), 0.0)

    assert role.next_slot == 4
    assert (node.voters, role.watermark, role.ballot) == (NO_VOTERS, 4, NO_BALLOT)
    assert node.ignored["voters of another history"] == 1
