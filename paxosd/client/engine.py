"""What moves a client, whoever turns it: a session, what is done without being asked, and the link that only this uses.

A turn: `prepare` and `send` what is due, wait for the link in whatever way, `receive` what came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from paxosd.client.asking import A_WORD
from paxosd.client.calls import Command, Question
from paxosd.client.clock import Clocks
from paxosd.client.driving import ChangeCall, KeyGuard, command_of, decoded, watch_of
from paxosd.client.errors import Compacted, ConfigurationError, PaxosError
from paxosd.client.guarding import FOR_EVER_S, Guards
from paxosd.client.leases import KeyHold
from paxosd.client.reception import receive
from paxosd.client.upkeep import ConnectionState, Duty, Upkeep
from paxosd.client.watched import WatchCall
from paxosd.client.watching import WatchingSession
from paxosd.core.messages import FromClient
from paxosd.core.options import CLIENT_FRAME_BYTES
from paxosd.core.types import Instant
from paxosd.transport.base import ClientLink
from paxosd.wire.frames import CLIENT_MESSAGES_MAX, Codec

WORD_EVERY_S = 1.0
"""How often a gateway is asked for a word where somebody listens."""


class Engine:
    """Of one client. `tell` hears whenever its leases stand otherwise; `clocks` say what time it is."""

    def __init__(
        self,
        session: WatchingSession,
        codec: Codec,
        link: ClientLink,
        tell: Callable[[ConnectionState], None],
        clocks: Clocks | None = None,
    ) -> None:
        self.session = session
        self.link = link
        self.upkeep = Upkeep(tell)
        self._codec = codec
        self._clocks = clocks or Clocks()
        self._gateway = session.gateway
        self._messages: list[FromClient] = []
        self._ways = 0
        self._watching: dict[ChangeCall, list[WatchCall]] = {}
        self._guards = Guards(lambda: self.session, self._clocks)
        self._word_at: Instant | None = None  # when a gateway is asked for a word, where somebody listens
        self._word: Question | None = None  # that was asked for

    def prepare(self) -> None:
        """Decide what is due. Raises `WrongCluster` or `WrongHistory`, which end the client, as `receive` does."""
        for duty in self.upkeep.due(self._clocks.lease_now()):
            self._undertake(duty)
        self._guards.begin(self._clocks.now())
        self._keep_in_touch(self._clocks.now())
        self._messages = self.session.poll(self._clocks.now())
        self._gateway = self.session.gateway
        self.upkeep.hear(not self.session.gateways.all_silent)

    def send(self) -> Instant | None:
        """Send what was decided; returns when there is more to do if nothing comes before."""
        gateway = self._gateway
        messages, self._messages = self._messages, []
        deadline = self._next_deadline()
        if self._ways != self.session.gateways.ways:
            self._ways = self.session.gateways.ways
            self.link.leave(gateway)
        if messages:
            packed = [self._codec.pack(message) for message in messages]
            for frame in self._codec.frames(packed, CLIENT_FRAME_BYTES, CLIENT_MESSAGES_MAX):
                self.link.send(gateway, frame)
        return deadline

    def receive(self, frames: Sequence[bytes]) -> None:
        """Take what came. Raises `WrongCluster` or `WrongHistory`, which end the client."""
        now = self._clocks.now()
        for frame in frames:
            receive(frame, self.session.gateways.dialed, self._codec, self.session, now)
        self.upkeep.hear(not self.session.gateways.all_silent)

    def keep_in_touch(self) -> None:
        """Somebody listens to how the client stands: ask a gateway for a word now and then, also while it is idle."""
        self._word_at = self._word_at or self._clocks.now()

    def _keep_in_touch(self, now: Instant) -> None:
        if self._awaits_word or self._word_at is None or now < self._word_at:
            return
        self._word_at = now + WORD_EVERY_S
        self._word = Question(A_WORD, now + FOR_EVER_S)
        self.session.ask(self._word)

    @property
    def _awaits_word(self) -> bool:
        return self._word is not None and not self._word.done

    # ---- calls ----

    def take(self, *calls: Command | Question | ChangeCall) -> None:
        """Begin these calls."""
        for call in calls:
            if isinstance(call, Command):
                self.session.propose(call)
            elif isinstance(call, Question):
                self.session.ask(call)
            else:
                self._watch(call)

    def propose(self, *commands: Command) -> None:
        """The same, where all are commands, of which there may be many."""
        if commands:
            self.session.propose(*commands)

    def _watch(self, call: ChangeCall) -> None:
        if call.done:
            return
        watches = [watch_of(span.key, span.end, call.step.after + 1, previous=False) for span in call.step.spans]
        self._watching[call] = watches
        for watch in watches:
            watch.watcher = partial(self._on_news, call, watch)
            self.session.attend(watch)

    def _on_news(self, call: ChangeCall, watch: WatchCall) -> None:
        while (changed := watch.take()) is not None:
            if not call.step.gone or any(event.kv is None for event in changed.events):
                call.succeed()
        if isinstance(watch.error, Compacted):  # who knows: look again
            call.succeed()
        elif watch.error is not None:
            call.fail(watch.error)

    def stop_watching(self, call: ChangeCall) -> None:
        """Nobody waits for this change any more."""
        for watch in self._watching.pop(call, ()):
            watch.closed, watch.watcher = True, None
            self.session.attend(watch)

    def close(self, why: PaxosError) -> None:
        """It is over: tell all that is under way."""
        self.session.close(type(why), str(why))
        for call in list(self._watching):
            call.fail(why)
        self._watching.clear()
        self.upkeep.close(str(why))

    def guard(self, hold: KeyHold, guard: KeyGuard) -> None:
        """Look whether somebody removes the key of what is held."""
        self._guards.add(hold, guard)

    # ---- what is due ----

    def _next_deadline(self) -> Instant | None:
        deadline: Instant | None = self.session.next_deadline()
        guarding_at = self._guards.next_at
        if guarding_at is not None:
            deadline = guarding_at if deadline is None else min(deadline, guarding_at)
        if self._word_at is not None and not self._awaits_word:
            deadline = self._word_at if deadline is None else min(deadline, self._word_at)
        due = self.upkeep.next_due()
        if due is None:
            return deadline
        at = self._on_clock_of_deadlines(due)
        return at if deadline is None else min(at, deadline)

    def _undertake(self, duty: Duty) -> None:
        command = command_of(duty.command, self._on_clock_of_deadlines(duty.deadline))
        command.watcher = partial(self._settle, duty, command)
        self.session.propose(command)

    def _on_clock_of_deadlines(self, lease_instant: Instant) -> Instant:
        return self._clocks.now() + max(0.0, lease_instant - self._clocks.lease_now())

    def _settle(self, duty: Duty, command: Command) -> None:
        now = self._clocks.lease_now()
        if command.receipt is None:
            return duty.failed(now)
        try:
            result = decoded(command.receipt.result)
        except ConfigurationError:
            return duty.failed(now)
        return duty.done(result, now)
