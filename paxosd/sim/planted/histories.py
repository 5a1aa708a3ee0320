"""Planted: two histories of one cluster that was restored, and one state that is not what the log makes."""

from __future__ import annotations

import ast
from typing import Any

from paxosd.sim.planted.editing import Edit, Patch
from paxosd.sim.planted.places import Scenarios
from paxosd.sim.planted.planting import Bug, other

_RESTORED = Scenarios(("I09",), seeds=5)
_WRONG = Scenarios(("D22",))


def _never(_: Any) -> Any:
    return lambda *_: False


HISTORIES: tuple[Bug, ...] = (
    other(
        "a frame of another history is taken",
        Edit("wire.frames:Codec._decode", ast.BoolOp, "NO_HISTORY history", "False"),
        Edit("driver:Driver._require_our_history", ast.BoolOp, "NO_HISTORY theirs", "False"),
        shows_in=_RESTORED,
    ),
    other(
        "who speaks without a history is heard as if it were of ours",
        Edit("core.newcomers:may_say", ast.Call, "_TAKEN", "True"),
        shows_in=_RESTORED,
    ),
    other(
        "a restored node hears the history that is over",
        Patch("core.voters:Known.refuses", _never),
        shows_in=_RESTORED,
    ),
    other(
        "a restored node takes up the history that is over",
        Patch("core.voters:Known.refuses", _never),
        Patch("core.continuing:Continues.refuses", _never),
        shows_in=_RESTORED,
    ),
    other(
        "who differs goes on serving",
        Edit("core.voters:Known.differ", ast.Assign, "difference=", "pass"),
        shows_in=_WRONG,
    ),
    other(
        "nobody is told of a state that differs",
        Edit("driver:Driver._apply", ast.AugAssign, "events answers", "pass"),
        shows_in=_WRONG,
    ),
    other(
        "digests of the state are not compared",
        Edit("gateway.agreement:Agreement.hear", ast.BoolOp, "own agreed _learners", "bool(own)"),
        shows_in=_WRONG,
    ),
)
