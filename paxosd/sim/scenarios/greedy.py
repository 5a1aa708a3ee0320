"""Scenarios S*: clients that want more than their share, and what it costs the others."""

from __future__ import annotations

from paxosd.core.messages import (
    Accept,
    Applied,
    Chosen,
    Fetched,
    FetchedVotes,
    Forward,
    LogPage,
    OpenSession,
    ReadIndexReply,
    ReadLog,
    Refused,
    SessionOpened,
)
from paxosd.core.reasons import Reason
from paxosd.core.types import SESSION_BYTES, Revision, SessionId
from paxosd.gateway.readers import READERS_PER_CLIENT_MAX
from paxosd.sim.scenarios.client import ask, open_session, raw_propose, raw_value, refusal
from paxosd.sim.scenarios.props import Report
from paxosd.sim.scenarios.script import RECOVER_T_E, Script, begin, expect, report
from paxosd.wire.frames import CLIENT_MESSAGES_MAX

FAR: Revision = 10**6
"""A revision that no script gets to."""
HELD_MS = 5000
"""How long the reads wait that shall fill a gateway."""


def forged(number: int) -> SessionId:
    """A session that nobody opened."""
    return b"forged" + number.to_bytes(SESSION_BYTES - 6, "big")


def forged_sessions(seed: int, layout: str) -> Report:
    """Commands of sessions that nobody opened: they are refused by name, and take no slot."""
    script, _ = begin(seed, layout)
    script.rest()
    script.run(2)
    at, watermark, gateway = script.now, script.world.ghost.safety.watermark, script.pick(script.learners)
    forwards = script.watch(Forward)
    for number in range(1, 30):
        script.say(gateway, raw_propose(script, forged(number), 1, number))
        script.run(0.1)
    reasons = {message.reason for _, message in script.heard if isinstance(message, Refused)}
    expect(reasons == {Reason.BEHIND}, f"they were refused as {reasons}")
    told = refusal(script, gateway, raw_propose(script, forged(1), 1, 30))
    expect(told.reason is Reason.SESSION_UNKNOWN, f"a session that is in no log was refused as {told.reason.name}")
    expect(not forwards.found, "a gateway forwarded a command of a session that nobody opened")
    expect(script.world.ghost.safety.watermark == watermark, "commands of sessions that nobody opened took slots")
    script.finish()
    return report(script, at, 0.0)


def late_opening(seed: int, layout: str) -> Report:
    """A session is forgotten, and then a late copy of its opening comes, and of its command: it happens once."""
    kept = 4
    script, _ = begin(seed, layout, sessions=kept)
    script.rest()
    at, gateway = script.now, script.pick(script.learners)
    opening = OpenSession(script.random.randbytes(SESSION_BYTES), 1)
    propose = raw_propose(script, script.call(gateway, opening, SessionOpened).session, 1)
    script.call(gateway, propose, Applied)
    for _ in range(kept):
        open_session(script, gateway)
    script.call(gateway, opening, SessionOpened)
    refused = refusal(script, gateway, propose)
    expect(refused.reason is Reason.SESSION_UNKNOWN, f"it was refused as {refused.reason.name}")
    script.finish()
    expect(script.world.ghost.order.log.count(raw_value(1)) == 1, "the command did not happen once")
    return report(script, at, 0.0)


def lagging_gateway(seed: int, layout: str) -> Report:
    """A client turns to a gateway that is behind the one that opened its session: it is refused by name, gets through
    elsewhere, and nothing happens twice."""
    script, leader = begin(seed, layout)
    script.rest()
    script.run(2)
    at, behind = script.now, script.pick(script.learners, [leader])
    elsewhere = script.pick(script.learners, [behind])
    forged = raw_propose(script, bytes(SESSION_BYTES - 1) + b"x", 1)
    refused = refusal(script, behind, forged)  # now it has heard from a quorum once
    expect(refused.reason is Reason.SESSION_UNKNOWN, f"a session of nobody was refused as {refused.reason.name}")
    kept = script.hold(Accept, Chosen, Fetched, FetchedVotes, target=[behind])
    unconfirmed = script.hold(ReadIndexReply, target=[behind])
    session = open_session(script, elsewhere)
    propose = raw_propose(script, session, 1)
    for _ in range(2):
        refused = script.call(behind, propose, Refused)
        expect(refused.reason is Reason.BEHIND, f"it was refused as {refused.reason.name}")
    script.forget(unconfirmed)
    first = script.call(elsewhere, propose, Applied)
    refused = script.call(behind, propose, Refused)
    expect(refused.reason is Reason.BEHIND, f"an opened session was refused as {refused.reason.name}")
    script.forget(kept)
    again = script.call(behind, propose, Applied)
    expect((again.revision, again.slot) == (first.revision, first.slot), f"it was told {again} after {first}")
    script.finish()
    expect(script.world.ghost.order.log.count(raw_value(1)) == 1, "the command did not happen once")
    return report(script, at, 0.0)


def many_readers(seed: int, layout: str) -> Report:
    """A client has more reads wait than it may: each is held or refused by name, and others read as ever."""
    script, _ = begin(seed, layout)
    script.rest()
    script.run(2)
    at, gateway, asked = script.now, script.pick(script.learners), READERS_PER_CLIENT_MAX + 200
    reader = script.clients[0]
    script.confine(reader, [gateway])
    first_read = ask(script, reader, ReadLog(0, 1, True, 0, 0))
    script.until(lambda: first_read.outcome == "acked", RECOVER_T_E, "the reader has found the gateway")
    for first in range(0, asked, CLIENT_MESSAGES_MAX):
        numbers = range(first, min(first + CLIENT_MESSAGES_MAX, asked))
        script.say(gateway, *(ReadLog(number, FAR, False, 0, HELD_MS) for number in numbers))
        script.run(0.01)
    _expect_refused(script, asked - READERS_PER_CLIENT_MAX)
    reads = [ask(script, reader, ReadLog(0, 1, True, 0, 0)) for _ in range(3)]
    recovered = script.until(lambda: all(one.outcome == "acked" for one in reads), 2, "others are answered")
    script.run(HELD_MS / 1000 / script.t_e + 1)
    expect(len(script.heard) == asked, f"{len(script.heard)} of {asked} reads were answered or refused")
    _expect_refused(script, asked - READERS_PER_CLIENT_MAX)
    script.heal()
    script.finish()
    return report(script, at, recovered)


def _expect_refused(script: Script, reads: int) -> None:
    refused = [page.refused for _, page in script.heard if isinstance(page, LogPage) and page.refused]
    expect(refused == [Reason.OVERLOADED] * reads, f"{len(refused)} reads were refused as {set(refused)}")
