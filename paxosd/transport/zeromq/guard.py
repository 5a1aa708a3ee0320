"""Keeps what strangers can make this process hold within bounds: connections, descriptors, bytes.

Laws:
1. It runs in a thread of its own. A loop that stands still, or that nothing wakes, must not leave memory unguarded: a
   message without end never reaches the loop.
2. Looking costs next to nothing while nothing happens: the process's size, and which descriptors are open. Only growth
   makes it ask the kernel about every connection.
3. Over the bytes of a plane, strangers go before those who said something valid, and among each the greediest goes
   first, until the rest is within the bound.
4. Memory may grow more than the bytes on the wire tell: a part of one byte takes a hundred. So if the process has grown
   and its connections do not explain it, those go that sent what is not whole: strangers, and those of whom the loop
   took nothing since the last look though it has taken all that is whole. Half of them at a time, the greediest first.
5. Over the number of connections, the one that was silent longest goes first of those that never said anything valid,
   whether they shook hands or not. A quarter of the room is theirs alone: if more than the rest has spoken, the one of
   those that was silent longest goes. So there is always room for a peer that comes back.
6. While the loop stands still libzmq keeps what it has of those that were cut off. So once more than the bound was cut
   off, nobody new is let in, and no stranger may hold anything, until the loop turns: it could not serve them anyway.
"""

from __future__ import annotations

import ctypes
import os
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from paxosd.transport.zeromq.connections import Connection, FarEnd, Handle, Plane
from paxosd.transport.zeromq.descriptors import limit

LOOK_EVERY_S = 0.05
FIND_EVERY_S = 0.1
"""How often open descriptors are listed and connections counted."""
VERIFY_EVERY_S = 1.0
"""How often the far end of every connection is asked for; in between only of those on new descriptors."""
TRIM_EVERY_S, TRIM_FOR_S = 0.2, 3.0
"""How often freed memory is given back to the system, and for how long after somebody was cut off."""
GROWTH_BYTES = 32 * 1024 * 1024
"""How much the process may grow before all connections are looked at."""
HANDSHAKE_BYTES_MAX = 1024
"""What a connection that holds nothing may have sent besides its messages."""

_PAGE_BYTES = resource.getpagesize()


@dataclass(slots=True)
class _Seen:
    plane: Plane
    far_end: FarEnd
    moved_at: float  # when it was first seen, or seen to have sent something whole
    cut: bool = False  # and its descriptor is not closed yet
    moved: int = 0  # how much had been taken of it then
    taken: int = 0  # at the last sweep
    emptied: int = 0  # likewise


@dataclass(slots=True)
class _CutOff:
    """What connections held that were cut off since the loop turned last."""

    turns: int
    held: int = 0
    shut: int | None = None  # the descriptor that listens, if nobody new is let in


@dataclass(frozen=True, slots=True)
class _Weighed:
    fd: int
    far_end: FarEnd
    valid: bool
    held: int
    unfinished: bool  # it sent something, and nothing whole of that is left to take


def _expendable(one: _Weighed) -> tuple[bool, int]:
    """Strangers first, and among each the greediest."""
    return one.valid, -one.held


