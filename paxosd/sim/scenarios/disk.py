"""Scenarios D*: disks that fail, fill up, slow down, and rows that can no longer be read.

As built, a damaged row is refused: its node ends and stays away, and never answers as if the row were not there.
"""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.core.held import VOTES_KEPT_BELOW_WATERMARK
from paxosd.core.messages import (
    Accepted,
    Durable,
    Fetched,
    FetchedVotes,
)
from paxosd.core.records import Learned, Record, Voted
from paxosd.core.types import Slot
from paxosd.sim.scenarios.props import Caught, Report
from paxosd.sim.scenarios.script import Script, begin, expect, report
from paxosd.storage.base import StorageError

SLOW_S = 2.0
"""How long a sync of a slow disk takes."""


def d02_failed_sync(seed: int, layout: str) -> Report:
    """A sync fails and the page cache keeps the vote: nothing was told; the next life makes it durable, then tells."""
    script, leader = begin(seed, layout)
    script.rest()
    script.run(1)
    victim = script.pick(script.acceptors, [leader])
    disk, node = script.disks[victim], script.nodes[victim]
    at = script.now
    told = script.watch(Accepted, source=[victim])

    def fail_at_a_vote(records: Sequence[Record]) -> None:
        if any(isinstance(record, Voted) for record in records):
            disk.mend()
            disk.fail_sync(records)
            raise StorageError("simulated EIO")

    disk.on_write = fail_at_a_vote
    script.propose(script.clients[0])
    script.until(lambda: node.driver is None, 2, "the process ends")
    vote = next(record for record in reversed(disk.history) if isinstance(record, Voted))
    expect(not told.found, "a vote was told though its sync failed")
    expect(disk.synced.vote(vote.slot) is None, "a failed sync made the vote durable")
    script.start(victim)
    script.run(1)
    script.power_off(victim)
    expect(disk.written.vote(vote.slot) is not None, "what the last life had read was lost with the power")
    script.start(victim)
    script.work()
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def d03_disk_full(seed: int, layout: str) -> Report:
    """A disk is full for 10 T_e: its node ends whenever it must record, the others go on, and later it joins them.
    That it tells nothing which is not on its disk is checked at every message."""
    script, leader = begin(seed, layout)
    victim = script.pick(script.acceptors)
    disk, node = script.disks[victim], script.nodes[victim]

    def refuse(records: Sequence[Record]) -> None:
        raise StorageError("simulated ENOSPC")

    at = script.now
    disk.on_write = refuse
    script.until(lambda: node.driver is None, 2, "the process ends")
    recovered = script.recover(at)
    script.run(10 - recovered)
    changes = script.changes_since(at)
    expect(changes <= 1, f"{changes} leaders were elected")
    expect(node.life > 2, "it never tried again")
    disk.mend()
    script.run(3)
    script.rest()
    script.run(1)
    newest = script.world.ghost.safety.watermark - 1
    expect(disk.synced.vote(newest) is not None, "it does not vote though there is room again")
    script.finish()
    return report(script, at, recovered, f"{leader} led")


# ---- damaged rows --------------------------------------------------------------------------------


def d06_damaged_row(seed: int, layout: str) -> Report:
    """A vote with later ones after it can no longer be read: its node refuses to start, and the others go on."""
    return _restart_with_damage(seed, layout, from_the_end=3)


def d07_damaged_last_row(seed: int, layout: str) -> Report:
    """The last vote can no longer be read: that is no torn tail to be dropped, for it was acknowledged."""
    return _restart_with_damage(seed, layout, from_the_end=1)


def _restart_with_damage(seed: int, layout: str, from_the_end: int) -> Report:
    script, leader = begin(seed, layout)
    script.rest()
    script.run(1)
    victim = script.pick(script.acceptors)
    disk, first = script.disks[victim], script.world.ghost.safety.watermark
    answers = script.hold(Accepted, target=[leader])  # so that more than one slot is not known to be chosen
    for slot in range(first, first + 4):
        script.propose(script.clients[0])
        script.until(lambda slot=slot: disk.synced.vote(slot) is not None, 1, "the acceptor votes")  # type: ignore[misc]
    at = script.now
    script.kill(victim)
    disk.damaged.add((Voted, first + 4 - from_the_end))
    script.release(answers)
    said = script.watch(object, source=[victim])
    script.start(victim)
    script.work()
    recovered = script.recover(at)
    script.run(5)
    expect(script.nodes[victim].lost, "it started with a vote that it cannot read")
    expect(not said.found, "it said something")
    script.finish(apart=[victim])
    return report(script, at, recovered)


