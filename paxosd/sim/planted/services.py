"""Planted: what is built of keys, in clusters: leases and their time, kinds of reads, results, turns."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Seeds
from paxosd.sim.planted.planting import Bug, other

_WITH_KEYS = Seeds(0, 8, "keys")


_LEASES: tuple[Bug, ...] = (
    other(
        "leases run out by the clock of who applies",
        Edit("machine.ledger:Ledger._expire", ast.Call, "due log_time_ms", "self._mounts.due(self.log_time_ms + 500)"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "a holder counts on more than its time",
        Edit("client.leases:HeldLease.kept", ast.Call, "max valid_until SHARE", "asked_at + ttl_ms / 1000 * 1.3"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "a lease that is lost comes back with a late answer",
        Edit("client.leases:HeldLease.is_lost", ast.If, "lose", "pass"),
        shows_in=_WITH_KEYS,
    ),
)

_RESULTS_AND_READS: tuple[Bug, ...] = (
    other(
        "a result is not kept with its session",
        Edit("machine.ledger:Ledger._apply_new", ast.Call, "Run said", "Run(first_seq, len(results), revision, slot)"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "a client forgets what it saw when it moves",
        Edit("client.session:Session._rewind", ast.Expr, "_outbox", "_\nself.seen = 0"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "the age of an answer is not looked at",
        Edit("gateway.reading:Reading._is_too_old", ast.Compare, "age_ms", "True"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "an answer is said to be new",
        Edit("gateway.freshness:Freshness.age_ms", ast.IfExp, "_of", "1"),
        shows_in=_WITH_KEYS,
    ),
)

_TURNS: tuple[Bug, ...] = (
    other(
        "a turn comes one too early",
        Edit("recipes.line:take_turn", ast.GtE, "ahead room", ">"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "a fence is the number of a lease",
        Edit("recipes.line:take_turn", ast.Call, "TakenTurn made", "TakenTurn(entry.key, entry.lease)"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "marks of watches go too far",
        Edit("gateway.streams:Streams.mark", ast.IfExp, "late", "revision + 1"),
        shows_in=_WITH_KEYS,
    ),
)

SERVICES: tuple[Bug, ...] = (*_LEASES, *_RESULTS_AND_READS, *_TURNS)
