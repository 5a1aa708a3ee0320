"""A node that joins a history: of what it heard and did before, when it knew of none, nothing counts that may be of
another one. It may have heard the leader of a cluster with the same file whose history was not born yet."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from paxosd.core.acceptor import Acceptor
from paxosd.core.continuing import Continues
from paxosd.core.decrees import Birth, encode_decree
from paxosd.core.learner import Learner
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    DiskSpace,
    Durable,
    FetchedVotes,
    FetchVotes,
    Heartbeat,
    Message,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Trim,
    Watermark,
)
from paxosd.core.proposer import Proposer
from paxosd.core.space import Space
from paxosd.core.types import FIRST_SLOT, Ballot, Slot, Vote
from paxosd.core.voters import NO_VOTERS
from tests.core.helpers import LIMITS, TIMING, Stage, Steady, born, disk_of, membership, noop, value

MEMBERS = membership()
OURS = born(MEMBERS)
"""The history that is joined; its disk of a3 is lost."""
LOW, HIGH, ABOVE = Ballot(1, "p2"), Ballot(9, "p1"), Ballot(10, "p2")
FOREIGN = Birth(b"of another one  ", b"", 2, 2, (("a1", 1, 1), ("a2", 2, 1), ("a3", 3, 1)))


def acceptor(*records: Continues) -> Stage[Acceptor]:
    stage = Stage(
        lambda disk: Acceptor("a3", MEMBERS, TIMING, LIMITS, disk, Random(1)), records, MEMBERS, is_born=False
    )
    stage.set_aside()
    return stage


def proposer() -> Stage[Proposer]:
    return Stage(lambda _: Proposer("p2", MEMBERS, TIMING, LIMITS, Steady(1)), (), MEMBERS, is_born=False)


def learner() -> Stage[Learner]:
    return Stage(lambda disk: Learner("l2", MEMBERS, TIMING, LIMITS, disk, Random(1)), (), MEMBERS, is_born=False)


def vote_for(stage: Stage[Acceptor], *values: bytes) -> None:
    """A leader without a history has it promise, and vote for these values from the first slot on."""
    stage.deliver("p1", Prepare(HIGH, FIRST_SLOT))
    for slot, each in enumerate(values, FIRST_SLOT):
        stage.deliver("p1", Accept(HIGH, slot, each, FIRST_SLOT))
    assert len(stage.take(Accepted)) == len(values)
    stage.set_aside()


def admit(stage: Stage[Acceptor], *values: bytes) -> None:
    """It joins our history, which admits its disk, and copies what was chosen there up to that decree."""
    stage.deliver("p2", Heartbeat(ABOVE, 1, FIRST_SLOT, 0, OURS))
    decreed = len(values) + 1
    voters = OURS.replaced(decreed, "a3", disk_of("a3"), stage.agent.standing.disk)
    stage.deliver("p2", Heartbeat(ABOVE, 2, decreed + 1, 0, voters))
    votes = tuple(Vote(slot, LOW, each) for slot, each in enumerate((*values, noop()), FIRST_SLOT))
    for node in ("a1", "a2"):
        stop = decreed + 1
        page = FetchedVotes(FIRST_SLOT, stop, stop, votes, stop, FIRST_SLOT, disk_of(node), 0, LOW)
        stage.deliver(node, page)
    assert stage.agent.may_vote
    stage.set_aside()


@pytest.mark.parametrize("restarts", [False, True])
def test_a_new_disk_tells_what_it_copied_though_it_voted_higher_before_it_knew_the_history(restarts: bool) -> None:
    stage = acceptor()
    vote_for(stage, encode_decree(1, FOREIGN))
    if restarts:
        stage.restart()
    admit(stage, value(b"chosen"))
    stage.deliver("l1", FetchVotes(1, 2))

    assert [vote.value for vote in stage.take_one(FetchedVotes).votes] == [value(b"chosen")]
    assert stage.disk.vote(1).value == value(b"chosen")  # type: ignore[union-attr]
    stage.set_aside()


@pytest.mark.parametrize("restarts", [False, True])
def test_what_a_disk_voted_for_before_it_knew_the_history_binds_nobody_there(restarts: bool) -> None:
    stage = acceptor()
    vote_for(stage, noop(), noop(), noop(), noop())
    admit(stage, value(b"chosen"))
    if restarts:
        stage.restart()
        stage.agent.standing.sure = True
    stage.deliver("p2", Prepare(Ballot(20, "p2"), FIRST_SLOT, stage.agent.voters))

    promise = stage.take_one(Promise)
    assert [vote.slot for vote in promise.votes] == [1, 2]
    assert promise.end
    stage.set_aside()


def test_a_birth_that_continues_something_else_is_not_voted_for() -> None:
    past = Continues(b"the history over", 4, b"")
    births = {blank: replace(FOREIGN, continues=b"" if blank else past.past) for blank in (True, False)}
    for is_blank in (True, False):
        stage = acceptor(*([] if is_blank else [past]))
        stage.deliver("p1", Prepare(HIGH, FIRST_SLOT))
        stage.set_aside()
        stage.deliver("p1", Accept(HIGH, FIRST_SLOT, encode_decree(1, births[not is_blank]), FIRST_SLOT))
        assert stage.disk.vote(1) is None
        stage.expect_silence()
        stage.deliver("p1", Accept(HIGH, FIRST_SLOT, encode_decree(1, births[is_blank]), FIRST_SLOT))
        assert stage.disk.vote(1) is not None
        stage.set_aside()


WORDS = [Heartbeat(HIGH, 1, 4, 0), Watermark(HIGH, 4), Accept(HIGH, 4, noop(), 4)]


@pytest.mark.parametrize("message", WORDS)
def test_an_acceptor_takes_no_watermark_of_a_history_that_is_not_born(message: Message) -> None:
    stage = acceptor()
    stage.deliver("p1", message, Trim(HIGH, 4, 4))
    for sequence in (1, 2):
        stage.deliver("p2", Heartbeat(ABOVE, sequence, 2, 0, OURS))

    assert (stage.agent.watermark, stage.agent.floor) == (2, FIRST_SLOT)
    stage.set_aside()


def test_a_learner_takes_nothing_of_a_history_that_is_not_born() -> None:
    stage = learner()
    stage.deliver("p1", Heartbeat(HIGH, 1, 9, 0), Chosen(1, noop()), Chosen(3, noop()), Watermark(HIGH, 9))
    stage.deliver("p2", Heartbeat(ABOVE, 1, 2, 0, OURS))
    stage.deliver("p2", *(Chosen(slot, value(b"%d" % slot)) for slot in (1, 2, 3)))

    assert stage.agent.watermark == 4
    stage.expect_chosen(*((slot, value(b"%d" % slot)) for slot in (1, 2, 3)))
    stage.set_aside()


def unborn_words(ballot: Ballot, watermark: Slot) -> list[tuple[str, Message]]:
    return [
        ("p1", Heartbeat(HIGH, 1, watermark, 5000)),
        ("a1", PreVoteReply(ballot, False, HIGH, watermark, 7, NO_VOTERS)),
        ("l1", Durable(watermark)),
    ]


def test_a_proposer_forgets_when_it_joins_what_it_heard_of_a_history_that_is_not_born() -> None:
    stage = proposer()
    stage.wait(2 * TIMING.election_s)
    wish = stage.take(PreVote)[-1][1].ballot
    for source, word in unborn_words(wish, 9):
        stage.deliver(source, word)
    stage.deliver("p1", Heartbeat(Ballot(10, "p1"), 1, 2, 3, OURS))
    assert stage.agent.watermark == 2
    stage.wait(2 * TIMING.election_s)
    wish = stage.take(PreVote)[-1][1].ballot
    stage.set_aside()
    for node in ("a1", "a2"):
        stage.deliver(node, PreVoteReply(wish, True, HIGH, 2, disk_of(node), OURS))
    prepare = stage.take(Prepare)[0][1]
    for node in ("a1", "a2"):
        promise = Promise(prepare.ballot, prepare.from_slot, 2, True, (), 2, FIRST_SLOT, disk_of(node))
        stage.deliver(node, promise)

    assert prepare.from_slot == 1
    assert stage.agent.leading, stage.agent.loss
    assert stage.take(Heartbeat)[-1][1].log_time_ms < 5000
    stage.set_aside()


def test_a_new_learner_hears_how_its_own_disk_is_before_it_knows_who_votes() -> None:
    stage = learner()
    stage.deliver("l2", DiskSpace(Space.FULL, 1, 0, False))

    assert not stage.agent.ignored
    stage.set_aside()
