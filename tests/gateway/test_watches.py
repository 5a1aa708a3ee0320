"""What a gateway tells those who watch: all, in order, whole, no more than they take, and each event made once."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.core.messages import Message, Unwatch, WatchEvents, Watching, WatchKeys, WatchMark, WatchTaken
from paxosd.core.reasons import Reason
from paxosd.core.types import Revision
from paxosd.gateway import feed, streams
from paxosd.gateway.ranges import TO_THE_END, Place
from paxosd.gateway.watchable import Watchable
from paxosd.gateway.watches import Watches
from paxosd.machine.kv.events import decode_events
from paxosd.machine.kv.kv import Kv
from paxosd.machine.kv.records import KeyEvent
from paxosd.machine.log import Log
from tests.core.helpers import always_the_same
from tests.gateway.fake_keys import FakeKeys

ME, OTHER = b"me", b"other"


class Hall:
    """The watches of a gateway over keys of the test's; `told` is what clients were told and nobody looked at."""

    def __init__(self) -> None:
        self.keys = FakeKeys()
        self.told: list[tuple[bytes, Any]] = []
        self.now = 100.0
        self.watches = Watches(self, lambda client, message: self.told.append((client, message)))  # type: ignore[arg-type]

    @property
    def revision(self) -> Revision:
        return self.keys.revision

    def machine(self, name: str) -> object | None:
        return self.keys if name == "kv" else object() if name == "log" else None

    def watch(
        self,
        number: int,
        key: bytes = b"k",
        end: bytes = b"",
        start: Revision = 0,
        client: bytes = ME,
        stream: int = 7,
        previous: bool = False,
        machine: str = "kv",
        refused: Reason | None = None,
        credit: int = 1 << 18,
    ) -> None:
        message = WatchKeys(stream, number, machine, key, end, start, previous, credit)
        self.watches.register(client, message, refused, self.now)

    def take(self, number: int, client: bytes = ME, stream: int = 7) -> None:
        self.watches.take(client, WatchTaken(stream, number), self.now)

    def turn(self, marks: bool = False) -> list[Any]:
        """One turn; what was told since the last time."""
        self.watches.turn(marks, self.now)
        return self.heard()

    def turns(self) -> list[Any]:
        """As many as there is something to do."""
        for _ in range(10_000):
            self.watches.turn(False, self.now)
            due = self.watches.next_deadline(False, self.now)
            if due is None or due > self.now:
                return self.heard()
        raise AssertionError("it keeps its process busy")

    def heard(self, client: bytes | None = None) -> list[Any]:
        told, self.told = self.told, []
        return [message for whom, message in told if client in (None, whom)]


def events_of(message: WatchEvents) -> list[KeyEvent]:
    return decode_events(message.events)


def test_what_happens_to_a_key_after_the_registration_is_told_as_it_happens() -> None:
    hall = Hall()
    hall.keys.put(b"k", b"before")
    hall.watch(1)
    assert hall.heard() == [Watching(7, 100_000_000, 1, 1, 1)]
    hall.keys.put(b"k", b"a")
    hall.keys.put(b"other")
    hall.keys.change((b"k", None))

    (told,) = hall.turn()

    assert (told.stream, told.number, told.watches, told.after, told.upto, told.more) == (7, 2, (1,), 1, 4, False)
    assert [(event.revision, event.kv and event.kv.value, event.previous) for event in events_of(told)] == [
        (2, b"a", None),
        (4, None, None),
    ]
    assert hall.turn() == []


def test_with_previous_it_is_also_told_what_was_there_before() -> None:
    hall = Hall()
    hall.watch(1, previous=True)
    hall.watch(2)
    hall.keys.put(b"k", b"a")
    hall.keys.put(b"k", b"b")

    told = {message.watches: events_of(message) for message in hall.turn()[2:]}

    assert [event.previous and event.previous.value for event in told[1,]] == [None, b"a"]
    assert [event.previous for event in told[2,]] == [None, None]


