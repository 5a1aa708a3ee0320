"""Scenarios of the floor: what acceptors let go of, crashes while they do, and learners that are below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paxosd.core.messages import (
    Accept,
    Fetched,
    FetchedVotes,
    Trim,
)
from paxosd.core.records import Floor, Learned, Record
from paxosd.core.types import FIRST_SLOT, NodeId, Slot
from paxosd.sim.scenarios.props import Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script, begin, expect, report

BUSY: Mapping[str, Any] = {"window_slots": 3, "think_s": 0.05}
RISES_WITHIN_T_E = 60.0
"""Within how many election timeouts the floor rises under these loads."""


def _busy(seed: int, layout: str) -> tuple[Script, NodeId]:
    """A cluster with a small window under load, whose floor rises soon."""
    return begin(seed, layout, **BUSY)


def _floor(script: Script, acceptor: NodeId) -> Slot:
    return script.disks[acceptor].written.floor()


def c14_crash_while_trimming(seed: int, layout: str) -> Report:
    """An acceptor ends at every step of letting go of votes: what is above its floor is there, below it nobody asks."""
    script, leader = _busy(seed, layout)
    victim = script.pick(script.acceptors, [leader])
    disk, steps = script.disks[victim], [0]

    def crash(records: Sequence[Record]) -> None:
        if any(isinstance(record, Floor) for record in records) and script.random.random() < 0.7:
            steps[0] += 1
            script.crash(victim, power=script.random.random() < 0.5)

    at = script.now
    for step in ("on_write", "on_sync", "on_synced"):
        before = steps[0]
        setattr(disk, step, crash)
        script.until(lambda before=before: steps[0] > before, RISES_WITHIN_T_E, f"it ends {step}")  # type: ignore[misc]
        disk.mend()
        script.until(lambda: script.is_up(victim), 5, "it starts again")
    script.until(lambda: _floor(script, victim) > FIRST_SLOT, RISES_WITHIN_T_E, "the floor rises")
    kept = disk.written.voted_slots()
    expect(min(kept) >= _floor(script, victim), "a vote below the floor came back")
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def u13_below_the_floor(seed: int, layout: str) -> Report:
    """A learner asks acceptors for what most of them let go of, and the one that did not has a vote that was never
    chosen: it learns nothing from them, and all of it from another learner."""
    script = Script(seed, layout, **BUSY)
    alone = script.pick(script.acceptors)
    script.hold(Trim, target=[alone])
    script.begin()
    script.work()
    script.run(2)
    leader = script.leader
    others = [name for name in script.acceptors if name != alone]
    only_one = script.hold(Accept, source=[leader], target=others)
    script.until(lambda: bool(only_one.found), 5, "the leader proposes")
    first = only_one.found[0].message
    assert isinstance(first, Accept)
    script.until(lambda: script.disks[alone].synced.vote(first.slot) is not None, 1, "one acceptor votes")
    script.kill(leader)
    script.sever([alone], script.nodes)
    script.until(lambda: script.leader not in ("", leader), RECOVER_T_E, "another one leads")
    only_one.found.clear()
    script.forget(only_one)
    script.until(lambda: all(_floor(script, name) > first.slot for name in others), RISES_WITHIN_T_E, "the floor rises")
    late = script.pick(script.learners)
    script.power_off(late)
    script.disks[late].wipe()
    script.nodes[late].count = 0
    helps = script.hold(Fetched, target=[late])
    pages = script.watch(FetchedVotes, target=[late])
    spare = script.hold(FetchedVotes, source=others[script.majority - 1 :])  # so that no quorum is without that one
    script.heal()
    script.start(late)
    script.until(lambda: {page.source for page in pages.found} == {*script.acceptors}, 20, "all answer")
    script.run(5)
    expect(script.disks[late].written.learned_stop() == FIRST_SLOT, "it learned below the floor")
    at = script.now
    script.forget(helps)
    script.forget(spare)
    script.until(lambda: script.world.applied_to_the_end(late), RISES_WITHIN_T_E, "the learner catches up")
    expect(any(isinstance(record, Learned) for record in script.disks[late].history), "it wrote nothing down")
    script.start(leader)
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def u13_only_one_learner_left(seed: int, layout: str) -> Report:
    """What acceptors let go of is with learners alone. All are lost but one, and that one is away: the others learn
    nothing, make nothing up, and say whom to start. Once it is there, it tells them all of it."""
    script, _ = _busy(seed, layout)
    acceptors = script.acceptors
    script.until(lambda: all(_floor(script, name) > FIRST_SLOT for name in acceptors), RISES_WITHIN_T_E, "floors rise")
    kept = script.pick(script.learners)
    lost = [name for name in script.learners if name != kept]
    script.rest()
    script.power_off(*script.learners)
    for name in lost:
        script.disks[name].wipe()
        script.nodes[name].count = 0
    script.start(*lost)
    told = script.chronicle.told
    script.until(lambda: any(event.name == "log.gone" for event in told), RISES_WITHIN_T_E, "it says what is gone")
    what = next(str(event.fields["what"]) for event in told if event.name == "log.gone")
    expect(kept in what and not any(name in what for name in lost), f"it does not say whom to start: {what}")
    script.run(5)
    expect(all(script.disks[name].written.learned_stop() == FIRST_SLOT for name in lost), "they made something up")
    at = script.now
    script.start(kept)
    script.until(
        lambda: all(script.world.applied_to_the_end(name) for name in lost), RISES_WITHIN_T_E, "they have all of it"
    )
    script.work()
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)
