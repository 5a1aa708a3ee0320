"""The simulator is seen to fail: every planted bug is found, and changes what it says that it changes."""

from __future__ import annotations

import ast
import multiprocessing
import subprocess
import sys

import pytest

from paxosd.sim.planted.bugs import BUGS
from paxosd.sim.planted.editing import Edit, OutOfDate, Patch, edited_code, owner_of
from paxosd.sim.planted.hunting import Hunt, hunt
from paxosd.sim.planted.places import Seeds
from paxosd.sim.planted.planting import Bug

FOUND_AT_ONCE = (
    "skip fsync before p1b",
    "skip fsync before p2b",
    "reply before fsync",
    "quorum = n//2",
    "no-op over reported value",
    "accepted not restored",
    "a repeated command is applied again",
    "window not kept",
)
"""Bugs that a handful of seeds finds; `paxosd sim --planted` hunts all of them."""

SHOWS_NO_MORE = (
    "pages of one turn show an earlier revision",
    "what a new disk copied is told only once it is on the disk",
)
"""No seed that was tried shows these since clients and learners ask otherwise; `tests/gateway/test_pages.py` and
`tests/core/test_copying.py` see them."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_change_of_a_planted_bug_meets_one_place_in_the_code_and_changes_it(bug: Bug) -> None:
    for change in bug.changes:
        if isinstance(change, Edit):
            as_it_is = edited_code(change.function, [])
            assert edited_code(change.function, [change]) != as_it_is
        else:
            owner, name = owner_of(change.attribute)
            known = getattr(owner, name)
            assert change.make(known) != known


def test_every_planted_bug_has_a_name_of_its_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize(
    ("kind", "about", "seen"),
    [(ast.Lt, "promised", "none"), (ast.Gt, "ballot", "message.ballot > self.promised; vote.ballot > self.promised")],
)
def test_an_edit_that_meets_none_or_many_nodes_says_what_it_met(kind: type[ast.AST], about: str, seen: str) -> None:
    with pytest.raises(OutOfDate, match="bring the planted bug up to date"):
        edited_code("core.acceptor:Acceptor.tick", [Edit("core.acceptor:Acceptor.tick", kind, about, "True")])


@pytest.mark.parametrize("function", ["core.acceptor:Acceptor._gone", "core.acceptor:Gone.tick"])
def test_an_edit_of_a_function_that_is_gone_says_so(function: str) -> None:
    with pytest.raises(OutOfDate, match="bring the planted bug up to date"):
        edited_code(function, [Edit(function, ast.Expr, "", "pass")])


def test_an_edit_with_a_name_that_is_gone_says_so() -> None:
    where = "core.acceptor:Acceptor._on_prepare"
    with pytest.raises(OutOfDate, match="there is no gone, nor_this in"):
        edited_code(where, [Edit(where, ast.Lt, "ballot promised", "self.gone < max(nor_this, 1)")])


def test_a_patch_of_an_attribute_that_is_gone_says_so() -> None:
    with pytest.raises(OutOfDate, match="bring the planted bug up to date"):
        owner_of(Patch("core.types:Ballot.colour", lambda known: known).attribute)


EDITED = r"""
import ast
from paxosd.core.quorum import Quorum
from paxosd.core.reads import ReadRounds
from paxosd.sim.planted.editing import Edit, carry_out

start = ReadRounds.start
carry_out([
    Edit("core.quorum:Quorum.majority", ast.BinOp, "sum weights", "_ - 1"),
    Edit("core.reads:ReadRounds.waiting", ast.Lt, "ROUNDS_OPEN_MAX", ">="),
    Edit("core.reads:ReadRounds.start", ast.Expr, "clear", "_\nself.seen = 1"),
    Edit("core.reads:ReadRounds.start", ast.Expr, "append", "pass"),
])
rounds = ReadRounds(Quorum.majority({"a": 1, "b": 1, "c": 1, "d": 1}))
rounds.add("g", 1)
print(rounds._quorum.accept, rounds.waiting)
start(rounds, 1, 1)
print(len(rounds._open), rounds.seen)
"""


def test_an_edit_reaches_methods_of_classes_properties_and_whoever_holds_the_function() -> None:
    done = subprocess.run([sys.executable, "-c", EDITED], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == ["2", "False", "0", "1"]


def test_planted_bugs_are_found() -> None:
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        hunts: list[Hunt] = pool.starmap(hunt, [(name, (Seeds(0, 10),)) for name in FOUND_AT_ONCE], chunksize=1)

    assert [found.bug for found in hunts if not found.violation] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_planted_bug_is_found_where_it_says_that_it_shows() -> None:
    bugs = [bug for bug in BUGS if bug.name not in SHOWS_NO_MORE]
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        hunts: list[Hunt] = pool.starmap(hunt, [(bug.name, (bug.shows_in,)) for bug in bugs], chunksize=1)

    assert [found.bug for found in hunts if not found.violation] == []
