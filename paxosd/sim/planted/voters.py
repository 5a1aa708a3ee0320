"""Planted: who may vote, the birth of a history, and disks that are lost, replaced or put back."""

from __future__ import annotations

import ast
from typing import Any

from paxosd.sim.planted.editing import Edit, Patch
from paxosd.sim.planted.places import Seeds
from paxosd.sim.planted.planting import Bug, other


def _any_disk_counts(_: Any) -> Any:
    return lambda self, node, disk: disk != 0 and node in self.quorum.weights


def _always(answer: bool) -> Any:
    return lambda _: lambda *_: answer


def _whatever_the_voters(_: Any) -> Any:
    def takes_part(self: Any, source: Any, ballot: Any, voters: Any, now: Any) -> bool:
        self._learn_voters(voters, now)
        return bool(self.may_vote)

    return takes_part


VOTERS: tuple[Bug, ...] = (
    other(
        "a lost disk votes as a blank one",
        Patch("core.standing:Standing.votes", _always(True)),
        Patch("core.voters:Count.counts", _any_disk_counts),
        shows_in=Seeds(0, 8, "disks"),
    ),
    other(
        "a replaced disk goes on voting",
        Patch("core.standing:Standing.is_outlived", _always(False)),
        Patch("core.standing:Standing.is_named", _always(True)),
        Patch("core.voters:Count.counts", _any_disk_counts),
        shows_in=Seeds(0, 8, "disks"),
    ),
    other(
        "what a new disk copied is told only once it is on the disk",
        Edit("core.acceptor:Acceptor._copy", ast.Expr, "_votes add vote", "self._votes.drop(vote.slot)"),
        shows_in=Seeds(195, 196, "disks"),
    ),
    other(
        "a new disk votes before it has copied",
        Patch("core.standing:Standing._is_new", _always(False)),
        shows_in=Seeds(0, 8, "disks"),
    ),
    other(
        "a ballot goes on above its decree",
        Edit("core.proposer:Proposer._next_value", ast.IsNot, "_decree", "False"),
        shows_in=Seeds(0, 8, "disks"),
    ),
    other(
        "a quorum begins a history",
        Edit(
            "core.phase1:PhaseOne.complete", ast.GtE, "_done _everybody", "len(self._done) * 2 > len(self._everybody)"
        ),
        Edit(
            "core.candidate:Candidate._has_support",
            ast.Call,
            "issuperset",
            "self._file_quorum.can_prepare(self._supporters)",
        ),
        shows_in=Seeds(0, 8, "disks"),
    ),
    other(
        "an acceptor takes part with whatever voters",
        Patch("core.participant:Participant._takes_part", _whatever_the_voters),
        Patch("core.participant:Participant._votes_with", lambda _: lambda self, *_: self.may_vote),
        shows_in=Seeds(0, 8, "disks"),
    ),
    other(
        "a disk that went back in time votes",
        Edit("core.participant:Participant._on_recalled", ast.Gt, "commits has", "False"),
        shows_in=Seeds(0, 8, "disks"),
    ),
)
