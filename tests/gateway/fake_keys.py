"""Keys that can be watched, without a machine: each revision does what the test says."""

from __future__ import annotations

from collections.abc import Iterator

from paxosd.core.types import Revision
from paxosd.machine.kv.events import encode_change
from paxosd.machine.kv.records import Change, KeyEvent, KeyValue, pack


class FakeKeys:
    """All that happened, and from which revision on it is still told."""

    def __init__(self) -> None:
        self.first_revision: Revision = 1
        self.revision: Revision = 0
        self.log: dict[Revision, tuple[KeyEvent, ...]] = {}
        self.keys: dict[bytes, KeyValue] = {}
        self.read = 0
        """How many revisions were read."""
        self.encoded = 0

    def change(self, *changes: tuple[bytes, bytes | None]) -> Revision:
        """One revision that sets these keys, or deletes those that are set to None."""
        self.revision += 1
        events = []
        for key, value in changes:
            before = self.keys.pop(key, None)
            if value is not None:
                made = before.create_revision if before else self.revision
                version = before.version + 1 if before else 1
                self.keys[key] = KeyValue(key, value, made, self.revision, version, 0)
            if before is not None or value is not None:
                events.append(KeyEvent(key, self.keys.get(key), before, self.revision))
        if events:
            self.log[self.revision] = tuple(events)
        return self.revision

    def put(self, key: bytes, value: bytes = b"v") -> Revision:
        return self.change((key, value))

    def forget(self, below: Revision) -> None:
        """What happened below this revision is told no more."""
        self.first_revision = below
        self.log = {revision: events for revision, events in self.log.items() if revision >= below}

    def revisions(self, first: Revision, stop: Revision) -> Iterator[tuple[Revision, list[Change]]]:
        assert first >= self.first_revision, "what is forgotten was asked for"
        assert stop <= self.revision + 1, "what has not happened was asked for"
        for revision in range(first, stop):
            self.read += 1
            if revision in self.log:
                yield (
                    revision,
                    [
                        (revision, event.key, event.kv and pack(event.kv), event.previous and pack(event.previous))
                        for event in self.log[revision]
                    ],
                )

    def encode_change(self, change: Change, previous: bool) -> bytes:
        self.encoded += 1
        return encode_change(change, previous)
