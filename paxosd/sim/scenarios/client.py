"""Scenarios L*, U15 and U19: what clients see of retries, reads, changes of leadership, and what learners may learn."""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.client.calls import Command, Question
from paxosd.client.outcomes import Receipt
from paxosd.core.messages import (
    Accept,
    Applied,
    Chosen,
    Fetched,
    FetchedVotes,
    HeartbeatReply,
    LogPage,
    OpenSession,
    Propose,
    ReadIndexReply,
    ReadLog,
    Refused,
    SessionOpened,
)
from paxosd.core.reasons import Reason
from paxosd.core.records import Learned
from paxosd.core.types import SESSION_BYTES, NodeId, SessionId
from paxosd.core.values import encode_body
from paxosd.sim.calls import SimCall
from paxosd.sim.clients import SimClient
from paxosd.sim.scenarios.props import Caught, Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script, begin, expect, report

FOLLOW_WAIT_MS = 1000
"""How long a read that follows the log waits for a next entry; as the client library does."""


# ---- exactly once ------------------------------------------------------------------------------


def l01_lost_reply(seed: int, layout: str) -> Report:
    """The reply is lost and the client asks another gateway: the command happened once, and the reply is the same."""
    script, _ = begin(seed, layout)
    script.rest()
    script.run(2)
    client = script.clients[0]
    at, asked = script.now, client.gateway
    replies = script.watch(Applied, target=[client.name])
    script.hold(Applied, source=[asked], target=[client.name])
    operation = script.propose(client)
    script.until(lambda: operation.outcome == "acked", 12, "another gateway answers")
    lost = next(caught.message for caught in replies.found if caught.source == asked)
    assert isinstance(lost, Applied)
    assert isinstance(operation.pending, Command)
    expect(any(caught.source != asked for caught in replies.found), "the client never asked another gateway")
    expect(operation.pending.receipt == Receipt(lost.revision, lost.slot), f"it was told another result than {lost}")
    script.finish()
    return report(script, at, (operation.ended_s - at) / script.t_e)


def l02_retry_after_restart(seed: int, layout: str) -> Report:
    """A command is sent again after its leader is gone and every node has restarted: every gateway tells the same."""
    script, leader = begin(seed, layout)
    session = open_session(script)
    at = script.now
    propose = raw_propose(script, session, 1)
    first = script.call(script.pick(script.learners), propose, Applied)
    script.kill(leader)
    script.recover(script.now)
    script.power_off(*script.nodes)
    script.start(*script.nodes)
    recovered = script.recover(script.now, 10)
    again = [script.call(gateway, propose, Applied) for gateway in script.learners]
    expect(all((told.revision, told.slot) == (first.revision, first.slot) for told in again), "the results differ")
    script.finish()
    expect(script.world.ghost.order.log.count(raw_value(1)) == 1, "the command did not happen once")
    return report(script, at, recovered)


def l04_sequence_gap(seed: int, layout: str) -> Report:
    """The second command of a session comes before the first: it is refused by name, and happens second."""
    script, _ = begin(seed, layout)
    session, gateway = open_session(script), script.pick(script.learners)
    at = script.now
    refused = refusal(script, gateway, raw_propose(script, session, 2))
    expect((refused.reason, refused.expected) == (Reason.GAP, 1), f"it was refused as {refused}")
    expect(raw_value(2) not in script.world.ghost.order.log, "the second command happened first")
    results = [script.call(gateway, raw_propose(script, session, seq), Applied) for seq in (1, 2)]
    expect(results[0].revision < results[1].revision, "the order is not that of the session")
    script.finish()
    return report(script, at, 0.0)


def raw_value(seq: int) -> bytes:
    """What the raw client proposes under this number."""
    return b"x1-%d#" % seq


def open_session(script: Script, gateway: NodeId = "") -> SessionId:
    """Open one at this gateway, or at any."""
    asked = OpenSession(script.random.randbytes(SESSION_BYTES), 1)
    return script.call(gateway or script.pick(script.learners), asked, SessionOpened).session


def refusal(script: Script, gateway: NodeId, propose: Propose) -> Refused:
    """How it is refused by a gateway that is not behind."""
    while (refused := script.call(gateway, propose, Refused)).reason is Reason.BEHIND:
        pass
    return refused


def raw_propose(script: Script, session: SessionId, seq: int, number: int | None = None) -> Propose:
    """Command `seq` of a session; its value has this number, or that of the command."""
    value = raw_value(seq if number is None else number)
    script.world.ghost.safety.submitted.add(value)
    return Propose(session, seq, 1, seq, 1, encode_body([value]))


