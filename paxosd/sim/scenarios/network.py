"""Scenarios N08 to N20, K02 and O07: messages that are late, repeated or lost, clocks that drift, clients that see few
nodes, and proposers that duel."""

from __future__ import annotations

from dataclasses import replace

from paxosd.core.messages import (
    Accept,
    Accepted,
    Chosen,
    Heartbeat,
    OpenSession,
    Prepare,
    PreVoteReply,
    Promise,
    Propose,
    Refused,
)
from paxosd.core.reasons import Reason
from paxosd.core.records import Voted
from paxosd.core.types import SESSION_BYTES, Ballot
from paxosd.sim.scenarios.props import Catch, Caught, Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script, begin, expect, report

# ---- messages that are lost, late, repeated ----------------------------------------------------


def n08_repeated(seed: int, layout: str, late_s: float = 600.0) -> Report:
    """Every message between nodes comes two to four times, the copies up to ten minutes late: nothing happens twice."""
    script, _ = begin(seed, layout, repeat=1.0, replay_s=late_s)
    at = script.now

    def again(caught: Caught) -> None:
        if script.random.random() < 0.3:
            script.world.later(script.random.random() * late_s, script.send, caught)

    copies = script.watch(object, source=script.nodes, target=script.nodes, then=again)
    script.run(20)
    script.forget(copies)
    script.rest()
    script.run(late_s / script.t_e)
    for name, disk in script.disks.items():
        votes = [(record.ballot, record.slot) for record in disk.history if isinstance(record, Voted)]
        expect(len(votes) == len(set(votes)), f"{name} voted twice in one ballot and slot")
    script.finish()
    return report(script, at, 0.0)


def n09_late_promises(seed: int, layout: str) -> Report:
    """Promises for a ballot come when its proposer asks for a later one: they elect nobody."""
    script, leader = begin(seed, layout)
    script.rest()
    script.kill(leader)
    at = script.now
    promises, prepares = script.hold(Promise), script.watch(Prepare)
    script.until(lambda: bool(_given_up(prepares)), 15, "a ballot is given up for a later one of the same proposer")
    earlier = _given_up(prepares)[0]
    stale = [caught for caught in promises.found if _ballot(caught) == earlier]
    for caught in stale:
        script.send(caught)
    script.run(0.1)
    expect(script.changes_since(at) == 0, f"{script.leader} was elected by promises of an earlier ballot")
    named = script.ignored(earlier.proposer, "promise that is not awaited")
    expect(named >= len(stale) > 0, f"{named} of {len(stale)} late promises were named")
    script.forget(promises)
    script.work()
    script.start(leader)
    came_to = report(script, at, script.recover(script.now))
    script.finish()
    return came_to


def _given_up(prepares: Catch) -> list[Ballot]:
    """The ballots that were prepared and whose proposer has prepared a later one."""
    ballots = sorted({_ballot(caught) for caught in prepares.found})
    return [one for one in ballots if any(one.proposer == later.proposer and one < later for later in ballots)]


def _ballot(caught: Caught) -> Ballot:
    assert isinstance(caught.message, Prepare | Promise)
    return caught.message.ballot


def n09_late_votes(seed: int, layout: str) -> Report:
    """Votes for a ballot come when its proposer leads again, in a later ballot: they choose nothing."""
    script, leader = begin(seed, layout)
    other = script.pick(script.proposers, [leader])
    script.rest()
    at = script.now
    votes = script.hold(Accepted, target=[leader])
    script.propose(script.clients[0])
    script.until(lambda: len(votes.found) >= script.majority, 2, "a quorum voted")
    stale = list(votes.found)
    script.sever([leader], script.acceptors)
    script.until(lambda: script.leader == other, RECOVER_T_E, "the other proposer leads")
    script.kill(other)
    script.heal()
    accepts = script.hold(Accept)
    script.until(lambda: script.leader == leader, RECOVER_T_E, "the first one leads again")
    before = script.ignored(leader, "vote of another ballot")
    chosen = script.watch(Chosen, source=[leader])
    for caught in stale:
        script.send(caught)
    script.run(0.1)
    named = script.ignored(leader, "vote of another ballot") - before
    expect(not chosen.found, "votes of an earlier ballot were counted")
    expect(named == len(stale), f"{named} of {len(stale)} late votes were named")
    script.forget(votes)
    script.forget(accepts)
    script.start(other)
    script.work()
    came_to = report(script, at, script.recover(script.now))
    script.finish()
    return came_to


def n10_lossy(seed: int, layout: str) -> Report:
    """A third of what nodes send each other is lost and the rest takes up to 100 ms more: slower, within 20 times."""
    usual, _ = _latency(seed, layout, loss=0.0)
    lossy, script = _latency(seed, layout, loss=0.3)

    expect(lossy <= 20 * usual, f"the slowest of a hundred took {lossy:.2f} s, and {usual:.2f} s without loss")
    return Report(
        0.0, script.changes_since(0) - 1, script.ballots_since(0), f"p99 is {lossy / usual:.1f} times as long"
    )


def _latency(seed: int, layout: str, loss: float) -> tuple[float, Script]:
    """How long the slowest but one percent of the calls of a minute took, in seconds."""
    slow = {"delay_s": 0.01, "jitter_s": 0.1, "think_s": 0.5, "election_s": 1.0, "heartbeat_s": 0.25, "retry_s": 0.25}
    script, _ = begin(seed, layout, timeout_s=60.0, **slow)
    at, script.loss = script.now, loss
    script.run(60)
    script.loss = 0.0
    script.finish()
    times = sorted(operation.ended_s - operation.invoked_s for operation in script.acked(at))
    return times[int(len(times) * 0.99)], script


