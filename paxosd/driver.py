"""The driver: the only loop, and the only place where the order of effects exists.

    wait -> drain -> decode -> receive -> tick -> send early -> commit once -> send messages -> apply -> reply -> keep

Laws:
1. Records are durable before any message that claims them leaves: one commit a turn, then the messages.
2. A value is applied, and its clients answered, after the commit of the turn that handed it on.
3. Bytes from outside never end the process: they are decoded, or counted and dropped. Who goes on sending what is
   none is cut off, and nobody has more than a share of a turn (`conduct.py`).
4. A storage error or a broken invariant does: nothing is sent after it.
5. What the log made is kept now and then, in commits of its own that may be lost (see `keeping.py`).
6. Everything outside comes in as an argument, so that a simulator can call the same `turn`.
7. While a full cluster refuses all commands, nobody reads them: they are refused by their heads as soon as a turn has
   taken in what came.
8. Nothing of another history gets to the agent. A history that it takes up in a turn counts at once for what comes in,
   and for what goes out once its record is durable. From who has none it hears only what a newcomer may say
   (`core/newcomers.py`).
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from paxosd.conduct import ClientShares, PeerShares, Warnings
from paxosd.core.agent import Agent, Event, Output, earliest, require
from paxosd.core.messages import (
    DiskSpace,
    Message,
    Outlived,
)
from paxosd.core.newcomers import WITHOUT_HISTORY, may_say
from paxosd.core.types import NO_HISTORY, ClientAddress, Instant, NodeId, Source
from paxosd.excerpts import excerpt
from paxosd.keeping import Applier, Keeping
from paxosd.lives import Lives, OwnLife
from paxosd.storage.base import Store
from paxosd.transport.base import Connection, Inbound, Transport
from paxosd.wire.frames import (
    ANOTHER_HISTORY,
    PEER_MESSAGES_MAX,
    VERSION,
    Codec,
    Envelope,
    ForeignFrame,
    MalformedFrame,
    another_history,
)

log = logging.getLogger("paxosd")

FRAMES_PER_TURN_MAX = 256
"""How many frames of each plane one turn takes in; the rest waits for the next one."""

IDLE_S_MAX = 1.0
"""The longest wait, so that a watcher can see that the loop turns."""

WARN_EVERY_S = 10.0
"""How often the same complaint about somebody's frames is logged."""


class DiskWatch(Protocol):
    """How the disk of this node is (see `storage/space.py`)."""

    def look(self, now: Instant) -> DiskSpace | None:
        """What there is to tell of it now, if anything; quick, whatever the disk does."""
        ...