class Guard:
    """Watches these planes until it is closed. `resident_bytes` and `now` can be replaced by a test."""

    def __init__(
        self,
        planes: Sequence[Plane],
        resident_bytes: Callable[[], int] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cut_off: deque[str] = deque(maxlen=10_000)
        """Why each connection was cut off; whoever counts them takes them out."""
        self._planes = {plane.port: plane for plane in planes}
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._resident_bytes = resident_bytes or self._resident
        self._now = now
        self._handle = Handle()
        self._seen: dict[int, _Seen] = {}
        self._others: set[int] = set()  # open, and no connection of a plane
        self._cut_since: dict[int, _CutOff] = {}  # by port
        self._find_at = self._verify_at = now()
        self._calm_bytes = self._resident_bytes()
        self._trim_at = self._trim_until = now()
        self._stand_in_at = now()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="paxosd-guard", daemon=True)

    def start(self) -> None:
        """Start the thread. If none can be had, whoever calls `stand_in` looks, and tries again."""
        with suppress(RuntimeError):
            self._thread.start()

    def stand_in(self) -> None:
        """Look if the thread does not."""
        if not self._thread.is_alive() and self._now() >= self._stand_in_at:
            self._stand_in_at = self._now() + LOOK_EVERY_S
            self.look()
            self.start()

    def _run(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            self.look()

    def close(self) -> None:
        """End the thread; safe to call twice, and if it was never started."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._statm)
        self._handle.close()

    def _resident(self) -> int:
        """How much memory this process has: what top calls RES."""
        return int(os.pread(self._statm, 100, 0).split()[1]) * _PAGE_BYTES

    def look(self) -> None:
        """Once: cut off whoever is too many or too much."""
        now = self._now()
        self._let_in_again()
        size = self._resident_bytes()
        self._calm_bytes = min(self._calm_bytes, size)
        has_grown = size - self._calm_bytes > GROWTH_BYTES
        if has_grown or now >= self._find_at:
            self._find_at = now + FIND_EVERY_S
            self._find_connections(now, verify=has_grown or now >= self._verify_at)
            for plane in self._planes.values():
                self._bound_connections(plane)
        if has_grown:
            self._bound_bytes(size - self._calm_bytes)
            self._calm_bytes = size
        if self._trim_at <= now < self._trim_until:
            self._trim_at = now + TRIM_EVERY_S
            _give_back_memory()

    # ---- who is connected ----

    def _find_connections(self, now: float, verify: bool) -> None:
        if verify:
            self._verify_at = now + VERIFY_EVERY_S
            self._others.clear()
            known: dict[int, _Seen] = self._seen
            self._seen = {}
        else:
            known = {}
        open_now = _open_descriptors()
        self._others &= open_now
        for fd in self._seen.keys() - open_now:
            del self._seen[fd]
        for fd in open_now - self._others - self._seen.keys():
            self._see(fd, known.get(fd), now)

    def _see(self, fd: int, known: _Seen | None, now: float) -> None:
        found = self._handle.port_and_far_end(fd)
        plane = self._planes.get(found[0]) if found is not None else None
        if found is None or plane is None:
            self._others.add(fd)
        elif known is not None and known.far_end == found[1]:
            self._seen[fd] = known
            connection = _known(plane, fd, known.far_end)
            if connection is not None and connection.taken != known.moved:
                known.moved, known.moved_at = connection.taken, now
        else:
            self._seen[fd] = _Seen(plane, found[1], now)

    def _of(self, plane: Plane) -> list[tuple[int, _Seen, Connection | None]]:
        members = [(fd, seen) for fd, seen in self._seen.items() if seen.plane is plane and not seen.cut]
        return [(fd, seen, _known(plane, fd, seen.far_end)) for fd, seen in members]

    # ---- too many, too much ----

    def _bound_connections(self, plane: Plane) -> None:
        connections = self._of(plane)
        over = len(connections) - plane.connections_max
        if over <= 0:
            return
        connections.sort(key=lambda one: one[1].moved_at)
        spoke = [one for one in connections if one[2] is not None and one[2].valid]
        strangers = [one for one in connections if one[2] is None or not one[2].valid]
        too_many = spoke[: max(0, min(over, len(spoke) - plane.connections_max * 3 // 4))]
        for fd, seen, _ in [*too_many, *strangers][:over]:
            self._cut(fd, seen.far_end, "too many connections")

    def _bound_bytes(self, growth: int) -> None:
        explained = 0
        unfinished: list[_Weighed] = []
        for plane in self._planes.values():
            weighed = [one for one in (self._weigh(plane, *each) for each in self._of(plane)) if one is not None]
            weighed.sort(key=_expendable)
            held = sum(one.held for one in weighed)
            explained += held
            for one in weighed:
                too_much = held > plane.held_bytes_max or (self._is_shut(plane) and not one.valid)
                if too_much and one.held > HANDSHAKE_BYTES_MAX:
                    held -= one.held
                    self._cut(one.fd, one.far_end, "too many bytes unread")
                    self._note_cut_off(plane, one.held)
                elif one.unfinished:
                    unfinished.append(one)
        if growth > explained + GROWTH_BYTES // 2:
            unfinished.sort(key=_expendable)
            for one in unfinished[: (len(unfinished) + 1) // 2]:
                self._cut(one.fd, one.far_end, "a message without end")

    def _weigh(self, plane: Plane, fd: int, seen: _Seen, known: Connection | None) -> _Weighed | None:
        taken, given, valid = (known.taken, known.given, known.valid) if known is not None else (0, 0, False)
        emptied = plane.emptied
        traffic = self._handle.traffic(fd, seen.far_end)
        if traffic is None:
            return None
        unread = max(0, traffic.received - taken)
        stands = taken == seen.taken and emptied > seen.emptied
        seen.taken, seen.emptied = taken, emptied
        unfinished = unread > HANDSHAKE_BYTES_MAX and (stands or not valid)
        return _Weighed(fd, seen.far_end, valid, unread + max(0, given - traffic.acknowledged), unfinished)

    def _note_cut_off(self, plane: Plane, held: int) -> None:
        noted = self._cut_since.setdefault(plane.port, _CutOff(plane.turns))
        noted.held += held
        if noted.held > plane.held_bytes_max and noted.shut is None:
            noted.shut = next((fd for fd in _open_descriptors() if self._handle.shut(fd, plane.port, shut=True)), None)

    def _is_shut(self, plane: Plane) -> bool:
        noted = self._cut_since.get(plane.port)
        return noted is not None and noted.shut is not None

    def _let_in_again(self) -> None:
        for port, noted in list(self._cut_since.items()):
            if noted.turns != self._planes[port].turns:
                del self._cut_since[port]
                if noted.shut is not None:
                    self._handle.shut(noted.shut, port, shut=False)

    def _cut(self, fd: int, far_end: FarEnd, why: str) -> None:
        self._seen[fd].cut = True
        if self._handle.cut(fd, far_end):
            self.cut_off.append(why)
            self._trim_until = self._now() + TRIM_FOR_S
        self._verify_at = self._now()  # its descriptor may have another connection at the next look


def _open_descriptors() -> set[int]:
    """Of this process. Where none is left to list them with, all that there could be."""
    try:
        return {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208 (no path is needed of each)
    except OSError:
        return set(range(limit()))


def _known(plane: Plane, fd: int, far_end: FarEnd) -> Connection | None:
    known = plane.by_fd.get(fd)
    return known if known is not None and known.far_end == far_end else None


def _give_back_memory() -> None:
    """What was freed stays with the process until glibc is asked; other libraries have nothing to ask."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
