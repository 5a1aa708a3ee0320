"""Reads that old answers would confirm: to an earlier heartbeat, of an earlier ballot, of an earlier life."""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.core.messages import (
    Accept,
    Chosen,
    Fetched,
    FetchedVotes,
    Heartbeat,
    HeartbeatReply,
    LogPage,
    Prepare,
    ReadIndexReply,
    ReadLog,
)
from paxosd.core.types import NodeId
from paxosd.sim.scenarios.props import Caught, Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script, begin, expect, report

REIGN_T_E = 12.0


def l07_heartbeat_before(seed: int, layout: str) -> Report:
    """Acceptors answer a heartbeat, and then choose with the next leader what the old one had proposed to one of them;
    all of it before the old one sends another heartbeat: these answers confirm no read that came after them."""
    script, leader = begin(seed, layout, delay_s=0.0002, jitter_s=0.0, sync_s=0.0002)
    gateway, others = _gateway_of(script, leader)
    voters = [name for name in script.acceptors if name != leader]
    script.rest()
    answers = script.hold(HeartbeatReply, target=[leader])
    script.run(0.6)
    late = list(answers.found)
    beats = script.hold(Heartbeat, source=[leader], target=others)
    prepares = script.hold(Prepare, source=others, target=voters)
    script.hold(Accept, source=[leader], target=voters[1:])
    client = script.clients[0]
    script.confine(client, [name for name in script.learners if name in others])
    operation, at = script.propose(client), script.now

    def prepares_anew() -> bool:
        _send_each(script, late)
        return bool(prepares.found)

    script.until(prepares_anew, RECOVER_T_E, "another one prepares")
    before = len(answers.found)
    script.forget(beats)
    script.until(lambda: len(answers.found) >= before + script.majority, 1, "they answer a heartbeat")
    _part(script, {leader, gateway}, others)
    script.release(prepares)
    while operation.outcome != "acked" and script.since(at) < RECOVER_T_E:
        script.world.run_until(script.now + 0.001)
    expect(operation.outcome == "acked", "the next leader acknowledges nothing")
    script.say(gateway, ReadLog(1, 1, True, 0, 0))
    script.world.run_until(script.now + 0.002)
    _expect_no_page(script, gateway, answers.found[before:])
    return _end(script, at)


def l07_earlier_ballot(seed: int, layout: str) -> Report:
    """A leader leads once more, and is deposed without hearing of it: answers to heartbeats of its earlier ballot
    confirm no read."""
    script, leader = begin(seed, layout)
    gateway, others = _gateway_of(script, leader)
    earlier = script.watch(HeartbeatReply, target=[leader])
    script.run(REIGN_T_E)
    script.rest()
    script.forget(earlier)
    script.kill(leader)
    script.until(lambda: script.leader not in ("", leader), RECOVER_T_E, "another one leads")
    script.start(leader)
    script.kill(script.leader)
    script.until(lambda: script.leader == leader, RECOVER_T_E, "it leads again")
    script.start(*script.nodes)
    script.run(2)
    at = script.now
    answers = script.hold(HeartbeatReply, target=[leader])
    script.run(0.6)
    _part(script, {leader, gateway}, others)
    late = list(answers.found)
    _acknowledge_elsewhere(script, others, late)
    script.say(gateway, ReadLog(1, 1, True, 0, 0))
    _expect_no_page(script, gateway, [*late, *earlier.found])
    return _end(script, at)


def l07_restarted_gateway(seed: int, layout: str) -> Report:
    """The answer to a round of a gateway comes when that is in its next life, and behind: it confirms no read of this
    life."""
    script, leader = begin(seed, layout)
    script.rest()
    script.run(2)
    gateway = script.pick(script.learners, [leader])
    others = [name for name in script.learners if name != gateway]
    for client in script.clients:
        script.confine(client, others)
    script.kill(gateway)
    script.start(gateway)
    script.until(lambda: script.world.applied_to_the_end(gateway), RECOVER_T_E, "it has all again")
    answers = script.hold(ReadIndexReply, target=[gateway])

    def asked() -> bool:
        script.say(gateway, ReadLog(1, 1, True, 0, 0))
        return bool(answers.found)

    script.until(asked, RECOVER_T_E, "its round is answered")
    script.run(0.2)
    old, at = list(answers.found), script.now
    script.kill(gateway)
    script.hold(Accept, Chosen, Fetched, FetchedVotes, target=[gateway])
    script.start(gateway)
    script.run(1)
    operation = script.propose(script.clients[0])
    script.until(lambda: operation.outcome == "acked", RECOVER_T_E, "a value is acknowledged")
    script.heard.clear()
    for number in range(10):
        script.say(gateway, ReadLog(2 + number, 1, True, 0, 0))
        script.run(0.1)
        _send_each(script, old)
    _expect_no_page(script, gateway, old)
    return _end(script, at)


def _gateway_of(script: Script, leader: NodeId) -> tuple[NodeId, list[NodeId]]:
    """A gateway that stays with this leader, and everybody else."""
    gateway = leader if leader in script.learners else script.pick(script.learners)
    return gateway, [name for name in script.nodes if name not in (leader, gateway)]


def _part(script: Script, apart: set[NodeId], others: Sequence[NodeId]) -> None:
    """These hear nothing of the others from now on, but what the script sends, and the others nothing of them."""
    script.hold(object, source=others, target=apart)
    script.cut(apart, others)


def _acknowledge_elsewhere(script: Script, others: Sequence[NodeId], late: Sequence[Caught] = ()) -> None:
    """Wait until a value is acknowledged that an old leader knows nothing of; `late` answers keep that one leading."""
    client = script.clients[0]
    script.confine(client, [name for name in script.learners if name in others])
    operation = script.propose(client)

    def acknowledged() -> bool:
        _send_each(script, late)
        return operation.outcome == "acked"

    script.until(acknowledged, RECOVER_T_E, "another leader acknowledges a value")


def _expect_no_page(script: Script, gateway: NodeId, late: Sequence[Caught]) -> None:
    for _ in range(20):
        script.run(0.05)
        _send_each(script, late)
    pages = [answer for source, answer in script.heard if source == gateway and isinstance(answer, LogPage)]
    expect(all(page.refused for page in pages), "late answers confirmed a read")


def _send_each(script: Script, late: Sequence[Caught]) -> None:
    for caught in late:
        script.send(caught)


def _end(script: Script, at: float) -> Report:
    script.let_all_pass()
    script.start(*script.nodes)
    script.work()
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)
