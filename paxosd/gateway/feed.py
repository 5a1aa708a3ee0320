"""What one machine's revisions did, told to all who watch it: what is new at once, what is older in common rounds.

Laws:
1. A watch has a place in the order of revisions and no queue. What it was not told is read from the machine again.
2. A watch of which nothing happened costs nothing, however many there are and however much else happens.
3. A watch is told all that concerns it, in order, revision by revision. Where the machine forgot some of it, the watch
   is over, and its client is told from where on there is something to tell.
4. A turn scans so many revisions and sends so many messages. Those that lag go on in rounds from the oldest revision on
   that any of them lacks, together; so a thousand that begin at one old revision cost one scan.
"""

from __future__ import annotations

from collections.abc import Iterable

from paxosd.core.reasons import Reason
from paxosd.core.types import Revision
from paxosd.gateway.bundles import BUNDLE_BYTES, Bundles
from paxosd.gateway.ranges import Place, Ranges
from paxosd.gateway.streams import Bundle, InParts, Registered, Stream, Streams, set_next
from paxosd.gateway.watchable import Watchable

SCANNED_PER_TURN_MAX = 2048
"""How many revisions one turn looks at, of the new ones and of older ones each."""
CHANGES_PER_TURN_MAX = 8192
"""The same in changes; and what is left of one revision."""
TOLD_PER_TURN_MAX = 2048
"""How many messages with events one turn sends."""
LARGE_BYTES = 2 * BUNDLE_BYTES
"""A bundle that is larger is one revision, and is told in parts."""
LARGE_TOGETHER_BYTES_MAX = 64 * 1024 * 1024
"""How many bytes all large bundles may have that are told at once; one always may."""
MADE_PER_TURN_BYTES_MAX = 16 * 1024 * 1024
"""How many bytes of bundles one scan makes; those of one place always."""
WATCHES_PER_MESSAGE_MAX = 1024


