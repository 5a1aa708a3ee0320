"""Planted: queues, counters, barriers, parties, and who watches an election."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Seeds
from paxosd.sim.planted.planting import Bug, other


def _seed(seed: int) -> Seeds:
    """One seed in which a bug shows: those in which a recipe is used at all lie far apart."""
    return Seeds(seed, seed + 1, "keys")


_QUEUES: tuple[Bug, ...] = (
    other(
        "an entry is taken that may be gone",
        Edit("recipes.queue:_try", ast.List, "made_at entry create_revision", "[]"),
        shows_in=_seed(9),
    ),
    other(
        "who took an entry without an answer is told that it took none",
        Edit("client.driving:in_vain", ast.BoolOp, "step for_good", "False"),
        shows_in=_seed(9),
    ),
    other(
        "entries go in the order of their names",
        Edit("recipes.queue:_first", ast.Attribute, "Sort CREATE", "Sort.KEY"),
        shows_in=_seed(0),
    ),
    other(
        "a priority counts for nothing",
        Edit("recipes.queue:_first", ast.Assign, "priority=", "priority = places.entries"),
        shows_in=_seed(38),
    ),
    other(
        "who waits for an entry does not hear of it",
        Edit("recipes.queue:_take_in_line", ast.Attribute, "places entries", "places.takers"),
        shows_in=_seed(24),
    ),
    other(
        "who takes an entry stays in the line",
        Edit("recipes.queue:_try", ast.ListComp, "Delete taker", "[]"),
        shows_in=_seed(21),
    ),
    other(
        "a locked entry is locked again",
        Edit("recipes.queue:_try", ast.Expr, "append absent", "pass"),
        shows_in=_seed(11),
    ),
    other(
        "a lock of an entry stays behind a taker that dies",
        Edit("recipes.queue:_try", ast.Attribute, "taker lease", "0"),
        shows_in=_seed(7),
    ),
    other(
        "an entry is done with by who lost its lock",
        Edit(
            "recipes.queue:consume",
            ast.Tuple,
            "taken lock fence entry",
            "(made_at(taken.entry.key, taken.entry.create_revision),)",
        ),
        shows_in=_seed(32),
    ),
    other(
        "who gives an entry back unlocks it for another one",
        Edit("recipes.queue:_unlocking", ast.Tuple, "Compare lock", "()"),
        shows_in=_seed(20),
    ),
)

_COUNTERS: tuple[Bug, ...] = (
    other(
        "a number is changed that may be another one",
        Edit("recipes.counter:add", ast.Tuple, "Compare MOD", "()"),
        shows_in=_seed(0),
    ),
    other(
        "a change of a number counts though it was not made",
        Edit("recipes.counter:add", ast.Attribute, "done result succeeded", "True"),
        shows_in=_seed(0),
    ),
    other(
        "a change of a number without an answer is made again",
        Edit("recipes.counter:add", ast.Assign, "done=", "try:\n    _\nexcept Exception:\n    continue"),
        shows_in=_seed(19),
    ),
)

_MEETINGS: tuple[Bug, ...] = (
    other(
        "a barrier lets through on any change",
        Edit("recipes.barrier:await_absence", ast.Expr, "AwaitChange", "_\nreturn"),
        shows_in=_seed(11),
    ),
    other(
        "a barrier is put up again where it stands",
        Edit("recipes.barrier:put_up", ast.Tuple, "absent", "()"),
        shows_in=_seed(11),
    ),
    other(
        "a barrier stays behind who dies",
        Edit("recipes.barrier:put_up", ast.Call, "Put lease", "Put(key, value)"),
        shows_in=_seed(11),
    ),
    other(
        "a double barrier opens for one less",
        Edit("recipes.barrier:enter", ast.GtE, "count size", "inside.count >= room.size - 1"),
        shows_in=_seed(21),
    ),
    other(
        "a double barrier of the dead stays open",
        Edit("recipes.barrier:enter", ast.Tuple, "Delete opened put count", "(put, count, opened)"),
        shows_in=_seed(63),
    ),
    other(
        "a double barrier is closed while others are inside",
        Edit("recipes.barrier:leave", ast.Tuple, "absent", "()"),
        shows_in=_seed(63),
    ),
    other(
        "who leaves a double barrier waits for nobody",
        Edit("recipes.barrier:leave", ast.UnaryOp, "found items", "True"),
        shows_in=_seed(21),
    ),
    other(
        "a member of a party outlives its lease",
        Edit("recipes.party:join", ast.Attribute, "entry lease", "0"),
        shows_in=_seed(21),
    ),
    other(
        "a party is listed by names",
        Edit("recipes.party:members", ast.Attribute, "Sort CREATE", "Sort.KEY"),
        shows_in=_seed(21),
    ),
    other(
        "who watches a party does not hear who comes",
        Edit("recipes.party:next_members", ast.Call, "AwaitChange", "AwaitChange((span,), found.revision)"),
        shows_in=_seed(50),
    ),
    other(
        "the last candidate is taken for who leads",
        Edit("recipes.election:leader", ast.Attribute, "Sort CREATE", "Sort.KEY"),
        shows_in=_seed(62),
    ),
)

RECIPES: tuple[Bug, ...] = (*_QUEUES, *_COUNTERS, *_MEETINGS)