class Driver:
    """Runs one node: an agent between a transport, a store and, on a learner, what the log is applied to.

    `clock` gives seconds that never go back. `members` are the ids whose frames count. `life` is the number by which
    `codec` speaks. `on_event` is told what an operator wants to read, after it happened. `disk` is what the agent hears
    of its own disk; None: nothing.
    """

    def __init__(
        self,
        agent: Agent,
        codec: Codec,
        store: Store,
        transport: Transport,
        clock: Callable[[], Instant],
        members: Sequence[NodeId],
        applier: Applier | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        life: OwnLife | None = None,
        disk: DiskWatch | None = None,
    ) -> None:
        self.agent = agent
        self.dropped: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._codec = codec
        self._store = store
        self._transport = transport
        self._clock = clock
        self._others = frozenset(members) - {agent.node_id}
        self._applier = applier
        self._keeping = Keeping(applier, store) if applier is not None else None
        self._on_event = on_event
        self._loopback: deque[Message] = deque()
        self._lives = Lives()
        self._life = life or OwnLife(0, 0)
        self._disk = disk
        self._warned_at: dict[str, Instant] = {}  # of what somebody was told lately
        self._shares = ClientShares()
        self._peer_shares = PeerShares()
        self._warnings = Warnings()
        self._refusals: list[tuple[Source, Message]] = []  # of what was not read, in this turn
        self._held_over: list[Inbound] = []  # one frame of a client that had its share of the last turn, or none

    # ---- a life ----

    def recover(self) -> None:
        """Give the agent what its earlier life made durable; before the first turn."""
        records = self._store.records()
        self._resume()
        self.agent.restore(records, self._clock())
        self._speak_of_history()

    def _resume(self) -> None:
        """Begin with the state that is kept, whatever was applied before."""
        if self._applier is not None:
            self.agent.resume(self._applier.restore())

    def wait(self) -> None:
        """Wait until there is something to do, or for a second.

        Between any two turns the transport has its wait, if only one of no time: some of what it hears it takes in
        there alone, and a node may have something to do for ever.
        """
        deadline = earliest(self.agent.next_deadline(), self._keeping.deadline if self._keeping is not None else None)
        idle_s = IDLE_S_MAX if deadline is None else min(IDLE_S_MAX, deadline - self._clock())
        if self._loopback or self._held_over:
            idle_s = 0.0
        self._transport.wait(max(0.0, idle_s))

    def turn(self) -> None:
        """Take in what came, do what is due, and carry out what the agent asks for, in that order."""
        now = self._clock()
        self._look_at_disk(now)
        self._take_in(now)
        self.agent.tick(now)
        output = self.agent.take_output()
        self._send(output.early)
        if output.records:
            self._store.commit(output.records)
        if output.installed:
            self._resume()
        self._speak_of_history()
        self._send(output.messages)
        self._apply(output, now)
        if self._keeping is not None:
            self._keeping.tick(now)
        for event in output.events:
            self._on_event(event)

    # ---- in ----

    def _look_at_disk(self, now: Instant) -> None:
        told = None if self._disk is None else self._disk.look(now)
        if told is not None:
            self.agent.receive(self.agent.node_id, told, now)

    def _take_in(self, now: Instant) -> None:
        for _ in range(len(self._loopback)):
            self.agent.receive(self.agent.node_id, self._loopback.popleft(), now)
        self._shares.begin_turn()
        self._peer_shares.begin_turn()
        self._take_in_frames(now)
        refusals, self._refusals = self._refusals, []
        self._send(refusals)

    def _take_in_frames(self, now: Instant) -> None:
        for inbound in self._arrived():
            if inbound.client is not None and not self._shares.has_more(inbound.client):
                self._held_over.append(inbound)
                return
            if inbound.client is None and not self._peer_shares.has_more(inbound.connection):
                self._peer_shares.drop(inbound.connection, len(inbound.frame))
                self._drop("more than a share", "dropped frames of a peer that sends more than a turn takes in", now)
            else:
                self._take_in_frame(inbound, now)

    def _arrived(self) -> Iterator[Inbound]:
        """What was held over comes after the peers, and before what other clients sent since."""
        held_over, self._held_over = self._held_over, []
        for inbound in self._transport.drain(FRAMES_PER_TURN_MAX):
            if held_over and inbound.client is not None:
                yield held_over.pop()
            yield inbound
        yield from held_over

    def _take_in_frame(self, inbound: Inbound, now: Instant) -> None:
        client, frame, connection = inbound
        try:
            if client is None:
                envelope = self._codec.from_peer(frame)
                if connection is not None:
                    self._peer_shares.take(connection, envelope.messages, envelope.unknown)
                valid = self._receive_peer(envelope, now)
            else:
                if not self._shed(client, frame, now):
                    self._read_client(client, frame, now)
                valid = True
        except ForeignFrame as foreign:
            self._drop_foreign(foreign, client, now)
            valid = False
        except MalformedFrame as malformed:
            self._drop(malformed.reason, f"dropped a malformed frame: {malformed}", now)
            valid = False
        if connection is not None:
            self._judge(connection, valid, now)

    def _read_client(self, client: ClientAddress, frame: bytes, now: Instant) -> None:
        self._shares.take_frame(client, len(frame))
        envelope = self._codec.from_client(frame)
        self._shares.take_messages(client, len(envelope.messages) + envelope.unknown)
        self._require_our_history(envelope)
        self._receive(client, envelope, now)

    def _shed(self, client: ClientAddress, frame: bytes, now: Instant) -> bool:
        """Whether this is refused by its head alone."""
        sending = self._codec.sending(frame) if self.agent.sheds(now) else None
        refusal = None if sending is None else self.agent.shed(client, sending, now)
        if refusal is None:
            return False
        self._shares.take_head(client)
        self._refusals.append((client, refusal))
        return True

    def _judge(self, connection: Connection, valid: bool, now: Instant) -> None:
        if valid:
            self._transport.vouch(connection)
        elif self._warnings.warn(connection, now):
            self._transport.hang_up(connection)
            self._drop("cut off", "cut off a connection on which frames came again and again that are none for us", now)

    def _receive_peer(self, envelope: Envelope, now: Instant) -> bool:
        """Whether this came from a member."""
        sender = envelope.sender
        if sender == self.agent.node_id:
            self._drop("own id", f"another process sends as {sender}: two daemons run with this id", now)
        elif sender not in self._others:
            self._drop(
                "unknown sender", f"dropped a frame from {excerpt(sender)}, which is not in the membership file", now
            )
            return False
        elif not self._lives.hears(sender, envelope.incarnation, now):
            self._drop_life(sender, envelope.incarnation, now)
        else:
            self._require_our_history(envelope)
            self._life.meet(now)
            if self.agent.history == NO_HISTORY:
                self.agent.meet_history(sender, envelope.history, now)
            self._receive(sender, self._heard_of(envelope), now)
        return True

    def _heard_of(self, envelope: Envelope) -> Envelope:
        """What is heard of a frame: not all, where we have a history and its sender speaks without one."""
        if envelope.history != NO_HISTORY or self.agent.history == NO_HISTORY:
            return envelope
        heard = [message for message in envelope.messages if may_say(message)]
        if len(heard) < len(envelope.messages):
            self.dropped[WITHOUT_HISTORY] += len(envelope.messages) - len(heard)
        return replace(envelope, messages=heard)

    def _require_our_history(self, envelope: Envelope) -> None:
        """What the codec looked at, once more: the agent may have taken up a history since, in this very turn."""
        theirs, ours = envelope.history, self.agent.history
        if theirs != ours and theirs != NO_HISTORY != ours:
            raise another_history(theirs, ours, envelope.sender)
        if self.agent.refuses_history(theirs):
            what = f"{theirs.hex()[:8]} is over here: we were restored"
            raise ForeignFrame(ANOTHER_HISTORY, what, envelope.sender, history=theirs)

    def _receive(self, source: Source, envelope: Envelope, now: Instant) -> None:
        if envelope.unknown:
            self.dropped["unknown message"] += envelope.unknown
        for message in envelope.messages:
            if isinstance(message, Outlived) and isinstance(source, str):
                self._on_outlived(source, message.seen, now)
            else:
                self.agent.receive(source, message, now)

    def _drop_life(self, sender: NodeId, incarnation: int, now: Instant) -> None:
        self._drop("old incarnation", f"dropped a frame of an earlier or a second process with the id {sender}", now)
        seen = self._lives.seen_above(sender, incarnation, now)
        if seen:
            self._send([(sender, Outlived(seen))])

    def _on_outlived(self, source: NodeId, seen: int, now: Instant) -> None:
        if self._life.rise_above(seen, source, now):
            self._codec.speak_as(self._life.number)

    def _drop_foreign(self, foreign: ForeignFrame, client: bytes | None, now: Instant) -> None:
        """An empty frame of ours tells a client whom it reached, and now and then a peer that speaks another version:
        others hear from us whose we are whenever we send them something."""
        sender = foreign.sender
        if client is None and sender in self._others and foreign.history != NO_HISTORY:
            self.agent.meet_foreign(sender, foreign.history, now)
        self._drop(foreign.reason, f"dropped a frame from {excerpt(sender)}: {foreign}", now)
        if client is not None:
            self._transport.reply(client, self._codec.refusal(foreign))
        elif foreign.version != VERSION and sender in self._others and self._is_due(f"refusal {sender}", now):
            self._transport.send(sender, self._codec.refusal(foreign))

    def _drop(self, reason: str, complaint: str, now: Instant) -> None:
        self.dropped[reason] += 1
        if self._is_due(reason, now):
            log.warning("%s (%d so far)", complaint, self.dropped[reason])

    def _is_due(self, what: str, now: Instant) -> bool:
        """Whether this was told to nobody for so long that it is to be told now."""
        due = now - self._warned_at.get(what, -WARN_EVERY_S) >= WARN_EVERY_S
        if due:
            self._warned_at[what] = now
        return due

    # ---- out ----

    def _speak_of_history(self) -> None:
        if self._codec.history != self.agent.history:
            self._codec.belong_to(self.agent.history)

    def _send(self, outgoing: Sequence[tuple[Source, Message]]) -> None:
        """One frame per target, or as few as its limit allows; a message to many is packed once."""
        if not outgoing:
            return
        packed: dict[int, bytes] = {}
        for_target: dict[Source, list[bytes]] = {}
        for target, message in outgoing:
            if target == self.agent.node_id:
                self._loopback.append(message)
                continue
            if id(message) not in packed:
                packed[id(message)] = self._codec.pack(message)
            for_target.setdefault(target, []).append(packed[id(message)])
            self.sent[type(message).__name__] += 1
        for target, messages in for_target.items():
            for frame in self._codec.frames(messages, messages_max=PEER_MESSAGES_MAX):
                if len(frame) > self._codec.frame_bytes_max:
                    self._drop_own(target, len(frame))
                elif isinstance(target, str):
                    self._transport.send(target, frame)
                else:
                    self._transport.reply(target, frame)

    def _drop_own(self, target: Source, size: int) -> None:
        """No limits that the membership file may have lead here; records of an earlier file with larger ones can."""
        whom = target if isinstance(target, str) else "a client"
        self._drop(
            "own frame too large",
            f"a message for {whom} was not sent: it takes {size} bytes and limits.frame_bytes is "
            f"{self._codec.frame_bytes_max}; raise that on every node to what it was before",
            self._clock(),
        )

    def _apply(self, output: Output, now: Instant) -> None:
        """Apply what this turn chose and send the answers; what is found out meanwhile is told with the rest."""
        if not output.chosen or self._applier is None or self._keeping is None:
            return
        for slot, value in output.chosen:
            self.agent.applied(slot, self._applier.apply(slot, value), now)
            self._keeping.applied(len(value), now)
        answers = self.agent.take_output()
        require(not answers.records and not answers.chosen, "answering clients may not need the disk")
        self._send(answers.early)
        self._send(answers.messages)
        output.events += answers.events
