"""Scenarios C*: processes that end, stand still or come back, at the moment that hurts most."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from paxosd.client.calls import Command
from paxosd.core.messages import Accept, Accepted, Heartbeat, Nack, PreVote, ReadIndexReply, ReadLog
from paxosd.core.records import Record, Round, Voted
from paxosd.core.types import Ballot, NodeId
from paxosd.core.values import is_noop
from paxosd.sim.scenarios.props import Catch, Caught, Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script, begin, expect, report


def _votes(records: Sequence[Record]) -> list[Voted]:
    return [record for record in records if isinstance(record, Voted)]


# ---- one acceptor ------------------------------------------------------------------------------


def c01_crash_before_sync(seed: int, layout: str) -> Report:
    """An acceptor ends after it wrote a vote and before that is synced: it told nobody, and either outcome is safe."""
    script, leader = begin(seed, layout)
    script.rest()
    script.run(1)
    victim = script.pick(script.acceptors, [leader])
    disk, unsynced = script.disks[victim], list[Voted]()
    power = script.random.random() < 0.7

    def crash(records: Sequence[Record]) -> None:
        if _votes(records) and not unsynced:
            unsynced.extend(_votes(records))
            script.crash(victim, power)

    disk.on_sync = crash
    at = script.now
    told = script.watch(Accepted, source=[victim])
    script.propose(script.clients[0])
    script.until(lambda: bool(unsynced), 5, "the acceptor votes")
    expect(not told.found, "a vote was told before it was synced")
    found = disk.written.vote(unsynced[0].slot)
    expect(power or found == unsynced[0], "the page cache is lost without a power cut")
    script.work()
    recovered = script.recover(at)
    script.finish()
    return report(script, at, recovered, "kept" if found == unsynced[0] else "lost")


def c02_crash_after_sync(seed: int, layout: str) -> Report:
    """An acceptor ends after its vote is synced and before it told so: asked again, it tells, and records no other."""
    script, leader = begin(seed, layout)
    script.rest()
    script.run(1)
    victim = script.pick(script.acceptors, [leader])
    script.kill(*_spare_acceptors(script, [leader, victim]))
    synced = list[Voted]()

    def crash(records: Sequence[Record]) -> None:
        if _votes(records) and not synced:
            synced.extend(_votes(records))
            script.world.later(0.1 * script.t_e, script.start, victim)
            script.crash(victim, power=True)

    script.disks[victim].on_synced = crash
    at = script.now
    told = script.watch(Accepted, source=[victim])
    operation = script.propose(script.clients[0])
    script.until(lambda: operation.outcome != "", 5, "the command is acknowledged")
    vote = synced[0]
    again = [vote for vote in _votes(script.disks[victim].history) if vote.slot == synced[0].slot]
    expect(again == [vote], f"{len(again)} votes were recorded for one")
    accepted = [caught.message for caught in told.found if isinstance(caught.message, Accepted)]
    expect((vote.ballot, vote.slot) in [(one.ballot, one.slot) for one in accepted], "the vote was not told again")
    expect(script.changes_since(at) == 0, "the leader changed")
    script.start(*script.nodes)
    script.finish()
    return report(script, at, (operation.ended_s - at) / script.t_e)


def _spare_acceptors(script: Script, needed: Collection[NodeId], down: Collection[NodeId] = ()) -> list[NodeId]:
    """As many more acceptors as a quorum can spare, of those that are not needed."""
    left = [node for node in script.acceptors if node not in down]
    return [node for node in left if node not in needed][: len(left) - script.majority]


def c03_promise_survives(seed: int, layout: str) -> Report:
    """An acceptor promised, lost its power, and is asked to vote in a lower ballot: it knows better."""
    script, leader = begin(seed, layout)
    script.rest()
    victim = script.pick(script.acceptors, [leader])
    at = script.now
    late = script.hold(Accept, source=[leader], target=[victim])
    script.propose(script.clients[0])
    script.until(lambda: bool(late.found), 2, "the leader proposes")
    script.kill(leader)
    script.until(lambda: script.leader not in ("", leader), RECOVER_T_E, "another one leads")
    script.run(0.5)
    promised = script.disks[victim].synced.promised()
    script.power_off(victim)
    script.start(victim)
    script.run(0.1)
    nacks = script.watch(Nack, source=[victim], target=[leader])
    before = len(script.disks[victim].history)
    script.release(late)
    script.run(0.1)
    (caught,) = late.found[:1]
    assert isinstance(caught.message, Accept)
    expect(promised > caught.message.ballot, "the acceptor had promised nothing higher")
    expect(Nack(caught.message.ballot, promised) in [one.message for one in nacks.found], "it did not refuse")
    later = _votes(script.disks[victim].history[before:])
    expect(all(vote.ballot >= promised for vote in later), "it voted below its promise")
    script.start(leader)
    script.work()
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


# ---- everybody -----------------------------------------------------------------------------------


def c05_power_loss_of_all(seed: int, layout: str) -> Report:
    """All nodes lose their power under load, some in the middle of a turn: what was acknowledged is there again."""
    script, _ = begin(seed, layout, think_s=0.1)
    script.run(3 * script.random.random())
    for node in script.nodes.values():
        if script.random.random() < 0.5:
            node.crash_after, node.crash_with_power_loss = script.random.randint(0, 6), True
    script.run(0.1)
    script.power_off(*script.nodes)
    acknowledged = script.world.ghost.answers.seen
    expect(acknowledged > 0, "nothing was acknowledged before")
    at = script.now
    script.start(*script.nodes)
    recovered = script.recover(at, 10)
    script.finish()
    expect(len(script.world.ghost.order.log) > acknowledged, "the log is shorter than what was acknowledged")
    return report(script, at, recovered)


def c06_power_loss_and_partition(seed: int, layout: str) -> Report:
    """A minority loses its power while the rest is parted: nobody acknowledges anything until a quorum meets."""
    script, leader = begin(seed, layout, think_s=0.2)
    gone = script.random.sample(script.acceptors, len(script.acceptors) - script.majority)
    rest = [node for node in script.nodes if node not in gone]
    one = script.pick([node for node in script.acceptors if node not in gone])
    at = script.now
    script.sever([one], rest)
    script.power_off(*gone)
    script.run(12)
    expect(not list(script.acked(at)), "a command was acknowledged without a quorum")
    healed = script.now
    script.heal()
    script.start(*gone)
    recovered = script.recover(healed)
    script.finish()
    return report(script, at, recovered, f"{leader} led")


def c10_all_restart(seed: int, layout: str) -> Report:
    """All nodes restart at once after a long run, and one proposer had ended between making a round durable and
    telling it: the first ballot is above every promise, and above that round."""
    script, _ = begin(seed, layout)
    for _ in range(3):
        leader = script.leader
        script.kill(leader)
        script.recover(script.now)
        script.start(leader)
        script.run(2)
    odd = script.pick(script.proposers)
    others = script.hold(PreVote, source=[node for node in script.proposers if node != odd])
    crashed = _crash_with_a_new_round(script, odd)
    script.kill(script.leader)
    script.start(odd)
    script.until(lambda: bool(crashed), RECOVER_T_E, "it makes a round durable")
    script.kill(*script.nodes)
    promised = max(disk.synced.promised() for disk in script.disks.values())
    at = script.now
    script.start(*script.nodes)
    recovered = script.recover(at)
    first = min(ballot for ballot, when in script.chronicle.prepared.items() if when >= at)
    expect(first > promised, f"{first} is prepared, and {promised} was promised")
    expect(first.round > crashed[0], f"{first} is prepared, and round {crashed[0]} was durable")
    script.forget(others)
    script.finish()
    return report(script, at, recovered)


def _crash_with_a_new_round(script: Script, name: NodeId) -> list[int]:
    """Let this proposer end as soon as its next round is durable; that round, once it happened."""
    rounds: list[int] = []

    def crash(records: Sequence[Record]) -> None:
        found = [record.round for record in records if isinstance(record, Round)]
        if found and not rounds:
            rounds.extend(found)
            script.crash(name, power=True)

    script.disks[name].on_synced = crash
    return rounds


def c11_crash_in_recovery(seed: int, layout: str) -> Report:
    """A node ends at each step of its recovery, twenty times: what it recovers at last is what the others have."""
    script, _ = begin(seed, layout, think_s=0.2)
    script.run(5)
    victim = script.pick(script.nodes)
    at = script.now
    script.power_off(victim)
    for step in range(5):
        for _ in range(20):
            node = script.nodes[victim]
            node.start()
            node.crash_after, node.crash_with_power_loss = step, script.random.random() < 0.5
            script.run(0.2)
            script.power_off(victim)
    expect(script.nodes[victim].life > 100, "it did not live and end a hundred times")
    script.start(victim)
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)


def c18_storm(seed: int, layout: str, minutes: float = 10.0) -> Report:
    """Every node lives for 5 s and is down for 2 s, at random, for ten minutes; then every call ends within 10 T_e."""
    script, _ = begin(seed, layout)
    random = script.random
    until_s = script.now + minutes * 60
    for client in script.clients:
        client.timeout_s = 100 * minutes * 60

    def fall(name: NodeId) -> None:
        if script.now < until_s:
            script.nodes[name].end(random.random() < 0.5, "in the storm")
            script.world.later(random.expovariate(1 / 2), rise, name)

    def rise(name: NodeId) -> None:
        script.start(name)
        script.world.later(random.expovariate(1 / 5), fall, name)

    for name in script.nodes:
        script.world.later(random.expovariate(1 / 5), fall, name)
    script.world.run_until(until_s)
    script.start(*script.nodes)
    script.rest()
    at = script.now
    pending = [operation for client in script.clients for operation in client.under_way]
    recovered = script.until(lambda: all(operation.outcome for operation in pending), 10, "all calls end")
    script.finish()
    return report(script, at, recovered, f"{len(pending)} calls were under way")


# ---- the leader ----------------------------------------------------------------------------------


def c07_crash_after_some_accepts(seed: int, layout: str) -> Report:
    """A leader ends when one acceptor has its values of two slots and nobody has that of the slot between: the next
    one proposes the two again and fills the hole with a no-op; every command happens once."""
    script, leader = begin(seed, layout)
    script.rest()
    script.run(2)
    keeper = script.pick(script.acceptors, [leader])
    at, first = script.now, script.world.ghost.safety.watermark

    def is_lost(caught: Caught) -> bool:
        return caught.target != keeper or _slot(caught) == first + 1

    proposed = script.watch(Accept, source=[leader])
    script.hold(Accept, source=[leader], when=is_lost)
    operations = []
    for slot in (first, first + 1, first + 2):
        operations.append(script.propose(script.clients[0]))
        script.until(lambda slot=slot: slot in map(_slot, proposed.found), 2, "the leader proposes")  # type: ignore[misc]
    disk = script.disks[keeper].synced
    script.until(lambda: disk.vote(first + 2) is not None, 1, "the acceptor votes")
    kept = [vote.value for slot in (first, first + 2) if (vote := disk.vote(slot)) is not None]
    script.kill(leader, *_spare_acceptors(script, [keeper], [leader]))
    script.until(lambda: all(operation.outcome == "acked" for operation in operations), 12, "all are acknowledged")
    chosen = script.world.ghost.safety.chosen
    expect([chosen[first], chosen[first + 2]] == kept, "a value that was voted for is not proposed again")
    expect(is_noop(chosen[first + 1]), "the hole is not filled with a no-op")
    script.start(*script.nodes)
    script.finish()
    return report(script, at, (operations[0].ended_s - at) / script.t_e)


def _slot(caught: Caught) -> int:
    assert isinstance(caught.message, Accept)
    return caught.message.slot


def c08_crash_before_telling(seed: int, layout: str) -> Report:
    """A leader ends when a quorum has voted and nobody was told: the value stays, and its client gets that result."""
    script, leader = begin(seed, layout)
    script.rest()
    script.run(2)
    at, slot = script.now, script.world.ghost.safety.watermark
    everybody = [*script.nodes, *(client.name for client in script.clients)]
    script.watch(Accepted, target=[leader], then=lambda caught: script.cut([leader], everybody))
    operation = script.propose(script.clients[0])
    script.until(lambda: slot in script.world.ghost.safety.chosen, 2, "a quorum votes")
    value = script.world.ghost.safety.chosen[slot]
    script.run(0.1)
    expect(operation.outcome == "", "somebody was told")
    script.kill(leader)
    script.until(lambda: operation.outcome == "acked", 12, "the command is acknowledged")
    assert isinstance(operation.pending, Command)
    assert operation.pending.receipt is not None
    expect(operation.value in value, "the value that was chosen is another")
    expect(operation.pending.receipt.slot == slot, f"slot {operation.pending.receipt.slot} is told, {slot} is right")
    script.heal()
    script.start(leader)
    script.finish()
    return report(script, at, (operation.ended_s - at) / script.t_e)


def c15_paused_leader(seed: int, layout: str) -> Report:
    """The leader stands still for 10 T_e: when it goes on it steps down at once, and confirms no read before."""
    script, leader = begin(seed, layout)
    at = script.now
    script.pause(leader, 10)
    _read_everywhere(script)
    recovered = script.recover(at)
    script.run(10 - script.since(at))
    _read_everywhere(script)
    confirmed = script.watch(ReadIndexReply, source=[leader], when=_confirms)
    script.run(1)
    _expect_deposed(script, leader, at, at + 10 * script.t_e, confirmed)
    script.finish()
    return report(script, at, recovered)


def c17_blocked_leader(seed: int, layout: str) -> Report:
    """The leader is blocked for 3 s, in a sync if it has one: none of its timers then acts in its old ballot."""
    script, leader = begin(seed, layout)
    at = script.now
    if leader in script.acceptors:
        _block_in_sync(script, leader, 3.0)
    else:
        script.pause(leader, 3.0 / script.t_e)
    recovered = script.recover(at)
    script.run((at + 3.0 - script.now) / script.t_e - 0.02)
    ballot = max(ballot for ballot in script.chronicle.prepared if ballot.proposer == leader)
    acts = script.watch(Heartbeat, Accept, source=[leader], when=lambda caught: _is_of(caught, ballot))
    confirmed = script.watch(ReadIndexReply, source=[leader], when=_confirms)
    _read_everywhere(script)
    script.run(1)
    expect(not acts.found, "the old leader acted in its old ballot")
    _expect_deposed(script, leader, at, at + 3.0, confirmed)
    script.finish()
    return report(script, at, recovered)


def _block_in_sync(script: Script, node: NodeId, for_s: float) -> None:
    """Let the next sync of this node take so long."""
    disk = script.disks[node]
    usual = disk.sync_s

    def mend(records: Sequence[Record]) -> None:
        disk.sync_s = usual

    disk.sync_s, disk.on_synced = for_s, mend


def _expect_deposed(script: Script, leader: NodeId, at: float, resumed: float, confirmed: Catch) -> None:
    ended = script.end_of_reign(leader, at)
    expect(ended <= resumed + script.t_e, f"it led on for {(ended - resumed) / script.t_e:.1f} T_e")
    expect(not confirmed.found, "it confirmed a read in its old ballot")


def _read_everywhere(script: Script) -> None:
    for client in script.clients:
        client.ask(script.now, ReadLog(0, 1, True, 0, 0))
        client.step(script.now)


def _confirms(caught: Caught) -> bool:
    return isinstance(caught.message, ReadIndexReply) and caught.message.applied > 0


def _is_of(caught: Caught, ballot: Ballot) -> bool:
    return isinstance(caught.message, Heartbeat | Accept) and caught.message.ballot == ballot