def k05_session_expiry(seed: int, layout: str) -> Report:
    """Clocks drift apart, and a client opens more sessions than are kept: every learner forgets the same ones, and only
    those of this client, also after it has made its state anew from its disk."""
    kept, others_most = 6, 4  # each of the two other clients has a second session, if its opening was sent twice
    script, _ = begin(seed, layout, drift=0.05, sessions=kept + others_most)
    script.rest()
    at, greedy_at = script.now, script.pick(script.learners)
    calls = [raw_propose(script, open_session(script, greedy_at), 1, number) for number in range(1, 2 * kept + 1)]
    forgotten = calls[: -kept - others_most + 2]
    revisions = [script.call(script.pick(script.learners), call, Applied).revision for call in calls[-kept:]]
    anew = script.pick(script.learners)
    script.kill(anew)
    script.run(RECOVER_T_E)
    script.start(anew)
    script.run(RECOVER_T_E)
    for gateway in script.learners:
        for call in forgotten:
            reason = refusal(script, gateway, call).reason
            expect(reason is Reason.SESSION_UNKNOWN, f"{gateway} refused an old session because of {reason.name}")
        again = [script.call(gateway, call, Applied).revision for call in calls[-kept:]]
        expect(again == revisions, f"{gateway} answered {again} instead of {revisions}")
    own = script.watch(Refused, when=lambda caught: caught.message.reason is Reason.SESSION_UNKNOWN)  # type: ignore[union-attr]
    last = [script.propose(client) for client in script.clients]
    script.until(lambda: all(operation.outcome == "acked" for operation in last), 12, "the others are served")
    expect(not own.found, "the session of a client that had one was forgotten for one that had many")
    script.finish()
    return report(script, at, 0.0)


# ---- reads ---------------------------------------------------------------------------------------


def l07_read_at_a_new_leader(seed: int, layout: str) -> Report:
    """A new leader has no value of its own ballot chosen yet: reads wait, and then show all that was acknowledged."""
    script, leader = begin(seed, layout)
    at = script.now
    old = max(script.chronicle.prepared)
    accepts = script.hold(
        Accept, when=lambda caught: isinstance(caught.message, Accept) and caught.message.ballot > old
    )
    script.kill(leader)
    script.until(lambda: script.leader not in ("", leader), RECOVER_T_E, "another one leads")
    script.rest()
    answers = script.watch(ReadIndexReply, when=lambda caught: caught.message.applied > 0)  # type: ignore[union-attr]
    reads = [ask(script, client, ReadLog(0, 1, True, 0, 0)) for client in script.clients]
    script.run(3)
    expect(not answers.found, "a read was confirmed before a value of the new ballot was chosen")
    expect(all(read.outcome == "" for read in reads), "a read was answered before a value of the new ballot was chosen")
    script.release(accepts)
    recovered = script.until(lambda: all(read.outcome == "acked" for read in reads), 10, "the reads are answered")
    script.start(leader)
    script.finish()
    return report(script, at, recovered)


def l10_follow_the_log(seed: int, layout: str) -> Report:
    """A client follows the log while the leader, and then its gateway, are lost: it sees each entry once, in order."""
    script, leader = begin(seed, layout, clients=3)
    follower = script.clients[2]
    follower.working = False
    at = script.now
    seen: list[bytes] = []
    page = _follow(script, follower, ReadLog(0, 1, True, 0, 0), seen)
    end = page.last
    for lost in ("", leader, follower.gateway):
        script.kill(lost) if lost else None
        for _ in range(8):
            start = len(seen) + 1
            wait_ms = 0 if page.entries else FOLLOW_WAIT_MS
            page = _follow(script, follower, ReadLog(0, start, False, min(end, start), wait_ms), seen)
        script.start(leader)
    expect(seen == script.world.ghost.order.log[: len(seen)], "what was followed is not the log")
    expect(len(seen) > end, "nothing new was seen")
    recovered = script.recover(script.now)
    script.start(*script.nodes)
    script.finish()
    return report(script, at, recovered)


def _follow(script: Script, client: SimClient, read: ReadLog, seen: list[bytes]) -> LogPage:
    """Read one page, and add its entries to what was seen."""
    operation = ask(script, client, read)
    script.until(lambda: operation.outcome != "", 15, "a page is read")
    expect(operation.outcome == "acked", f"a page was not read: {operation.pending.error}")
    assert isinstance(operation.pending, Question)
    page = operation.pending.answer
    assert isinstance(page, LogPage)
    for entry in page.entries:
        expect(entry.revision == len(seen) + 1, f"revision {entry.revision} comes after {len(seen)}")
        seen.append(entry.value)
    return page


