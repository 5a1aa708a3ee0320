"""Scenarios N01 to N11 of partial connectivity: links that are cut, one way or both, in chains and stars, or flap.

Each function is one row of the list of scenarios, takes the seed and the layout of the cluster, and raises `Violation`
if its expectation fails. A command must be acknowledged again within `RECOVER_T_E` in all of them.
"""

from __future__ import annotations

from itertools import pairwise

from paxosd.core.types import NodeId
from paxosd.sim.scenarios.props import Report
from paxosd.sim.scenarios.script import Script, begin, expect, report

SLACK_T_E = 0.3
"""What a bound on the protocol is given for the steps of a script and the thinking times of its clients."""


def n01_leader_in_minority(seed: int, layout: str) -> Report:
    """The leader is cut off with fewer than a quorum: it acknowledges nothing and steps down, the others go on."""
    script, leader = begin(seed, layout)
    inside, outside = script.clients
    few = {leader} if leader in script.acceptors else {leader, script.pick(script.acceptors)}
    while len(few.intersection(script.acceptors)) < script.majority - 1 and script.random.random() < 0.5:
        few.add(script.pick(script.acceptors, few))
    few.add(script.pick(script.learners, few))
    if len(few.intersection(script.acceptors)) >= script.majority:  # the gateway was one acceptor too many
        few = {leader}
    many = [node for node in script.nodes if node not in few]
    script.confine(inside, [node for node in script.learners if node in few])
    script.confine(outside, [node for node in script.learners if node in many])
    at = script.now
    script.sever(few, many)

    recovered = script.recover(at)
    script.run(max(0.0, 4 - script.since(at)))
    stepped_down = (script.end_of_reign(leader, at) - at) / script.t_e
    elected = min((reign.began_s for reign in script.chronicle.reigns if reign.began_s > at), default=script.now + 1e9)
    acked = [operation for operation in script.acked(at) if operation.client == inside.name]

    expect(stepped_down <= 2, f"the cut off leader stepped down after {stepped_down:.1f} T_e")
    expect((elected - at) / script.t_e <= 4 + SLACK_T_E, f"elected after {(elected - at) / script.t_e:.1f} T_e")
    expect(not acked, f"{len(acked)} commands were acknowledged in the minority")
    came_to = report(script, at, recovered)
    script.heal()
    script.finish()
    return came_to


def n02_quorum_loss(seed: int, layout: str) -> Report:
    """Only one node reaches a quorum, and it still hears the old leader: it leads all the same."""
    script, leader = begin(seed, layout)
    at = script.now
    if leader in script.acceptors:
        hub = script.pick(script.nodes, [leader])
        script.keep_only((hub, other) for other in script.nodes)
    else:  # the old leader reaches one acceptor; everybody else reaches everybody
        hub = script.pick(script.proposers, [leader])
        script.sever([leader], [node for node in script.acceptors if node != script.acceptors[0]])
    loses = len(script.acceptors) > 3 or leader not in script.acceptors  # one link of three is a quorum still

    recovered = script.recover(at)
    script.run(20)

    expect(script.leader == (hub if loses else leader), f"{script.leader or 'nobody'} leads, and the hub is {hub}")
    expect(script.changes_since(at) == (1 if loses else 0), f"{script.changes_since(at)} leaders were elected")
    came_to = report(script, at, recovered)
    script.heal()
    script.finish()
    return came_to


def n04_chained(seed: int, layout: str) -> Report:
    """Neighbours in a chain hear each other and nobody else: at most one change, and then quiet."""
    script, leader = begin(seed, layout)
    at = script.now
    if leader in script.acceptors:
        chain = list(script.nodes)
        script.random.shuffle(chain)
        if len(chain) == 3:  # the leader is at one end
            chain.remove(leader)
            chain.insert(0, leader)
        script.keep_only(pairwise(chain))
    else:  # each proposer reaches a quorum of its own, and they share one acceptor
        other = script.pick(script.proposers, [leader])
        half = script.majority
        script.sever([leader], [other, *script.acceptors[half:]])
        script.sever([other], script.acceptors[: half - 1])

    recovered = script.recover(at)
    script.rest()
    script.run(100)

    expect(script.changes_since(at) <= 1, f"{script.changes_since(at)} leaders were elected")
    expect(script.ballots_since(at) <= 2, f"the ballots grew by {script.ballots_since(at)}")
    came_to = report(script, at, recovered)
    script.heal()
    script.finish()
    return came_to


def n06_one_way(seed: int, layout: str) -> Report:
    """The leader hears some followers that do not hear it, or the other way round: no perpetual election."""
    script, leader = begin(seed, layout)
    at = script.now
    followers = [node for node in script.nodes if node != leader]
    deaf = script.random.sample(followers, script.random.randint(1, len(followers)))
    if not set(script.learners) - set(deaf) - {leader}:  # a leader that no gateway hears is another matter
        deaf.remove(script.pick([node for node in script.learners if node in deaf]))
    towards = script.random.random() < 0.7
    script.cut([leader], deaf) if towards else script.cut(deaf, [leader])

    recovered = script.recover(at)
    script.rest()
    script.run(max(60 / script.t_e - script.since(at), 0))

    expect(script.changes_since(at) <= 1, f"{script.changes_since(at)} leaders were elected in a minute")
    came_to = report(script, at, recovered)
    script.heal()
    script.finish()
    return came_to


def n11_flapping(seed: int, layout: str, minutes: float = 10) -> Report:
    """A link, or all links of the leader, are down for 200 ms and up for 200 ms, again and again."""
    script, leader = begin(seed, layout, think_s=2.0)
    at = script.now
    others = [node for node in script.nodes if node != leader]
    ends = others if script.random.random() < 0.5 else [script.pick(others)]

    def flap(down: bool) -> None:
        script.sever([leader], ends) if down else script.heal()
        if script.now < at + minutes * 60:
            script.world.later(0.2, flap, not down)

    flap(True)
    recovered = script.recover(at)
    script.run((at + minutes * 60 - script.now) / script.t_e + 1)

    a_minute = script.changes_since(at) / minutes
    expect(a_minute <= 2, f"{a_minute:.1f} leaders were elected a minute")
    came_to = report(script, at, recovered)
    script.heal()
    script.finish()
    return came_to


def any_links(seed: int, layout: str) -> Report:
    """Any links between proposers and acceptors are cut, one way or both, and one proposer still reaches a quorum both
    ways: somebody leads."""
    script, _ = begin(seed, layout)
    at = script.now
    share = script.random.choice((0.2, 0.4, 0.6))
    voting = [node for node in script.nodes if node[0] != "l"]
    severed: set[tuple[NodeId, NodeId]] = set()
    while not severed or not any(_reaches_a_quorum(script, node, severed) for node in script.proposers):
        severed = {(a, b) for a in voting for b in voting if a != b and script.random.random() < share}
    for source, target in severed:
        script.cut([source], [target])

    recovered = script.recover(at)
    script.rest()
    script.run(max(60 / script.t_e - script.since(at), 0))

    expect(script.changes_since(at) <= 2, f"{script.changes_since(at)} leaders were elected in a minute")
    came_to = report(script, at, recovered)
    script.heal()
    script.finish()
    return came_to


def _reaches_a_quorum(script: Script, node: NodeId, severed: set[tuple[NodeId, NodeId]]) -> bool:
    reached = [other for other in script.acceptors if not severed & {(node, other), (other, node)}]
    return len(reached) >= script.majority
