"""Planted: what is told in pages, and asked for page by page."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Scenarios, Seeds
from paxosd.sim.planted.planting import Bug, other

PAGES: tuple[Bug, ...] = (
    other(
        "promise without the votes above the first page",
        Edit("core.acceptor:Acceptor._tell_promise", ast.GtE, "stop _votes", "True"),
        shows_in=Seeds(0, 8, "pages"),
    ),
    other(
        "a page of votes covers the one that did not fit",
        Edit("core.acceptor:Acceptor._votes_in", ast.Return, "page slot", "return tuple(page), slot + 1"),
        shows_in=Seeds(0, 8, "pages"),
    ),
    other(
        "a page of old votes covers what was not read",
        Edit("core.acceptor:Acceptor._votes_in", ast.Assign, "stop= old", "pass"),
        shows_in=Seeds(0, 8, "pages"),
    ),
    other(
        "a vote larger than a page fits into none",
        Edit("core.acceptor:Acceptor._votes_in", ast.BoolOp, "page size", "size > self._limits.page_bytes_max"),
        shows_in=Seeds(0, 8, "pages"),
    ),
    other(
        "the next page of a promise begins one slot late",
        Edit("core.phase1:PhaseOne.take", ast.Assign, "_next_page=", "self._next_page[source] = promise.stop + 1"),
        shows_in=Seeds(0, 8, "pages"),
    ),
    other(
        "catch-up goes beyond the shortest page",
        Edit("core.catchup:CatchUp.take_votes", ast.Assign, "stop=", "stop = self._asked_stop"),
        shows_in=Scenarios(("U19 mixed votes",), layout="roles", seeds=4),
    ),
    other(
        "catch-up counts pages of another question",
        Edit("core.catchup:CatchUp.take_votes", ast.BoolOp, "_asked asked_stop", "self._asked is None"),
        shows_in=Scenarios(("U19 late page",), layout="roles", seeds=4),
    ),
    other(
        "catch-up takes the lowest vote",
        Edit("core.catchup:CatchUp._highest", ast.Gt, "vote known", "<"),
        shows_in=Scenarios(("U19 mixed votes",), layout="roles", seeds=4),
    ),
)