@pytest.mark.parametrize(
    ("key", "end", "seen"),
    [
        (b"b", b"", [b"b"]),
        (b"b", b"d", [b"b", b"bb", b"c"]),
        (b"b", TO_THE_END, [b"b", b"bb", b"c", b"d", b"\xff\xff"]),
        (b"\0", TO_THE_END, [b"a", b"b", b"bb", b"c", b"d", b"\xff\xff"]),
        (b"d", b"b", []),
    ],
)
def test_a_range_holds_its_first_key_and_not_its_end(key: bytes, end: bytes, seen: list[bytes]) -> None:
    hall = Hall()
    hall.watch(1, key, end)
    hall.heard()
    for each in (b"a", b"b", b"bb", b"c", b"d", b"\xff\xff"):
        hall.keys.put(each)

    assert [event.key for message in hall.turn() for event in events_of(message)] == seen


def test_from_an_earlier_revision_all_since_then_is_told() -> None:
    hall = Hall()
    for value in (b"a", b"b", b"c"):
        hall.keys.put(b"k", value)
    hall.watch(1, start=2)
    hall.keys.put(b"k", b"d")

    told = [event.revision for message in hall.turns()[1:] for event in events_of(message)]

    assert told == [2, 3, 4]


def test_from_a_revision_to_come_nothing_that_happens_before_it_is_told() -> None:
    hall = Hall()
    hall.watch(1, start=4)
    assert hall.heard() == [Watching(7, 100_000_000, 1, 1, 3)]
    hall.keys.put(b"k")
    hall.keys.put(b"k")
    assert hall.turn() == []
    hall.keys.put(b"k")
    hall.keys.put(b"k")

    told = [(message.after, message.upto) for message in hall.turns()]

    assert told == [(3, 4)]


def test_a_transaction_is_told_whole_and_in_its_order() -> None:
    hall = Hall()
    hall.watch(1, b"a", b"z")
    hall.keys.change((b"x", b"1"), (b"b", b"2"), (b"m", b"3"))

    (told,) = hall.turn()[1:]

    assert [event.key for event in events_of(told)] == [b"x", b"b", b"m"]


def test_where_the_window_begins_later_a_registration_is_refused_with_the_first_revision() -> None:
    hall = Hall()
    for _ in range(5):
        hall.keys.put(b"k")
    hall.keys.forget(4)
    hall.watch(1, start=3)
    hall.watch(2, start=4)

    assert hall.heard() == [Watching(7, 100_000_000, 1, 1, 2, Reason.COMPACTED, 4), Watching(7, 100_000_000, 2, 2, 3)]


def test_who_lags_when_the_window_moves_on_is_told_from_where_on_there_is_something_to_tell() -> None:
    hall = Hall()
    hall.watch(1, credit=1)
    hall.watch(2, b"other", credit=1)
    hall.keys.put(b"k")
    hall.keys.put(b"k")
    first = hall.turn()[-1]
    hall.keys.put(b"k")
    assert hall.turn() == []
    hall.keys.forget(4)
    hall.take(first.number)

    assert hall.turns() == [Watching(7, 100_000_000, 4, 1, 2, Reason.COMPACTED, 4)]
    hall.keys.put(b"other")
    assert [message.watches for message in hall.turn()] == [(2,)]


def test_who_has_been_told_all_does_not_mind_that_the_window_moves_on() -> None:
    hall = Hall()
    hall.watch(1)
    hall.keys.put(b"k")
    hall.turn()
    hall.keys.forget(2)
    hall.keys.put(b"k")

    assert [message.upto for message in hall.turn()] == [2]


def test_where_another_ones_state_was_taken_up_what_it_tells_is_told_and_else_it_is_said_from_where_on() -> None:
    for kept in (True, False):
        hall = Hall()
        hall.watch(1)
        hall.watch(2, start=9)
        hall.heard()
        for _ in range(6):
            hall.keys.put(b"k")
        if not kept:
            hall.keys.forget(4)

        told = hall.turns()
        hall.keys.forget(7)
        for _ in range(4):
            hall.keys.put(b"k")

        if kept:
            assert [(message.after, message.upto) for message in told] == [(0, 6)]
            assert [(message.watches, message.upto) for message in hall.turns()] == [((1, 2), 10)]
        else:
            assert told == [Watching(7, 100_000_000, 3, 1, 0, Reason.COMPACTED, 4)]
            assert [(message.watches, message.upto) for message in hall.turns()] == [((2,), 10)]


