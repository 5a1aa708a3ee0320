"""Planted: commands and sessions, in the ledger and at a gateway."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Scenarios
from paxosd.sim.planted.planting import Bug, listed, other

SESSIONS: tuple[Bug, ...] = (
    listed(
        "session expiry by local clock",
        Edit(
            "machine.sessions:Sessions.open",
            ast.Gt,
            "_sessions _sessions_max",
            "len(self._sessions) > __import__('time').perf_counter_ns() % 3",
        ),
    ),
    other(
        "a repeated command is applied again",
        Edit(
            "machine.ledger:Ledger._apply_to_session",
            ast.Assign,
            "next_seq=",
            "next_seq, stop_seq = batch.first_seq, batch.first_seq + batch.count",
        ),
    ),
    other(
        "a gap in the numbers of a session is applied",
        Edit(
            "machine.ledger:Ledger._apply_to_session",
            ast.Gt,
            "first_seq next_seq",
            "next_seq > (next_seq := max(next_seq, batch.first_seq))",
        ),
    ),
    other(
        "a session that was forgotten comes back with a late copy of its opening",
        Edit("machine.ledger:opened_session", ast.BinOp, "wish slot", "wish"),
        shows_in=Scenarios(("S* late opening",), layout="3 replicas"),
    ),
    other(
        "a session goes for those of somebody who has many",
        Edit("machine.sessions:Sessions.open", ast.Subscript, "next_to_go", "next(iter(self._sessions))"),
        shows_in=Scenarios(("K05",), layout="3 replicas"),
    ),
    other(
        "a gateway forwards sessions that it does not know",
        Edit(
            "gateway.gateway:Gateway._on_propose",
            ast.Call,
            "knows",
            "True",
        ),
        shows_in=Scenarios(("S* forged sessions",), layout="3 replicas"),
    ),
    other(
        "a gateway that is behind says that a session is in no log",
        Edit("gateway.strangers:Strangers.is_of_another_log", ast.BoolOp, "named session", "True"),
        shows_in=Scenarios(("S* forged sessions",), layout="3 replicas"),
    ),
    other(
        "a round from before a session was named proves that it is in no log",
        Edit("gateway.strangers:Strangers.is_of_another_log", ast.GtE, "_confirmed_round", "True"),
        shows_in=Scenarios(("S* lagging gateway",), layout="3 replicas"),
    ),
    other(
        "a gateway that has not applied so far says that a session is in no log",
        Edit("gateway.strangers:Strangers.is_of_another_log", ast.GtE, "next_slot", "True"),
        shows_in=Scenarios(("S* lagging gateway",), layout="3 replicas"),
    ),
)
