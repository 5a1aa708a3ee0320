"""The log itself as a state machine: it keeps nothing but a digest of what was applied."""

from __future__ import annotations

import hashlib

from paxosd.core.types import Revision


class Log:
    """A chain of hashes over all commands and their revisions."""

    def __init__(self) -> None:
        self._chain = hashlib.blake2b(digest_size=16)

    def apply(self, first_revision: Revision, commands: list[bytes]) -> None:
        chain = self._chain
        for revision, command in enumerate(commands, first_revision):
            chain.update(b"%d:%d:" % (revision, len(command)))
            chain.update(command)

    def digest(self) -> bytes:
        return self._chain.digest()