def test_keys_can_be_watched_and_the_log_cannot() -> None:
    assert isinstance(Kv(), Watchable)
    assert not isinstance(Log(), Watchable)


def test_who_begins_within_what_was_not_known_here_when_anothers_state_was_taken_up_goes_on_from_its_own_start() -> (
    None
):
    hall = Hall()
    hall.watch(1, start=9)
    hall.heard()
    for _ in range(10):
        hall.keys.put(b"k")
    hall.keys.forget(4)

    assert [(message.after, message.upto) for message in hall.turns()] == [(8, 10)]


def test_who_waits_for_its_turn_because_much_is_made_lacks_only_what_happened_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "MADE_PER_TURN_BYTES_MAX", 10)
    hall = Hall()
    for number in (1, 2, 3):
        hall.watch(number, b"%d" % number)
    hall.heard()
    for _ in range(20):
        hall.keys.put(b"elsewhere")
    hall.turn()
    hall.keys.forget(15)
    for number in (1, 2, 3):
        hall.keys.put(b"%d" % number)
    told = hall.turns()

    assert [(message.watches, [each.revision for each in events_of(message)]) for message in told] == [
        ((1,), [21]),
        ((2,), [22]),
        ((3,), [23]),
    ]


# ---- streams ---------------------------------------------------------------------------------


def test_a_registration_that_comes_twice_is_answered_twice_and_changes_nothing() -> None:
    hall = Hall()
    hall.watch(1)
    hall.keys.put(b"k")
    hall.turn()
    hall.watch(1, start=1)

    assert hall.heard() == [Watching(7, 100_000_000, 3, 1, 1)]
    assert hall.turns() == []


def test_a_later_stream_ends_the_earlier_one_and_what_comes_late_of_that_is_nothing() -> None:
    hall = Hall()
    hall.watch(1)
    hall.watch(2, stream=8)
    hall.heard()
    hall.watch(3, stream=7)
    hall.take(1, stream=7)
    hall.watches.unregister(ME, Unwatch(7, (2,)), hall.now)
    hall.keys.put(b"k")

    assert [(message.stream, message.watches) for message in hall.turn()] == [(8, (2,))]


def test_a_client_that_speaks_of_a_stream_that_nobody_knows_here_is_told_so() -> None:
    hall = Hall()
    hall.take(5)

    assert hall.heard() == [Watching(7, 0, 0, 0, 0, Reason.STREAM_UNKNOWN)]


def test_a_refused_registration_leaves_nothing_behind() -> None:
    hall = Hall()
    hall.watch(1, refused=Reason.NO_LEADER)
    hall.watch(2, machine="bank")
    hall.watch(3, machine="log")

    assert hall.heard() == [
        Watching(7, 0, 0, 1, 0, Reason.NO_LEADER),
        Watching(7, 0, 0, 2, 0, Reason.UNKNOWN_MACHINE),
        Watching(7, 0, 0, 3, 0, Reason.UNKNOWN_MACHINE),
    ]
    assert not hall.watches


def test_what_is_unwatched_is_not_told_any_more() -> None:
    hall = Hall()
    hall.watch(1)
    hall.watch(2)
    hall.watches.unregister(ME, Unwatch(7, (1, 5)), hall.now)
    hall.heard()
    hall.keys.put(b"k")

    assert [message.watches for message in hall.turn()] == [(2,)]


def test_who_says_nothing_for_a_while_is_forgotten_and_who_says_something_is_not() -> None:
    hall = Hall()
    hall.watch(1)
    hall.watch(2, client=OTHER)
    hall.now += streams.FORGOTTEN_AFTER_S - 1
    hall.take(1)
    hall.now += 1
    hall.turn()
    hall.keys.put(b"k")
    hall.turn()
    hall.take(1, client=OTHER)

    assert hall.heard() == [Watching(7, 0, 0, 0, 0, Reason.STREAM_UNKNOWN)]
    hall.now += streams.FORGOTTEN_AFTER_S
    hall.turn()
    assert not hall.watches
    assert hall.watches.next_deadline(True, hall.now) is None


