"""A whole cluster and a client in one thread, each of which can be watched while it works: nothing waits, nothing is
lost, and the clock stands unless a test moves it. So whatever it does, it does the same in every run.
"""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from paxosd.client.calls import Command, Question
from paxosd.client.clock import Clocks
from paxosd.client.engine import Engine
from paxosd.client.watching import WatchingSession
from paxosd.config import Config, load
from paxosd.core.messages import Answer, Query
from paxosd.core.types import LOG, ClientAddress, NodeId
from paxosd.driver import Driver
from paxosd.server.assembly import assemble, codec_of
from paxosd.storage.memory.store import MemoryStore
from paxosd.transport.base import Connection, Inbound
from paxosd.wire.frames import Codec
from tests.core.counting import instructions
from tests.system.daemons import membership_text

APART = {"p1": "proposer", "a1": "acceptor", "a2": "acceptor", "a3": "acceptor", "l1": "learner"}
TOGETHER = {"r1": "replica", "r2": "replica", "r3": "replica"}
CLIENT = "client"
STEP_S = 0.02
ROUNDS_MAX = 500
QUIET_S = 3.0
"""So long after the birth nothing happens any more that happens once, and nobody counts as one who asked of late."""


@dataclass
class Wire:
    """A node's transport: what it sends is in the inbox of the other one at once."""

    cluster: OneThread
    inbox: deque[Inbound]
    dropped: Counter[str]

    def send(self, target: NodeId, frame: bytes) -> None:
        self.cluster.wires[target].inbox.append(Inbound(None, frame))

    def reply(self, client: ClientAddress, frame: bytes) -> None:
        self.cluster.answers.append(frame)

    def drain(self, frames_max: int) -> Iterator[Inbound]:
        for _ in range(min(frames_max, len(self.inbox))):
            yield self.inbox.popleft()

    def wait(self, timeout_s: float | None) -> None: ...

    def vouch(self, connection: Connection) -> None: ...

    def hang_up(self, connection: Connection) -> None: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class Link:
    """The client's end."""

    cluster: OneThread
    troubles: dict[str, str]

    def send(self, gateway: str, frame: bytes) -> None:
        node = self.cluster.node_at[gateway]
        self.cluster.wires[node].inbox.append(Inbound(b"client", frame, b"client"))

    def leave(self, gateway: str) -> None: ...

    def receive(self, timeout_s: float | None) -> Sequence[bytes]:
        frames = [*self.cluster.answers]
        self.cluster.answers.clear()
        return frames

    def wake(self) -> None: ...

    def close(self) -> None: ...


class OneThread:
    """A cluster that serves; `spent` has the instructions of each node and of the client while `counts`."""

    def __init__(self, roles: dict[str, str]) -> None:
        self.now = 1000.0
        self.counts = False
        self.spent: Counter[str] = Counter()
        self.answers: deque[bytes] = deque()
        self._requests = count(1)
        config = _config(roles)
        self.wires = {node: Wire(self, deque(), Counter()) for node in roles}
        self.node_at = {known.client.url: node for node, known in config.nodes.items() if known.client}
        self.drivers = {node: self._driver(config, node) for node in roles}
        session = WatchingSession(list(self.node_at), Random(7), {})
        clocks = Clocks(lambda: self.now, lambda: self.now)
        codec = Codec(config.digest, CLIENT, 1, config.limits.frame_bytes_max)
        self.engine = Engine(session, codec, Link(self, {}), lambda state: None, clocks)
        self._serve()

    def _driver(self, config: Config, node: str) -> Driver:
        store, clock = MemoryStore(), lambda: self.now
        return assemble(config, node, store, self.wires[node], clock, Random(node), codec_of(config, node, 1))

    def _serve(self) -> None:
        for driver in self.drivers.values():
            driver.recover()
        self._be_quiet()
        self.propose([b"first"])
        self._be_quiet()

    def _be_quiet(self) -> None:
        quiet_at = self.now + QUIET_S
        while self.now < quiet_at:
            self.turns(len(self.drivers))
            self.now += STEP_S

    def propose(self, values: Sequence[bytes], machine: str = LOG) -> Counter[str]:
        """Propose these values at once; returns what each spent until the client has all results."""
        commands = [Command(value, self.now + 60, machine) for value in values]
        self._call(commands)
        assert all(command.receipt is not None for command in commands), [command.error for command in commands]
        return self.spent

    def ask(self, questions: Sequence[bytes], machine: str) -> Counter[str]:
        """Ask a machine all of these at once, linearizably; returns what each spent until the client is answered."""
        asked = [
            Question(Query(next(self._requests), machine, question, True, 0), self.now + 60) for question in questions
        ]
        self._call(asked)
        assert all(isinstance(question.answer, Answer) for question in asked), [question.error for question in asked]
        return self.spent

    def _call(self, calls: Sequence[Command | Question]) -> None:
        self.spent = Counter()
        for call in calls:
            self._do(CLIENT, partial(self.engine.take, call))
        self._do(CLIENT, self._client_turn)
        for _ in range(ROUNDS_MAX):
            self.turns(1)
            if self.answers:
                self._do(CLIENT, self._client_turn)
            if all(call.done for call in calls):
                break

    def _client_turn(self) -> None:
        self.engine.receive(self.engine.link.receive(0))
        self.engine.prepare()
        self.engine.send()

    def turns(self, rounds: int) -> None:
        """Everybody to whom something came has a turn, so many times."""
        for _ in range(rounds):
            for node, driver in self.drivers.items():
                if self.wires[node].inbox or not self.counts:
                    self._do(node, driver.turn)

    def _do(self, who: str, what: Callable[[], object]) -> None:
        if self.counts:
            self.spent[who] += instructions(what)
        else:
            what()


def _config(roles: dict[str, str]) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cluster.yaml")
        path.write_text(membership_text(roles))
        return load(path)