class Feed:
    """All watches of one machine. `cursor`: what happened up to this revision was looked at."""

    def __init__(self, name: str, streams: Streams, cursor: Revision) -> None:
        self.ranges = Ranges()
        self.cursor = cursor
        self._name = name
        self._streams = streams
        self._behind: dict[Registered, None] = {}  # which lag, and are to be told
        self._round_at: Revision = 0  # where the round of those that lag goes on
        self._left = 0  # how many messages this turn may send
        self._large: dict[Bundle, int] = {}  # to how many streams each is on its way

    @property
    def has_work(self) -> bool:
        """Whether some lag that could be told more."""
        return bool(self._behind)

    # ---- coming and going ----

    def add(self, registered: Registered) -> None:
        """A watch that was told all up to `registered.told`."""
        registered.place.watches[registered] = None
        if registered.told < self.cursor:
            self._lag(registered, registered.told + 1)

    def remove(self, registered: Registered) -> None:
        """It is over."""
        self._behind.pop(registered, None)
        place = registered.place
        del place.watches[registered]
        if not place.watches:
            self.ranges.remove(place)

    def forget_parts(self, stream: Stream) -> None:
        """The stream is over, and with it what it was told in parts."""
        for parts in stream.parts:
            self._drop_large(parts.bundle)
        stream.parts.clear()

    def go_on(self, registered: Registered) -> None:
        """Its client takes again."""
        self._behind[registered] = None

    def _lag(self, registered: Registered, first: Revision) -> None:
        set_next(registered, first)
        self._behind[registered] = None

    # ---- a turn ----

    def turn(self, machine: Watchable, revision: Revision) -> None:
        """Look at what happened up to this revision, and tell whom it concerns."""
        self._left = TOLD_PER_TURN_MAX
        if revision > self.cursor:
            self._tell_news(machine, revision)
        if self._behind:
            self._tell_older(machine)

    def _tell_news(self, machine: Watchable, revision: Revision) -> None:
        first = self.cursor + 1
        if machine.first_revision > first:  # another one's state was taken up, and the log between is not known here
            self.cursor = revision
            for registered in self._all():
                if not registered.next and registered.told < revision:
                    self._lag(registered, max(first, registered.told + 1))
            return
        bundles, upto = self._scan(machine, first, revision, None)
        self.cursor = upto
        for place in bundles.places:
            concerned = [each for each in place.watches if not each.next and each.told < upto]
            self._tell_all(concerned, place, bundles, upto)

    def _all(self) -> Iterable[Registered]:
        every = (each for stream in self._streams.all for each in stream.watches.values())
        return [each for each in every if each.machine == self._name]

    def _scan(
        self, machine: Watchable, first: Revision, last: Revision, only: set[Place] | None
    ) -> tuple[Bundles, Revision]:
        """What these revisions did, `only` in these places; and how far a turn gets with it."""
        bundles, left = Bundles(machine), CHANGES_PER_TURN_MAX
        last = min(last, first + SCANNED_PER_TURN_MAX - 1)
        for revision, changes in machine.revisions(first, last + 1):
            for change in changes:
                for place in self.ranges.of(change[1]):
                    if only is None or place in only:
                        bundles.add(place, revision, change)
            left -= len(changes)
            if left <= 0:
                return bundles, revision
        return bundles, last

    def _tell_older(self, machine: Watchable) -> None:
        """Go on with the round of those that lag, or begin the next one."""
        oldest = machine.first_revision
        for registered in [each for each in self._behind if each.next < oldest]:
            self._end_compacted(registered, oldest)
        if not self._behind:
            return
        ahead = [each.next for each in self._behind if each.next >= self._round_at]
        first = min(ahead) if ahead else min(each.next for each in self._behind)
        if first <= self.cursor:
            riders = [each for each in self._behind if first <= each.next < first + SCANNED_PER_TURN_MAX]
            bundles, upto = self._scan(machine, first, self.cursor, {each.place for each in riders})
        else:
            bundles, upto, riders = Bundles(machine), self.cursor, list(self._behind)
        self._round_at = upto + 1
        by_place: dict[Place, list[Registered]] = {}
        for registered in riders:
            if registered.next <= upto + 1:
                del self._behind[registered]
                by_place.setdefault(registered.place, []).append(registered)
        for place, concerned in by_place.items():
            self._tell_all(concerned, place, bundles, upto)

    def _end_compacted(self, registered: Registered, first: Revision) -> None:
        stream = registered.stream
        self.remove(registered)
        self._streams.remove(registered)
        self._streams.answer(stream, registered.number, registered.told, Reason.COMPACTED, first)

    # ---- telling ----

    def _tell_all(self, concerned: list[Registered], place: Place, bundles: Bundles, upto: Revision) -> None:
        """Tell these watches of one place all up to a revision, or as much as their clients take."""
        if bundles.made_bytes > MADE_PER_TURN_BYTES_MAX:  # for other places; this one has its turn later
            for registered in concerned:
                self._lag(registered, max(registered.next or bundles.first(place), registered.told + 1))
            return
        groups: dict[tuple[Stream, bool], list[Registered]] = {}
        for registered in concerned:
            groups.setdefault((registered.stream, registered.previous), []).append(registered)
        for (stream, previous), group in groups.items():
            told = bundles.of(place, previous, upto)
            for at in range(0, len(group), WATCHES_PER_MESSAGE_MAX):
                self._tell(stream, group[at : at + WATCHES_PER_MESSAGE_MAX], told, upto)

    def _tell(self, stream: Stream, group: list[Registered], bundles: list[Bundle], upto: Revision) -> None:
        for bundle in bundles:
            lacking = [each for each in group if (each.next or each.told + 1) <= bundle.last]
            if not lacking:
                continue
            if not self._left:
                return self._stop_at(bundle, group, self._behind)
            if not self._streams.has_credit(stream):
                return self._stop_at(bundle, group, stream.blocked)
            if len(bundle.data) > LARGE_BYTES:
                return self._tell_in_parts(stream, group, lacking, bundle)
            self._send(stream, lacking, bundle.upto, bundle.data)
        for registered in group:
            self._is_told(registered, upto)
        return None

    def _send(self, stream: Stream, group: list[Registered], upto: Revision, data: bytes, more: bool = False) -> None:
        self._left -= 1
        self._streams.tell(stream, group, upto, data, more)
        if not more:
            for registered in group:
                registered.told = max(registered.told, upto)

    def _stop_at(self, bundle: Bundle, group: list[Registered], where: dict[Registered, None]) -> None:
        """These go on with this bundle later."""
        for registered in group:
            set_next(registered, max(registered.next, registered.told + 1, bundle.first))
            where[registered] = None

    def _is_told(self, registered: Registered, upto: Revision) -> None:
        """It knows all up to this revision, though perhaps nobody said so, because nothing happened."""
        upto = max(upto, registered.told)
        if upto < self.cursor:
            self._lag(registered, upto + 1)
        else:
            set_next(registered, 0)

    # ---- what is too large for a message ----

    def _tell_in_parts(
        self, stream: Stream, group: list[Registered], lacking: list[Registered], bundle: Bundle
    ) -> None:
        held = sum(len(each.data) for each in self._large)
        if self._large and bundle not in self._large and held + len(bundle.data) > LARGE_TOGETHER_BYTES_MAX:
            return self._stop_at(bundle, group, stream.blocked)
        for registered in group:
            set_next(registered, bundle.first)
            if registered not in lacking:
                self._is_told(registered, bundle.upto)
        self._large[bundle] = self._large.get(bundle, 0) + 1
        parts = InParts(lacking, bundle)
        stream.parts.append(parts)
        return self._send_parts(stream, parts)

    def go_on_with_parts(self, stream: Stream) -> None:
        """Its client takes again: send what more it may have."""
        for parts in stream.parts.copy():
            if parts.watches[0].machine == self._name:
                self._send_parts(stream, parts)

    def _send_parts(self, stream: Stream, parts: InParts) -> None:
        bundle = parts.bundle
        while True:
            watches = [each for each in parts.watches if each.number in stream.watches]
            if watches and not self._streams.has_credit(stream):
                return
            part = bundle.data[parts.offset : parts.offset + BUNDLE_BYTES]
            parts.offset += len(part)
            more = parts.offset < len(bundle.data)
            if watches:
                self._send(stream, watches, bundle.upto, part, more)
            if not watches or not more:
                break
        stream.parts.remove(parts)
        self._drop_large(bundle)
        for registered in watches:
            self._is_told(registered, bundle.upto)

    def _drop_large(self, bundle: Bundle) -> None:
        self._large[bundle] -= 1
        if not self._large[bundle]:
            del self._large[bundle]
