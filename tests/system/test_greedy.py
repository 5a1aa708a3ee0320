"""Clients that want more than their share, at real daemons: what they are told, and that nobody else loses by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import zmq

from paxosd.core.messages import FromClient, Message, OpenSession, Propose, Refused, SessionOpened
from paxosd.core.reasons import Reason
from paxosd.core.values import encode_body
from paxosd.gateway.openings import PER_CLIENT_BURST
from paxosd.storage.directory import STORE_NAME
from paxosd.storage.sqlite.store import SQLiteStore
from paxosd.wire.frames import CLIENT_MESSAGES_MAX, NO_DIGEST, Codec
from tests.core.helpers import session_id
from tests.system.daemons import REPLICAS, DaemonCluster

ANSWER_MS = 10_000


class Rogue:
    """A connection that says what it likes."""

    def __init__(self, dealer: zmq.Socket[bytes]) -> None:
        self._dealer = dealer
        self._codec = Codec(NO_DIGEST, "rogue", 1, 16 * 1024 * 1024)

    def say(self, messages: Sequence[FromClient]) -> list[Message]:
        """Send these in as few frames as may be; the answers, one for each."""
        packed = [self._codec.pack(message) for message in messages]
        for frame in self._codec.frames(packed, messages_max=CLIENT_MESSAGES_MAX):
            self._dealer.send(frame)
        answers: list[Message] = []
        while len(answers) < len(messages):
            assert self._dealer.poll(ANSWER_MS), f"{len(messages) - len(answers)} messages were not answered"
            answers += self._codec.from_gateway(self._dealer.recv()).messages
        return answers


@contextmanager
def rogue(cluster: DaemonCluster, node: str) -> Iterator[Rogue]:
    """One that is connected to this node."""
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.connect(cluster.gateways[node])
    try:
        yield Rogue(dealer)
    finally:
        dealer.close()
        context.term()


def test_commands_of_sessions_that_nobody_opened_leave_the_log_as_it_was(tmp_path: Path) -> None:
    forged = [Propose(session_id(number), 1, 1, 1, 1, encode_body([bytes(1000)])) for number in range(60)]
    with DaemonCluster(tmp_path, REPLICAS) as cluster, cluster.client() as client:
        client.propose(b"before")
        answers = []
        for node in REPLICAS:
            with rogue(cluster, node) as connection:
                for _ in range(5):
                    answers += connection.say(forged)
        client.propose(b"after")
        log = [entry.value for entry in client.log()]
    with closing(SQLiteStore(cluster.folder / "r1" / STORE_NAME)) as store:
        held = sum(len(value) for _, value in store.learned(1, store.learned_stop(), 1 << 30))

    reasons = {answer.reason for answer in answers if isinstance(answer, Refused)}
    assert len(answers) == 5 * len(REPLICAS) * len(forged)
    assert reasons <= {Reason.BEHIND, Reason.SESSION_UNKNOWN, Reason.NO_LEADER}
    assert log == [b"before", b"after"]
    assert held < len(answers)  # bytes: not even one for each of them


def test_who_opens_many_sessions_gets_a_few_and_others_keep_theirs(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, REPLICAS) as cluster, cluster.client() as client:
        client.propose(b"before")
        with rogue(cluster, "r1") as connection:
            answers = connection.say([OpenSession(session_id(number), number) for number in range(1, 101)])
        client.propose(b"after")

    opened = [answer for answer in answers if isinstance(answer, SessionOpened)]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(opened) <= PER_CLIENT_BURST
    assert len(opened) + len(refused) == 100
