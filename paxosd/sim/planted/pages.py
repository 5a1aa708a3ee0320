"""Planted: what is told in pages, and asked for page by page."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.planting import Bug, other

PAGES: tuple[Bug, ...] = (
    other(
        "promise without the votes above the first page",
        Edit("core.acceptor:Acceptor._tell_promise", ast.GtE, "stop _votes", "True"),
    ),
    other(
        "a page of votes covers the one that did not fit",
        Edit("core.acceptor:Acceptor._votes_in", ast.Return, "page slot", "return tuple(page), slot + 1"),
    ),
    other(
        "a page of old votes covers what was not read",
        Edit("core.acceptor:Acceptor._votes_in", ast.Assign, "stop= old", "pass"),
    ),
    other(
        "a vote larger than a page fits into none",
        Edit("core.acceptor:Acceptor._votes_in", ast.BoolOp, "page size", "size > self._limits.page_bytes_max"),
    ),
    other(
        "the next page of a promise begins one slot late",
        Edit("core.phase1:PhaseOne.take", ast.Assign, "_next_page=", "self._next_page[source] = promise.stop + 1"),
    ),
    other(
        "any page of a promise is taken for the next one",
        Edit("core.phase1:PhaseOne.take", ast.Eq, "_next_page from_slot", "True"),
    ),
    other(
        "catch-up goes beyond the shortest page",
        Edit("core.catchup:CatchUp.take_votes", ast.Assign, "stop=", "stop = self._asked_stop"),
    ),
    other(
        "catch-up counts pages of another question",
        Edit("core.catchup:CatchUp.take_votes", ast.BoolOp, "_asked asked_stop", "self._asked is None"),
    ),
    other("catch-up takes the lowest vote", Edit("core.catchup:CatchUp._highest", ast.Gt, "vote known", "<")),
)
