"""Planted: promises, votes, ballots, and what is proposed for them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from paxosd.core.types import Ballot
from paxosd.sim.planted.editing import Edit, Patch
from paxosd.sim.planted.places import Scenarios, Seeds
from paxosd.sim.planted.planting import Bug, listed, other


def _by_round(compare: Callable[[int, int], bool]) -> Callable[[Any], Callable[[Ballot, Ballot], bool]]:
    return lambda _: lambda ballot, another: compare(ballot[0], another[0])


def _count_a_vote_told_twice_as_two(vote: Callable[..., bytes | None]) -> Callable[..., bytes | None]:
    def count(self: Any, voter: str, slot: int) -> bytes | None:
        proposal = self._in_flight.get(slot)
        again = proposal is not None and voter in proposal.voters
        other_voter = next(name for name in self._quorum.weights if name != voter)
        return vote(self, other_voter if again else voter, slot)

    return count


_EARLIER_ROUND = "{}.ballot.round < self.promised.round"

VOTES: tuple[Bug, ...] = (
    listed(
        "accept without raising promise",
        Edit("core.acceptor:Acceptor._vote", ast.Expr, "_promise", "pass"),
        Edit("core.acceptor:Acceptor._vote", ast.Expr, "require", "pass"),
    ),
    listed(
        "`>` for `>=` in accept", Edit("core.acceptor:Acceptor._speaks_for_leader", ast.Lt, "ballot promised", "<=")
    ),
    listed(
        "`>=` for `>` in prepare: one round promised to two owners",
        Edit("core.acceptor:Acceptor._on_prepare", ast.Lt, "ballot promised", _EARLIER_ROUND.format("message")),
        Edit("core.acceptor:Acceptor._tell_promise", ast.Lt, "ballot promised", _EARLIER_ROUND.format("asked")),
        shows_in=Scenarios(("O07",), layout="5 replicas"),
    ),
    listed(
        "count p2b of older ballot",
        Edit("core.proposer:Proposer._on_accepted", ast.NotEq, "ballot self", "False"),
        shows_in=Scenarios(("N09 votes",), layout="roles"),
    ),
    listed(
        "count duplicate acks",
        Patch("core.phase2:PhaseTwo.vote", _count_a_vote_told_twice_as_two),
        shows_in=Seeds(0, 1),
    ),
    listed(
        "pick first accepted seen",
        Edit("core.phase1:PhaseOne.take", ast.Gt, "ballot known", "False"),
        shows_in=Scenarios(("C07 two ballots",), layout="roles"),
    ),
    listed(
        "no-op over reported value",
        Edit("core.bound:Bound._bound_value", ast.Assign, "bound= _phase1", "bound = None"),
    ),
    listed(
        "ballot without node id",
        *(
            Patch(f"core.types:Ballot.__{name}__", _by_round(getattr(operator, name)))
            for name in ("eq", "ne", "lt", "le", "gt", "ge")
        ),
        Patch("core.types:Ballot.__hash__", lambda _: lambda ballot: hash(ballot[0])),
        shows_in=Scenarios(("O07",), layout="5 replicas"),
    ),
    listed(
        "accepted not restored",
        Edit("core.acceptor:Acceptor.restore", ast.Expr, "_votes Vote", "pass"),
        shows_in=Seeds(4, 10),
    ),
    other("promise not restored", Edit("core.acceptor:Acceptor.restore", ast.Assign, "promised=", "pass")),
    other(
        "round not restored",
        Edit("core.candidate:Candidate.restore", ast.Assign, "_round=", "pass"),
        shows_in=Scenarios(("C10",), layout="roles"),
    ),
    other(
        "a vote of another ballot is taken as chosen",
        Edit("core.acceptor:Acceptor._note_watermark", ast.Eq, "vote ballot", "True"),
    ),
    other(
        "retry with another value",
        Edit("core.proposer:Proposer._retry", ast.Attribute, "proposal value", "encode_value(self._highest.round)"),
    ),
    other(
        "watermark jumps over a gap",
        Edit(
            "core.phase2:PhaseTwo.vote",
            ast.While,
            "watermark _chosen_above",
            "self.watermark = max(self.watermark, slot)\n_",
        ),
        shows_in=Seeds(2, 10),
    ),
    other("window not kept", Edit("core.phase2:PhaseTwo.has_room", ast.Lt, "next_slot watermark", "<=")),
)
