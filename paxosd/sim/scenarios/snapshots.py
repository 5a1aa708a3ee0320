"""Scenarios of snapshots: learners that miss what nobody can tell them any more, value by value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from paxosd.core.messages import (
    Fetch,
    FetchedVotes,
    FetchSnapshot,
    SnapshotPart,
)
from paxosd.core.records import Record, SnapshotBytes, SnapshotInstalled, SnapshotStep
from paxosd.core.types import NodeId
from paxosd.sim.scenarios.props import Catch, Caught, Report
from paxosd.sim.scenarios.script import Script, begin, expect, report

CAUGHT_UP_WITHIN_T_E = 100.0
"""Within how many election timeouts a learner takes up a snapshot and has all again."""


def _busy(seed: int, layout: str, **changes: Any) -> tuple[Script, NodeId]:
    """A cluster under load that keeps a few entries of its log."""
    return begin(seed, layout, window_slots=3, think_s=0.05, keep_entries=10, **changes)


def _fall_behind(script: Script, leader: NodeId, count: int = 1) -> list[NodeId]:
    """Learners that were off for so long that nobody has the next value that they miss."""
    late = script.random.sample([name for name in script.learners if name != leader], count)
    script.power_off(*late)
    stops = [script.disks[name].written.learned_stop() for name in late]
    others = [name for name in script.nodes if name not in late]

    def is_gone() -> bool:
        learners = [name for name in others if name in script.learners]
        starts = [script.disks[name].written.learned_start() for name in learners]
        return min(starts) > max(stops)

    if script.random.random() < 0.3:
        for name in late:
            script.disks[name].wipe()
            script.nodes[name].count = 0
    script.until(is_gone, 300, "what they miss is gone")
    return late


def _catch_up(script: Script, late: Collection[NodeId]) -> None:
    script.start(*late)
    _await(script, late)


def _await(script: Script, late: Collection[NodeId]) -> None:
    script.until(
        lambda: all(script.world.applied_to_the_end(name) for name in late), CAUGHT_UP_WITHIN_T_E, "they have all again"
    )


def _installed(script: Script, name: NodeId) -> int:
    return sum(isinstance(record, SnapshotInstalled) for record in script.disks[name].history)


def n13_far_behind(seed: int, layout: str) -> Report:
    """A learner that is far behind, or was wiped, rejoins under load: it takes up a snapshot, and the tail after it."""
    script, leader = _busy(seed, layout)
    late = _fall_behind(script, leader)
    at = script.now
    _catch_up(script, late)
    expect(_installed(script, late[0]) > 0, "it took up no snapshot")
    expect(script.changes_since(at) == 0, "the leader changed")
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def n13_two_at_once(seed: int, layout: str) -> Report:
    """Two learners that are far behind ask at once: both are served, and the rest works on."""
    script, leader = _busy(seed, layout)
    late = _fall_behind(script, leader, count=2)
    at = script.now
    _catch_up(script, late)
    expect(all(_installed(script, name) > 0 for name in late), "one took up no snapshot")
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def u13_trimmed_while_asked(seed: int, layout: str) -> Report:
    """The log is trimmed while a learner asks for that very part of it: it takes a snapshot, and misses nothing."""
    script, leader = _busy(seed, layout)
    late = script.pick(script.learners, [leader])
    asked = script.hold(Fetch, source=[late])
    others = [name for name in script.learners if name != late]
    script.power_off(late)
    script.run(5)
    script.start(late)
    script.until(lambda: bool(asked.found), 20, "it asks")
    message = asked.found[0].message
    assert isinstance(message, Fetch)
    script.sever([late], [name for name in script.nodes if name != late])
    script.until(
        lambda: min(script.disks[name].written.learned_start() for name in others) > message.first, 300, "that is gone"
    )
    at = script.now
    script.heal()
    script.release(asked)
    _await(script, [late])
    expect(_installed(script, late) > 0, "it took up no snapshot")
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def d18_wrong_byte(seed: int, layout: str) -> Report:
    """A byte of a snapshot is another one when it comes in: it is not taken up, and asked for once more."""
    script, leader = _busy(seed, layout, page_bytes=300)
    late = _fall_behind(script, leader)
    at = script.now
    hurt: list[Caught] = []
    parts: Catch

    def change(caught: Caught) -> None:
        part = caught.message
        assert isinstance(part, SnapshotPart)
        if part.data:
            hurt.append(caught)
            script.forget(parts)
            place = script.random.randrange(len(part.data))
            data = part.data[:place] + bytes([part.data[place] ^ 0x41]) + part.data[place + 1 :]
            script.world.later(0.0, script.send, replace(caught, message=replace(part, data=data)))

    script.hold(FetchedVotes, target=late)  # acceptors keep votes for the slow, as long as there are not too many
    wanted = script.random.randint(0, 3)
    parts = script.hold(SnapshotPart, target=late, when=lambda caught: _number(caught) == wanted, then=change)
    _catch_up(script, late)
    expect(bool(hurt), "no part was changed")
    wrong = script.disks[late[0]].history
    expect(
        sum(isinstance(record, SnapshotBytes) and record.offset == 0 for record in wrong) > 1, "it was not told anew"
    )
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def _number(caught: Caught) -> int:
    """Which part of its snapshot this is; none is not the last of a few."""
    part = caught.message
    assert isinstance(part, SnapshotPart)
    return part.offset // 300 if part.data else -1


def c12_crashes(seed: int, layout: str) -> Report:
    """The learner ends at every step of taking up a snapshot, and so do those that tell it: it goes on with the old
    state or with the new one, and has all in the end."""
    script, leader = _busy(seed, layout, page_bytes=300)
    (late,) = _fall_behind(script, leader)
    disk = script.disks[late]
    at = script.now
    left = [(kind, step) for kind in (SnapshotBytes, SnapshotStep, SnapshotInstalled) for step in range(3)]
    script.random.shuffle(left)

    def crash(step: int, records: Sequence[Record]) -> None:
        kinds = {type(record) for record in records}
        for planned in left:
            if planned[0] in kinds and planned[1] == step:
                left.remove(planned)
                script.crash(late, power=script.random.random() < 0.5)

    disk.on_write = lambda records: crash(0, records)
    disk.on_sync = lambda records: crash(1, records)
    disk.on_synced = lambda records: crash(2, records)
    tellers = [name for name in script.learners if name not in (late, leader)]
    told = script.watch(SnapshotPart, source=tellers, then=lambda caught: _end_now_and_then(script, caught))
    _catch_up(script, [late])
    script.forget(told)
    disk.mend()
    _await(script, [late])
    expect(_installed(script, late) > 0, "it took up no snapshot")
    expect(len(left) < 9, "it never ended")
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def _end_now_and_then(script: Script, caught: Caught) -> None:
    if script.random.random() < 0.02:
        script.world.later(0.0, script.kill, caught.source)
        script.world.later(script.t_e, script.start, caught.source)


def n13_overtaken(seed: int, layout: str) -> Report:
    """A snapshot comes in so slowly that its teller has a newer one: the asker takes that."""
    script, leader = _busy(seed, layout, page_bytes=300)
    (late,) = _fall_behind(script, leader)
    at = script.now
    begun: set[bytes] = set()

    def note(caught: Caught) -> None:
        part = caught.message
        assert isinstance(part, SnapshotPart)
        if part.data:
            begun.add(part.snapshot)

    script.watch(SnapshotPart, target=[late], then=note)
    script.hold(FetchedVotes, target=[late])  # as before
    slow = script.hold(FetchSnapshot, source=[late], when=lambda caught: _offset(caught) > 300)
    script.start(late)
    script.until(lambda: bool(slow.found), 50, "it asks for more")
    for name in script.learners:
        if name != late:
            script.disks[name].written.withdraw()
    script.run(5)
    script.forget(slow)
    _await(script, [late])
    expect(len(begun) > 1, "nobody had a newer one")
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def _offset(caught: Caught) -> int:
    assert isinstance(caught.message, FetchSnapshot)
    return caught.message.offset
