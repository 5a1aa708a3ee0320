"""Bugs that the simulator found, each as the smallest test that shows it; see `docs/track-record.md`."""

from __future__ import annotations

from random import Random

from paxosd.core.acceptor import Acceptor
from paxosd.core.membership import Membership, Role
from paxosd.core.messages import Prepare, Promise, ReadLog
from paxosd.core.options import Limits, Timing
from paxosd.core.phase1 import PhaseOne
from paxosd.core.quorum import Quorum
from paxosd.core.types import Ballot
from paxosd.core.voters import NO_VOTERS, Count
from paxosd.gateway.readers import REFUSED_AFTER_S, Readers
from paxosd.storage.memory import MemoryStore

ROLES = {"p1": Role.PROPOSER, "a1": Role.ACCEPTOR, "a2": Role.ACCEPTOR, "a3": Role.ACCEPTOR, "l1": Role.LEARNER}
MEMBERSHIP = Membership(ROLES, Quorum.majority({"a1": 1, "a2": 1, "a3": 1}))


def test_the_promise_of_an_acceptor_that_lags_behind_the_watermark_counts() -> None:
    """Seed 16: its last vote was below the slot it was asked from, its promise went backwards, nobody could lead."""
    acceptor = Acceptor("a1", MEMBERSHIP, Timing(), Limits(), MemoryStore(), Random(1))
    acceptor.restore([], 0.0)
    ballot = Ballot(1, "p1")
    phase1 = PhaseOne(ballot, 147, MEMBERSHIP.acceptors, Count(NO_VOTERS))

    acceptor.receive("p1", Prepare(ballot, 147), 0.0)
    acceptor.tick(0.0)  # pages are answered at the end of a turn
    (_, promise), *_ = acceptor.take_output().messages

    assert isinstance(promise, Promise)
    assert phase1.take("a1", promise)
    assert promise.end


def test_a_confirmed_read_that_waits_for_apply_keeps_no_node_awake() -> None:
    """Its own deadline was over at once, and so the driver never slept until the learner had caught up."""
    readers = Readers()
    readers.add(b"client", ReadLog(1, 1, linearizable=True, seen=0, wait_ms=0), 5.0)
    readers.confirm(readers.start_round(5.0), applied=9)
    readers.move_on(next_slot=3, revision=2, log_revision=2, now=5.0)

    assert readers.take() is None
    assert readers.next_deadline() == 5.0 + REFUSED_AFTER_S
