"""Admission: a member says no more than its role may, and no number far above what is known reaches a role."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest

from paxosd.core.admission import _ROUNDS, _SLOTS, SENDERS, Admission
from paxosd.core.candidate import FIRST_STEP_MAX
from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Durable,
    Fetch,
    Fetched,
    FetchedVotes,
    FetchSnapshot,
    FetchVotes,
    Forward,
    FromPeer,
    Heartbeat,
    HeartbeatReply,
    Message,
    Nack,
    Outdated,
    Outlived,
    Ping,
    Pong,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    ReadIndexReply,
    Recall,
    Resign,
    SnapshotPart,
    Trim,
    Watermark,
)
from paxosd.core.plausible import RISE_EVERY_S, ROUND_REACH, SLOT_REACH
from paxosd.core.records import Promised, Round, Told, Voted
from paxosd.core.types import NO_BALLOT, NO_HISTORY, Ballot, NodeId, Vote
from paxosd.core.voters import NO_VOTERS, Voter, Voters
from tests.core.helpers import LIMITS, NOON, REPLICAS, membership, session_id

B = Ballot(3, "p1")
HIGH = Ballot(2**63 - 1, "p1")
FAR = 2**63 - 1
HISTORY = b"h" * 16
BORN = Voters(HISTORY, 1, 1, 1, 1, (Voter("a1", 7, 1, 1),))


def admission(watermark: int = 1, *records: Any) -> Admission:
    made = Admission(membership(), LIMITS)
    made.restore(records, watermark, HISTORY)
    return made


def refused(source: NodeId, message: Message) -> str:
    return admission().refusal(source, message, NOON)


# ---- roles -----------------------------------------------------------------------------------


def test_every_message_between_nodes_stands_in_the_table_of_senders() -> None:
    assert set(SENDERS) == set(get_args(FromPeer)) - {Outlived}


def test_every_round_and_every_slot_of_every_message_is_looked_at() -> None:
    for message_type in SENDERS:
        kinds = {field.name: str(field.type) for field in fields(message_type)}
        assert {name for name, kind in kinds.items() if kind == "Ballot"} == set(_ROUNDS.get(message_type, ()))
        assert {name for name, kind in kinds.items() if kind == "Slot"} == set(_SLOTS.get(message_type, ()))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("p1", PreVote(B)),
        ("a1", PreVoteReply(B, True, NO_BALLOT, 1)),
        ("p1", Prepare(B, 1)),
        ("a1", Promise(B, 1, 5, True, (Vote(4, B, b"v"),), 1, 1)),
        ("a1", Nack(B, B)),
        ("p1", Accept(B, 1, b"v", 1)),
        ("a1", Accepted(B, 1)),
        ("p1", Chosen(1, b"v")),
        ("p1", Watermark(B, 1)),
        ("p1", Heartbeat(B, 1, 1, 0)),
        ("a1", HeartbeatReply(B, 1)),
        ("p1", Resign(B)),
        ("p1", Trim(B, 1, 1)),
        ("l1", Durable(1)),
        ("l1", FetchSnapshot(b"", 0, 1)),
        ("l1", SnapshotPart(b"", 1, 0, b"", 0, b"")),
        ("l1", Fetch(1)),
        ("a1", Recall(1, 1)),
        ("l1", Forward(session_id(1), 1, 1, 1, 1, b"")),
        ("p1", ReadIndexReply(1, 1)),
    ],
)
def test_a_message_is_taken_from_its_role_and_from_no_other(source: NodeId, message: Message) -> None:
    assert refused(source, message) == ""
    for other in {"p2", "a2", "l2"} - {source.replace("1", "2")}:
        assert refused(other, message) == f"{type(message).__name__} is not for the sender's role"


def test_learners_and_new_disks_of_acceptors_ask_for_votes() -> None:
    assert [refused(node, FetchVotes(1, 2)) for node in ("l1", "a1")] == ["", ""]
    assert refused("p1", FetchVotes(1, 2)) == "FetchVotes is not for the sender's role"


def test_acceptors_and_proposers_say_that_others_vote_by_now() -> None:
    assert [refused(node, Outdated(B, B, NO_VOTERS)) for node in ("a1", "p1")] == ["", ""]
    assert refused("l1", Outdated(B, B, NO_VOTERS)) == "Outdated is not for the sender's role"


def test_every_node_may_say_how_it_is() -> None:
    assert [refused(node, Pong(1, False, B, 1, 1, 0)) for node in ("p1", "a1", "l1")] == ["", "", ""]


def test_a_replica_has_every_role() -> None:
    replicas = Admission(membership(REPLICAS), LIMITS)

    for message in (Prepare(Ballot(1, "r1"), 1), Accepted(B, 1), Fetch(1), Ping(1)):
        assert replicas.refusal("r1", message, NOON) == ""


@pytest.mark.parametrize(
    "message",
    [
        PreVote(B),
        Prepare(B, 1),
        Accept(B, 1, b"v", 1),
        Watermark(B, 1),
        Heartbeat(B, 1, 1, 0),
        Resign(B),
        Trim(B, 1, 1),
    ],
)
def test_a_proposer_does_not_speak_of_the_ballot_of_another(message: Message) -> None:
    assert refused("p2", message) == "message of a foreign ballot"


# ---- numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("p1", PreVote(HIGH)),
        ("p1", Prepare(HIGH, 1)),
        ("p1", Accept(HIGH, 1, b"v", 1)),
        ("p1", Heartbeat(HIGH, 1, 1, 0)),
        ("a1", Nack(B, HIGH)),
        ("a1", PreVoteReply(B, False, HIGH, 1)),
        ("a1", Promise(B, 1, 5, True, (Vote(4, HIGH, b"v"),), 1, 1)),
        ("a1", FetchedVotes(1, 5, 5, (Vote(4, HIGH, b"v"),), 1)),
        ("a1", Pong(1, False, HIGH, 1, 1, 0)),
    ],
)
def test_a_round_far_above_what_is_known_is_refused_wherever_it_stands(source: NodeId, message: Message) -> None:
    assert refused(source, message) == "round far above what is known"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("p1", Prepare(B, FAR)),
        ("p1", Accept(B, FAR, b"v", FAR)),
        ("p1", Accept(B, 1, b"v", FAR)),
        ("p1", Chosen(FAR, b"v")),
        ("p1", Watermark(B, FAR)),
        ("p1", Heartbeat(B, 1, FAR, 0)),
        ("p1", ReadIndexReply(1, FAR)),
        ("a1", PreVoteReply(B, True, NO_BALLOT, FAR)),
        ("a1", Accepted(B, FAR)),
        ("a1", Promise(B, 1, FAR, True, (), 1, 1)),
        ("a1", Promise(B, 1, 5, True, (Vote(FAR, B, b"v"),), 1, 1)),
        ("a1", FetchedVotes(1, 5, 5, (Vote(FAR, B, b"v"),), 1)),
        ("p1", Trim(B, FAR, 1)),
        ("l1", Durable(FAR)),
        ("l1", FetchSnapshot(b"", 0, FAR)),
        ("l1", SnapshotPart(b"", FAR, 0, b"", 0, b"")),
        ("l1", Fetch(FAR)),
        ("l1", Fetched(1, (), FAR)),
        ("l1", FetchVotes(1, FAR)),
        ("l1", Pong(1, False, B, FAR, 1, 0)),
    ],
)
def test_a_slot_far_above_what_is_known_is_refused_wherever_it_stands(source: NodeId, message: Message) -> None:
    assert refused(source, message) == "slot far above what is known"


def test_what_the_own_disk_holds_is_known() -> None:
    round_, slot = 900 * ROUND_REACH, 900 * SLOT_REACH
    for record in (Round(round_), Promised(Ballot(round_, "p1"))):
        assert admission(1, record).refusal("p1", Prepare(Ballot(round_ + 1, "p1"), 1), NOON) == ""
    for known in (admission(slot), admission(1, Told(slot)), admission(1, Voted(slot, B, b"v"))):
        assert known.refusal("p1", Watermark(B, slot + 1), NOON) == ""


def test_a_node_that_lags_hears_a_leader_again_after_a_while_however_far_it_is_behind() -> None:
    lagging, now = admission(), NOON
    word = Heartbeat(Ballot(50 * ROUND_REACH, "p1"), 1, 50 * SLOT_REACH, 0)
    while lagging.refusal("p1", word, now):
        now += 0.1

    assert now - NOON <= 120 * RISE_EVERY_S


def test_a_learner_that_starts_again_hears_at_once_a_leader_after_thousands_of_lives_of_proposers() -> None:
    assert admission().refusal("p1", Heartbeat(Ballot(8000 * FIRST_STEP_MAX, "p1"), 1, 5, 0), NOON) == ""


def test_a_new_disk_in_an_old_cluster_hears_its_leader_at_once() -> None:
    newcomer = Admission(membership(), LIMITS)
    newcomer.restore((), 1, NO_HISTORY)
    word = Heartbeat(Ballot(10**8, "p1"), 1, 10**10, 0, BORN)

    assert newcomer.refusal("p1", word, NOON) == ""
    assert newcomer.refusal("p1", Watermark(B, 10**10 + SLOT_REACH), NOON) == ""


def test_a_newcomer_is_none_any_more_when_a_leader_of_a_history_was_heard() -> None:
    newcomer = Admission(membership(), LIMITS)
    newcomer.restore((), 1, NO_HISTORY)
    assert newcomer.refusal("p1", Heartbeat(B, 1, 2, 0, BORN), NOON) == ""

    assert newcomer.refusal("p1", Watermark(B, 10**10), NOON) == "slot far above what is known"


def test_who_has_a_history_on_its_disk_is_no_newcomer_after_a_restart() -> None:
    again = admission()

    assert again.refusal("p1", Watermark(B, 10**10), NOON) == "slot far above what is known"


def test_a_newcomer_stays_one_as_long_as_only_leaders_without_a_history_were_heard() -> None:
    newcomer = Admission(membership(), LIMITS)
    newcomer.restore((), 1, NO_HISTORY)
    assert newcomer.refusal("p1", Heartbeat(B, 1, 2, 0, NO_VOTERS), NOON) == ""

    assert newcomer.refusal("p1", Watermark(B, 10**10), NOON) == ""


def test_not_even_a_newcomer_takes_a_slot_that_no_cluster_reaches() -> None:
    newcomer = Admission(membership(), LIMITS)
    newcomer.restore((), 1, NO_HISTORY)

    assert newcomer.refusal("p1", Watermark(B, FAR), NOON) == "slot far above what is known"


# ---- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [0, 1])
def test_a_value_that_could_not_be_told_again_is_refused_wherever_it_stands(extra: int) -> None:
    value = bytes(LIMITS.carried_bytes_max + extra)
    reason = "value larger than any message carries" if extra else ""

    assert refused("p1", Accept(B, 1, value, 1)) == reason
    assert refused("p1", Chosen(1, value)) == reason
    assert refused("l1", Fetched(1, (b"v", value), 1)) == reason
    assert refused("a1", Promise(B, 1, 5, True, (Vote(4, B, value),), 1, 1)) == reason
    assert refused("a1", FetchedVotes(1, 5, 5, (Vote(4, B, value),), 1)) == reason
