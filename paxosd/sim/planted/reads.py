"""Planted: reads, from the leader's rounds to a gateway's pages."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Scenarios, Seeds
from paxosd.sim.planted.planting import Bug, listed, other

_AT_THE_LEADER: tuple[Bug, ...] = (
    listed(
        "read served without quorum round",
        Edit(
            "core.proposer:Proposer._on_read_index",
            ast.Expr,
            "_reads add",
            "self.send_early(source, ReadIndexReply(request, self.watermark))",
        ),
        shows_in=Seeds(0, 12, "reads"),
    ),
    listed(
        "leadership checked before the index is captured",
        Edit("core.proposer:Proposer._confirm_reads", ast.BinOp, "_sequence", "0"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "a read round is confirmed by answers to the heartbeat before it",
        Edit("core.proposer:Proposer._confirm_reads", ast.BinOp, "_sequence", "_ - 1"),
        shows_in=Scenarios(("L07 heartbeat before",), seeds=2),
    ),
    other(
        "an answer to any heartbeat confirms a read round",
        Edit("core.reads:ReadRounds.confirm", ast.LtE, "sequence", "True"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "one acceptor confirms a read round",
        Edit("core.reads:ReadRounds.confirm", ast.Call, "can_accept", "self._open[0].voters"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "read before a value of the own ballot is chosen",
        Edit("core.proposer:Proposer._confirm_reads", ast.Gt, "_recovered_stop", "True"),
        shows_in=Seeds(12, 13, "reads"),
    ),
    other(
        "who does not lead tells its watermark to readers",
        Edit(
            "core.proposer:Proposer._on_read_index",
            ast.Call,
            "ReadIndexReply",
            "ReadIndexReply(request, self.watermark)",
        ),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "an acceptor answers heartbeats of leaders that it left",
        Edit("core.acceptor:Acceptor._on_heartbeat", ast.Call, "_speaks_for_leader", "True"),
        shows_in=Seeds(20, 40, "reads"),
    ),
    other(
        "an answer to a heartbeat of another ballot counts",
        Edit("core.proposer:Proposer._on_heartbeat_reply", ast.NotEq, "ballot", "False"),
        shows_in=Scenarios(("L07 earlier ballot",), seeds=2),
    ),
)

_AT_THE_GATEWAY: tuple[Bug, ...] = (
    other(
        "no read waits for a round",
        Edit("gateway.readers:Readers.add", ast.Attribute, "linearizable", "False"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "a read shares a round that began before it came",
        Edit(
            "gateway.readers:Readers.confirm",
            ast.If,
            "applied _in_round",
            "self._in_round += self._unconfirmed\nself._unconfirmed.clear()\n_",
        ),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "the answer to an earlier round confirms a read",
        Edit("gateway.readers:Readers.confirm", ast.NotEq, "round_number", "False"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "rounds are numbered anew in each life",
        Edit("gateway.readers:Readers.start_round", ast.Assign, "_round=", "self._round = self.next_round"),
        shows_in=Scenarios(("L07 restarted gateway",), seeds=2),
    ),
    other(
        "a round that nobody led confirms a read",
        Edit("gateway.readers:Readers.confirm", ast.BoolOp, "applied _in_round", "self._in_round"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "a confirmed read does not wait for apply",
        Edit("gateway.readers:Readers.confirm", ast.Tuple, "applied round_number", "(0, round_number, self._in_round)"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "a lost question of a gateway is never asked again",
        Edit("gateway.reading:Reading.on_timer", ast.Assign, "_read_asked_of=", "pass"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "a read does not wait for what its client has seen",
        Edit("gateway.readers:_awaited", ast.Return, "seen late", "return 0, 0 if late else read.start"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "a read does not wait for an entry",
        Edit("gateway.readers:_awaited", ast.Return, "seen late", "return read.seen, 0"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "pages of one turn show an earlier revision",
        Edit("gateway.pages:Pages.answer", ast.NotEq, "_revision", "False"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "a page begins behind the revision that was asked for",
        Edit("machine.entries:page", ast.GtE, "revision start", ">"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "a page shows what was skipped as a repetition",
        Edit("machine.entries:applied", ast.Subscript, "commands_of skip", "commands_of(batch)"),
        shows_in=Seeds(0, 12, "reads"),
    ),
    other(
        "reads above a client's share are forgotten in silence",
        Edit("gateway.readers:Readers.add", ast.Return, "asked", "return []"),
        shows_in=Scenarios(("S* many readers",), layout="3 replicas"),
    ),
)

READS: tuple[Bug, ...] = (*_AT_THE_LEADER, *_AT_THE_GATEWAY)
