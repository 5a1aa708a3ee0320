"""What some revisions did, by the places that it concerns, made into bytes: each change once, whoever is told."""

from __future__ import annotations

from typing import Any

from paxosd.core.types import Revision
from paxosd.gateway.ranges import Place
from paxosd.gateway.streams import Bundle
from paxosd.gateway.watchable import Watchable

BUNDLE_BYTES = 64 * 1024
"""A bundle that is this large takes in no more revisions."""


class Bundles:
    """Those of one scan of a machine."""

    def __init__(self, machine: Watchable) -> None:
        self._machine = machine
        self._found: dict[Place, list[tuple[Revision, list[Any]]]] = {}
        self._encoded: dict[tuple[int, bool], bytes] = {}
        self._bundles: dict[tuple[Place, bool], list[Bundle]] = {}
        self.made_bytes = 0
        """How large all are that were made so far."""

    @property
    def places(self) -> list[Place]:
        """Where something happened."""
        return list(self._found)

    def add(self, place: Place, revision: Revision, change: Any) -> None:
        """This happened in that place; revisions come in order."""
        found = self._found.setdefault(place, [])
        if not found or found[-1][0] != revision:
            found.append((revision, []))
        found[-1][1].append(change)

    def first(self, place: Place) -> Revision:
        """The first revision that did something in this place, where any did."""
        return self._found[place][0][0]

    def of(self, place: Place, previous: bool, upto: Revision) -> list[Bundle]:
        """All that happened in this place, of which the last bundle reaches up to this revision."""
        key = place, previous
        if key not in self._bundles:
            self._bundles[key] = self._make(place, previous, upto)
        return self._bundles[key]

    def _make(self, place: Place, previous: bool, upto: Revision) -> list[Bundle]:
        bundles: list[Bundle] = []
        first, last, held, size = 0, 0, list[bytes](), 0
        for revision, changes in self._found.get(place, ()):
            data = b"".join(self._encode(change, previous) for change in changes)
            if held and size + len(data) > BUNDLE_BYTES:
                bundles.append(Bundle(first, last, last, b"".join(held)))
                held, size = [], 0
            first = first if held else revision
            last = revision
            held.append(data)
            size += len(data)
        if held:
            bundles.append(Bundle(first, last, upto, b"".join(held)))
        self.made_bytes += sum(len(bundle.data) for bundle in bundles)
        return bundles

    def _encode(self, change: Any, previous: bool) -> bytes:
        key = id(change), previous  # which is alive as long as we are
        if key not in self._encoded:
            self._encoded[key] = self._machine.encode_change(change, previous)
        return self._encoded[key]
