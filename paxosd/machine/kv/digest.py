"""A digest of all that the keys have and had, which grows by one hash where a key changes.

It is the sum of a hash for each record that is kept, whether its key has it or had it, for each delete in the window,
and for each lease. So their order is no matter, and what was added once can be taken away. It says all: a record has
its key's revisions, so where a record stands in the history follows from the others of its key.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from operator import methodcaller
from struct import Struct

from paxosd.machine.kv.leases import LeaseTerms
from paxosd.machine.kv.records import Change
from paxosd.machine.kv.state import KeyState

DIGEST_BYTES = 16
_LENGTH = Struct(">I")
_NUMBER = Struct(">Q")
_MASK = (1 << 8 * DIGEST_BYTES) - 1
_hash = partial(blake2b, digest_size=DIGEST_BYTES)
_digest = methodcaller("digest")
_as_number = partial(int.from_bytes, byteorder="big")


def _hash_record(key: bytes, record: bytes) -> int:
    content = record + key + _LENGTH.pack(len(key))
    return int.from_bytes(blake2b(content, digest_size=DIGEST_BYTES).digest(), "big")


def _sum_of_hashes(contents: list[bytes]) -> int:
    """That of `_hash_record` for each; Python does nothing for each of them."""
    return sum(map(_as_number, map(_digest, map(_hash, contents))))


def _hash_delete(key: bytes, revision: int) -> int:
    content = _NUMBER.pack(revision) + key
    return int.from_bytes(blake2b(content, digest_size=DIGEST_BYTES, person=b"delete").digest(), "big")


def _hash_lease(lease: int, terms: LeaseTerms) -> int:
    content = _NUMBER.pack(lease) + terms.pack()
    return int.from_bytes(blake2b(content, digest_size=DIGEST_BYTES, person=b"lease").digest(), "big")


class RunningDigest:
    """The sum, kept while things change."""

    def __init__(self) -> None:
        self._sum = 0

    def changed(self, change: Change) -> None:
        """A key changed. The record before it is in the window from now on, and was in the sum already."""
        revision, key, record, _ = change
        self._sum += _hash_delete(key, revision) if record is None else _hash_record(key, record)

    def put_all(self, changes: Iterable[Change]) -> None:
        """Keys were put: the same for many, as `_hash_record` has it."""
        contents = [record + key + _LENGTH.pack(len(key)) for _, key, record, _ in changes if record is not None]
        self._sum += _sum_of_hashes(contents)

    def went(self, changes: Iterable[Change]) -> None:
        """These changes are out of the window."""
        contents = [previous + key + _LENGTH.pack(len(key)) for _, key, _, previous in changes if previous is not None]
        self._sum -= _sum_of_hashes(contents)
        for revision, key, record, _ in changes:
            if record is None:
                self._sum -= _hash_delete(key, revision)

    def lease(self, lease: int, before: LeaseTerms | None, after: LeaseTerms | None) -> None:
        """A lease is new, has other terms, or is gone."""
        if before is not None:
            self._sum -= _hash_lease(lease, before)
        if after is not None:
            self._sum += _hash_lease(lease, after)

    def restore(self, state: KeyState, leases: Iterable[tuple[int, LeaseTerms]]) -> None:
        """The sum of all that is there."""
        self._sum = sum(_hash_record(key, record) for key, record in state.pairs(b"", b"\0"))
        for revision, key, record, previous in state.past.from_number(0):
            if previous is not None:
                self._sum += _hash_record(key, previous)
            if record is None:
                self._sum += _hash_delete(key, revision)
        for lease, terms in leases:
            self._sum += _hash_lease(lease, terms)

    def value(self, state: KeyState) -> bytes:
        """The digest."""
        self._sum &= _MASK
        window = state.past.first_revision, state.past.first_number
        content = self._sum.to_bytes(DIGEST_BYTES, "big") + Struct(">QQ").pack(*window)
        return blake2b(content, digest_size=DIGEST_BYTES).digest()
