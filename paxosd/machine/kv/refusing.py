"""A command that does nothing, and why."""

from __future__ import annotations

from paxosd.core.types import Revision
from paxosd.machine.kv.requests import Failure
from paxosd.machine.kv.results import Failed


class NotDone(Exception):
    """What is asked cannot be done as the state is; nothing was changed, or it is taken back."""

    def __init__(self, failure: Failure, text: str, first_revision: Revision = 0) -> None:
        super().__init__(text)
        self.result = Failed(failure, text, first_revision)


def require_told(revision: Revision, now: Revision, first_revision: Revision) -> None:
    """Raise unless the state after this revision can be read; `now` is the latest one."""
    if revision > now:
        raise NotDone(Failure.FUTURE_REVISION, f"revision {revision} is not there yet, the latest is {now}")
    if revision < first_revision:
        text = f"revision {revision} is not kept any more, the history begins at {first_revision}"
        raise NotDone(Failure.COMPACTED, text, first_revision)


class Scan:
    """How many keys a request may still look at."""

    def __init__(self, keys_max: int) -> None:
        self.left = keys_max
        self._max = keys_max

    def spend(self, keys: int) -> None:
        """So many are looked at; raises where that is more than are left."""
        self.left -= keys
        if self.left < 0:
            raise NotDone(Failure.TOO_LARGE, f"more than {self._max} keys to look at")


def full_of_keys(bytes_max: int) -> NotDone:
    """There is no room for what a put would add."""
    return NotDone(Failure.FULL, f"keys and values have more than {bytes_max} bytes")