def test_who_is_told_nothing_is_told_now_and_then_how_far_that_goes() -> None:
    hall = Hall()
    hall.watch(1)
    hall.watch(2, client=OTHER, credit=1)
    hall.keys.put(b"k")
    hall.turn(marks=True)
    hall.keys.put(b"k")
    hall.turn(marks=True)
    hall.keys.put(b"else")
    assert hall.turn(marks=True) == []
    assert hall.watches.next_deadline(True, hall.now) == hall.now + streams.MARK_EVERY_S
    hall.now += streams.MARK_EVERY_S

    assert hall.turn(marks=False) == []
    assert hall.turn(marks=True) == [WatchMark(7, 100_000_000, 4, 3), WatchMark(7, 100_000_000, 3, 0)]
    assert hall.turn(marks=True) == []


def test_a_watch_beside_one_that_is_told_all_the_time_is_told_now_and_then_how_far_that_goes() -> None:
    hall = Hall()
    hall.watch(1)
    hall.watch(2, key=b"quiet")
    marks = []
    for _ in range(30):
        hall.now += streams.MARK_EVERY_S / 8
        hall.keys.put(b"k")
        marks += [message.revision for message in hall.turn(marks=True) if isinstance(message, WatchMark)]

    assert marks == [8, 16, 24]


def test_a_client_of_which_nothing_is_registered_any_more_is_told_so_too_and_keeps_nobody_busy() -> None:
    hall = Hall()
    hall.keys.put(b"k")
    hall.watch(1)
    hall.heard()
    hall.watches.unregister(ME, Unwatch(7, (1,)), hall.now)
    hall.now += 2.0

    assert hall.turn(marks=True) == [WatchMark(7, 100_000_000, 2, 1)]

    hall.now += 2.0
    assert hall.turn(marks=True) == [WatchMark(7, 100_000_000, 3, 1)]
    due = hall.watches.next_deadline(True, hall.now)
    assert due is not None
    assert due > hall.now


def test_where_it_serves_nothing_any_more_every_client_is_told() -> None:
    hall = Hall()
    hall.watch(1)
    hall.watch(1, client=OTHER)
    hall.heard()
    hall.watches.end_all(Reason.DIFFERS)

    assert hall.heard() == [Watching(7, 0, 0, 0, 0, Reason.DIFFERS)] * 2
    assert not hall.watches


# ---- credit ----------------------------------------------------------------------------------


def test_who_takes_nothing_is_told_so_many_bytes_and_goes_on_where_it_stood_while_others_wait_for_nobody() -> None:
    hall = Hall()
    hall.watch(1)
    hall.watch(1, client=OTHER)
    hall.heard()
    for _ in range(100):
        hall.keys.put(b"k", bytes(20_000))
    slow: list[WatchEvents] = []
    other: list[WatchEvents] = []
    for _ in range(20):
        hall.watches.turn(False, hall.now)
        told, hall.told = hall.told, []
        slow += [message for client, message in told if client == ME]
        other += [message for client, message in told if client == OTHER]
        hall.take(10**6, client=OTHER)

    assert [event.revision for message in other for event in events_of(message)] == list(range(1, 101))
    assert streams.CREDIT_BYTES_MAX <= sum(len(each.events) for each in slow) < streams.CREDIT_BYTES_MAX + 100_000
    for _ in range(20):
        hall.take(10**6)
        slow += hall.turns()
    assert [event.revision for message in slow for event in events_of(message)] == list(range(1, 101))


def test_where_too_much_of_all_together_is_untaken_each_client_has_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "UNTAKEN_BYTES_MAX", 200_000)
    hall = Hall()
    for number in range(10):
        hall.watch(1, client=b"%d" % number)
    hall.heard()
    sizes: defaultdict[bytes, int] = defaultdict(int)
    for _ in range(20):
        hall.keys.put(b"k", bytes(10_000))
        hall.watches.turn(False, hall.now)
        for client, message in hall.told:
            sizes[client] += len(message.events)
        hall.told.clear()

    assert sum(sizes.values()) < 200_000 + 10 * 30_000


