"""Scenarios of votes of several ballots in one slot: which of them is the chosen value, or may be it.

An odd acceptor has votes for what one leader proposed to it alone; the next leader hears nothing of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from paxosd.core.messages import Accept, Chosen, Fetched, FetchedVotes, Promise
from paxosd.core.types import NodeId, Slot
from paxosd.sim.scenarios.props import Catch, Caught, Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script, begin, expect, report
from paxosd.storage.memory import MemoryStore

ODD_SLOTS = 6
"""In so many slots the odd acceptor votes for what is never chosen."""
CAUGHT_UP_T_E = 20.0


class _Mixed(NamedTuple):
    """`first`: the first of the odd slots. `learner`: knows nothing from there on; `old`: what was on its disk then;
    `pages`: what acceptors answer it, all of which is kept back."""

    script: Script
    odd: NodeId
    first: Slot
    learner: NodeId
    old: MemoryStore
    pages: Catch

    @property
    def knows(self) -> Slot:
        """Below which slot the learner knows every value."""
        return self.script.disks[self.learner].written.learned_stop()

    def voters(self, slot: Slot) -> list[NodeId]:
        """Who voted in this slot."""
        return [name for name in self.script.acceptors if self.script.disks[name].synced.vote(slot) is not None]

    def answered_by(self, acceptors: Collection[NodeId]) -> None:
        """From now on the learner hears what these acceptors answer, and no other ones."""
        others = [name for name in self.script.acceptors if name not in acceptors]
        self.script.hold(FetchedVotes, source=others, target=[self.learner])
        self.script.forget(self.pages)


def u19_mixed_votes(seed: int, layout: str) -> Report:
    """A learner hears the odd acceptor and as many others as make a quorum with it, whose pages are shorter: it learns
    what was chosen, slot by slot, and nothing that only the odd one tells."""
    mixed = _odd_votes(seed, layout)
    script, at = mixed.script, mixed.script.now
    mixed.answered_by([mixed.odd, *_others(mixed, script.majority - 1)])
    script.until(lambda: mixed.knows >= mixed.first + ODD_SLOTS, CAUGHT_UP_T_E, "it learns from acceptors")
    return _end(script, at)


def u19_few_accept(seed: int, layout: str) -> Report:
    """Few acceptors choose and many prepare: a learner that hears as many as choose, the odd one and some that have no
    vote, learns nothing."""
    mixed = _odd_votes(seed, layout, few=True)
    script, at = mixed.script, mixed.script.now
    answering = [mixed.odd, *_others(mixed, script.plan.quorum[1] - 1, without=mixed.voters(mixed.first))]
    heard = script.watch(FetchedVotes, target=[mixed.learner])
    mixed.answered_by(answering)
    script.until(lambda: {page.source for page in heard.found} >= {*answering}, CAUGHT_UP_T_E, "they answer")
    script.run(3)
    expect(mixed.knows <= mixed.first, "it learned from too few")
    return _end(script, at)


def u19_late_page(seed: int, layout: str) -> Report:
    """A learner's directory is put back as it was, and a page comes that it asked for before: it does not count for
    what the learner asks now."""
    mixed = _odd_votes(seed, layout)
    script, at, learner = mixed.script, mixed.script.now, mixed.learner
    others = _others(mixed, script.majority - 1)

    def is_of_more(caught: Caught) -> bool:
        return isinstance(caught.message, FetchedVotes) and caught.message.first > mixed.first

    kept = script.hold(FetchedVotes, source=others, target=[learner], when=is_of_more)
    mixed.answered_by([mixed.odd, *others])
    script.until(lambda: {page.source for page in kept.found} >= {*others}, CAUGHT_UP_T_E, "it asks for more")

    script.power_off(learner)
    script.disks[learner].put_back(mixed.old)
    anew = script.hold(FetchedVotes, target=[learner], when=lambda caught: not is_of_more(caught))
    script.start(learner)
    script.until(lambda: any(page.source == mixed.odd for page in anew.found), CAUGHT_UP_T_E, "the odd one answers")
    late = [page for page in kept.found if page.source in others]
    for page in (*late, *(page for page in anew.found if page.source == mixed.odd)):
        script.send(page)
        script.run(0.05)
    return _end(script, at)


def c07_two_ballots(seed: int, layout: str) -> Report:
    """Two leaders crash after one acceptor each voted for what they proposed in one slot, and the next one hears of the
    earlier vote first: it goes on with the later one."""
    script, first_leader = begin(seed, layout)
    odd, slot = _propose_to_one(script, first_leader)
    nobody = script.hold(Accept)
    script.until(lambda: script.leader not in ("", first_leader), RECOVER_T_E, "another one leads")
    second, newer = script.leader, script.pick(script.acceptors, [odd])
    only = script.hold(Accept, target=[name for name in script.acceptors if name != newer])
    script.forget(nobody)
    script.until(lambda: bool(_vote(script, newer, slot)), RECOVER_T_E, "one acceptor votes in a later ballot")
    script.kill(second)
    at, value = script.now, _vote(script, newer, slot)

    def tells_of_it(caught: Caught) -> bool:
        return isinstance(caught.message, Promise) and any(vote.slot == slot for vote in caught.message.votes)

    rest = [name for name in script.acceptors if name not in (odd, newer)]
    script.hold(Promise, source=rest[script.majority - 2 :])
    later = script.hold(Promise, source=[newer], when=tells_of_it)
    earlier = script.watch(Promise, source=[odd], when=tells_of_it)
    script.heal()
    script.forget(only)
    script.start(first_leader)
    script.until(lambda: bool(earlier.found), CAUGHT_UP_T_E, "the odd one tells its vote")
    script.run(0.1)
    script.release(later)
    chosen = script.world.ghost.safety.chosen
    script.until(lambda: slot in chosen, RECOVER_T_E, "a value is chosen")
    expect(chosen[slot] == value, "the later vote was not taken")
    return _end(script, at)


# ---- how votes are mixed -------------------------------------------------------------------------


def _odd_votes(seed: int, layout: str, few: bool = False) -> _Mixed:
    """A leader proposed to one acceptor alone, and crashed; another one leads, knows nothing of that, and other values
    are chosen there. `few`: few acceptors choose, and only they vote in these slots."""
    quorum = {"quorum": (4, 2)} if few else {}
    script, leader = begin(seed, layout, page_bytes=2000, keep_entries=0, **quorum)
    odd, first = _propose_to_one(script, leader)
    others = [name for name in script.acceptors if name != odd]
    learner = script.having("l")[0]
    old = script.disks[learner].written.copy()
    script.hold(Chosen, Fetched, target=[learner])
    pages = script.hold(FetchedVotes, target=[learner])
    if few:
        script.hold(Accept, target=script.random.sample(others, 2))
    script.until(lambda: script.leader not in ("", leader), RECOVER_T_E, "another one leads")
    while script.world.ghost.safety.watermark <= first + ODD_SLOTS + 2:
        for client in script.clients:
            for _ in range(3):
                script.propose(client)
        script.run(1)
    return _Mixed(script, odd, first, learner, old, pages)


def _propose_to_one(script: Script, leader: NodeId) -> tuple[NodeId, Slot]:
    """Who it is, which no proposer hears any more, and the first slot of these proposals. The leader crashed."""
    script.rest()
    script.run(3)
    first, odd = script.world.ghost.safety.watermark, script.pick(script.acceptors)
    only = script.hold(Accept, source=[leader], target=[name for name in script.acceptors if name != odd])
    for number in range(ODD_SLOTS):
        script.propose(script.clients[number % 2])
        script.until(lambda number=number: bool(_vote(script, odd, first + number)), 5, "it votes")  # type: ignore[misc]
    script.kill(leader)
    script.sever([odd], script.proposers)
    script.forget(only)
    return odd, first


def _vote(script: Script, acceptor: NodeId, slot: Slot) -> bytes:
    """What it voted for there; empty: nothing."""
    vote = script.disks[acceptor].synced.vote(slot)
    return b"" if vote is None else vote.value


def _others(mixed: _Mixed, count: int, without: Collection[NodeId] = ()) -> list[NodeId]:
    """So many acceptors but the odd one and those."""
    names = [name for name in mixed.script.acceptors if name != mixed.odd and name not in without]
    return mixed.script.random.sample(names, count)


def _end(script: Script, at: float) -> Report:
    script.let_all_pass()
    script.start(*script.nodes)
    script.work()
    recovered = script.recover(script.now)
    script.finish()
    return report(script, at, recovered)
