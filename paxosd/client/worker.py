"""The thread of a client: an `Engine` that it alone moves, and where callers of other threads wait for it.

Laws:
1. It knows calls, and not the `Client`: a client that everybody forgot can go, and takes the thread with it. So callers
   raise copies of what is noted here: an error that was raised holds all their variables.
2. Whatever ends the thread is told to every call that is under way, and to every later one.
3. A caller waits for its own call: it is woken by its result and by nothing else. If the thread should fail to give one
   in time, the caller gives up by itself.
4. It belongs to the process that made it. A fork has its memory, but not its thread, and its sockets are the parent's:
   there it is not touched, and every call says so.
5. No lock is held here that a finalizer could wait for: those run wherever the garbage collector happens to.
"""

from __future__ import annotations

import atexit
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, TypeVar

from paxosd.client import verdicts
from paxosd.client.calls import Call, Command, Question, open_turnstile
from paxosd.client.driving import ChangeCall, KeyGuard
from paxosd.client.engine import Engine
from paxosd.client.errors import (
    ClientClosed,
    ConfigurationError,
    Outcome,
    OutOfResources,
    Overloaded,
    PaxosError,
    WrongCluster,
    WrongHistory,
)
from paxosd.client.leases import KeyHold
from paxosd.client.upkeep import ConnectionState, Upkeep
from paxosd.client.watching import WatchingSession
from paxosd.core.types import Instant
from paxosd.process import forks, native
from paxosd.transport.base import ClientLink, TransportError
from paxosd.wire.frames import Codec

if TYPE_CHECKING:
    from _thread import LockType

C = TypeVar("C", bound=Call)

SUBMITTED_MAX = 16384
SUBMITTED_BYTES_MAX = 16 * 1024 * 1024
"""How much may wait for the thread, besides one command of each caller; those behind wait for room."""
GRACE_S = 2.0
"""How much later than its deadline a caller gives up a call that the thread says nothing about."""
EXIT_S_MAX = 1.0
"""How long the end of the interpreter waits for the threads of all clients that nobody closed."""
SHORTAGE_PAUSE_S = 0.1
"""How long the thread waits after the system had no memory for a frame."""

CLOSED = "the client was closed; make a new one"


