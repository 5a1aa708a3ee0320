"""A whole cluster in one thread: the production driver of every node, in simulated time.

Laws:
1. Nothing here knows Paxos. A node is `assemble(...)` over a simulated clock, network and disk, and its life is
   `recover`, then `turn` and `wait` as in a daemon.
2. All chance comes from the plan's seed, all time from the queue of events. Equal plans give equal traces.
3. A process ends between any two effects of a turn: an exception thrown from the transport or the store is the
   crash, and nothing of the turn happens after it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from paxosd.config import parse
from paxosd.core.agent import Event, InvariantBroken
from paxosd.core.messages import Answer, Applied, LogPage, Message, Prepare
from paxosd.core.records import Record, Round
from paxosd.core.types import NO_HISTORY, DiskId, HistoryId, MachineName, NodeId, Revision
from paxosd.driver import Driver
from paxosd.lives import CHANCE_BITS, OwnLife
from paxosd.machine.base import StateMachine
from paxosd.machine.log import Log
from paxosd.server.assembly import assemble
from paxosd.sim.agenda import Agenda
from paxosd.sim.check.ghost import Ghost
from paxosd.sim.check.invariants import Violation, ensure
from paxosd.sim.clients import SimClient
from paxosd.sim.disk import RESERVE_BYTES, SimDisk, SimStore
from paxosd.sim.network import Network, SimTransport
from paxosd.sim.plan import VOTING, Plan
from paxosd.sim.watched_log import WatchedLog
from paxosd.sim.witness import WatchedCodec, WitnessedMachine, witnessed
from paxosd.storage.base import StorageError
from paxosd.storage.space import Gauge, Watch

TURN_S = 0.00005
"""How long a turn takes at least; frames that come meanwhile are taken in together by the next one."""

TURNS_PER_S_MAX = 10_000
"""Half of those that there is time for: who turns more often does not sleep though there is nothing to do (33)."""

UNEXPECTED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What ends a process that meets it, and never may: nothing that comes from a peer or a client does, and no own bug."""


class Crashed(BaseException):
    """The process ends here. No `except` of the code under test may stop it."""


