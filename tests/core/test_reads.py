"""Read rounds: answers to a heartbeat confirm the rounds that were opened before it, and no others."""

from __future__ import annotations

from paxosd.core.quorum import Quorum
from paxosd.core.reads import ReadRounds

QUORUM = Quorum.majority({"a1": 1, "a2": 1, "a3": 1})


def rounds(quorum: Quorum = QUORUM) -> ReadRounds:
    return ReadRounds(quorum)


def test_many_reads_share_a_round_that_a_quorum_confirms() -> None:
    reads = rounds()
    assert not reads.waiting
    reads.add("l1", 1)
    reads.add("l2", 1)
    assert reads.waiting
    reads.start(7, watermark=5)
    assert not reads.waiting

    assert reads.confirm("a1", 7) == []
    assert reads.confirm("a2", 7) == [(("l1", 1), 5), (("l2", 1), 5)]
    assert reads.confirm("a3", 7) == []


def test_an_answer_to_an_older_heartbeat_confirms_nothing() -> None:
    reads = rounds()
    reads.add("l1", 1)
    reads.start(7, watermark=5)

    assert reads.confirm("a1", 6) == []
    assert reads.confirm("a2", 6) == []
    assert reads.confirm("a2", 7) == []
    assert reads.confirm("a3", 7) == [(("l1", 1), 5)]


def test_an_answer_to_a_later_heartbeat_confirms_too() -> None:
    reads = rounds()
    reads.add("l1", 1)
    reads.start(7, watermark=5)

    assert reads.confirm("a1", 9) == []
    assert reads.confirm("a2", 8) == [(("l1", 1), 5)]


def test_an_acceptor_confirms_once() -> None:
    reads = rounds()
    reads.add("l1", 1)
    reads.start(7, watermark=5)

    assert [reads.confirm("a1", sequence) for sequence in (7, 7, 8)] == [[], [], []]


def test_a_stranger_confirms_nothing() -> None:
    reads = rounds()
    reads.add("l1", 1)
    reads.start(7, watermark=5)

    assert [reads.confirm(stranger, 7) for stranger in ("p1", "l1", "l2")] == [[], [], []]


def test_a_round_keeps_the_watermark_of_its_beginning() -> None:
    reads = rounds()
    reads.add("l1", 1)
    reads.start(7, watermark=5)
    reads.add("l2", 4)
    reads.start(8, watermark=6)

    assert reads.confirm("a1", 8) == []
    assert reads.confirm("a2", 8) == [(("l1", 1), 5), (("l2", 4), 6)]


def test_a_read_that_comes_while_a_round_is_open_waits_for_the_next_one() -> None:
    reads = rounds()
    reads.add("l1", 1)
    reads.start(7, watermark=5)
    reads.add("l2", 4)

    reads.confirm("a1", 7)
    assert reads.confirm("a2", 7) == [(("l1", 1), 5)]
    assert reads.waiting


def test_the_same_question_asked_twice_is_one() -> None:
    reads = rounds()
    reads.add("l1", 1)
    reads.add("l1", 1)
    reads.start(7, watermark=5)
    reads.confirm("a1", 7)

    assert reads.confirm("a2", 7) == [(("l1", 1), 5)]


def test_an_accept_quorum_confirms() -> None:
    reads = rounds(Quorum(dict.fromkeys(("a1", "a2", "a3", "a4", "a5"), 1), prepare=4, accept=2))
    reads.add("l1", 1)
    reads.start(7, watermark=5)

    assert reads.confirm("a4", 7) == []
    assert reads.confirm("a5", 7) == [(("l1", 1), 5)]


def test_all_that_is_unanswered_can_be_dropped() -> None:
    reads = rounds()
    reads.add("l1", 1)
    reads.start(7, watermark=5)
    reads.add("l2", 4)

    assert sorted(reads.drop_all()) == [("l1", 1), ("l2", 4)]
    assert not reads.waiting
    assert [reads.confirm(voter, 9) for voter in ("a1", "a2", "a3")] == [[], [], []]