def d06_damaged_row_is_asked_for(seed: int, layout: str) -> Report:
    """A learner asks for votes of long ago, and one acceptor can no longer read one of them: it ends and leaves it to
    the others to tell."""
    script = Script(seed, layout, think_s=0.1)
    script.hold(Durable)  # so that no acceptor lets go of anything
    script.begin()
    script.work()
    script.until(
        lambda: script.world.ghost.safety.watermark > 2 * VOTES_KEPT_BELOW_WATERMARK + 10, 500, "votes grow old"
    )
    victim, late = script.pick(script.acceptors), script.pick(script.having("l"))
    on_disk_only = script.disks[victim].written.records_from() - 2 * VOTES_KEPT_BELOW_WATERMARK
    slot = script.random.choice([old for old in script.disks[victim].written.voted_slots() if old <= on_disk_only])
    script.disks[victim].damaged.add((Voted, slot))
    at = script.now
    script.power_off(late)
    script.nodes[late].disk.wipe()
    script.hold(Fetched, target=[late])  # no other learner helps
    answers = script.watch(FetchedVotes, source=[victim], when=lambda caught: _covers(caught, slot))
    script.start(late)
    script.until(lambda: script.world.applied_to_the_end(late), 100, "the learner catches up")
    expect(script.nodes[victim].lost, "an acceptor goes on that cannot read a vote")
    expect(not answers.found, "it told of slots of which it cannot read one")
    recovered = script.recover(script.now)
    script.finish(apart=[victim])
    return report(script, at, recovered)


def _covers(caught: Caught, slot: Slot) -> bool:
    return isinstance(caught.message, FetchedVotes) and caught.message.first <= slot < caught.message.stop


def d21_damaged_everywhere(seed: int, layout: str) -> Report:
    """The same slot can be read nowhere any more: everybody refuses to start and names it; nothing is made up."""
    script, _ = begin(seed, layout, tracing=True)
    script.rest()
    script.run(2)
    script.kill(*script.nodes)
    at = script.now
    slot = script.world.ghost.safety.watermark - 1
    for name in [*script.acceptors, *script.learners]:
        script.disks[name].damaged |= {(Voted, slot), (Learned, slot)}
    before = dict(script.world.ghost.safety.chosen)
    script.start(*script.nodes)
    script.work()
    script.run(10)
    refused = [name for name in script.acceptors if script.nodes[name].lost]
    named = [line for line in script.world.trace if f"slot {slot} is damaged" in line]
    expect(refused == script.acceptors, f"only {refused} refused to start")
    expect(len(named) >= len(refused), "the slot is not named")
    expect(script.world.ghost.safety.chosen == before, "something was chosen after that")
    expect(not list(script.acked(at)), "something was acknowledged after that")
    return report(script, at, 0.0)


# ---- slow disks ----------------------------------------------------------------------------------


def d16_slow_follower(seed: int, layout: str) -> Report:
    """Every sync of one follower takes 2 s: the others serve as fast as before. There is one client and no jitter:
    where calls meet or links differ, all that are left are a little slower than the fastest, whatever disks do."""
    script, leader = begin(seed, layout, clients=1, jitter_s=0.0)
    at = script.now
    script.run(40)
    slow_at = script.now
    follower = script.pick(script.acceptors, [leader])
    script.nodes[follower].disk.sync_s = SLOW_S
    script.run(40)
    times = [_latency(script, at, slow_at), _latency(script, slow_at, script.now)]
    expect(times[1] <= 1.5 * times[0], f"the slowest of a hundred took {times[1]:.4f} s, and {times[0]:.4f} s before")
    expect(script.changes_since(slow_at) == 0, "the leader changed")
    script.nodes[follower].disk.sync_s = script.plan.sync_s
    script.finish()
    return report(script, slow_at, 0.0, f"p99 is {times[1] / times[0]:.2f} times as long")


def _latency(script: Script, since: float, until: float) -> float:
    """How long the slowest but one percent of the calls of this time took, in seconds."""
    calls = [operation for operation in script.acked(since) if operation.invoked_s < until]
    times = sorted(operation.ended_s - operation.invoked_s for operation in calls)
    return times[int(len(times) * 0.99)]


def d16_slow_leader(seed: int, layout: str) -> Report:
    """Every sync of the leader takes 2 s: at most one change of leadership, and then all goes on."""
    script, leader = begin(seed, layout)
    at = script.now
    script.nodes[leader].disk.sync_s = SLOW_S
    recovered = script.recover(at)
    script.run(40)
    changes = script.lasting_changes_since(at)
    expect(changes <= 1, f"{changes} leaders were elected")
    script.nodes[leader].disk.sync_s = script.plan.sync_s
    script.finish()
    return report(script, at, recovered)