class SimNode:
    """One node over all of its lives, which are counted from `lives` on; of a twin (`twins.py`) these are not 0."""

    def __init__(self, world: World, node_id: NodeId, random: Random, lives: int = 0) -> None:
        plan = world.plan
        self.id = node_id
        self.disk = SimDisk(node_id, Random(random.getrandbits(64)), plan.sync_s)
        self.driver: Driver | None = None
        self.is_twin = lives > 0
        self.has_address = True  # whether it gets what is sent to this node
        self.life = lives
        self.count = 0  # what its directory knows of its lives; a wiped one knows of none
        self.own_life = OwnLife(0, 0)
        self.lost = False  # its directory is damaged for good
        self.leads_in = ""  # the ballot with which it leads, by what it reports; empty: it does not
        self.paused_until = 0.0
        self.crash_after: int | None = None  # so many effects into the next turns
        self.crash_with_power_loss = False
        self._stopping = False  # a signal came: it ends once it has nothing left to finish
        self.transport: SimTransport | None = None
        self.machines: dict[MachineName, WitnessedMachine] = {}
        self.ghost = world.ghost  # of the history that it belongs to
        self._name = node_id + "'" * world.ghosts.index(self.ghost)  # a restored one is another one
        self._world = world
        self._random = random
        self._rate = 1.0 + random.uniform(-1.0, 1.0) * plan.drift
        self._offset = random.uniform(0.0, 1e5)
        self._moment = 0.0  # the time inside a turn
        self._busy_until = 0.0
        self._turn_at: float | None = None
        self._second, self._turns = 0, 0  # how often it turned in this second

    @property
    def revision(self) -> Revision:
        """What this life has applied."""
        return max((machine.revision for machine in self.machines.values()), default=0)

    # ---- lives ----

    def start(self) -> None:
        """Begin a life, unless one goes on or the disk is lost."""
        if self.driver is not None or self.lost:
            return
        world, self.life, self.count = self._world, self.life + 1, self.count + 1
        self._moment = max(world.now, self._moment)
        if self.disk.node == self.id and not self.is_twin:
            self.ghost.safety.recovered_from(self.id, self.disk.written)
        world.note(self._name, "starts life %d", self.life)
        self.ghost.marks.started(self.id, self.life)
        self.transport = SimTransport(self.id, world.network, lambda: self._moment, self._effect)
        self.machines = witnessed(self.id, world.machine(), self.ghost, world.plan.window, world.on_chosen)
        chance = Random(f"chance-{world.plan.seed}-{self._name}-{self.life}").getrandbits(CHANCE_BITS)
        self.own_life = OwnLife(self.count, chance, self._keep_count)
        driver = assemble(
            world.config,
            self.id,
            SimStore(self.id, self.disk, self._spend, self._effect, self._committed),
            self.transport,
            self._clock,
            Random(self._random.getrandbits(64)),
            WatchedCodec(world.config, self.id, self.own_life.number, self._sent),
            self.machines,
            self._on_event,
            self.own_life,
            Watch(self.disk.usage, Gauge(reserve=RESERVE_BYTES), lambda usage, space, is_new: None),
        )
        self.driver = driver
        self._live(driver.recover)

    def _keep_count(self, count: int) -> None:
        self._world.note(self._name, "counts its lives on to %d", count)
        self.count = count

    def end(self, power: bool, why: str) -> None:
        """The process is gone, and with `power` what was not synced too."""
        if self.driver is None:
            return
        self._world.note(self._name, "ends: %s", why)
        self.ghost.marks.ended(self.driver)
        self.driver, self.transport, self._turn_at = None, None, None
        self.crash_after, self._stopping, self.leads_in = None, False, ""
        if power:
            self.lose_power()

    def stop(self, within_s: float) -> None:
        """What SIGTERM does: it finishes what it took and hands over, and ends after this time at the latest."""
        if self.driver is None:
            return
        self._stopping = True
        self.driver.agent.drain(self._clock())
        self._turn_by(self._world.now)
        self._world.later(within_s, self._end_life, self.life)

    def _end_life(self, life: int) -> None:
        if life == self.life:
            self.end(False, "was asked to stop")

    def lose_power(self) -> None:
        """Whether it runs or not, the page cache is gone."""
        self.ghost.marks.hit("power loss with unsynced tail") if self.disk.has_unsynced else None
        self.disk.lose_power()

    def _live(self, step: Callable[[], None]) -> None:
        """Run a step of the driver, and end this life if it ends."""
        world = self._world
        try:
            step()
        except Crashed:
            self.ghost.marks.hit("crash in a turn")
            self.end(self.crash_with_power_loss, "crash in a turn")
            world.later(world.plan.election_s, self.start)
        except StorageError as error:
            self.end(False, f"storage: {error}")
            self.lost = "damaged" in str(error)
            is_foreign = self.disk.node != self.id
            mark = "ended by a failed commit" if not is_foreign else "storage id mismatch refused"
            self.ghost.marks.hit("damaged directory refused" if self.lost else mark)
            if not self.lost and not is_foreign:
                world.later(world.plan.election_s, self.start)
        except InvariantBroken as error:
            raise Violation("production invariant", f"{self.id}: {error}") from error
        except UNEXPECTED as error:
            raise Violation("a node goes on", f"{self.id} would have ended with {error!r}") from error
        else:
            self._sleep()

    # ---- turns ----

    def arrive(self, client: bytes | None, frame: bytes) -> bool:
        """A frame came in; False if there is nobody to take it."""
        if self.transport is None or not self.transport.arrive(client, frame):
            return False
        self._turn_by(self._world.now + TURN_S)
        return True

    def _turn_by(self, at: float) -> None:
        at = max(at, self._busy_until, self.paused_until)
        if self._turn_at is None or at < self._turn_at:
            self._turn_at = at
            self._world.schedule(at, self._turn, (at,))

    def _turn(self, at: float) -> None:
        if self._turn_at != at or self.driver is None:
            return  # there was an earlier one
        if self._world.now < self.paused_until:
            self._turn_at = None
            return self._turn_by(self.paused_until)
        self._turn_at = None
        self._moment = self._world.now
        self._count_turn()
        self._live(self.driver.turn)
        if self._stopping and self.driver is not None and self.driver.agent.drained:
            self._live(self.driver.turn)
            self._end_life(self.life)

    def _count_turn(self) -> None:
        second = int(self._world.now)
        self._turns = self._turns + 1 if second == self._second else 1
        self._second = second
        ensure(self._turns <= TURNS_PER_S_MAX, "33 turns", f"{self.id} turns {self._turns} times in a second")

    def _sleep(self) -> None:
        """As the driver waits: until the next frame or the next deadline."""
        assert self.driver is not None
        assert self.transport is not None
        self._busy_until = self._moment + TURN_S
        self.transport.idle_s = 0.0
        if not self.transport.has_frames:
            self.driver.wait()
        self._turn_by(self._busy_until + self.transport.idle_s / self._rate)

    def _clock(self) -> float:
        return self._offset + self._moment * self._rate

    def _spend(self, duration_s: float) -> None:
        self._moment += duration_s

    # ---- what the node does to the world ----

    def _effect(self) -> None:
        """Called before every effect of a turn: the place to crash."""
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after < 0:
                raise Crashed

    def _committed(self, records: Sequence[Record]) -> None:
        if self.is_twin:  # its rounds are no later ones than those of the node itself
            records = [record for record in records if not isinstance(record, Round)]
        self.ghost.marks.committed(self.id, records)
        self.ghost.safety.committed(self.id, records, self.disk.synced)
        self._effect()

    def _sent(self, message: Message) -> None:
        world = self._world
        self.ghost.safety.sent((self.id, self.life), message, self.disk.synced)
        self.ghost.log_times.sent((self.id, self.life), message, self._clock())
        if isinstance(message, Applied | LogPage | Answer):
            self.ghost.answers.told(message, world.now, self._moment)
        if world.now < world.coups_until and isinstance(message, Prepare):
            world.on_prepare(self)
        self.ghost.marks.sent(self.id, self.life, message)
        if world.tracing:
            world.show(self._name, "sends %.200s", message)

    def _on_event(self, event: Event) -> None:
        self._world.note(self._name, "%s %s", event.name, event.fields)
        if event.name in ("leader.elected", "leader.renewed", "leader.lost"):
            self.leads_in = "" if event.name == "leader.lost" else str(event.fields["ballot"])
        if event.name == "leader.elected":
            self._world.leader = self._world.nodes[self.id]
        if event.name == "state.differs" and not any(machine.is_wrong for machine in self.machines.values()):
            raise Violation("15 state digest", f"{self.id} finds that {event.fields['what']}")
        if event.name in ("disk.quorum_went_back", "log.differs"):  # no plan loses what a quorum told
            raise Violation("1 agreement", f"{self.id} finds that {event.fields['what']}")
        self.ghost.marks.event(event, self.ghost.safety.watermark)
        self.ghost.log_times.event((self.id, self.life), event, self._clock())


