"""What is said where nobody can lead: which disks are missing, for whom a birth waits, and what to do about it."""

from __future__ import annotations

from paxosd.core.continuing import Continues
from paxosd.core.messages import Heartbeat, PreVote, PreVoteReply
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.standstill import NAMES_CHARS_MAX, told_lost, told_missing, told_unborn, told_unlike
from paxosd.core.types import NO_DISK, SENTENCE_CHARS_MAX, Ballot
from paxosd.core.voters import NO_VOTERS
from tests.core.helpers import FIVE, TIMING, Stage, born, disk_of, membership, proposer

THREE = born(membership())
A1, A2, A3 = (disk_of(node) for node in ("a1", "a2", "a3"))


def test_nothing_is_said_while_enough_of_the_disks_that_vote_are_heard() -> None:
    assert told_missing(THREE, {"a1": A1, "a2": A2, "a3": A3}) == ""
    assert told_missing(THREE, {"a1": A1, "a2": A2, "a3": 99}) == ""
    assert told_missing(NO_VOTERS, {"a1": 1, "a2": 2}) == ""


def test_silence_alone_is_no_lost_disk() -> None:
    assert told_missing(THREE, {"a1": A1}) == ""
    assert told_missing(THREE, {}) == ""


def test_who_speaks_with_another_disk_has_lost_the_one_that_votes() -> None:
    said = told_lost(THREE, {"a1": 98, "a2": 99, "a3": A3})

    assert said.startswith("2 of 3 disks that vote are new or went back (a1, a2): nothing happens by itself")
    assert told_missing(THREE, {"a1": 98, "a2": 99}) == said


def test_a_lost_disk_that_others_could_admit_says_whom_to_bring_back() -> None:
    said = told_missing(THREE, {"a1": 98, "a2": A2})

    assert said.startswith("the disk of a1 is new or went back")
    assert "bring back a3 with the directory that it had" in said
    assert told_lost(THREE, {"a1": 98, "a2": A2}) == ""


def test_a_disk_that_was_lost_before_a_new_one_had_copied_is_named_with_the_one_that_cannot() -> None:
    said = told_missing(THREE, {"a1": A1, "a2": 99, "a3": A3}, copying={"a1"})

    assert said.startswith("the disk of a2 is new or went back, and a1 has a new one that cannot copy without it")
    assert "bring back a2 with the directory that it had; or, if that is gone, stop all nodes" in said
    assert "bring back a2 with" in told_missing(THREE, {"a1": A1, "a3": 99}, copying={"a1"})
    assert told_missing(THREE, {"a1": A1, "a2": A2, "a3": A3}, copying={"a1"}) == ""


def test_a_new_disk_that_can_copy_from_the_others_is_no_standstill() -> None:
    five = born(membership(roles=FIVE))
    disks = {node: disk_of(node) for node in ("a1", "a2", "a3", "a4")}

    assert told_missing(five, disks | {"a5": 99}, copying={"a1"}) == ""


def test_a_disk_that_was_left_out_of_the_birth_is_not_heard_by_having_none() -> None:
    left_out = THREE._replace(named=tuple(each._replace(disk=NO_DISK) for each in THREE.named[:1]) + THREE.named[1:])

    assert told_missing(left_out, {"a1": 5, "a2": A2, "a3": A3}) == ""
    assert "1 of 3" not in told_lost(left_out, {"a2": A2})


def test_a_birth_names_whom_it_waits_for_and_whom_one_could_leave_out() -> None:
    quorum = Quorum.majority(dict.fromkeys(("a1", "a2", "a3"), 1))

    assert (
        "a3 is not; start it; or, only if it has never run, start the proposers with --birth-without a3"
        in told_unborn(quorum, ["a3"])
    )
    assert told_unborn(quorum, ["a2", "a3"]).endswith("a2, a3 are not; start them")
    assert "have not said" in told_unborn(quorum, [])
    five = Quorum.majority(dict.fromkeys(("a1", "a2", "a3", "a4", "a5"), 1))
    assert "only if they have never run, start the proposers with --birth-without for each of them" in told_unborn(
        five, ["a2", "a3"]
    )