def n17_full_queue(seed: int, layout: str) -> Report:
    """The queue of one node is full and what comes is dropped: counted, sent again later, and nobody else notices."""
    script, leader = begin(seed, layout, think_s=0.05, sync_s=0.0002)
    quiet = script.now
    script.run(5)
    usual = max(operation.ended_s - operation.invoked_s for operation in script.acked(quiet))
    stuck = script.pick(script.acceptors, [leader])
    for client in script.clients:
        script.confine(client, [leader] if leader in script.learners else script.learners)
    at = script.now
    script.pause(stuck, 40 / script.t_e)
    script.run(40 / script.t_e)
    expect(script.world.network.dropped["nobody there, or no room"] > 100, "the queue was never full")
    slowest = max(operation.ended_s - operation.invoked_s for operation in script.acked(at))
    expect(script.changes_since(at) == 0, "the leader changed")
    expect(slowest <= 2 * usual + 0.05, f"others waited for {slowest:.3f} s, and {usual:.3f} s before")
    script.heal()
    came_to = report(script, at, script.recover(at))
    script.finish()
    return came_to


def n18_old_frames(seed: int, layout: str) -> Report:
    """A node was down for a minute. What was sent to it comes when it is up again; what it had sent comes when its new
    life was heard, and is dropped by name where it was; nobody campaigns."""
    script, leader = begin(seed, layout)
    gone = leader if script.random.random() < 0.5 else script.pick(script.acceptors, [leader])
    others = [node for node in script.nodes if node != gone]
    old = script.hold(object, source=[gone], target=others)
    script.run(0.5)
    script.kill(gone)
    script.forget(old)
    back_s = script.now + 60
    for other in others:
        script.world.network.clog(other, gone, back_s)
    script.rest()
    script.run((back_s - script.now) / script.t_e - 0.1)
    at = script.now
    script.start(gone)
    script.run(1.5)
    before = _old_frames(script)
    script.release(old)
    script.work()
    came_to = report(script, at, script.recover(script.now))
    script.run(10)
    expect(script.changes_since(at) == 0, "old frames led to an election")
    named = _old_frames(script) - before
    expect(named > 0, f"none of {len(old.found)} old frames were named")
    script.finish()
    return came_to


def _old_frames(script: Script) -> int:
    """How many frames of earlier lives were dropped by those that live."""
    drivers = [node.driver for node in script.nodes.values()]
    return sum(driver.dropped["old incarnation"] for driver in drivers if driver is not None)


# ---- clients, clocks and duels -----------------------------------------------------------------


def n20_client_sees_few(seed: int, layout: str) -> Report:
    """A client that reaches only followers is served; one that reaches only a minority is told so, in time."""
    script, leader = begin(seed, layout)
    one = script.clients[0]
    script.rest()
    script.confine(one, [node for node in script.learners if node != leader])
    at = script.now
    hops = script.watch(Propose, source=[one.name])
    for _ in range(10):
        operation = script.propose(one)
        script.until(lambda op=operation: op.outcome != "", 13, "a call has ended")  # type: ignore[misc]
        expect(operation.outcome == "acked", f"a client that reaches followers was told {operation.outcome}")
    hops.over = True
    cut_off = script.pick(script.learners, [leader])
    script.confine(one, [cut_off])
    script.sever([cut_off], script.nodes)
    script.run(2)
    refused = script.call(cut_off, OpenSession(script.random.randbytes(SESSION_BYTES), 1), Refused)
    expect(refused.reason is Reason.NO_LEADER, f"the gateway says {refused.reason.name}")
    operation = script.propose(one)
    script.until(lambda: operation.outcome != "", 13, "a call has ended")
    expect(operation.outcome != "acked", "a client that reaches a minority was served")
    script.work()
    came_to = report(script, at, script.recover(script.now))
    script.heal()
    script.finish()
    return replace(came_to, text=f"{len(hops.found) / 10:.1f} sendings a command")


def k02_drift(seed: int, layout: str) -> Report:
    """Clocks run five percent too fast or too slow: nobody notices, and a lost leader is replaced as fast as ever."""
    script, leader = begin(seed, layout, drift=0.05)
    at = script.now
    script.run(50)
    expect(script.changes_since(at) == 0, "the leader changed though nothing happened")
    at = script.now
    script.kill(leader)
    came_to = report(script, at, script.recover(at))
    script.start(leader)
    script.finish()
    return came_to


def o07_duel(seed: int, layout: str, minutes: float = 10.0) -> Report:
    """Proposers never hear each other's heartbeats and every acceptor would follow any: they duel, and values pass."""
    script, _ = begin(seed, layout, think_s=2.0)
    at = script.now
    script.hold(Heartbeat, target=script.proposers)
    script.hold(PreVoteReply, when=_is_a_no, then=lambda caught: script.send(_grant(caught)))
    script.run(minutes * 60 / script.t_e)
    acked = len(list(script.acked(at)))
    per_minute = script.ballots_since(at) / minutes
    expect(acked > 0, "nothing was acknowledged")
    expect(per_minute <= 60 / script.t_e * len(script.proposers), f"{per_minute:.0f} ballots a minute")
    return report(script, at, 0.0)


def _is_a_no(caught: Caught) -> bool:
    return isinstance(caught.message, PreVoteReply) and not caught.message.granted


def _grant(caught: Caught) -> Caught:
    """The only lie of all scripts: an acceptor that hears a leader and would follow another one all the same."""
    assert isinstance(caught.message, PreVoteReply)
    return replace(caught, message=replace(caught.message, granted=True))
