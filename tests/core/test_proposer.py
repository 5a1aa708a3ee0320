"""The proposer until it leads: when it campaigns, with which ballots, and what it makes of promises.

For the life of a leader see `test_proposer_leading.py`.
"""

from __future__ import annotations

import pytest

from paxosd.core.candidate import ELECTION_SPREAD, Phase
from paxosd.core.messages import (
    Accept,
    Heartbeat,
    Nack,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Resign,
    Watermark,
)
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.records import Round
from paxosd.core.types import FIRST_SLOT, NO_BALLOT, Ballot, NodeId, Slot, Vote
from tests.core.helpers import FIVE, ROLES, TIMING, Stage, canvass, elect, heartbeat, noop, promise, proposer

T = TIMING.election_s
LATEST = T * (1 + ELECTION_SPREAD) + 0.001
"""After so much silence a campaign has certainly begun."""
THEIRS = Ballot(5, "p2")
ALL_FIVE = dict.fromkeys(("a1", "a2", "a3", "a4", "a5"), 1)


def granted(ballot: Ballot, promised: Ballot = NO_BALLOT, watermark: Slot = FIRST_SLOT) -> PreVoteReply:
    return PreVoteReply(ballot, True, promised, watermark)


def refused(ballot: Ballot, promised: Ballot = NO_BALLOT, watermark: Slot = FIRST_SLOT) -> PreVoteReply:
    return PreVoteReply(ballot, False, promised, watermark)


def phase(stage: Stage[Proposer]) -> Phase:
    return stage.agent.phase


def canvassing(stage: Stage[Proposer]) -> Ballot:
    """It has just asked for pre-votes."""
    while not stage.take(PreVote):
        stage.wait(0.05)
    stage.set_aside()
    return stage.agent.ballot


# ---- when it campaigns -----------------------------------------------------------------------


def test_at_the_start_it_campaigns_within_an_election_timeout() -> None:
    stage = proposer()
    stage.wait(T * 0.09)
    stage.expect_silence()
    stage.wait(T)

    for asked in ("a1", "a2", "a3", "l1", "l2"):
        stage.expect_sent(asked, PreVote(Ballot(1, "p1")), early=True)
    stage.expect_recorded()  # a wish uses up no ballot


def test_while_it_hears_a_leader_it_never_campaigns() -> None:
    stage = proposer()
    for _ in range(100):
        stage.deliver("p2", heartbeat(THEIRS))
        stage.wait(T * 0.9)

    stage.expect_silence()
    assert (stage.agent.phase, stage.agent.ballot) == (Phase.FOLLOWING, THEIRS)


def test_it_campaigns_after_one_to_one_and_a_half_election_timeouts_of_silence() -> None:
    began = []
    for seed in range(20):
        stage = proposer()
        stage.agent._random.seed(seed)
        stage.deliver("p2", heartbeat(THEIRS))
        heard_at = stage.now
        due = stage.agent.next_deadline()
        assert due is not None
        began.append(due - heard_at)

    assert min(began) >= T
    assert max(began) <= T * 1.5
    assert max(began) - min(began) > 0.3 * T


def test_without_a_quorum_it_asks_again_for_the_same_ballot_and_records_nothing() -> None:
    stage = proposer()
    first = canvassing(stage)
    stage.deliver("a1", granted(first))
    stage.wait(LATEST)

    assert {message.ballot for _, message in stage.take(PreVote)} == {first}
    stage.expect_recorded()
    stage.expect_silence()


def test_after_its_leader_resigned_it_campaigns_soon() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    stage.deliver("p2", Resign(THEIRS))
    stage.wait(0.2 * T)

    assert len(stage.take(PreVote)) == 5


@pytest.mark.parametrize(
    ("source", "ballot"), [("p1", THEIRS), ("p2", Ballot(4, "p2")), ("p3", Ballot(5, "p3"))], ids=str
)
def test_only_the_leader_that_it_follows_can_resign(source: NodeId, ballot: Ballot) -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    stage.deliver(source, Resign(ballot))
    stage.wait(0.9 * T)

    stage.expect_silence()


def test_a_resignation_that_comes_while_it_campaigns_changes_nothing() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    ballot = canvassing(stage)
    due = stage.agent.next_deadline()
    stage.deliver("p2", Resign(THEIRS))

    assert (stage.agent.ballot, stage.agent.next_deadline()) == (ballot, due)


# ---- pre-votes -------------------------------------------------------------------------------


def test_with_a_quorum_of_pre_votes_its_round_is_durable_before_it_prepares() -> None:
    stage = proposer()
    ballot = canvassing(stage)
    stage.deliver("a1", granted(ballot))
    stage.expect_silence()
    stage.deliver("a2", granted(ballot))

    stage.expect_recorded(Round(1))
    for acceptor in ("a1", "a2", "a3"):
        stage.expect_sent(acceptor, Prepare(Ballot(1, "p1"), 1), early=False)


