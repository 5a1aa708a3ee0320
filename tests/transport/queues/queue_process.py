"""A process that holds on to its end of a queue until it is killed; apart from the tests, so that it starts fast."""

from __future__ import annotations

import os
import struct
import time
from multiprocessing.connection import Connection
from typing import Any

from paxosd.transport.queues.switchboard import QueueEnds, QueueTransport


def stop_in_the_middle_of_a_frame(ends: QueueEnds, ready: Connection) -> None:
    """Take the lock of the writing end, write a part of a frame, and go no further."""
    outbox: Any = ends.outbox
    outbox._wlock.acquire()
    os.write(outbox._writer.fileno(), struct.pack("!i", 1000) + b"the beginning")
    _wait_for_the_end(ready)


def stop_while_reading(ends: QueueEnds, ready: Connection) -> None:
    """Take the locks of the reading ends, and go no further."""
    for inbox in (ends.peers, ends.clients):
        lock: Any = inbox
        lock._rlock.acquire()
    _wait_for_the_end(ready)


def echo(ends: QueueEnds, ready: Connection) -> None:
    """Send every frame back to node "a"."""
    transport = QueueTransport(ends)
    ready.send_bytes(b"ready")
    while True:
        transport.wait(None)
        for inbound in transport.drain(100):
            transport.send("a", inbound.frame)


def _wait_for_the_end(ready: Connection) -> None:
    ready.send_bytes(b"ready")
    time.sleep(60.0)
