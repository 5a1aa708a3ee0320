"""Host names, looked up in threads of their own.

Laws:
1. Nothing waits for a look-up. A name server that does not answer holds one for ten seconds and more, and libzmq would
   do it on the I/O thread that carries every link of the process: one name that is gone would silence the whole node.
   So sockets are connected to numbers only.
2. Whoever asks is answered, also with nothing: that a name is unknown, or that there was no thread to look it up. They
   may ask again, and a name is looked up every `AGAIN_AFTER_S` at most: its node may not have been started yet.
3. What is not found is told, once and then rarely.
"""

from __future__ import annotations

import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

from paxosd.process.native import NativeThread
from paxosd.transport.addresses import Endpoint, dialled
from paxosd.transport.base import NAME_NOT_FOUND, TransportError
from paxosd.transport.shortage import Shortage, require_descriptors, thread_shortage

AGAIN_AFTER_S = 0.5
LOOK_UP_DESCRIPTORS = 4
TOLD_EVERY_S = 300.0
"""How often the same name is complained about."""


class Names:
    """Look-ups on the way. `wake` is called when an answer can be taken, from another thread; `tell` takes complaints:
    the address, and what is wrong with it.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        tell: Callable[[str, str], None] = lambda url, why: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wake = wake
        self._tell = tell
        self._clock = clock
        self._due: dict[str, float] = {}  # what was asked for and not begun, and when it may
        self._begun: dict[str, float] = {}
        self._under_way: set[str] = set()
        self._answers: deque[tuple[str, Sequence[str], str]] = deque()
        self._told: dict[str, float] = {}
        self._closed = False
        self.failures: Counter[str] = Counter()
        """How often each address came to nothing since it was found last."""
        self.troubles: dict[str, str] = {}
        """Why it came to nothing, by address."""

    def ask(self, url: str) -> None:
        """Look the name in this address up, soon, unless that is under way."""
        if url not in self._under_way and url not in self._due:
            self._due[url] = self._begun.get(url, float("-inf")) + AGAIN_AFTER_S
            self._begin()

    def wait_s(self, timeout_s: float | None) -> float | None:
        """How long whoever would wait so long may wait until `answers` has something to do."""
        if not self._due:
            return timeout_s
        due_s = max(0.0, min(self._due.values()) - self._clock())
        return due_s if timeout_s is None else min(timeout_s, due_s)

    def answers(self) -> Iterator[tuple[str, Sequence[str]]]:
        """What was found: an address that was asked for, and the same with each number that its name stands for; none
        if it is unknown now.
        """
        self._begin()
        while self._answers:
            url, numbers, trouble = self._answers.popleft()
            self._under_way.discard(url)
            self._note(url, trouble)
            yield url, numbers

    def _begin(self) -> None:
        now = self._clock()
        for url in [url for url, due in self._due.items() if due <= now]:
            del self._due[url]
            self._under_way.add(url)
            self._begun[url] = now
            try:
                NativeThread(lambda url=url: self._look_up(url), f"look-up of {url}")  # type: ignore[misc]
            except (RuntimeError, MemoryError) as error:
                self._answer(url, [], str(thread_shortage(error)))

    def _look_up(self, url: str) -> None:
        endpoint = address_of(url)
        try:
            found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
            self._answer(url, [_url(address, endpoint.port) for *_, address in found], "")
        except (OSError, UnicodeError, MemoryError) as error:
            self._answer(url, [], _trouble(endpoint.host, error))

    def _answer(self, url: str, numbers: Sequence[str], trouble: str) -> None:
        if not self._closed:
            self._answers.append((url, numbers, trouble))
            self._wake()

    def _note(self, url: str, trouble: str) -> None:
        if not trouble:
            self.troubles.pop(url, None)
            self.failures.pop(url, None)
            self._told.pop(url, None)
            return
        self.troubles[url] = trouble
        self.failures[url] += 1
        now = self._clock()
        if now - self._told.get(url, float("-inf")) >= TOLD_EVERY_S:
            self._told[url] = now
            self._tell(url, trouble)

    def close(self) -> None:
        """Forget what was asked; a look-up that hangs ends by itself."""
        self._closed = True


def _trouble(host: str, error: Exception) -> str:
    try:
        require_descriptors(LOOK_UP_DESCRIPTORS)  # without which the system says what it likes
    except Shortage as shortage:
        return f"{host} cannot be looked up: {shortage}"
    if isinstance(error, MemoryError):
        return f"{host} cannot be looked up: no memory"
    return f"{NAME_NOT_FOUND}: {host} ({getattr(error, 'strerror', None) or error})"


def address_of(url: str) -> Endpoint:
    """The two parts of "tcp://host:port"; raises `TransportError` if it is something else."""
    if not url.startswith("tcp://"):
        raise TransportError(f"{url} is not an address: write tcp://host:port")
    try:
        return dialled(url.removeprefix("tcp://"))
    except ValueError as error:
        raise TransportError(f"{url} is not an address: write tcp://host:port; {error}") from error


def _url(address: Sequence[object], port: int) -> str:
    """Of what `getaddrinfo` gives: (number, port), or (number, port, flow, zone) where it is an IPv6 number."""
    number = str(address[0])
    zone = address[3] if len(address) == 4 and "%" not in number else 0
    return Endpoint(f"{number}%{zone}" if zone else number, port).url
