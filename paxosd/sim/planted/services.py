"""Planted: what is built of keys, in clusters: leases and their time, kinds of reads, results, waiting, turns."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Seeds
from paxosd.sim.planted.planting import Bug, other

_WITH_KEYS = Seeds(0, 8, "keys")
_WITH_MORE = Seeds(0, 40, "keys")


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
    other(
        "log time goes on by the clock of who follows",
        Edit("core.log_time:LogTime.hear", ast.Assign, "_of", "_\nself._began_at = now"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "a holder counts from the answer to its wish to keep a lease",
        Edit("client.upkeep:Upkeep._kept", ast.Call, "kept asked_at", "lease.kept(ttl_ms, now, now)"),
        shows_in=_WITH_MORE,
    ),
    other(
        "a holder counts its time from the answer, and asks again in time",
        Edit("client.leases:HeldLease.kept", ast.Call, "max valid_until", "max(_, now + ttl_ms / 1000 * SHARE)"),
        shows_in=_WITH_MORE,
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

_WAITING: tuple[Bug, ...] = (
    other(
        "what a watch tells does not count as seen",
        Edit("client.watching:WatchingSession.receive", ast.Assign, "upto", "pass"),
        shows_in=_WITH_MORE,
    ),
    other(
        "who waits has its turn though its key is gone",
        Edit("recipes.line:_look_ahead", ast.Raise, "", "pass"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "who waits does not hear that its key went",
        Edit(
            "recipes.line:_until_it_may_be_ours",
            ast.If,
            "room nearest own",
            "return AwaitChange((Span(nearest.key),), at)",
        ),
        shows_in=_WITH_MORE,
    ),
    other(
        "who waits does not hear that its lease is over",
        Edit("client.driving:when_over", ast.Expr, "append", "pass"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "a holder does not hear that its key went",
        Edit("client.guarding:Guards._on_news", ast.Expr, "removed", "pass"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "a holder whose guard lost its history is guarded no more",
        Edit("client.guarding:Guards._on_news", ast.If, "Compacted", "pass"),
        shows_in=_WITH_MORE,
    ),
    other(
        "who waits for a change sees it one revision late",
        Edit("client.engine:Engine._watch", ast.BinOp, "after", "call.step.after + 2"),
        shows_in=Seeds(59, 60, "keys"),
    ),
    other(
        "a caller has what changed when the next change comes",
        Edit("client.watched:WatchCall.take", ast.If, "_waiting", "if len(self._waiting) < 2:\n    return None"),
        shows_in=_WITH_KEYS,
    ),
    other(
        "marks of watches are one revision behind",
        Edit("gateway.streams:Streams.mark", ast.IfExp, "late", "revision - 1"),
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

SERVICES: tuple[Bug, ...] = (*_LEASES, *_RESULTS_AND_READS, *_WAITING, *_TURNS)