def test_a_revision_that_is_too_large_for_a_message_comes_in_parts_as_they_are_taken_while_others_go_on() -> None:
    hall = Hall()
    hall.watch(1, b"a", b"c")
    hall.watch(2, b"k")
    hall.heard()
    changes = [(b"b%04d" % number, bytes(1000)) for number in range(1000)]
    hall.keys.change(*changes)
    hall.keys.put(b"k", b"small")
    hall.keys.put(b"b", b"after")
    parts: list[WatchEvents] = []
    others: list[WatchEvents] = []
    for _ in range(50):
        for message in hall.turns():
            (parts if message.watches == (1,) else others).append(message)
            assert len(message.events) <= feed.LARGE_BYTES
            hall.take(message.number)

    whole = b"".join(part.events for part in parts[:-1])
    assert [part.more for part in parts] == [True] * (len(parts) - 2) + [False, False]
    assert {(part.after, part.upto) for part in parts[:-1]} == {(0, 1)}
    assert [event.key for event in decode_events(whole)] == [key for key, _ in changes]
    assert [event.revision for event in events_of(parts[-1])] == [3]
    assert [event.revision for message in others for event in events_of(message)] == [2]


def test_large_revisions_hold_so_much_memory_together_and_those_that_wait_go_on_when_they_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "LARGE_TOGETHER_BYTES_MAX", 1_500_000)
    hall = Hall()
    for number in (1, 2, 3):
        hall.watch(1, b"%d" % number, client=b"%d" % number)
    hall.heard()
    for number in (1, 2, 3):
        hall.keys.put(b"%d" % number, bytes(1_000_000))
    sizes: defaultdict[bytes, int] = defaultdict(int)
    for _ in range(100):
        hall.watches.turn(False, hall.now)
        for number in (1, 2, 3):
            hall.take(10**6, client=b"%d" % number)
        for client, message in hall.told:
            sizes[client] += len(message.events)
        hall.told.clear()

    assert {client: size > 900_000 for client, size in sizes.items()} == dict.fromkeys([b"1", b"2", b"3"], True)


# ---- cost ------------------------------------------------------------------------------------


def test_a_thousand_watches_of_one_key_share_what_is_made_of_an_event_and_those_of_one_client_its_message() -> None:
    hall = Hall()
    for number in range(1, 1001):
        hall.watch(number)
        hall.watch(number, client=b"%d" % number)
    hall.heard()
    for _ in range(5):
        hall.keys.put(b"k")

    told = hall.turn()

    assert hall.keys.encoded == 5
    assert sorted(len(message.watches) for message in told) == [1] * 1000 + [1000]
    assert len({id(message.events) for message in told}) == 1


def test_ten_thousand_idle_watches_need_little_memory_and_no_work() -> None:
    hall = Hall()
    gc.collect()
    tracemalloc.start()
    for number in range(10_000):
        hall.watch(number, b"jobs/%05d/state" % number, client=b"client-%04d" % (number % 1000))
        hall.told.clear()
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    steps = 0

    def count(*_: object) -> Callable[..., Any]:
        nonlocal steps
        steps += 1
        return count

    for number in range(100):
        hall.keys.put(b"elsewhere/%d" % number)
    sys.settrace(count)
    hall.watches.turn(True, hall.now)
    sys.settrace(None)

    assert hall.told == []
    assert used < 15_000_000
    assert steps < 5000


def test_a_thousand_that_begin_at_an_old_revision_read_what_happened_since_once() -> None:
    hall = Hall()
    for number in range(10_000):
        hall.keys.put(b"%d" % (number % 1000))
    for number in range(1000):
        hall.watch(number + 1, b"%d" % number, start=1)
    hall.heard()
    told: list[WatchEvents] = []
    for _ in range(50):
        told += hall.turn()
        hall.take(10**6)

    assert sum(len(events_of(message)) for message in told) == 10_000
    assert hall.keys.read < 3 * 10_000


# ---- anything --------------------------------------------------------------------------------

