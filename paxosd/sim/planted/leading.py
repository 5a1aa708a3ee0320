"""Planted: who leads, what learners take as chosen, and what members may claim."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Scenarios
from paxosd.sim.planted.planting import Bug, listed, other

LEADING: tuple[Bug, ...] = (
    listed(
        "proposer retry without backoff",
        Edit("core.candidate:Candidate._await_silence", ast.Call, "uniform", "0.01"),
        shows_in=Scenarios(("W01",), layout="5 replicas"),
    ),
    other(
        "pre-vote ignores a leader that is heard",
        Edit("core.acceptor:Acceptor._on_pre_vote", ast.Assign, "granted=", "granted = True"),
        shows_in=Scenarios(("N02",), layout="3 replicas"),
    ),
    other(
        "a value is chosen on anybody's word",
        Edit("core.learner:Learner._on_chosen", ast.NotIn, "source", "False"),
        shows_in=Scenarios(("W02",), layout="3 replicas"),
    ),
    other(
        "a number of any height is taken",
        Edit("core.plausible:Ceiling.admits", ast.Return, "claimed", "return True"),
        shows_in=Scenarios(("W01",), layout="3 replicas"),
    ),
    other(
        "a life that is silent for ever is waited for",
        Edit("lives:Lives.hears", ast.Lt, "SILENT_S", "True"),
        shows_in=Scenarios(("W04",), layout="3 replicas"),
    ),
    other(
        "a wiped directory does not count on",
        Edit("lives:OwnLife.rise_above", ast.Lt, "NEWCOMER_S", "False"),
        shows_in=Scenarios(("W04",), layout="3 replicas"),
    ),
)
