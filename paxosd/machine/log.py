"""The log itself as a state machine: it keeps nothing but a digest of what was applied.

Its commands are one stream of bytes, each behind its length. A chain of hashes covers that, block by block: each hash
covers the one before and its block. So the digest can be written down anywhere, with the bytes behind the last whole
block, and it makes no difference how many commands come at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import chain
from struct import Struct

from paxosd.core.types import Revision
from paxosd.machine.base import Changes, QueryRefused

HASH_BYTES = 16
BLOCK_BYTES = 1024
"""What one hash covers: larger blocks cost less for each command, and more is written down behind them."""
CHAIN_KEY = b"chain"

_LENGTH = Struct(">I").pack


class Log:
    """A digest of the commands in their order; which revisions they have, the ledger says (see `ledger.py`)."""

    def __init__(self) -> None:
        self._hash = bytes(HASH_BYTES)
        self._rest = b""  # of the stream: less than a block
        self._is_written = True

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        behind_lengths = chain.from_iterable(zip(map(_LENGTH, map(len, commands)), commands, strict=True))
        stream = b"".join((self._rest, *behind_lengths))
        stop = len(stream) - len(stream) % BLOCK_BYTES
        for begin in range(0, stop, BLOCK_BYTES):
            self._hash = _hash(self._hash + stream[begin : begin + BLOCK_BYTES])
        self._rest = stream[stop:]
        self._is_written = False
        return ()

    def query(self, question: bytes, revision: Revision, log_time_ms: int) -> bytes:
        raise QueryRefused("the log answers no questions; read it")

    @property
    def due_ms(self) -> int | None:
        return None

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        """Nothing in it runs out."""

    def digest(self) -> bytes:
        return _hash(self._hash + self._rest)

    @property
    def changed_rows(self) -> int:
        return int(not self._is_written)

    def changes(self) -> Changes:
        if self._is_written:
            return Changes([], [])
        self._is_written = True
        return Changes([(CHAIN_KEY, self._hash + self._rest)], [])

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        told = dict(rows).get(CHAIN_KEY, bytes(HASH_BYTES))
        self._hash, self._rest, self._is_written = told[:HASH_BYTES], told[HASH_BYTES:], True


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=HASH_BYTES).digest()
