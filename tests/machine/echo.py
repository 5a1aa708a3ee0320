"""A small machine for tests: it says what it was told, and rings when it was told to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from paxosd.core.types import Revision
from paxosd.machine.base import Changes, QueryRefused


class Echo:
    """`say` × length: a result of that length. `ring` × log time: something that runs out then. Else: the command."""

    def __init__(self) -> None:
        self.rings: list[int] = []
        self.rung: list[tuple[Revision, int]] = []
        self._digest = bytes(16)
        self._told: dict[bytes, bytes] = {}

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        return [self._apply(revision, command) for revision, command in enumerate(commands, first_revision)]

    def _apply(self, revision: Revision, command: bytes) -> bytes:
        self._mix(b"%d %b" % (revision, command))
        word, _, number = command.partition(b" ")
        if word == b"ring":
            self.rings = sorted([*self.rings, int(number)])
            return b""
        return b"x" * int(number) if word == b"say" else command

    def _mix(self, what: bytes) -> None:
        self._digest = blake2b(self._digest + what, digest_size=16).digest()

    def query(self, question: bytes, revision: Revision, log_time_ms: int) -> bytes:
        if question == b"fail":
            raise KeyError("a mistake")
        if not question:
            raise QueryRefused("nothing was asked")
        return b"%b at %d" % (question, revision)

    @property
    def due_ms(self) -> int | None:
        return self.rings[0] if self.rings else None

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        self.rung.append((revision, log_time_ms))
        self.rings = [ring for ring in self.rings if ring > log_time_ms]
        self._mix(b"rung %d" % revision)

    def digest(self) -> bytes:
        return self._digest

    def _rows(self) -> dict[bytes, bytes]:
        rung = b" ".join(b"%d,%d" % ring for ring in self.rung)
        return {b"digest": self._digest, b"rings": b" ".join(b"%d" % ring for ring in self.rings), b"rung": rung}

    @property
    def changed_rows(self) -> int:
        return len(self._rows().items() - self._told.items())

    def changes(self) -> Changes:
        changed = sorted(self._rows().items() - self._told.items())
        self._told = self._rows()
        return Changes(changed, [])

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self._told = dict(rows)
        self._digest = self._told.get(b"digest", bytes(16))
        self.rings = [int(ring) for ring in self._told.get(b"rings", b"").split()]
        pairs = (ring.split(b",") for ring in self._told.get(b"rung", b"").split())
        self.rung = [(int(revision), int(at)) for revision, at in pairs]