some_keys = st.sampled_from([b"a", b"aa", b"ab", b"b", b"c"])
some_ends = st.sampled_from([b"", b"", TO_THE_END, b"b", b"c"])
steps = st.one_of(
    st.tuples(
        st.just("change"), st.lists(st.tuples(some_keys, st.one_of(st.none(), st.binary(max_size=30))), max_size=4)
    ),
    st.tuples(st.just("large"), some_keys, st.integers(200, 500)),
    st.tuples(st.just("watch"), some_keys, some_ends, st.integers(-12, 4), st.booleans(), st.sampled_from([ME, OTHER])),
    st.tuples(st.just("unwatch"), st.integers(1, 12)),
    st.tuples(st.just("take"), st.sampled_from([ME, OTHER])),
    st.tuples(st.just("turn")),
    st.tuples(st.just("forget"), st.integers(0, 12)),
)


class Reader:
    """A client's side of one stream, which believes nothing."""

    def __init__(self, client: bytes) -> None:
        self.client = client
        self.number = 0
        self.stands: dict[int, Revision] = {}
        self.told: defaultdict[int, list[KeyEvent]] = defaultdict(list)
        self.parts: defaultdict[int, bytes] = defaultdict(bytes)
        self.compacted: dict[int, Revision] = {}

    def hear(self, message: Message) -> None:
        assert isinstance(message, Watching | WatchEvents | WatchMark)
        self.number += 1
        assert message.number == self.number
        match message:
            case Watching(_, _, _, watch, revision, refused, first):
                if refused:
                    self.compacted[watch] = first
                self.stands.setdefault(watch, revision)
            case WatchEvents():
                for watch in message.watches:
                    self.take(watch, message)

    def take(self, watch: int, message: WatchEvents) -> None:
        assert message.after <= self.stands[watch] <= message.upto
        self.parts[watch] += message.events
        if message.more:
            return
        events = decode_events(self.parts.pop(watch))
        self.told[watch] += [event for event in events if event.revision > self.stands[watch]]
        self.stands[watch] = message.upto


@always_the_same
@given(st.lists(steps, max_size=60))
def test_whatever_happens_each_is_told_just_what_concerns_it_from_its_start_on(script: list[Any]) -> None:
    hall, readers = Hall(), {client: Reader(client) for client in (ME, OTHER)}
    asked: dict[int, tuple[bytes, Place, Revision, bool]] = {}
    ended: set[int] = set()
    happened: dict[Revision, tuple[KeyEvent, ...]] = {}

    def hear() -> None:
        told, hall.told = hall.told, []
        for client, message in told:
            readers[client].hear(message)

    for step in script:
        match step:
            case "change", changes:
                hall.keys.change(*changes)
            case "large", key, kilobytes:
                hall.keys.put(key, bytes(kilobytes * 1000))
            case "watch", key, end, back, previous, client:
                start = max(0, hall.keys.revision + back)
                number = len(asked) + 1
                asked[number] = client, Place(key, end), start or hall.keys.revision + 1, previous
                hall.watch(number, key, end, start, client, previous=previous)
            case "unwatch", number:
                for client in (ME, OTHER):
                    hall.watches.unregister(client, Unwatch(7, (number,)), hall.now)
                ended.add(number)
                hall.told = [each for each in hall.told if each[1].number]  # no such stream here, perhaps
            case "take", client:
                hall.watches.take(client, WatchTaken(7, readers[client].number), hall.now)
                hall.told = [each for each in hall.told if each[1].number]
            case ("turn",):
                hall.watches.turn(False, hall.now)
            case "forget", back:
                hall.keys.forget(max(hall.keys.first_revision, hall.keys.revision - back))
        happened |= hall.keys.log
        hear()
    for _ in range(60):
        hall.watches.turn(False, hall.now)
        hear()
        for client in (ME, OTHER):
            hall.watches.take(client, WatchTaken(7, readers[client].number), hall.now)
        hall.told = [each for each in hall.told if each[1].number]

    for number, (client, place, start, previous) in asked.items():
        reader = readers[client]
        expected = [
            event if previous else event._replace(previous=None)
            for revision, events in sorted(happened.items())
            for event in events
            if revision >= start and place.holds(event.key)
        ]
        if number in ended or number in reader.compacted:
            count = len(reader.told[number])
            assert reader.told[number] == expected[:count]
            assert not 0 < count < len(expected) or expected[count].revision > expected[count - 1].revision
        else:
            assert reader.told[number] == expected