def test_refused_repeated_foreign_and_late_pre_votes_do_not_count() -> None:
    stage = proposer()
    ballot = canvassing(stage)
    stage.deliver("a1", granted(ballot), granted(ballot))
    stage.deliver("a2", refused(ballot), granted(Ballot(ballot.round + 1, "p1")))
    stage.deliver("l1", granted(ballot))
    stage.deliver("p2", granted(ballot))

    stage.expect_silence()
    assert phase(stage) is Phase.CANVASSING
    stage.deliver("a3", granted(ballot))
    assert phase(stage) is Phase.PREPARING
    stage.deliver("a2", granted(ballot))
    assert stage.agent.ignored["pre-vote that does not count"] == 5
    stage.set_aside()


def test_pre_votes_that_are_an_election_timeout_old_do_not_count() -> None:
    """We stood still meanwhile, and somebody may lead by now."""
    stage = proposer()
    ballot = canvassing(stage)
    stage.now += TIMING.election_s
    stage.agent.receive("a1", stage._dressed("a1", granted(ballot)), stage.now)
    stage.agent.receive("a2", stage._dressed("a2", granted(ballot)), stage.now)

    assert phase(stage) is Phase.CANVASSING
    assert stage.agent.ignored["pre-vote that comes too late"] == 2
    stage.set_aside()


def test_pre_votes_of_an_earlier_campaign_do_not_count_in_a_later_one() -> None:
    stage = proposer()
    ballot = canvassing(stage)
    stage.deliver("a1", granted(ballot))
    again = canvassing(stage)
    stage.deliver("a2", granted(again))

    assert phase(stage) is Phase.CANVASSING


def test_it_prepares_only_if_an_accept_quorum_would_follow_too() -> None:
    stage = proposer(roles=FIVE, quorum=Quorum(ALL_FIVE, prepare=2, accept=4))
    ballot = canvassing(stage)
    for acceptor in ("a1", "a2", "a3"):
        stage.deliver(acceptor, granted(ballot))
    stage.expect_silence()
    stage.deliver("a4", granted(ballot))

    assert phase(stage) is Phase.PREPARING
    stage.set_aside()


def test_it_prepares_only_if_a_prepare_quorum_would_follow() -> None:
    stage = proposer(roles=FIVE, quorum=Quorum(ALL_FIVE, prepare=4, accept=2))
    ballot = canvassing(stage)
    for acceptor in ("a1", "a2", "a3"):
        stage.deliver(acceptor, granted(ballot))

    stage.expect_silence()
    assert phase(stage) is Phase.CANVASSING


# ---- ballots ---------------------------------------------------------------------------------


def test_its_ballot_is_above_every_promise_it_was_told_of() -> None:
    stage = proposer()
    ballot = canvassing(stage)
    stage.deliver("a3", refused(ballot, promised=Ballot(8, "p2")))
    stage.deliver("a1", granted(ballot))
    stage.deliver("a2", granted(ballot))

    assert stage.agent.ballot == Ballot(9, "p1")
    stage.expect_recorded(Round(9))
    stage.set_aside()


def test_its_ballot_is_above_every_leader_it_heard() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(Ballot(12, "p2")))

    assert canvass(stage) == Ballot(13, "p1")
    stage.set_aside()


def test_c10_no_ballot_is_used_twice_by_two_lives() -> None:
    stage = proposer()
    used = []
    for _ in range(5):
        canvass(stage)
        used += [message.ballot for _, message in stage.take(Prepare, "a1")]
        stage.set_aside()
        stage.restart()

    assert used == [Ballot(number, "p1") for number in (1, 2, 3, 4, 5)]


def test_no_ballot_is_used_twice_in_one_life() -> None:
    stage = proposer()
    used = []
    for _ in range(5):
        canvass(stage)
        used += [message.ballot for _, message in stage.take(Prepare, "a1")]
        stage.set_aside()

    assert len(used) == len(set(used)) == 5


def test_a_ballot_whose_round_was_not_committed_was_never_sent() -> None:
    stage = proposer()
    ballot = canvassing(stage)
    stage.deliver("a1", granted(ballot))
    stage.crash_before_commit("a2", granted(ballot))

    stage.expect_silence()
    stage.expect_recorded()
    assert canvass(stage) == Ballot(1, "p1")
    stage.set_aside()


# ---- phase 1 ---------------------------------------------------------------------------------


def test_it_prepares_from_one_slot_below_the_highest_watermark_it_knows() -> None:
    stage = proposer()
    canvass(stage, watermark=30)

    assert {message.from_slot for _, message in stage.take(Prepare)} == {29}
    stage.set_aside()