class World(Agenda):
    """Everything of one run. `machine` makes the user's state machine; `tracing` keeps a readable trace."""

    def __init__(self, plan: Plan, machine: Callable[[], StateMachine] = Log, tracing: bool = False) -> None:
        super().__init__()
        self.plan = plan
        self.machine = (lambda: WatchedLog(plan.window)) if plan.watches and not plan.keys else machine
        self.coups_until, self.coup_for_s = 0.0, 0.0
        self.on_prepare: Callable[[SimNode], None] = lambda node: None
        self.leader: SimNode | None = None  # who was elected last
        self.healed = False  # the second phase has begun: no fault begins any more
        self.tracing = tracing
        self.trace: list[str] = []
        self.random = Random(f"world-{plan.seed}-{plan.profile}")
        self.config = parse(plan.config_text(), f"seed {plan.seed}", {})
        self.ghosts = [self.new_ghost()]
        self.lost_unborn: set[NodeId] = set()  # acceptors that lost their disks before the cluster was born
        self.guests_lost: dict[NodeId, tuple[float, list[str]]] = {}  # when, and who led; for `spare.py`
        self.went_back: set[DiskId] = set()  # disks that know less than they did, whether or not they told of it
        self.faults: Counter[str] = Counter()
        self._hash = hashlib.blake2b(digest_size=16)
        self.network = Network(plan, Random(self.random.getrandbits(64)), self.schedule, self._deliver)
        self.nodes = {node: SimNode(self, node, Random(self.random.getrandbits(64))) for node in plan.roles}
        self.twins: dict[NodeId, SimNode] = {}
        self.clients = {f"c{number}": self._client(f"c{number}", number) for number in range(1, plan.clients + 1)}
        self._client_wakes: dict[str, float] = {}

    @property
    def ghost(self) -> Ghost:
        """Of the newest history."""
        return self.ghosts[-1]

    def new_ghost(self) -> Ghost:
        """Of a history of this cluster in which nothing has happened yet."""
        plan, nodes = self.plan, self.config.nodes
        weights = {node: known.weight for node, known in nodes.items() if known.role.value in VOTING}
        window = plan.window if plan.keys else 0
        return Ghost(weights, plan.window_slots, plan.sessions, self.config.membership.learners, window)

    def on_chosen(self) -> None:
        """More is known of what the keys must come to."""
        if self.ghost.turns is not None:
            self.ghost.turns.look()
        for client in self.clients.values():
            client.keys.check_leases()

    def ghosts_of(self, history: HistoryId) -> list[Ghost]:
        """Of this history; all of them if it is not known which one."""
        return [ghost for ghost in self.ghosts if history in (NO_HISTORY, ghost.history)]

    def _client(self, name: str, number: int) -> SimClient:
        return SimClient(
            name,
            number,
            self.plan,
            Random(self.random.getrandbits(64)),
            self.config.digest,
            self.ghosts_of,
            lambda client, gateway, frame: self.network.send(client, gateway, frame, self.now, client=True),
            lambda at: self._wake_client(name, at),
            lambda: self.now,
        )

    def start(self) -> None:
        """Start every node, in any order, and every client."""
        for node in self.nodes.values():
            self.schedule(self.random.uniform(0.0, self.plan.election_s), node.start)
        for name in self.clients:
            self._wake_client(name, self.random.uniform(0.0, 1.0))

    # ---- frames and clients ----

    def _deliver(self, source: str, target: str, frame: bytes) -> None:
        self._hash.update(b"%.9f %s %s " % (self.now, source.encode(), target.encode()))
        self._hash.update(frame)
        client = self.clients.get(target)
        if client is not None:
            taken = client.arrive(source, frame, self.now)
        else:
            twin = self.twins.get(target)
            node = twin if twin is not None and twin.has_address else self.nodes[target]
            taken = node.arrive(source.encode() if source in self.clients else None, frame)
        if taken:
            self.network.delivered += 1
        else:
            self.network.dropped["nobody there, or no room"] += 1

    def _wake_client(self, name: str, at: float) -> None:
        if self._client_wakes.get(name, float("inf")) > at:
            self._client_wakes[name] = at
            self.schedule(at, self._step_client, (name, at))

    def _step_client(self, name: str, at: float) -> None:
        if self._client_wakes.get(name) == at:
            del self._client_wakes[name]
            self.clients[name].step(self.now)

    def applied_to_the_end(self, node: NodeId) -> bool:
        """Whether this learner lives and has applied all that any learner has."""
        known = self.nodes[node]
        return known.driver is not None and known.revision == len(self.ghost.order.log)

    # ---- the trace ----

    def note(self, who: str, text: str, *values: object) -> None:
        """One line of the trace, which counts for its hash."""
        self._hash.update((text % values).encode())
        self.show(who, text, *values)

    def show(self, who: str, text: str, *values: object) -> None:
        """One line of the trace for the reader, if anybody reads it."""
        if self.tracing:
            self.trace.append(f"{self.now:12.6f} {who:4} {text % values}")

    def trace_hash(self) -> str:
        """Equal for equal runs."""
        return self._hash.hexdigest()
