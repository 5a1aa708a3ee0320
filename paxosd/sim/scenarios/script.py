"""The words in which scenarios speak: a world without bad luck of its own, and what a script does to it.

Laws:
1. Nothing happens that the script does not do: no loss, no drift, no fault. All invariants stay on.
2. Times are given and told in election timeouts (T_e), the only unit that means the same for every cluster.
3. Messages are taken out of real frames and put back later as they were: a script forges nothing that a node says
   about its disk.
4. The same script with the same seed gives the same run. The seed draws timing, delays, and who plays which part.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from random import Random
from typing import Any, ClassVar, TypeVar

from paxosd.core.messages import FromClient, ToClient
from paxosd.core.options import DRAIN_S_MAX
from paxosd.core.types import NO_HISTORY, HistoryId, NodeId
from paxosd.sim.calls import SimCall, check_ends
from paxosd.sim.check.invariants import Violation, ensure
from paxosd.sim.clients import SimClient
from paxosd.sim.network import Name
from paxosd.sim.scenarios.props import Catch, Caught, Chronicle, Report, ScriptedDisk, calm
from paxosd.sim.world import Crashed, SimNode, World
from paxosd.wire.frames import Codec

T = TypeVar("T", bound=ToClient)

RECOVER_T_E = 8.0
"""Within how many election timeouts a command must be acknowledged after something went wrong."""

SETTLE_T_E = 30.0
"""Within how many election timeouts everything under way must have ended, and every learner have caught up."""

RAW_CLIENT: Name = "x1"
"""A client that is the script itself: it says what it likes, and hears what is answered."""

_STEP_T_E = 0.02


class Script:
    """A world and the hand that plays with it. Made by the first line of a scenario, finished by `finish`."""

    on_world: ClassVar[Callable[[World], None] | None] = None
    """Is given the world of every script, which then keeps its trace; for whoever wants to read what happened."""

    def __init__(self, seed: int, layout: str, tracing: bool = False, **changes: Any) -> None:
        self.plan = calm(seed, layout, **changes)
        self.random = Random(f"script-{layout}-{seed}")
        self.world = World(self.plan, tracing=tracing or Script.on_world is not None)
        if Script.on_world is not None:
            Script.on_world(self.world)
        self.t_e = self.plan.election_s
        self.chronicle = Chronicle(self.world)
        self.world.ghost.marks = self.chronicle
        self.disks = {
            name: ScriptedDisk(name, Random(self.random.getrandbits(64)), self.plan.sync_s) for name in self.nodes
        }
        for name, disk in self.disks.items():
            self.world.nodes[name].disk = disk
        self.heard: list[tuple[NodeId, ToClient]] = []  # by the raw client
        self.loss = 0.0  # this share of what nodes send each other is lost
        self._cut: set[tuple[Name, Name]] = set()
        self._catches: list[Catch] = []
        self._letting_pass = False
        self._ear = self._codec("ear", 0)
        self.world.network.sieve = self._sift
        for client in self.clients:
            client.working = False

    def begin(self) -> None:
        """Start everything, and wait until somebody leads and every client was served once."""
        self.world.start()
        self.run(1.0)
        first = [self.propose(client) for client in self.clients]
        self.until(lambda: all(operation.outcome == "acked" for operation in first), 12, "everybody is served")

    # ---- time ----

    @property
    def now(self) -> float:
        return self.world.now

    def run(self, t_e: float) -> None:
        """Let so many election timeouts pass."""
        self.world.run_until(self.now + t_e * self.t_e)

    def until(self, done: Callable[[], bool], within_t_e: float, what: str) -> float:
        """Let time pass until this is so, and say how long that took; it is a violation if it takes longer."""
        began = self.now
        while not done():
            ensure(self.now < began + within_t_e * self.t_e, "scenario", f"not within {within_t_e} T_e: {what}")
            self.run(_STEP_T_E)
        return self.since(began)

    def since(self, moment: float) -> float:
        """How long ago that was."""
        return (self.now - moment) / self.t_e

    # ---- who leads ----

    @property
    def leader(self) -> NodeId:
        """Who leads; of several that think so, the one with the highest ballot. Empty: nobody."""
        reigning = self.chronicle.reigning()
        return reigning[-1].node if reigning else ""

    def changes_since(self, moment: float) -> int:
        """How many leaders were elected since then."""
        return sum(reign.began_s > moment for reign in self.chronicle.reigns)

    def lasting_changes_since(self, moment: float) -> int:
        """The same without those that two candidates of one election outbid before they sent a second heartbeat."""
        reigns = [reign for reign in self.chronicle.reigns if reign.began_s > moment]
        return sum(reign.ended_s - reign.began_s > self.world.config.timing.heartbeat_s for reign in reigns)

    def ballots_since(self, moment: float) -> int:
        """In how many rounds anybody prepared since then."""
        return len({ballot.round for ballot, at in self.chronicle.prepared.items() if at > moment})

    def end_of_reign(self, node: NodeId, began_before: float) -> float:
        """When the last leadership of this node from before that moment ended, in its own opinion."""
        reigns = [reign for reign in self.chronicle.reigns if reign.node == node and reign.began_s < began_before]
        return reigns[-1].ended_s

    # ---- nodes ----

    @property
    def nodes(self) -> Mapping[NodeId, SimNode]:
        return self.world.nodes

    def having(self, letters: str) -> list[NodeId]:
        """The nodes of these roles, by the first letters of their names."""
        return [name for name in self.nodes if name[0] in letters]

    @property
    def acceptors(self) -> list[NodeId]:
        return self.having("ar")

    @property
    def proposers(self) -> list[NodeId]:
        return self.having("pr")

    @property
    def majority(self) -> int:
        """How many acceptors are a quorum."""
        return len(self.acceptors) // 2 + 1

    @property
    def learners(self) -> list[NodeId]:
        return self.having("lr")

    def pick(self, names: Iterable[NodeId], but: Collection[NodeId] = ()) -> NodeId:
        """One of these, by chance."""
        return self.random.choice([name for name in names if name not in but])

    def kill(self, *names: NodeId) -> None:
        """End these processes; their page caches stay."""
        for name in names:
            self.nodes[name].end(False, "killed by the script")

    def power_off(self, *names: NodeId) -> None:
        """End these processes, and lose what they did not sync."""
        for name in names:
            self.nodes[name].end(True, "power cut by the script")

    def start(self, *names: NodeId) -> None:
        """Begin a new life of each that does not live."""
        for name in names:
            self.nodes[name].start()

    def pause(self, name: NodeId, t_e: float) -> None:
        """Stop this process for a while; its clock goes on."""
        self.world.show(name, "stands still for %g T_e", t_e)
        self.nodes[name].paused_until = self.now + t_e * self.t_e

    def crash(self, name: NodeId, power: bool) -> None:
        """End this process here and now, in the middle of its turn; it starts again an election timeout later."""
        self.nodes[name].crash_with_power_loss = power
        raise Crashed

    def stop(self, name: NodeId) -> None:
        """Ask this process to end, as SIGTERM does: it hands over, and `is_up` says when it has ended."""
        self.nodes[name].stop(DRAIN_S_MAX)

    def is_up(self, name: NodeId) -> bool:
        """Whether this process lives."""
        return self.nodes[name].driver is not None

    def ignored(self, name: NodeId, reason: str) -> int:
        """How many messages this life of a node ignored for this reason."""
        driver = self.nodes[name].driver
        return 0 if driver is None else driver.agent.ignored[reason]

    # ---- links ----

    def cut(self, sources: Collection[Name], targets: Collection[Name]) -> None:
        """Drop whatever any of these sends to any of those, until it is healed."""
        self.world.show("----", "%s can no longer send to %s", ",".join(sources), ",".join(targets))
        self._cut |= {(source, target) for source in sources for target in targets if source != target}

    def sever(self, some: Collection[Name], others: Collection[Name]) -> None:
        """Cut both ways."""
        self.cut(some, others)
        self.cut(others, some)

    def heal(self) -> None:
        """Mend every link."""
        self.world.show("----", "every link is mended")
        self._cut.clear()

    def keep_only(self, pairs: Iterable[tuple[NodeId, NodeId]]) -> None:
        """Cut every link between nodes but these, which stay both ways."""
        kept = {frozenset(pair) for pair in pairs}
        self.world.show("----", "no links are left but %s", " ".join(sorted("-".join(sorted(pair)) for pair in kept)))
        self._cut |= {(a, b) for a in self.nodes for b in self.nodes if a != b and frozenset((a, b)) not in kept}

    # ---- messages ----

    def hold(self, *types: type, source: Collection[Name] = (), target: Collection[Name] = (),
             when: Callable[[Caught], bool] = lambda caught: True,
             then: Callable[[Caught], None] = lambda caught: None) -> Catch:  # fmt: skip
        """Keep back the messages of these types, from and to these (empty: anybody), until `release`."""
        return self._catch(True, types, source, target, when, then)

    def watch(self, *types: type, source: Collection[Name] = (), target: Collection[Name] = (),
              when: Callable[[Caught], bool] = lambda caught: True,
              then: Callable[[Caught], None] = lambda caught: None) -> Catch:  # fmt: skip
        """Note the messages of these types, and let them pass."""
        return self._catch(False, types, source, target, when, then)

    def _catch(self, keeps: bool, types: tuple[type, ...], source: Collection[Name], target: Collection[Name],
               when: Callable[[Caught], bool], then: Callable[[Caught], None]) -> Catch:  # fmt: skip
        def wanted(caught: Caught) -> bool:
            return (
                isinstance(caught.message, types)
                and (not source or caught.source in source)
                and (not target or caught.target in target)
                and when(caught)
            )

        catch = Catch(wanted, keeps, then)
        self._catches.append(catch)
        return catch

    def forget(self, catch: Catch) -> None:
        """Let pass from now on what this caught; what it kept is lost."""
        catch.over = True

    def let_all_pass(self) -> None:
        """Mend every link and forget every catch."""
        self.heal()
        for catch in self._catches:
            self.forget(catch)

    def release(self, catch: Catch) -> None:
        """Stop catching, and send what was kept on its way."""
        catch.over = True
        for caught in catch.found:
            self.send(caught)

    def send(self, caught: Caught) -> None:
        """Send this message now, as it was; nothing catches it again."""
        codec = self._codec(caught.source, caught.incarnation, caught.history)
        (frame,) = codec.frames([codec.pack(caught.message)])
        self._letting_pass = True
        self.world.network.send(caught.source, caught.target, frame, self.now)
        self._letting_pass = False

    def _codec(self, sender: Name, incarnation: int, history: HistoryId = NO_HISTORY) -> Codec:
        codec = Codec(self.world.config.digest, sender, incarnation, self.world.config.limits.frame_bytes_max)
        codec.belong_to(history)
        return codec

    def _sift(self, source: Name, target: Name, frame: bytes) -> bytes | None:
        """The sieve of the network: cuts, and what is caught."""
        if (source, target) in self._cut:
            return None
        if self.loss and source in self.nodes and target in self.nodes and self.random.random() < self.loss:
            return None
        if target == RAW_CLIENT:
            self.heard += [(source, message) for message in self._ear.from_gateway(frame).messages]  # type: ignore[misc]
            return None
        if self._letting_pass or all(catch.over for catch in self._catches):
            return frame
        plane = self._ear.from_client if source not in self.nodes else self._ear.from_peer
        envelope = (self._ear.from_gateway if target not in self.nodes else plane)(frame)
        rest = []
        for message in envelope.messages:
            caught = Caught(source, target, message, envelope.incarnation, self.now, envelope.history)
            kept = [catch.take(caught) for catch in self._catches]  # each of them sees it, whatever the others do
            if not any(kept):
                rest.append(message)
        if len(rest) == len(envelope.messages):
            return frame
        if not rest:
            return None
        codec = self._codec(envelope.sender, envelope.incarnation, envelope.history)
        return codec.frames([codec.pack(message) for message in rest])[0]

    # ---- clients ----

    @property
    def clients(self) -> list[SimClient]:
        return list(self.world.clients.values())

    def work(self) -> None:
        """Let every client call now and then."""
        for client in self.clients:
            client.working = True
            client.step(self.now)

    def rest(self) -> None:
        """No new calls."""
        for client in self.clients:
            client.working = False

    def propose(self, client: SimClient) -> SimCall:
        """Let this client propose a value now."""
        operation = client.propose(self.now)
        client.step(self.now)
        return operation

    def confine(self, client: SimClient, gateways: Collection[NodeId]) -> None:
        """Cut this client off from every gateway but these."""
        self.sever([client.name], [name for name in self.learners if name not in gateways])

    def acked(self, since: float) -> Iterator[SimCall]:
        """What clients proposed after that moment and was acknowledged."""
        for client in self.clients:
            for operation in client.operations:
                if operation.name == "propose" and operation.invoked_s > since and operation.outcome == "acked":
                    yield operation

    def recover(self, since: float, within_t_e: float = RECOVER_T_E) -> float:
        """Wait until a command is acknowledged that was proposed after that moment; how long after it that was."""
        left = within_t_e - self.since(since)
        self.until(lambda: any(self.acked(since)), left, "a command is acknowledged again")
        return (min(operation.ended_s for operation in self.acked(since)) - since) / self.t_e

    def say(self, gateway: NodeId, *messages: FromClient) -> None:
        """Let the raw client say this to a gateway, in one frame."""
        codec = self._codec(RAW_CLIENT, 1)
        self.nodes[gateway].arrive(RAW_CLIENT.encode(), codec.frames([codec.pack(message) for message in messages])[0])

    def call(self, gateway: NodeId, message: FromClient, wanted: type[T]) -> T:
        """Say this again and again, until a gateway answers with a message of this type."""
        self.heard.clear()
        for _ in range(int(2 * SETTLE_T_E)):
            self.say(gateway, message)
            self.run(0.5)
            for source, answer in self.heard:
                if source == gateway and isinstance(answer, wanted):
                    return answer
        raise Violation("scenario", f"{gateway} did not answer {message}")

    # ---- the end ----

    def finish(self, apart: Collection[NodeId] = ()) -> None:
        """Let everything under way end, and every learner catch up but those that are apart for good."""
        self.rest()
        self.until(lambda: not any(client.under_way for client in self.clients), SETTLE_T_E, "all calls have ended")
        together = [name for name in self.learners if name not in apart]
        self.until(
            lambda: all(self.world.applied_to_the_end(name) for name in together), SETTLE_T_E, "all learners caught up"
        )
        operations = [operation for client in self.clients for operation in client.operations]
        check_ends(operations, self.world.ghost.order, certain=self.plan.repeat == 0)
        books = self.world.network.check()
        ensure(books is None, "28 nothing lost silently", str(books))


# ---- how scenarios begin and end -----------------------------------------------------------------


def begin(seed: int, layout: str, **changes: Any) -> tuple[Script, NodeId]:
    """A cluster under load, and who leads it."""
    script = Script(seed, layout, **changes)
    script.begin()
    script.work()
    script.run(2)
    return script, script.leader


def expect(holds: bool, text: str) -> None:
    """Raise `Violation` unless it holds."""
    ensure(holds, "scenario", text)


def report(script: Script, since: float, recovered_t_e: float, text: str = "") -> Report:
    """What came of a scenario, since the moment when something went wrong."""
    return Report(recovered_t_e, script.changes_since(since), script.ballots_since(since), text)