def test_it_leads_once_a_prepare_quorum_promised() -> None:
    stage = proposer()
    ballot = canvass(stage)
    stage.set_aside()
    stage.deliver("a1", promise(ballot))
    assert phase(stage) is Phase.PREPARING
    stage.deliver("a2", promise(ballot))

    assert stage.agent.leading
    assert {target for target, _ in stage.take(Heartbeat)} == set(ROLES)
    assert {message for _, message in stage.take(Accept)} == {Accept(ballot, 1, noop(), 1)}
    [event] = stage.events
    assert (event.name, event.fields) == ("leader.elected", {"ballot": "1.p1", "watermark": 1, "next_slot": 1})
    stage.set_aside()


def test_n09_repeated_late_and_foreign_promises_do_not_count() -> None:
    stage = proposer()
    canvass(stage)
    old = stage.agent.ballot
    ballot = canvass(stage)
    assert ballot > old
    stage.set_aside()
    stage.deliver("a1", promise(ballot), promise(ballot))
    stage.deliver("a2", promise(old))
    stage.deliver("l1", promise(ballot))
    stage.deliver("p2", promise(ballot))

    assert phase(stage) is Phase.PREPARING
    stage.expect_silence()
    stage.expect_ignored("promise that is not awaited", 4)


def test_a_promise_that_comes_after_the_election_is_ignored() -> None:
    stage = proposer()
    ballot = elect(stage)
    stage.set_aside()
    stage.deliver("a3", promise(ballot, Vote(1, THEIRS, b"too late")))

    stage.expect_silence()
    stage.expect_ignored("promise that is not awaited")


def test_who_has_not_told_everything_is_asked_again_from_where_it_stopped() -> None:
    stage = proposer()
    ballot = canvass(stage)
    stage.set_aside()
    stage.deliver("a1", Promise(ballot, 1, 4, False, (Vote(1, THEIRS, b"v"),), 1, FIRST_SLOT))
    stage.expect_sent("a1", Prepare(ballot, 4))
    stage.deliver("a2", promise(ballot))
    stage.expect_silence()
    stage.wait(TIMING.retry_s)

    stage.expect_sent("a1", Prepare(ballot, 4))
    stage.expect_sent("a3", Prepare(ballot, 1))
    stage.expect_silence()


def test_a_page_that_comes_twice_is_not_asked_for_twice() -> None:
    stage = proposer()
    ballot = canvass(stage)
    stage.set_aside()
    page = Promise(ballot, 1, 4, False, (Vote(1, THEIRS, b"v"),), 1, FIRST_SLOT)
    stage.deliver("a1", page, page)

    stage.expect_sent("a1", Prepare(ballot, 4))
    stage.expect_silence()


def test_as_long_as_pages_come_it_does_not_begin_again() -> None:
    stage = proposer()
    ballot = canvass(stage)
    for slot in range(1, 20):
        stage.deliver("a1", Promise(ballot, slot, slot + 1, False, (Vote(slot, THEIRS, b"v"),), 1, FIRST_SLOT))
        stage.wait(0.9 * T)

    assert (stage.agent.phase, stage.agent.ballot) == (Phase.PREPARING, ballot)
    stage.set_aside()


def test_without_a_quorum_of_promises_it_canvasses_again() -> None:
    stage = proposer()
    ballot = canvass(stage)
    stage.deliver("a1", promise(ballot))
    stage.set_aside()
    stage.wait(LATEST)

    assert {message.ballot for _, message in stage.take(PreVote)} == {Ballot(2, "p1")}
    assert phase(stage) is Phase.CANVASSING
    stage.set_aside()


# ---- giving way ------------------------------------------------------------------------------


def test_a_refusal_sends_it_back_to_waiting_and_its_next_ballot_is_higher() -> None:
    stage = proposer()
    ballot = canvass(stage)
    stage.set_aside()
    stage.deliver("a2", Nack(ballot, THEIRS))
    assert phase(stage) is Phase.FOLLOWING
    due = stage.agent.next_deadline()
    assert due is not None
    assert due >= stage.now + T
    stage.wait(LATEST)

    assert {message.ballot for _, message in stage.take(PreVote)} == {Ballot(6, "p1")}


def test_a_refusal_of_an_older_ballot_is_only_a_hint() -> None:
    stage = proposer()
    ballot = canvass(stage)
    stage.set_aside()
    stage.deliver("a2", Nack(Ballot(ballot.round - 1, "p1"), THEIRS))

    assert (stage.agent.phase, stage.agent.ballot) == (Phase.PREPARING, ballot)


def test_a_leader_gives_way_to_a_refusal() -> None:
    stage = proposer()
    ballot = elect(stage)
    stage.set_aside()
    stage.deliver("a2", Nack(ballot, THEIRS))

    assert phase(stage) is Phase.FOLLOWING
    [event] = stage.events
    assert (event.name, event.fields) == ("leader.lost", {"ballot": "1.p1", "why": "ballot 5.p2 is about"})
    stage.set_aside()


