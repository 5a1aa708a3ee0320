"""Planted: what is on disk, and when. The simulated disk stands for the store, which has tests of its own."""

from __future__ import annotations

import ast

from paxosd.core.records import Promised, Voted
from paxosd.sim.planted.editing import Edit, Patch
from paxosd.sim.planted.places import Scenarios, Seeds
from paxosd.sim.planted.planting import Bug, listed

DISKS: tuple[Bug, ...] = (
    listed("skip fsync before p1b", Patch("sim.disk:MAY_BE_LOST", lambda kinds: (*kinds, Promised))),
    listed("skip fsync before p2b", Patch("sim.disk:MAY_BE_LOST", lambda kinds: (*kinds, Voted))),
    listed(
        "reply before fsync",
        Edit("driver:Driver.turn", ast.Attribute, "output early", "output.early + output.messages"),
    ),
    listed(
        "retry fsync after EIO",
        Edit(
            "driver:Driver.turn",
            ast.Expr,
            "_store commit",
            "try:\n    _\nexcept Exception:\n    self._store.commit([])",
        ),
        shows_in=Seeds(0, 10, "disk"),
    ),
    listed(
        "blank disk votes",
        Edit(
            "driver:Driver.recover",
            ast.Assign,
            "records=",
            "try:\n    _\nexcept Exception:\n    records = []",
        ),
        shows_in=Scenarios(("D06",), layout="3 replicas"),
    ),
    listed(
        "truncate at first bad CRC",
        Edit(
            "sim.disk:SimStore.records",
            ast.Expr,
            "_refuse_damaged",
            "damaged = self._disk.damaged\n"
            "bad = [at for at, row in enumerate(found) if (type(row), getattr(row, 'slot', 0)) in damaged]\n"
            "found = found[: bad[0]] if bad else found",
        ),
        shows_in=Scenarios(("D06",), layout="3 replicas"),
    ),
    listed(
        "no fsync at end of recovery",
        Edit("sim.disk:SimStore.records", ast.Expr, "settle", "pass"),
        shows_in=Scenarios(("D02",), layout="3 replicas"),
    ),
)
