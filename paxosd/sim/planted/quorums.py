"""Planted: which acceptors are enough for what, where the two sizes of quorums differ and weights do."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Scenarios, Seeds
from paxosd.sim.planted.planting import Bug, listed, other

QUORUMS: tuple[Bug, ...] = (
    listed(
        "quorum = n//2",
        Edit("core.quorum:Quorum.majority", ast.BinOp, "sum weights", "_ - 1"),
        shows_in=Seeds(3, 10),
    ),
    other(
        "an accept quorum ends phase 1",
        Edit("core.phase1:PhaseOne.complete", ast.Attribute, "can_prepare", "self._count.quorum.can_accept"),
        shows_in=Seeds(0, 10, "quorums"),
    ),
    other(
        "a prepare quorum chooses a value",
        Edit("core.phase2:PhaseTwo.vote", ast.Attribute, "can_accept", "self._quorum.can_prepare"),
        shows_in=Seeds(0, 10, "quorums"),
    ),
    other(
        "learner trusts one acceptor",
        Edit("core.catchup:CatchUp.take_votes", ast.Call, "can_prepare", "self._answers"),
        shows_in=Scenarios(("U19 mixed votes",), layout="roles", seeds=4),
    ),
    other(
        "learner trusts an accept quorum",
        Edit("core.catchup:CatchUp.take_votes", ast.Attribute, "can_prepare", "self._count.quorum.can_accept"),
        shows_in=Scenarios(("U19 few accept",)),
    ),
    other(
        "every acceptor weighs the same",
        Edit("core.quorum:Quorum._weight", ast.Call, "sum weights", "len({*voters} & {*self.weights})"),
        shows_in=Seeds(12, 24, "quorums"),
    ),
    other(
        "one less is a prepare quorum, too",
        Edit("core.quorum:Quorum.can_prepare", ast.Attribute, "prepare", "max(1, _ - 1)"),
        shows_in=Seeds(0, 10, "quorums"),
    ),
    other(
        "one less is an accept quorum, too",
        Edit("core.quorum:Quorum.can_accept", ast.Attribute, "accept", "max(1, _ - 1)"),
        shows_in=Seeds(0, 10, "quorums"),
    ),
    other(
        "leader does not step down without a quorum",
        Edit("core.proposer:Proposer._check_quorum", ast.Call, "can_accept _heard", "True"),
        shows_in=Scenarios(("N01",), layout="3 replicas"),
    ),
)
