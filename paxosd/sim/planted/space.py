"""Planted: commands and values that are taken though there is no room for them."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Scenarios
from paxosd.sim.planted.planting import Bug, other

SPACE: tuple[Bug, ...] = (
    other(
        "a command is taken though there is no room for it",
        Edit("core.space:_can_accept_without", ast.Call, "can_accept", "True"),
        shows_in=Scenarios(("O09",), layout="roles"),
    ),
    other(
        "a node without room takes whatever comes",
        Edit("core.space:Allowance.takes", ast.If, "is_spent", "pass"),
        shows_in=Scenarios(("D03 one without room",), layout="3 replicas"),
    ),
)