def l07_read_at_an_old_leader(seed: int, layout: str) -> Report:
    """An old leader is kept leading by late answers to its earlier heartbeats: they confirm no read, for a new leader
    may have acknowledged what it misses."""
    script, leader = begin(seed, layout)
    gateway = leader if leader in script.learners else script.pick(script.learners)
    apart = {leader, gateway}
    script.rest()
    answers = script.hold(HeartbeatReply, target=[leader])
    script.run(0.6)
    script.hold(object, source=[node for node in script.nodes if node not in apart], target=apart)
    script.cut(apart, [node for node in script.nodes if node not in apart])
    at, late = script.now, list(answers.found)
    client = script.clients[0]
    script.confine(client, [node for node in script.learners if node not in apart])
    operation = script.propose(client)

    def acknowledged() -> bool:
        _send_each(script, late)
        return operation.outcome == "acked"

    recovered = script.until(acknowledged, RECOVER_T_E, "another leader acknowledges a value")
    expect(script.end_of_reign(leader, at) > script.now, "late answers did not keep the old leader leading")
    script.say(gateway, ReadLog(1, 1, True, 0, 0))
    for _ in range(20):
        script.run(0.05)
        _send_each(script, late)
    expect(not script.heard, "late answers confirmed a read")
    script.let_all_pass()
    script.finish()
    return report(script, at, recovered)


def _send_each(script: Script, late: Sequence[Caught]) -> None:
    for caught in late:
        script.send(caught)


def l14_stale_read(seed: int, layout: str) -> Report:
    """A gateway that is cut off answers a stale read with what it has, and says how far that is; it does not answer
    one that must not be older than what the session has seen."""
    script, leader = begin(seed, layout)
    behind = script.pick(script.learners, [leader])
    at = script.now
    script.sever([behind], script.nodes)
    script.run(1)
    had = script.nodes[behind].revision
    recovered = script.recover(at)
    script.until(lambda: script.world.ghost.answers.seen > had, 5, "it is behind")
    newest = script.world.ghost.answers.seen
    stale = script.call(behind, ReadLog(1, 1, False, 0, 0), LogPage)
    expect(stale.last == had, f"it has {had} and says {stale.last}")
    values = [entry.value for entry in stale.entries]
    expect(values == script.world.ghost.order.log[: len(values)] != [], "it shows another log")
    script.heard.clear()
    script.say(behind, ReadLog(2, 1, False, newest, 0))
    script.run(3)
    expect(not script.heard, "it answered with less than the session had seen")
    script.heal()
    script.until(lambda: bool(script.heard), RECOVER_T_E, "it answers once it caught up")
    (_, page) = script.heard[0]
    expect(isinstance(page, LogPage) and page.last >= newest, f"it answered {page}")
    script.finish()
    return report(script, at, recovered)


def ask(script: Script, client: SimClient, read: ReadLog) -> SimCall:
    """Let this client ask for a page now."""
    operation = client.ask(script.now, read)
    client.step(script.now)
    return operation


# ---- handing over, learning ------------------------------------------------------------------------


def u15_handing_over(seed: int, layout: str) -> Report:
    """The leader is asked to stop during writes: it hands over, no write is lost, and the pause is below 1 T_e."""
    script, leader = begin(seed, layout, think_s=0.05)
    at = script.now
    script.stop(leader)
    script.until(lambda: not script.is_up(leader), 2, "the leader has nothing left to finish")
    recovered = script.recover(at)
    script.run(5)
    expect(recovered <= 1, f"a command was acknowledged after {recovered:.2f} T_e only")
    script.start(leader)
    script.finish()
    ends = {operation.outcome for client in script.clients for operation in client.operations}
    expect(ends == {"acked"}, f"calls ended as {ends}")
    return report(script, at, recovered)


def u19_one_acceptors_vote(seed: int, layout: str) -> Report:
    """One acceptor voted for what was never chosen, and a learner can ask this acceptor only: it learns nothing, and
    once it can ask a quorum it learns what was chosen."""
    script, leader = begin(seed, layout)
    script.rest()
    script.run(2)
    odd, learner = script.pick(script.acceptors), script.pick(script.having("l"))
    at, slot = script.now, script.world.ghost.safety.watermark
    script.hold(Accept, source=[leader], when=lambda caught: caught.target != odd)
    script.propose(script.clients[0])
    script.until(lambda: script.disks[odd].synced.vote(slot) is not None, 2, "one acceptor votes")
    script.kill(leader)
    script.sever([odd], script.proposers)
    others = [script.hold(kind, target=[learner]) for kind in (Chosen, Fetched)]
    votes = script.hold(FetchedVotes, target=[learner], when=lambda caught: caught.source != odd)
    recovered = script.recover(at - 1e-9)
    odd_vote = script.disks[odd].synced.vote(slot)
    chosen = script.world.ghost.safety.chosen[slot]
    expect(odd_vote is not None and odd_vote.value != chosen, "the odd vote is not odd")
    script.run(5)
    expect(_learned(script, learner, slot) is None, "a learner believed one acceptor")
    for catch in (*others, votes):
        script.forget(catch)
    script.until(lambda: _learned(script, learner, slot) is not None, RECOVER_T_E, "the learner catches up")
    expect(_learned(script, learner, slot) == chosen, "the learner took another value")
    script.heal()
    script.start(leader)
    script.finish()
    return report(script, at, recovered)


def _learned(script: Script, learner: NodeId, slot: int) -> bytes | None:
    learned = [record for record in script.disks[learner].history if isinstance(record, Learned)]
    return next((record.value for record in learned if record.slot == slot), None)
