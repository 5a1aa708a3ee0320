"""A machine of the simulator that can be watched: the log, in which every command is taken to change some keys.

What a command does to which keys is a function of the command and its revision. So a checker knows from the log alone
what whoever watches must see.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import NamedTuple, TypeAlias

from paxosd.core.types import Revision
from paxosd.machine.base import Changes
from paxosd.machine.log import Log

KeyChange: TypeAlias = tuple[Revision, bytes, bytes]
"""The revision, the key, and the command that changed it."""

KEYS = (b"a", b"b", b"b/1", b"c", b"d")
"""Which keys there are besides those of the clients, which are their names."""
_HEAD = Struct(">QHI")
_ROW = Struct(">cQ")
WINDOW_ROW = b"w"


class KeyNews(NamedTuple):
    """What whoever watches is told."""

    key: bytes
    command: bytes
    revision: Revision


def changes_of(revision: Revision, command: bytes) -> list[KeyChange]:
    """What this command changed: up to three keys, now and then none."""
    keys = (command.partition(b"-")[0], KEYS[revision % 5], KEYS[revision % 3], KEYS[0])
    return [(revision, key, command) for key in dict.fromkeys(keys[: revision % 4 + (revision % 8 > 0)])]


def decode_news(content: bytes) -> list[KeyNews]:
    """What `WatchedLog.encode_change` made, one behind the other."""
    news: list[KeyNews] = []
    at = 0
    while at < len(content):
        if len(content) - at < _HEAD.size:
            raise ValueError("it ends inside of a change")
        revision, key_bytes, command_bytes = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        key, command = content[at : at + key_bytes], content[at + key_bytes : at + key_bytes + command_bytes]
        at += key_bytes + command_bytes
        if at > len(content):
            raise ValueError("it ends inside of a change")
        news.append(KeyNews(key, command, revision))
    return news


class WatchedLog(Log):
    """The log, of which the latest `window` commands can be watched."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self._window = window
        self._kept: deque[tuple[Revision, bytes]] = deque()
        self._put: dict[Revision, bytes] = {}
        self._gone: list[Revision] = []  # which rows are to be deleted
        self.first_revision: Revision = 1

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        for revision, command in enumerate(commands, first_revision):
            self._kept.append((revision, command))
            self._put[revision] = command
        while len(self._kept) > self._window:
            revision, _ = self._kept.popleft()
            self.first_revision = revision + 1
            if self._put.pop(revision, None) is None:
                self._gone.append(revision)
        return super().apply(first_revision, commands, log_time_ms)

    def revisions(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, list[KeyChange]]]:
        if first < self.first_revision:
            raise ValueError(f"revision {first} is asked where {self.first_revision} is the first that is told")
        for revision, command in self._kept:
            if first <= revision < stop and (changes := changes_of(revision, command)):
                yield revision, changes

    def encode_change(self, change: KeyChange, previous: bool) -> bytes:
        revision, key, command = change
        return _HEAD.pack(revision, len(key), len(command)) + key + command

    # ---- keeping ----

    @property
    def changed_rows(self) -> int:
        return super().changed_rows + len(self._put) + len(self._gone)

    def changes(self) -> Changes:
        of_log = super().changes()
        put = [(_ROW.pack(WINDOW_ROW, revision), command) for revision, command in self._put.items()]
        gone = [_ROW.pack(WINDOW_ROW, revision) for revision in self._gone]
        self._put, self._gone = {}, []
        return Changes([*of_log.put, *put], [*of_log.delete, *gone])

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        kept = dict(rows)
        window = sorted(key for key in kept if key[:1] == WINDOW_ROW and len(key) == _ROW.size)
        self._kept = deque((_ROW.unpack(key)[1], kept.pop(key)) for key in window)
        self._put, self._gone = {}, []
        self.first_revision = self._kept[0][0] if self._kept else 1
        super().restore(kept.items())
