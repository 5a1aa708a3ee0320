"""Host names, looked up in threads of their own.

Laws:
1. Nothing waits for a look-up. A name server that does not answer holds one for ten seconds and more, and libzmq would
   do it on the I/O thread that carries every link of the process: one name that is gone would silence the whole node.
   So sockets are connected to numbers only.
2. A name that stands for nothing now is looked up until it does: its node may not have been started yet.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread

from paxosd.transport.base import TransportError

AGAIN_AFTER_S = 0.5

_ADDRESS = re.compile(r"tcp://(?:\[(?P<number>[0-9a-fA-F:.%]+)\]|(?P<name>[^\[\]:/@\s]+)):(?P<port>[0-9]{1,5})")


class Names:
    """Look-ups on the way. `wake` is called when an answer can be taken, from another thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._asked: set[str] = set()
        self._answers: SimpleQueue[tuple[str, Sequence[str]]] = SimpleQueue()
        self._closed = Event()

    def ask(self, url: str) -> None:
        """Look the name in this address up, unless that is under way."""
        if url not in self._asked:
            self._asked.add(url)
            Thread(target=self._look_up, args=(url,), name=f"look-up of {url}", daemon=True).start()

    def answers(self) -> Iterator[tuple[str, Sequence[str]]]:
        """What was found: an address that was asked for, and the same with each number that its name stands for."""
        while True:
            try:
                url, numbers = self._answers.get_nowait()
            except Empty:
                return
            self._asked.discard(url)
            yield url, numbers

    def _look_up(self, url: str) -> None:
        host, port = host_and_port(url)
        while not self._closed.is_set():
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):  # UnicodeError: too long for a name, or an empty label
                self._closed.wait(AGAIN_AFTER_S)
            else:
                self._answers.put((url, [_url(str(address[0]), port) for *_, address in found]))
                self._wake()
                return

    def close(self) -> None:
        """Forget what was asked; a look-up that hangs ends by itself."""
        self._closed.set()


def host_and_port(url: str) -> tuple[str, int]:
    """The two parts of "tcp://host:port"; raises `TransportError` if it is something else."""
    parts = _ADDRESS.fullmatch(url)
    if parts is None or not 0 < int(parts["port"]) < 1 << 16:
        raise TransportError(f"{url} is not an address: write tcp://host:port")
    return parts["number"] or parts["name"], int(parts["port"])


def has_name(url: str) -> bool:
    """Whether a name stands in this address, and not a number."""
    try:
        ipaddress.ip_address(host_and_port(url)[0])
    except ValueError:
        return True
    return False


def _url(address: str, port: int) -> str:
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"