class Worker:
    """Moves the calls of one client. `start` begins; whoever makes it must end it with `stop`, or never start it."""

    def __init__(self, session: WatchingSession, codec: Codec, link: ClientLink, name: str) -> None:
        self.listeners: list[Callable[[ConnectionState], None]] = []
        """Called in the thread of the client whenever its leases stand otherwise."""
        self._engine = Engine(session, codec, link, self._tell)
        self._link = link
        self._name = name
        self._proposed: deque[Command] = deque()
        self._submitted: deque[Question | ChangeCall] = deque()
        self._errands: deque[Callable[[], None]] = deque()
        self._proposed_bytes = 0  # about, with no lock: each that is counted has the thread count from 0 again soon
        self._session_is_full = False  # as of the last turn
        self._seeking_room: list[LockType] = []
        self._stopping = False  # or ended
        self._ended: PaxosError | None = None
        self._generation = forks.generation
        self._thread: native.NativeThread | None = None
        self._thread_ident = 0

    # ---- its life ----

    def start(self) -> None:
        """Start the thread; raises `OutOfResources`, with everything released, if none can be started."""
        _living.add(self)
        try:
            self._thread = native.NativeThread(self._run, self._name)
        except (RuntimeError, MemoryError) as error:
            _living.discard(self)
            self._link.close()
            raise verdicts.no_thread(error) from error

    @property
    def is_foreign(self) -> bool:
        """Whether it came along in a fork."""
        return self._generation != forks.generation

    def stop(self) -> None:
        """Let the thread end soon; from any thread, a finalizer or a signal handler."""
        if not self.is_foreign and not self._stopping:
            self._stopping = True
            self._link.wake()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the thread has ended, unless it is the thread itself that asks."""
        if not self.is_foreign and self._thread is not None:
            self._thread.join(timeout_s)

    # ---- for callers ----

    def require_usable(self) -> None:
        """Raise what there is to say if no call can be made any more."""
        is_foreign = self._generation != forks.generation
        if is_foreign or self._stopping or self._thread_ident == native.get_ident():
            raise self._why_unusable()

    def _why_unusable(self) -> PaxosError:
        if self.is_foreign:
            return _of_a_fork("not_applied")
        if self._ended is not None:
            return type(self._ended)(f"not applied: {self._ended}")
        if self._stopping:
            return ClientClosed(f"not applied: {CLOSED}")
        return ClientClosed(
            "not applied: a callback of a future, or a finalizer, called the client in the client's own thread, which "
            "would wait for itself; call it elsewhere"
        )

    def propose(self, command: Command) -> None:
        """Hand a command to the thread as soon as there is room; raises `Overloaded` if its time is over before."""
        self.require_usable()
        while (
            self._session_is_full or len(self._proposed) >= SUBMITTED_MAX or self._proposed_bytes >= SUBMITTED_BYTES_MAX
        ):
            self._await_room(command.deadline)
        self.submit(command)

    def submit(self, pending: Command | Question | ChangeCall) -> None:
        """Hand a call to the thread."""
        if isinstance(pending, Command):
            self._proposed_bytes += pending.size
            self._proposed.append(pending)
        else:
            self._submitted.append(pending)
        if self._ended is not None:  # maybe after the thread took the last one
            self._fail_submitted(self._ended)
        self._link.wake()

    def do_soon(self, errand: Callable[[], None]) -> None:
        """Let the thread do something with what it moves."""
        self._errands.append(errand)
        self._link.wake()

    def listen(self, listener: Callable[[ConnectionState], None]) -> None:
        """Call it in the thread of the client whenever its connection stands otherwise."""
        self.listeners.append(listener)
        self.do_soon(self._engine.keep_in_touch)

    def do_later(self, errand: Callable[[], None]) -> None:
        """The same, but there is no hurry: when the thread has something else to do."""
        self._errands.append(errand)

    def guard(self, hold: KeyHold, guard: KeyGuard) -> None:
        """Look whether somebody removes a key that is held; for the thread alone."""
        self._engine.guard(hold, guard)

    @property
    def session(self) -> WatchingSession:
        """The session that is moved; for the thread alone, but for looks at it."""
        return self._engine.session

    @property
    def upkeep(self) -> Upkeep:
        """What is done without being asked; for the thread alone."""
        return self._engine.upkeep

    def stop_watching(self, pending: ChangeCall) -> None:
        """Nobody waits for this change any more; for the thread alone."""
        self._engine.stop_watching(pending)

    def finish(self, pending: Command | Question) -> None:
        """Wait for the end of a call; raises its error."""
        self.wait(pending, None)
        if pending.error is not None:
            raise copy(pending.error)
        if not pending.done:
            raise verdicts.thread_is_stuck(of_question=isinstance(pending, Question))

    def wait(self, pending: Command | Question | ChangeCall, timeout_s: float | None) -> None:
        """Wait until the call is done, so long at most, and at the longest until the caller must give it up."""
        if pending.done:
            return
        if self._generation != forks.generation:
            raise _of_a_fork("unknown")
        left_s = pending.deadline + GRACE_S - time.monotonic()
        turnstile = native.allocate_lock()
        turnstile.acquire()
        pending.turnstiles.append(turnstile)
        try:
            if not pending.done:  # whoever was done before this line was not seen to wait
                native.wait(turnstile, left_s if timeout_s is None else min(timeout_s, left_s))
        finally:  # also after a Ctrl-C
            pending.turnstiles.remove(turnstile)

    def _await_room(self, deadline: Instant) -> None:
        """Wait until there may be room, or a moment."""
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise Overloaded(
                "not applied: this client has as many commands under way as it may, and the cluster is slower; "
                "wait for some results before you propose more"
            )
        turnstile = native.allocate_lock()
        turnstile.acquire()
        self._seeking_room.append(turnstile)
        try:
            native.wait(turnstile, min(left_s, 0.1))
        finally:  # also after a Ctrl-C
            self._seeking_room.remove(turnstile)
        self.require_usable()

    # ---- the thread ----

    def _run(self) -> None:
        end: PaxosError = ClientClosed("this client's thread ended by an error of its own; make a new client")
        self._thread_ident = native.get_ident()
        try:
            while not self._stopping:
                self._turn()
            end = ClientClosed(CLOSED)
        except (WrongCluster, WrongHistory) as error:
            end = error
        except TransportError as error:
            end = ConfigurationError(str(error))
        except MemoryError:  # in the session, which cannot tell any more where it stood
            end = OutOfResources("this client's thread found no memory; free some, and make a new client")
        finally:
            self._ended, self._stopping = end, True
            try:
                self._link.close()
            finally:
                self._engine.close(end)
                self._fail_submitted(end)
                _living.discard(self)

    def _turn(self) -> None:
        self._take_submitted()
        self._engine.prepare()
        self._let_in()
        try:
            deadline = self._engine.send()
            frames = self._link.receive(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except MemoryError:  # frames are lost, as they may be; the session asks again
            _nobodys.acquire(timeout=SHORTAGE_PAUSE_S)
            return
        if frames:
            self._engine.receive(frames)
            self._let_in()

    def _tell(self, connection: ConnectionState) -> None:
        for listener in list(self.listeners):
            listener(connection)

    def _take_submitted(self) -> None:
        while self._errands:
            self._errands.popleft()()
        self._proposed_bytes = 0
        self._take(self._proposed, self._engine.propose)
        self._take(self._submitted, self._engine.take)

    def _take(self, submitted: deque[C], begin: Callable[..., None]) -> None:
        taken: list[C] = []
        try:
            for _ in range(len(submitted)):  # those that come meanwhile wait, as only so many may
                taken.append(submitted[0])
                submitted.popleft()
            begin(*taken)
        except MemoryError:
            for call in taken:
                call.fail(OutOfResources("not applied: this client's thread found no memory"))
            raise

    def _let_in(self) -> None:
        """Those that wait for room try again, if there is any."""
        self._session_is_full = self.session.is_full
        if self._seeking_room and not self._session_is_full:
            for turnstile in self._seeking_room.copy():
                open_turnstile(turnstile)

    def _fail_submitted(self, end: PaxosError) -> None:
        """Of those that the session never had nothing was sent."""
        for calls in (self._proposed, self._submitted):
            with suppress(IndexError):  # another caller may take the last one
                while True:
                    calls.popleft().fail(type(end)(f"not applied; {end}"))
        self._let_in()


def _of_a_fork(became: Outcome) -> ClientClosed:
    return ClientClosed(
        f"{became.replace('_', ' ')}: this client was made before the process forked, and its thread is not in this "
        "one; make a client after the fork",
        became,
    )


_nobodys = native.allocate_lock()
_nobodys.acquire()

_living: set[Worker] = set()
"""Those whose thread runs."""


def _end_all() -> None:
    """At the end of the interpreter, after which no thread of Python goes on: release what is open."""
    until = time.monotonic() + EXIT_S_MAX
    living = _living.copy()
    for worker in living:
        worker.stop()
    for worker in living:
        worker.join(max(0.0, until - time.monotonic()))


atexit.register(_end_all)
