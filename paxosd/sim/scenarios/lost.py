"""Scenarios of disks that are lost or put back: these vote no more, until they are admitted as new ones."""

from __future__ import annotations

from collections.abc import Collection

from paxosd.core.messages import Accept
from paxosd.core.types import NodeId
from paxosd.sim.scenarios.props import Report
from paxosd.sim.scenarios.script import Script, begin, expect, report
from paxosd.sim.spare import note_rolled_back, note_wiped, votes
from paxosd.storage.memory import MemoryStore

WAITS_T_E = 10.0
"""For how long nobody may be served where a quorum has no disks that vote."""
ADMITTED_T_E = 30.0
"""Within how many election timeouts a new disk votes, once it hears a leader."""


def d10_wiped_voter(seed: int, layout: str) -> Report:
    """A value is chosen, one disk of its quorum is wiped and the rest cut off: the others are as many as a quorum, and
    choose nothing, for one of them knows nothing any more."""
    script, leader = begin(seed, layout)
    voted = _quorum_with(script, leader)
    left_out = [name for name in script.acceptors if name not in voted]
    kept_from = script.hold(Accept, source=[leader], target=left_out)
    script.recover(script.now)

    victim = script.pick(voted, [leader])
    cut_off = {leader, *voted} - {victim}
    script.sever(cut_off, [name for name in script.nodes if name not in cut_off])
    _wipe(script, [victim])
    script.forget(kept_from)
    at = script.now
    script.start(victim)
    script.run(WAITS_T_E)
    expect(not list(script.acked(at)), "something was acknowledged without those who know what is chosen")

    healed = script.now
    script.heal()
    recovered = script.recover(healed)
    _await_votes(script, [victim])
    script.finish()
    return report(script, healed, recovered)


def i05_one_blank_one_stale(seed: int, layout: str) -> Report:
    """Of three disks one is blank, one is old and the third is off: nothing is served until the third is back."""
    script, _ = begin(seed, layout)
    stale, blank, third = script.random.sample(script.acceptors, 3)
    script.power_off(stale)
    script.recover(script.now)
    script.run(2)

    script.power_off(third, blank)
    _wipe(script, [blank])
    at = script.now
    script.start(stale, blank)
    script.run(WAITS_T_E)
    expect(not list(script.acked(at)), "something was acknowledged by a blank disk and an old one")

    back = script.now
    script.start(third)
    recovered = script.recover(back)
    _await_votes(script, [blank])
    script.finish()
    return report(script, back, recovered)


def i06_rolled_back(seed: int, layout: str) -> Report:
    """The directory of an acceptor is put back as it was long ago, and so is a proposer's: it is noticed, and the disk
    votes no more, until it takes part as a new one."""
    script, _ = begin(seed, layout)
    victim = script.pick(script.acceptors)
    proposer = victim if victim in script.proposers else script.pick(script.proposers)
    copies = {name: script.disks[name].written.copy() for name in (victim, proposer)}
    old = copies[victim].disk
    script.run(10)

    at = script.now
    for name, copy in copies.items():
        _put_back(script, name, copy)
    script.start(*copies)
    recovered = script.recover(at)
    _await_votes(script, [victim])
    expect(script.disks[victim].written.disk != old, "a disk that went back in time votes under its old id")
    expect(
        script.world.ghost.marks.hits["disk that went back in time noticed"] > 0, "nobody was told that it went back"
    )
    script.finish()
    return report(script, at, recovered)


def i10_two_blank(seed: int, layout: str) -> Report:
    """Two of five disks are lost at once: writes go on throughout, and both are admitted, one after the other."""
    script, leader = begin(seed, layout)
    victims = script.random.sample([name for name in script.acceptors if name != leader], 2)
    at = script.now
    _wipe(script, victims)
    script.start(*victims)
    recovered = script.recover(at)
    slowest = 0.0
    while not all(votes(script.world, name) for name in victims):
        expect(script.since(at) < ADMITTED_T_E, f"{victims} do not vote after {ADMITTED_T_E} T_e")
        slowest = max(slowest, script.recover(script.now))
    script.finish()
    return report(script, at, max(recovered, slowest))


# ---- what happens to disks ---------------------------------------------------------------------


def _quorum_with(script: Script, leader: NodeId) -> list[NodeId]:
    """As many acceptors as are a quorum, the leader among them if it is one."""
    others = [name for name in script.acceptors if name != leader]
    own = [leader] if leader in script.acceptors else []
    return own + script.random.sample(others, script.majority - len(own))


def _wipe(script: Script, names: Collection[NodeId]) -> None:
    """These start from empty directories when they start again."""
    for name in names:
        node = script.nodes[name]
        node.end(True, "its directory is wiped")
        node.disk.wipe()
        node.count = 0
        script.world.ghost.safety.wiped(name)
        note_wiped(script.world, name)


def _put_back(script: Script, name: NodeId, copy: MemoryStore) -> None:
    """This one starts from this copy of its directory when it starts again."""
    node = script.nodes[name]
    node.end(True, "its directory is put back as it was")
    note_rolled_back(script.world, name, copy)
    node.disk.put_back(copy)
    script.world.ghost.safety.wiped(name)


def _await_votes(script: Script, names: Collection[NodeId]) -> None:
    """Wait until these have disks that vote."""
    script.until(lambda: all(votes(script.world, name) for name in names), ADMITTED_T_E, f"{names} vote")
