"""The log itself as a state machine: it keeps nothing but a digest of what was applied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from paxosd.core.types import Revision
from paxosd.machine.base import Changes, QueryRefused

CHAIN_BYTES = 16
CHAIN_KEY = b"chain"


class Log:
    """A chain of hashes: each covers the one before, a revision and its command. So it can be written down anywhere."""

    def __init__(self) -> None:
        self._chain = bytes(CHAIN_BYTES)
        self._written = self._chain

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        chain = self._chain
        for revision, command in enumerate(commands, first_revision):
            chain = blake2b(b"%b%d:%b" % (chain, revision, command), digest_size=CHAIN_BYTES).digest()
        self._chain = chain
        return ()

    def query(self, question: bytes, revision: Revision, log_time_ms: int) -> bytes:
        raise QueryRefused("the log answers no questions; read it")

    @property
    def due_ms(self) -> int | None:
        return None

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        """Nothing in it runs out."""

    def digest(self) -> bytes:
        return self._chain

    @property
    def changed_rows(self) -> int:
        return int(self._chain != self._written)

    def changes(self) -> Changes:
        if self._chain == self._written:
            return Changes([], [])
        self._written = self._chain
        return Changes([(CHAIN_KEY, self._chain)], [])

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self._chain = self._written = dict(rows).get(CHAIN_KEY, bytes(CHAIN_BYTES))
