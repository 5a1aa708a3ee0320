"""Frames of clients in turns: one of each client that has some, so that who sends many waits longest."""

from __future__ import annotations

from collections import deque

from paxosd.core.types import ClientAddress


class Turns:
    """What clients sent and nobody took yet. Whoever adds bounds how much that is."""

    def __init__(self) -> None:
        self._frames: dict[ClientAddress, deque[bytes]] = {}  # in the order of their turns
        self._count = 0
        self.bytes = 0

    def __len__(self) -> int:
        return self._count

    def add(self, client: ClientAddress, frame: bytes) -> None:
        self._frames.setdefault(client, deque()).append(frame)
        self._count += 1
        self.bytes += len(frame)

    def take(self) -> tuple[ClientAddress, bytes]:
        """The oldest frame of the client whose turn it is; there must be one."""
        client = next(iter(self._frames))
        frames = self._frames.pop(client)
        frame = frames.popleft()
        self._count -= 1
        self.bytes -= len(frame)
        if frames:
            self._frames[client] = frames
        return client, frame

    def forget(self, client: ClientAddress) -> None:
        """Drop what this client sent."""
        frames = self._frames.pop(client, deque())
        self._count -= len(frames)
        self.bytes -= sum(map(len, frames))
