"""Bugs that the simulator found, each as the smallest test that shows it; see `docs/track-record.md`."""

from __future__ import annotations

from paxosd.core.acceptor import Acceptor
from paxosd.core.membership import Membership, Role
from paxosd.core.messages import Prepare, Promise
from paxosd.core.options import Limits, Timing
from paxosd.core.phase1 import PhaseOne
from paxosd.core.quorum import Quorum
from paxosd.core.types import Ballot
from paxosd.storage.memory import MemoryStore

ROLES = {"p1": Role.PROPOSER, "a1": Role.ACCEPTOR, "a2": Role.ACCEPTOR, "a3": Role.ACCEPTOR, "l1": Role.LEARNER}
MEMBERSHIP = Membership(ROLES, Quorum.majority({"a1": 1, "a2": 1, "a3": 1}))


def test_the_promise_of_an_acceptor_that_lags_behind_the_watermark_counts() -> None:
    """Seed 16: its last vote was below the slot it was asked from, its promise went backwards, nobody could lead."""
    acceptor = Acceptor("a1", MEMBERSHIP, Timing(), Limits(), MemoryStore())
    acceptor.restore([], 0.0)
    ballot = Ballot(1, "p1")
    phase1 = PhaseOne(ballot, 147, MEMBERSHIP.acceptors, MEMBERSHIP.quorum)

    acceptor.receive("p1", Prepare(ballot, 147), 0.0)
    (_, promise), *_ = acceptor.take_output().messages

    assert isinstance(promise, Promise)
    assert phase1.take("a1", promise)
    assert promise.end
