"""Planted: watches, from what a gateway tells to what a caller takes."""

from __future__ import annotations

import ast

from paxosd.sim.planted.editing import Edit
from paxosd.sim.planted.places import Seeds
from paxosd.sim.planted.planting import Bug, other

_WATCHED = Seeds(0, 4, "watches")

_AT_THE_GATEWAY: tuple[Bug, ...] = (
    other(
        "a watch that moves is told from one revision too late on",
        Edit("gateway.watches:Watches._begin", ast.BinOp, "start", "message.start"),
        shows_in=_WATCHED,
    ),
    other(
        "credit is never returned",
        Edit("gateway.streams:Streams.take", ast.AugAssign, "stream untaken_bytes", "pass"),
        shows_in=_WATCHED,
    ),
    other(
        "what a client had no credit for is never told",
        Edit("gateway.feed:Feed._stop_at", ast.Call, "max", "bundle.upto + 1"),
        shows_in=_WATCHED,
    ),
    other(
        "what happened while another one's state was taken up is not told",
        Edit("gateway.feed:Feed._tell_news", ast.For, "_all", "pass"),
        shows_in=Seeds(13, 14, "watches"),
    ),
    other(
        "a registration that begins in the past is told nothing of it",
        Edit("gateway.feed:Feed.add", ast.If, "cursor", "pass"),
        shows_in=_WATCHED,
    ),
)

_AT_THE_CLIENT: tuple[Bug, ...] = (
    other(
        "a watch is registered again from one revision too late on",
        Edit("client.watches:WatchCalls._registering", ast.BinOp, "position", "_ + 1"),
        shows_in=_WATCHED,
    ),
    other(
        "a transaction is torn",
        Edit("client.watches:_by_revision", ast.Call, "tuple each", "tuple(each[:1])"),
        shows_in=_WATCHED,
    ),
    other(
        "a watch that was to be registered when its client moved is forgotten",
        Edit("client.watches:WatchCalls.rewind", ast.GeneratorExp, "_asked", "()"),
        shows_in=_WATCHED,
    ),
    other(
        "an event comes twice where two streams overlap",
        Edit("client.watched:WatchCall.hand", ast.Gt, "position", "True"),
        Edit("client.watches:WatchCalls._registering", ast.BinOp, "position", "call.position"),
        shows_in=_WATCHED,
    ),
    other(
        "a watch that rests is never registered again",
        Edit("client.watches:WatchCalls.attend", ast.LtE, "waiting_bytes", "False"),
        shows_in=_WATCHED,
    ),
    other(
        "a gateway never hears what its client took",
        Edit("client.watches:WatchCalls._out", ast.Call, "WatchTaken", "WatchTaken(self._stream, 0)"),
        shows_in=_WATCHED,
    ),
)

WATCHES: tuple[Bug, ...] = (*_AT_THE_GATEWAY, *_AT_THE_CLIENT)
