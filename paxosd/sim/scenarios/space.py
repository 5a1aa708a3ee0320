"""Scenarios O09 and D03: disks that are nearly full, or as good as full, and whose nodes know it.

No disk runs full in them: that is what is tried.
"""

from __future__ import annotations

from paxosd.core.messages import ReadLog
from paxosd.core.space import NO_ROOM
from paxosd.core.types import NodeId
from paxosd.sim.disk import RESERVE_BYTES
from paxosd.sim.scenarios.props import Report
from paxosd.sim.scenarios.script import Script, begin, expect, report

TOLD_WITHIN_S = 2.0
"""By then every node has looked at its disk and told everybody."""
LARGE = {"command_bytes": 4000, "value_bytes": 65536, "page_bytes": 65536}


def o09_nearly_full(seed: int, layout: str) -> Report:
    """The disks of so many acceptors are nearly full that the others are no quorum: commands are refused, reads go on,
    a lost leader is replaced, nobody ends, and commands are taken again when there is room."""
    script, leader = begin(seed, layout)
    spared = script.random.sample(script.acceptors, script.majority - 1)
    _leave(script, RESERVE_BYTES - 1, [name for name in script.acceptors if name not in spared])
    at = script.now
    _expect_only_reads(script)
    script.kill(leader)
    script.until(lambda: script.leader not in ("", leader), 10, "another node leads")
    _expect_only_reads(script)
    script.start(leader)
    expect(all(script.is_up(name) for name in script.nodes), "somebody ended")
    _leave(script, None, list(script.nodes))
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def o09_learners(seed: int, layout: str) -> Report:
    """The same of more than half of the learners."""
    script, _ = begin(seed, layout)
    _leave(script, RESERVE_BYTES - 1, script.learners[: len(script.learners) // 2 + 1])
    at = script.now
    _expect_only_reads(script)
    _leave(script, None, list(script.nodes))
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def d03_one_without_room(seed: int, layout: str) -> Report:
    """One disk is as good as full, perhaps the leader's: its node takes nothing new and lives, the others go on without
    it, and it joins them when there is room."""
    script, leader = begin(seed, layout, think_s=0.03, **LARGE)
    victim = script.pick([*script.acceptors, *script.learners])
    life = script.nodes[victim].life
    at = script.now
    _leave(script, RESERVE_BYTES // 4 - 1, [victim])
    recovered = script.recover(script.now + 0.001)
    script.until(lambda: script.ignored(victim, NO_ROOM) > 0, 60, "it takes nothing new any more")
    full_at = script.now
    recovered = max(recovered, script.recover(full_at))
    expect(script.leader != victim, "a node without room leads, though others have some")
    script.run(5)
    expect(script.is_up(victim) and script.nodes[victim].life == life, "its process ended")
    _leave(script, None, [victim])
    script.run(TOLD_WITHIN_S / script.t_e)
    refused = script.ignored(victim, NO_ROOM)
    script.run(5)
    expect(script.ignored(victim, NO_ROOM) == refused, "it still takes nothing though there is room")
    script.finish()
    return report(script, at, recovered, f"{leader} led, {victim} was full")


def _leave(script: Script, free_bytes: int | None, names: list[NodeId]) -> None:
    """From now on so much is free on these disks; None: as much as anybody wants."""
    for name in names:
        script.disks[name].leave(free_bytes)


def _expect_only_reads(script: Script) -> None:
    """Once everybody knows of the disks, no command that is proposed comes to anything, and reads are answered."""
    script.run(TOLD_WITHIN_S / script.t_e)
    since = script.now
    asked = [client.ask(since, ReadLog(0, 1, True, 0, 0)) for client in script.clients]
    script.work()
    script.run(6)
    expect(not list(script.acked(since)), "a command was taken though there is no room for it")
    expect(all(read.outcome == "acked" for read in asked), "a read was not answered while commands were refused")
