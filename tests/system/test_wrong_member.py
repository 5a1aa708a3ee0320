"""A member with the right file that lies to real daemons: they live, keep nothing of it, and go on deciding."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import zmq

from paxosd.config import Config, load
from paxosd.core.messages import (
    Accept,
    Chosen,
    Fetch,
    FetchVotes,
    Heartbeat,
    Message,
    Nack,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Watermark,
)
from paxosd.core.types import NO_BALLOT, Ballot, NodeId
from paxosd.lives import CHANCE_BITS
from paxosd.wire.frames import Codec
from tests.system.daemons import REPLICAS, DaemonCluster

FAR = 2**63 - 1
LIAR = "r3"
TOP = Ballot(FAR, LIAR)
LIES: tuple[Message, ...] = (
    PreVote(TOP),
    Prepare(TOP, 1),
    Prepare(TOP, FAR),
    Accept(TOP, 2**62, b"v", 2**62),
    Accept(Ballot(1, LIAR), 2**62, b"v", 2**62),
    Heartbeat(TOP, FAR, FAR, FAR),
    Heartbeat(Ballot(1, LIAR), FAR, FAR, FAR),
    Watermark(TOP, FAR),
    Chosen(2, b"v"),
    Nack(Ballot(1, "r1"), TOP),
    PreVoteReply(Ballot(1, "r1"), True, TOP, FAR),
    Promise(Ballot(1, "r1"), 1, FAR, True, (), FAR, FAR),
    Nack(NO_BALLOT, TOP),
    *[Fetch(1)] * 500,
    *[FetchVotes(1, FAR)] * 500,
    *[FetchVotes(1, 100)] * 500,
)


def lie(config: Config, targets: Iterable[NodeId]) -> None:
    """Say all of it to these nodes, in the name of a member, as a later life of it."""
    codec = Codec(config.digest, LIAR, 2 << CHANCE_BITS, config.limits.frame_bytes_max)
    context = zmq.Context()
    try:
        for target in targets:
            address = config.nodes[target].address
            assert address is not None
            dealer = context.socket(zmq.DEALER)
            dealer.linger = 2000
            dealer.connect(address.url)
            for frame in codec.frames([codec.pack(message) for message in LIES]):
                dealer.send_multipart([target.encode(), frame])
            dealer.close()
    finally:
        context.term()


def test_a_wrong_member_ends_neither_elections_nor_daemons_not_even_across_restarts(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, REPLICAS) as cluster, cluster.client() as client:
        client.propose(b"before")
        cluster.kill(LIAR)
        others = [node for node in REPLICAS if node != LIAR]
        for _ in range(3):
            lie(load(cluster.config), others)
            client.propose(b"meanwhile")
        alive = [cluster.daemons[node].process.poll() for node in others]
        cluster.kill(*others)
        cluster.start(*REPLICAS)
        client.propose(b"after")
        log = [entry.value for entry in client.log(start=1)]

    assert alive == [None, None]
    assert log == [b"before", *[b"meanwhile"] * 3, b"after"]
