"""Scenarios W01 to W05: a wrong member, which has the right membership file and lies, and lives that are miscounted.

The process of the liar is ended first; the script speaks in its name, with the number of its last life.
"""

from __future__ import annotations

from collections.abc import Iterable

from paxosd.core.messages import (
    Accept,
    Chosen,
    Fetch,
    FetchVotes,
    Heartbeat,
    Message,
    Nack,
    Prepare,
    PreVote,
    PreVoteReply,
    Watermark,
)
from paxosd.core.plausible import RISE_EVERY_S, ROUND_REACH
from paxosd.core.types import Ballot, NodeId
from paxosd.core.values import encode_value
from paxosd.core.voters import Voters
from paxosd.lives import CHANCE_BITS, NEWCOMER_S, SILENT_S
from paxosd.sim.scenarios.props import Caught, Report
from paxosd.sim.scenarios.script import Script, begin, expect, report

FAR = 2**63 - 1
LIFTS = 4
NOOP = encode_value(0)


class Liar:
    """A member whose process has ended, and in whose name the script speaks."""

    def __init__(self, script: Script, name: NodeId) -> None:
        self.name = name
        self.top = Ballot(FAR, name)
        self._script = script
        self.incarnation = script.nodes[name].own_life.number
        script.kill(name)

    @property
    def voters(self) -> Voters:
        """Those that everybody knows: whoever names others is not listened to."""
        return self._script.world.ghost.safety.electorate.newest

    def tell(self, targets: Iterable[NodeId], *messages: Message) -> None:
        for target in targets:
            for message in messages:
                if target != self.name:
                    about = self.incarnation, self._script.now, self.voters.history
                    self._script.send(Caught(self.name, target, message, *about))


def w01_highest_numbers(seed: int, layout: str) -> Report:
    """A wrong proposer claims the highest numbers there are: the leader stays, and elections work after it, even when
    everybody restarts."""
    script, leader = begin(seed, layout)
    liar = Liar(script, script.pick(script.proposers, [leader]))
    low = Ballot(1, liar.name)
    at = script.now
    for _ in range(20):
        liar.tell(script.nodes, PreVote(liar.top), Prepare(liar.top, 1, liar.voters))
        liar.tell(script.nodes, Heartbeat(liar.top, 1, FAR, FAR, liar.voters))
        liar.tell(script.nodes, Watermark(liar.top, FAR), Accept(liar.top, 2**62, NOOP, 2**62), Chosen(FAR, NOOP))
        liar.tell(script.nodes, Heartbeat(low, 1, FAR, FAR), Accept(low, 1, NOOP, FAR))
        script.run(0.2)
    expect(script.changes_since(at) == 0, "the leader changed though nothing happened but lies")
    script.start(liar.name)
    others = list(script.nodes)
    script.power_off(*others)
    script.start(*others)
    came_to = report(script, at, script.recover(script.now))
    script.finish()
    return came_to


def w02_chosen_by_nobody(seed: int, layout: str) -> Report:
    """A proposer that does not lead tells learners what is chosen: none believes it."""
    script, leader = begin(seed, layout)
    liar = Liar(script, script.pick(script.proposers, [leader]))
    at = script.now
    for _ in range(40):
        first = script.world.ghost.safety.watermark
        liar.tell(script.learners, *(Chosen(slot, NOOP) for slot in range(first, first + 4)))
        script.run(0.25)
    came_to = report(script, at, script.recover(script.now))
    script.start(liar.name)
    script.finish()
    return came_to


def w03_refusals_and_questions(seed: int, layout: str) -> Report:
    """A wrong acceptor says that it promised the highest ballot there is, and asks for everything ten thousand times:
    whoever leads goes on."""
    script, leader = begin(seed, layout)
    liar = Liar(script, script.pick(script.acceptors, [leader]))
    at = script.now
    round_ = script.chronicle.reigning()[-1].round
    led = Ballot(round_, leader)
    for _ in range(10):
        liar.tell(script.proposers, Nack(led, liar.top), PreVoteReply(led, False, liar.top, FAR))
        liar.tell(script.acceptors, *([FetchVotes(1, FAR)] * 100))
        liar.tell(script.learners, *([Fetch(1)] * 100))
        script.run(0.2)
    expect(script.changes_since(at) == 0, "the leader changed though nothing happened but lies")
    came_to = report(script, at, script.recover(script.now))
    script.start(liar.name)
    script.finish()
    return came_to


def w05_climb(seed: int, layout: str) -> Report:
    """A wrong proposer lifts the promises as far as it is believed, again and again: when it ends, a leader is elected
    above them, and an acceptor that was down meanwhile votes for it."""
    script, leader = begin(seed, layout)
    liar = Liar(script, script.pick(script.proposers, [leader]))
    away = script.pick(script.acceptors, [leader, liar.name])
    present = [name for name in script.acceptors if name not in (away, liar.name)]
    script.kill(away)
    for step in range(1, LIFTS + 1):
        liar.tell(present, Prepare(Ballot(step * ROUND_REACH, liar.name), 1, liar.voters))
        script.run(1.1 * RISE_EVERY_S / script.t_e)
    script.start(liar.name, away)
    at = script.now
    script.run(3 * LIFTS * RISE_EVERY_S / script.t_e)  # all follow, one step in a second
    came_to = report(script, at, script.recover(script.now))
    promised = max(ballot.round for ballot in script.chronicle.prepared)
    expect(promised > (LIFTS - 1) * ROUND_REACH, f"nobody was lifted: the highest round is {promised}")
    ended = _makes_needed(script, away, script.leader)
    script.recover(script.now)
    script.start(*ended)
    script.finish()
    return came_to


def w04_lives(seed: int, layout: str) -> Report:
    """A node forgets how many lives it had, and an impostor claims a later one: both times it is heard again."""
    script, leader = begin(seed, layout)
    node = script.pick(script.acceptors, [leader])
    at = script.now
    for _ in range(3):
        script.kill(node)
        script.start(node)
        script.run(1)
    before = script.nodes[node].count
    script.kill(node)
    script.nodes[node].count = 0
    script.start(node)
    script.run(3)
    expect(script.nodes[node].count > before, "a node that is new to its own directory did not count on")
    script.run(NEWCOMER_S / script.t_e)
    impostor = script.nodes[node].own_life.number + (1 << CHANCE_BITS)
    for other in script.nodes:
        if other != node:
            script.send(Caught(node, other, Fetch(1), impostor, script.now, script.world.ghost.history))
    script.run(SILENT_S / script.t_e + 2)
    needed = _makes_needed(script, node, leader)
    came_to = report(script, at, script.recover(script.now))
    script.start(*needed)
    script.finish()
    return came_to


def _makes_needed(script: Script, node: NodeId, leader: NodeId) -> list[NodeId]:
    """End so many acceptors that nothing is chosen without this one."""
    spare = [name for name in script.acceptors if name not in (node, leader)]
    ended = spare[: len(script.acceptors) - script.majority]
    script.kill(*ended)
    return ended
