"""Planted: the state that is kept, and the floor below which votes are gone."""

from __future__ import annotations

import ast

from paxosd.core.records import SnapshotInstalled
from paxosd.sim.planted.editing import Edit, Patch
from paxosd.sim.planted.places import Scenarios, Seeds
from paxosd.sim.planted.planting import Bug, listed, other

KEPT: tuple[Bug, ...] = (
    listed(
        "WAL deleted before snapshot durable: a learner tells what it did not sync",
        Edit("core.learner:Learner._sync", ast.Expr, "record Synced", "pass"),
        shows_in=Scenarios(("C12",), layout="3 replicas"),
    ),
    other(
        "below a floor is taken for no vote",
        Edit("core.catchup:CatchUp.take_votes", ast.Gt, "floor", "False"),
        shows_in=Scenarios(("U13 floor",), layout="roles, 5 acceptors"),
    ),
    other(
        "nobody says that what is missing is gone",
        Edit("core.learner:Learner._look_for_gap", ast.Expr, "_tell_what_is_gone", "pass"),
        shows_in=Scenarios(("U13 only one left",), layout="roles"),
    ),
    other(
        "votes that one learner has are let go of",
        Edit("core.floor:DurableSlots.safe", ast.BinOp, "_needed", "0"),
        shows_in=Seeds(0, 1, "disks"),
    ),
    other(
        "a floor is not told",
        Edit(
            "core.acceptor:Acceptor._tell_votes",
            ast.Attribute,
            "self floor",
            "FIRST_SLOT",
        ),
        shows_in=Scenarios(("U13 floor",), layout="roles, 5 acceptors"),
    ),
    listed(
        "snapshot without session table",
        Edit(
            "machine.ledger:Ledger.keep",
            ast.Tuple,
            "LEDGER _sessions _mounts changes",
            "(*self._mounts.changes(),)",
        ),
        shows_in=Scenarios(("C12",), layout="3 replicas"),
    ),
    other(
        "the state is kept for a slot more than its rows have",
        Edit(
            "machine.ledger:Ledger.keep",
            ast.Return,
            "Kept",
            "return Kept(self.next_slot + 1, tuple(put), tuple(delete), tuple(self._revisions.changes()))",
        ),
        shows_in=Scenarios(("C12",), layout="3 replicas"),
    ),
    other(
        "the results of a session are forgotten at a restart",
        Edit("machine.sessions:OpenedSession.of_rows", ast.Expr, "_hold run", "pass"),
        shows_in=Scenarios(("C12",), layout="3 replicas"),
    ),
    other(
        "what was kept of the machine is not restored",
        Edit("machine.ledger:Ledger.restore", ast.Expr, "_mounts restore", "pass"),
        shows_in=Scenarios(("C12",), layout="3 replicas"),
    ),
    listed(
        "snapshot without session table: only its totals are told",
        Edit(
            "storage.memory.store:MemoryStore._state",
            ast.ListComp,
            "owner rows items",
            "[(owner, [row for row in rows.items() if owner == 'log' or not row[0]]) for owner, rows in "
            "self._kept.items()]",
        ),
        shows_in=Scenarios(("C12",), layout="3 replicas"),
    ),
    other(
        "a snapshot is taken up without its digest",
        Edit("storage.memory.shelf:_next_stage", ast.IfExp, "digest_of", "Stage.PUTTING"),
        shows_in=Scenarios(("D18",), layout="3 replicas"),
    ),
    other(
        "a snapshot is told as durable before it is synced",
        Patch("sim.disk:MAY_BE_LOST", lambda lost: (*lost, SnapshotInstalled)),
        shows_in=Seeds(70, 71, "disks"),
    ),
    other(
        "a torn swap: what is in memory is still the old state",
        Edit("driver:Driver.turn", ast.If, "installed", "pass"),
        shows_in=Scenarios(("D18",), layout="3 replicas"),
    ),
    other(
        "a torn swap: the slot of a snapshot without its rows",
        Edit("storage.memory.store:MemoryStore._install", ast.Assign, "_kept= owner rows", "pass"),
        shows_in=Scenarios(("C12",), layout="3 replicas"),
    ),
)
