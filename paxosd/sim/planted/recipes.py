"""Planted: queues, counters, barriers, parties, who watches an election, and locks that are taken again."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Scenarios, Seeds
from paxosd.sim.planted.planting import Bug, other


def _seed(seed: int) -> Seeds:
    """One seed in which a bug shows: those in which a recipe is used at all lie far apart."""
    return Seeds(seed, seed + 1, "keys")


def _scenario(name: str) -> Scenarios:
    """The scenario of what no seed shows: in those something else happens soon that makes up for it."""
    return Scenarios((f"R* {name}",), layout="3 replicas")


_QUEUES: tuple[Bug, ...] = (
    other(
        "an entry is taken that may be gone",
        Edit("recipes.queue:_try", ast.List, "made_at entry create_revision", "[]"),
        shows_in=_seed(2),
    ),
    other(
        "who took an entry without an answer is told that it took none",
        Edit("client.driving:in_vain", ast.BoolOp, "step for_good", "False"),
        shows_in=_seed(29),
    ),
    other(
        "entries go in the order of their names",
        Edit("recipes.queue:_first", ast.Attribute, "Sort CREATE", "Sort.KEY"),
        shows_in=_seed(0),
    ),
    other(
        "a priority counts for nothing",
        Edit("recipes.queue:_first", ast.Assign, "priority=", "priority = places.entries"),
        shows_in=_seed(5),
    ),
    other(
        "who waits for an entry does not hear of it",
        Edit("recipes.queue:_take_in_line", ast.Attribute, "places entries", "places.takers"),
        shows_in=_seed(21),
    ),
    other(
        "who takes an entry stays in the line",
        Edit("recipes.queue:_try", ast.ListComp, "Delete taker", "[]"),
        shows_in=_seed(3),
    ),
    other(
        "a locked entry is locked again",
        Edit("recipes.queue:_try", ast.Expr, "append absent", "pass"),
        shows_in=_seed(19),
    ),
    other(
        "a lock of an entry stays behind a taker that dies",
        Edit("recipes.queue:_try", ast.Attribute, "taker lease", "0"),
        shows_in=_seed(5),
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
        shows_in=_seed(35),
    ),
    other(
        "who waits for an entry does not hear that one is given back",
        Edit("recipes.queue:_take_in_line", ast.IfExp, "places taken token", "[]"),
        shows_in=_scenario("given back"),
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
        shows_in=_seed(4),
    ),
    other(
        "who leaves a double barrier waits for nobody",
        Edit("recipes.barrier:leave", ast.UnaryOp, "found items", "True"),
        shows_in=_seed(21),
    ),
    other(
        "who leaves a double barrier waits for newcomers, too",
        Edit("recipes.barrier:leave", ast.Attribute, "left revision", "0"),
        shows_in=_scenario("newcomers"),
    ),
    other(
        "who waits at a double barrier goes in on any change",
        Edit("recipes.barrier:_await_opening", ast.Attribute, "opened items", "True"),
        shows_in=_scenario("woken at the door"),
    ),
    other(
        "a double barrier is opened by who is gone",
        Edit("recipes.barrier:enter", ast.Tuple, "made_at", "()"),
        shows_in=_scenario("opener gone"),
    ),
    other(
        "a member of a party outlives its lease",
        Edit("recipes.party:join", ast.Attribute, "entry lease", "0"),
        shows_in=_seed(7),
    ),
    other(
        "a party is listed by names",
        Edit("recipes.party:members", ast.Attribute, "Sort CREATE", "Sort.KEY"),
        shows_in=_seed(15),
    ),
    other(
        "who watches a party does not hear who comes",
        Edit("recipes.party:next_members", ast.Call, "AwaitChange", "AwaitChange((span,), found.revision)"),
        shows_in=_seed(74),
    ),
    other(
        "the last candidate is taken for who leads",
        Edit("recipes.election:leader", ast.Attribute, "Sort CREATE", "Sort.KEY"),
        shows_in=_seed(17),
    ),
    other(
        "who watches an election does not hear who comes",
        Edit("recipes.election:next_leader", ast.Call, "AwaitChange", "AwaitChange((watched,), found.revision)"),
        shows_in=_scenario("leaders"),
    ),
    other(
        "who watches an election looks away before it waits",
        Edit("recipes.election:next_leader", ast.Attribute, "found revision", "found.revision + 1"),
        shows_in=_scenario("leaders"),
    ),
    other(
        "who watches an election is not told what its leader says",
        Edit("recipes.election:_what_is_said", ast.Attribute, "value", "b''"),
        shows_in=_scenario("leaders"),
    ),
)

_REENTRY: tuple[Bug, ...] = (
    other(
        "a lock that was taken twice is freed at the first exit",
        Edit("recipes.reentry:Reentry.out", ast.If, "inside times", "pass"),
        shows_in=_scenario("re-entered"),
    ),
    other(
        "a lock that was taken twice is never freed",
        Edit("recipes.reentry:Reentry.out", ast.AugAssign, "inside times", "pass"),
        shows_in=_scenario("re-entered"),
    ),
    other(
        "a lock that one has is taken again by another one",
        Edit("recipes.reentry:Reentry.again", ast.Call, "_inside get", "next(iter(self._inside.values()), None)"),
        shows_in=_scenario("re-entered"),
    ),
    other(
        "a lock that was lost is taken again",
        Edit("recipes.reentry:Reentry.again", ast.Expr, "require", "pass"),
        shows_in=_scenario("lost inside"),
    ),
    other(
        "how often it was taken is kept over a lost lock",
        Edit("recipes.reentry:Reentry.out", ast.Delete, "_inside", "pass"),
        shows_in=_scenario("lost inside"),
    ),
    other(
        "who lost a lock gives back that of the next one",
        Edit(
            "recipes.reentry:Reentry.out",
            ast.Attribute,
            "inside held",
            "[inside, *self._inside.values()][-1].held",
        ),
        shows_in=_scenario("lost inside"),
    ),
)

RECIPES: tuple[Bug, ...] = (*_QUEUES, *_COUNTERS, *_MEETINGS, *_REENTRY)