def bring(stage: Stage[Proposer], until: str) -> None:
    if until == "canvassing":
        canvassing(stage)
    elif until == "preparing":
        canvass(stage)
    else:
        elect(stage)


@pytest.mark.parametrize("until", ["canvassing", "preparing", "leading"])
def test_a_heartbeat_of_a_higher_ballot_ends_a_campaign_and_a_leadership(until: str) -> None:
    stage = proposer()
    bring(stage, until)
    stage.deliver("p2", heartbeat(THEIRS, watermark=8))
    stage.set_aside()
    stage.wait(0.9 * T)

    assert (stage.agent.phase, stage.agent.ballot, stage.agent.watermark) == (Phase.FOLLOWING, THEIRS, 8)
    stage.expect_silence()


@pytest.mark.parametrize("until", ["preparing", "leading"])
def test_a_heartbeat_of_a_lower_ballot_is_one_of_an_old_leader(until: str) -> None:
    stage = proposer(records=[Round(8)])
    bring(stage, until)
    before = (stage.agent.phase, stage.agent.ballot)
    stage.deliver("p2", heartbeat(THEIRS, watermark=8))

    assert (stage.agent.phase, stage.agent.ballot) == before
    assert stage.agent.watermark == FIRST_SLOT
    stage.expect_ignored("heartbeat of an old leader")
    stage.set_aside()


def test_a_wish_gives_way_to_a_leader_of_a_lower_ballot() -> None:
    stage = proposer(records=[Round(8)])
    canvassing(stage)
    stage.deliver("p2", heartbeat(THEIRS))

    assert (stage.agent.phase, stage.agent.ballot) == (Phase.FOLLOWING, THEIRS)


def test_a_follower_stays_with_the_higher_of_two_leaders() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    stage.deliver("p3", heartbeat(Ballot(4, "p3")))

    assert stage.agent.ballot == THEIRS
    stage.expect_ignored("heartbeat of an old leader")


def test_a_heartbeat_in_another_name_is_ignored() -> None:
    stage = proposer()
    stage.deliver("p3", heartbeat(THEIRS))

    assert stage.agent.ballot == NO_BALLOT
    stage.expect_ignored("message of a foreign ballot")


def test_its_own_heartbeat_is_no_news() -> None:
    stage = proposer()
    ballot = elect(stage)
    stage.set_aside()
    stage.deliver("p1", heartbeat(ballot, watermark=9))

    assert stage.agent.leading
    assert stage.agent.watermark == FIRST_SLOT


def test_a_round_on_disk_above_which_none_fits_is_reported_and_no_campaign_begins() -> None:
    stage = proposer(records=[Round(2**63 - 1)])
    stage.wait(10 * TIMING.election_s)

    assert [event.name for event in stage.events] == ["rounds.exhausted"]
    stage.events.clear()
    stage.expect_silence()


# ---- our own pauses --------------------------------------------------------------------------


def pause(stage: Stage[Proposer], seconds: float) -> None:
    """The process stands still; what came meanwhile waits."""
    stage.now += seconds


def test_what_a_leader_tells_the_acceptor_beside_us_shows_that_it_leads() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    for slot in range(1, 50):
        stage.wait(T * 0.9)
        stage.deliver("p2", Accept(THEIRS, slot, noop(), slot), Watermark(THEIRS, slot))

    stage.expect_silence()
    assert phase(stage) is Phase.FOLLOWING


def test_the_word_of_somebody_who_does_not_lead_is_no_sign_of_life() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    stage.wait(T * 0.9)
    stage.deliver("p3", Accept(Ballot(4, "p3"), 1, noop(), 1), Accept(THEIRS, 1, noop(), 1))
    stage.wait(T * 0.61)

    assert stage.take(PreVote)


def test_after_a_pause_of_its_own_it_listens_before_it_campaigns() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    pause(stage, 3 * T)
    stage.turn()
    stage.expect_silence()  # the leader's word may be the next frame
    stage.deliver("p2", heartbeat(THEIRS))
    stage.wait(T * 0.9)

    stage.expect_silence()
    assert phase(stage) is Phase.FOLLOWING


def test_after_a_pause_of_its_own_it_campaigns_if_there_is_nothing_to_hear() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    pause(stage, 3 * T)
    stage.turn()
    stage.wait(2 * TIMING.heartbeat_s)

    assert len(stage.take(PreVote)) == 5


def test_pauses_again_and_again_do_not_keep_it_from_campaigning() -> None:
    stage = proposer()
    stage.deliver("p2", heartbeat(THEIRS))
    for _ in range(2):
        pause(stage, 3 * T)
        stage.turn()

    assert len(stage.take(PreVote)) == 5
