"""Scenarios of two that say they are the same: a copy of a directory, and a cluster that was restored while the old one
lives. And of one that is not what the others are, though nobody can see it from outside."""

from __future__ import annotations

from paxosd.core.messages import Applied, LogPage, ReadLog, SessionOpened
from paxosd.core.types import LOG, NodeId
from paxosd.gateway.agreement import DIGEST_EVERY_SLOTS
from paxosd.sim.calls import check_ends
from paxosd.sim.restored import check_apart, restore, take_address
from paxosd.sim.scenarios.props import Chronicle, Report
from paxosd.sim.scenarios.script import Script, begin, expect, report
from paxosd.sim.spare import note_wiped, votes
from paxosd.sim.twins import copy_and_run, end_twin
from paxosd.wire.frames import ANOTHER_HISTORY

SERVES = (Applied, LogPage, SessionOpened)
COPY_RUNS_T_E = 10.0
IS_ITSELF_T_E = 30.0
"""Within how many election timeouts a node takes part in all again, once nobody else says that it is this node."""
FOUND_WITHIN_SLOTS = DIGEST_EVERY_SLOTS + 64
"""Within how many slots a wrong state is found: one interval, and what is under way then."""


def d22_wrong_bit(seed: int, layout: str) -> Report:
    """A bit of the state in one replica's memory is another one: the digests in the log show it within one interval, it
    serves nothing any more, the others go on, and with an empty directory it is as good as new."""
    script, _ = begin(seed, layout, window_slots=8, think_s=0.03)
    victim = script.pick(script.learners)
    node, safety = script.nodes[victim], script.world.ghost.safety
    at, flipped_in = script.now, safety.watermark
    node.machines[LOG].flip_a_bit()
    found = "digest mismatch found"
    script.until(
        lambda: script.chronicle.hits[found] > 0 or safety.watermark > flipped_in + FOUND_WITHIN_SLOTS,
        500,
        "slots pass",
    )
    expect(script.chronicle.hits[found] == 1, f"it was found {script.chronicle.hits[found]} times within one interval")
    told = script.watch(*SERVES, source=[victim])
    recovered = script.recover(script.now)
    for _ in range(3):
        script.say(victim, ReadLog(1, node.revision, False, 0, 0))
        script.run(1)
    answers = [caught.message for caught in told.found] + [answer for _, answer in script.heard]
    served = [answer for answer in answers if not (isinstance(answer, LogPage) and answer.refused)]
    expect(bool(answers) and not served, "it goes on serving")

    node.end(True, "its directory is moved away")
    node.disk.wipe()
    node.count = 0
    safety.wiped(victim)
    note_wiped(script.world, victim)
    script.start(victim)
    script.until(lambda: votes(script.world, victim), IS_ITSELF_T_E, "it votes with a new disk")
    script.finish()
    return report(script, at, recovered)


def i08_copy(seed: int, layout: str) -> Report:
    """A copy of a directory runs on a second host beside its node, and ends: only one of the two is heard, the cluster
    serves throughout, and the node works on."""
    script, _ = begin(seed, layout)
    victim, world = script.pick(script.nodes), script.world
    at = script.now
    has_address = script.random.random() < 0.5
    copy_and_run(world, script.nodes[victim], 5 * script.t_e, 2 * COPY_RUNS_T_E * script.t_e, has_address)
    script.run(6)
    expect(victim in world.twins, "no copy runs")
    recovered, runs_from = 0.0, script.now
    while script.since(runs_from) < COPY_RUNS_T_E:
        recovered = max(recovered, script.recover(script.now))
        script.run(0.5)
    expect(_refused(script) > 0, "both are heard")
    end_twin(world, world.twins[victim])
    ended = script.now
    script.until(lambda: _works(script, victim), IS_ITSELF_T_E, f"{victim} works on")
    recovered = max(recovered, script.recover(ended))
    script.finish()
    return report(script, at, recovered)


def i09_restored(seed: int, layout: str) -> Report:
    """A cluster is restored under nodes and clients of the old one, and its nodes take over the addresses one by one,
    and lose some again: there are two histories, no frame crosses, and clients are told."""
    script, _ = begin(seed, layout)
    script.run(script.random.uniform(3, 10))
    world, random = script.world, script.random
    past = world.ghost
    source = script.pick(script.learners)
    script.until(lambda: script.disks[source].written.kept_slot() > 2, 20, "it keeps its state")
    restore(world, source)
    script.chronicle = world.ghost.marks = Chronicle(world)
    names = list(script.nodes)
    random.shuffle(names)
    for name in names:
        script.run(random.uniform(0, 2))
        _move(script, name)
    script.until(lambda: bool(world.ghost.history), 20, "the new history is born")
    script.run(random.uniform(0, 5))

    for name in random.sample(names, random.randint(1, len(names) // 2)):
        take_address(world, name, is_new=False)
        world.twins[name].start()
    script.run(random.uniform(1, 5))
    for name in names:
        take_address(world, name, is_new=True)
    at = script.now
    recovered = script.recover(at)
    script.run(3)
    expect(_foreign(script) > 0, "nothing of another history ever came")
    for name in names:
        world.twins[name].end(False, "the old cluster is stopped")
    script.finish()
    check_ends([operation for client in script.clients for operation in client.operations], past.order, certain=True)
    check_apart(past, world.ghost)
    return report(script, at, recovered)


def _move(script: Script, name: NodeId) -> None:
    """The new process of this name gets its address; the old one ends, or lives on without."""
    old = script.world.twins[name]
    if script.random.random() < 0.4:
        old.end(script.random.random() < 0.5, "killed by the script")
    take_address(script.world, name, is_new=True)
    script.start(name)


def _foreign(script: Script) -> int:
    """How many frames of another history were refused by the nodes that live, old and new ones."""
    alive = [node.driver for node in (*script.nodes.values(), *script.world.twins.values()) if node.driver]
    return sum(driver.dropped[ANOTHER_HISTORY] for driver in alive)


def _refused(script: Script) -> int:
    """How many frames were refused because somebody else says that it is their sender."""
    alive = [node.driver for node in script.nodes.values() if node.driver]
    return sum(driver.dropped["old incarnation"] + driver.dropped["own id"] for driver in alive)


def _works(script: Script, name: NodeId) -> bool:
    """Whether this node does all that its roles do."""
    world = script.world
    return (name not in script.acceptors or votes(world, name)) and (
        name not in script.learners or world.applied_to_the_end(name)
    )
