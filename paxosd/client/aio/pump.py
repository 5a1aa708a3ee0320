"""Moves a client in the loop of its program: by the readiness of one file descriptor, by one timer, and by calls.

Laws:
1. No thread: the loop that the client was made in turns it, and all calls come in that loop.
2. Whatever ends it is told to every call that is under way, and to every later one.
3. A turn waits for nothing. Calls that come within one pass of the loop share a turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from paxosd.client.calls import Command, Question
from paxosd.client.driving import ChangeCall, KeyGuard
from paxosd.client.engine import Engine
from paxosd.client.errors import (
    ClientClosed,
    ConfigurationError,
    Overloaded,
    PaxosError,
    WrongCluster,
    WrongHistory,
)
from paxosd.client.leases import KeyHold
from paxosd.client.upkeep import ConnectionState, Upkeep
from paxosd.client.watching import WatchingSession
from paxosd.process import forks
from paxosd.transport.base import PollableLink, TransportError
from paxosd.wire.frames import Codec

CLOSED = "the client was closed; make a new one"
FULL_PAUSE_S = 0.005
"""How long a command waits that finds no room, before it looks again."""
FRAMES_A_PASS = 8
"""How often one pass of the loop looks for more frames, before other tasks have their turn."""


class Pump:
    """Of one client, in the loop that runs when it is made."""

    def __init__(self, session: WatchingSession, codec: Codec, link: PollableLink) -> None:
        self.listeners: list[Callable[[ConnectionState], None]] = []
        self._engine = Engine(session, codec, link, self._tell)
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._generation = forks.generation
        self._turning: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended: PaxosError | None = None
        self._descriptor = link.fileno()
        self._loop.add_reader(self._descriptor, self._turn)

    @property
    def upkeep(self) -> Upkeep:
        """What is done without being asked."""
        return self._engine.upkeep

    @property
    def session(self) -> WatchingSession:
        """The session that is moved."""
        return self._engine.session

    # ---- for callers ----

    def require_usable(self) -> None:
        """Raise what there is to say if no call can be made any more."""
        if self._generation != forks.generation:
            raise ClientClosed("not applied: this client was made before the process forked; make one after the fork")
        if self._ended is not None:
            raise type(self._ended)(f"not applied: {self._ended}")

    async def room(self, call: Command | Question) -> None:
        """Wait until one more command may be submitted; raises `Overloaded` when its time is over."""
        while isinstance(call, Command) and self.session.is_full:
            if time.monotonic() >= call.deadline:
                raise Overloaded(
                    "not applied: this client has as many commands under way as it may, and the cluster is slower; "
                    "wait for some results before you propose more"
                )
            await asyncio.sleep(FULL_PAUSE_S)

    def submit(self, call: Command | Question | ChangeCall) -> None:
        """Begin a call."""
        self.require_usable()
        self._engine.take(call)
        self._turn_soon()

    def stop_watching(self, call: ChangeCall) -> None:
        """Nobody waits for this change any more."""
        if self._ended is None:
            self._engine.stop_watching(call)
            self._turn_soon()

    def do_later(self, errand: Callable[[], None]) -> None:
        """Do something that is in no hurry."""
        errand()

    def guard(self, hold: KeyHold, guard: KeyGuard) -> None:
        """Look whether somebody removes a key that is held."""
        self._engine.guard(hold, guard)
        self._turn_soon()

    def do_soon(self, errand: Callable[[], None]) -> None:
        """Do something with what this moves."""
        errand()
        self._turn_soon()

    def listen(self, listener: Callable[[ConnectionState], None]) -> None:
        """Call it in the loop whenever the connection stands otherwise."""
        self.listeners.append(listener)
        self.do_soon(self._engine.keep_in_touch)

    def _tell(self, connection: ConnectionState) -> None:
        for listener in list(self.listeners):
            self._loop.call_soon(listener, connection)

    # ---- turns ----

    def _turn_soon(self) -> None:
        if self._turning is None and self._ended is None:
            self._turning = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        if self._turning is not None:
            self._turning.cancel()
            self._turning = None
        if self._ended is not None:
            return
        try:
            for _ in range(FRAMES_A_PASS):
                self._engine.prepare()
                deadline = self._engine.send()
                frames = self._link.receive(0)
                if not frames:
                    break
                self._engine.receive(frames)
            else:
                self._turn_soon()
        except (WrongCluster, WrongHistory) as error:
            return self.end(error)
        except TransportError as error:
            return self.end(ConfigurationError(str(error)))
        return self._sleep_until(deadline)

    def _sleep_until(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait_s = self._link.wait_s(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if wait_s is not None:
            self._timer = self._loop.call_later(wait_s, self._turn)

    # ---- the end ----

    def end(self, why: PaxosError) -> None:
        """It moves no more. Safe to call twice."""
        if self._ended is not None:
            return
        self._ended = why
        self._loop.remove_reader(self._descriptor)
        for handle in (self._timer, self._turning):
            if handle is not None:
                handle.cancel()
        try:
            self._link.close()
        finally:
            self._engine.close(why)


def closed() -> PaxosError:
    """What is told after a client was closed."""
    return ClientClosed(CLOSED)