def test_disks_that_continue_different_ends_are_named_with_both() -> None:
    first, second = Continues(b"h" * 16, 5, b"digest"), Continues(b"h" * 16, 9, b"digest")
    pasts = {"a1": first.past, "a2": first.past, "a3": second.past, "a4": b"", "a5": b"format 1"}
    said = told_unlike(Quorum.majority(dict.fromkeys(pasts, 1)), pasts)

    assert "a1, a2: history 68686868 up to slot 4; a3: history 68686868 up to slot 8" in said
    assert "a4: nothing was there before; a5: an upgraded directory" in said


def test_where_some_directories_are_upgraded_or_restored_and_others_blank_nobody_is_told_to_empty_them_all() -> None:
    quorum = Quorum.majority(dict.fromkeys(("a1", "a2", "a3"), 1))
    for past in (b"format 1", Continues(b"h" * 16, 5, b"digest").past):
        one = told_unlike(quorum, {"a1": past, "a2": past, "a3": b""})
        two = told_unlike(quorum, {"a1": past, "a2": b"", "a3": b""})

        assert "give a3 a directory that is upgraded or restored as those of the others are" in one
        assert "if there is none, stop all nodes and start the proposers with --birth-without a3" in one
        assert "give a2, a3 directories that are upgraded or restored" in two
        assert "--birth-without" not in two  # what was acknowledged may be on their disks alone
        assert "empty directories" not in one
        assert two.endswith("or, only if all that was before may be lost, start all with empty directories")


def test_whatever_is_said_fits_a_sentence() -> None:
    long = {f"acceptor-{number:02}{'x' * 50}": index for index, number in enumerate(range(40), 1)}
    voters = THREE._replace(named=tuple(THREE.named[0]._replace(node=node) for node in long))
    quorum = Quorum.majority(dict.fromkeys(long, 1))
    said = [
        told_lost(voters, dict.fromkeys(long, 77)),
        told_missing(voters, dict.fromkeys(list(long)[:19], 77)),
        told_unborn(quorum, list(long)[:2]),
        told_unborn(quorum, list(long)[:19]),
        told_unlike(quorum, {node: Continues(b"h" * 16, index).past for node, index in long.items()}),
        told_unlike(quorum, {node: b"" if index < 20 else b"format 1" for node, index in long.items()}),
        told_unlike(quorum, {node: b"format 1" if index < 20 else b"" for node, index in long.items()}),
    ]

    assert [len(each) for each in said if len(each) > SENTENCE_CHARS_MAX] == []
    assert all(said)
    assert len(told_unborn(quorum, list(long)[:19])) > NAMES_CHARS_MAX


def answer(stage: Stage[Proposer], **disks: int) -> None:
    ballot = stage.take(PreVote)[-1][1].ballot
    for node, disk in disks.items():
        stage.deliver(node, PreVoteReply(ballot, False, Ballot(1, "p2"), 1, disk, THREE))


def test_a_proposer_says_once_that_disks_are_lost_and_no_more_when_somebody_leads() -> None:
    stage = proposer()
    for _ in range(3):
        stage.wait(2 * TIMING.election_s)
        answer(stage, a1=98, a2=99, a3=A3)
    stage.wait(2 * TIMING.election_s)
    said = [(event.name, event.is_warning) for event in stage.events]
    lost = stage.agent.lost
    stage.deliver("p2", Heartbeat(Ballot(10**6, "p2"), 1, 1, 0, THREE))

    assert said == [("disk.quorum_lost", True)]
    assert lost.startswith("2 of 3 disks that vote are new or went back (a1, a2)")
    assert stage.agent.lost == ""
    stage.set_aside()


def test_a_proposer_takes_no_silence_for_a_lost_disk() -> None:
    stage = proposer(roles=FIVE)
    for _ in range(3):
        stage.wait(2 * TIMING.election_s)
        answer(stage, a1=disk_of("a1"), a2=99)
    stage.wait(2 * TIMING.election_s)

    assert stage.agent.lost == ""
    stage.set_aside()
