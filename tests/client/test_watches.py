"""Watches of a client as a pure machine: against a scripted gateway, and against gateways over a network that loses,
repeats and reorders."""

from __future__ import annotations

from random import Random

import pytest

from paxosd.client import watches
from paxosd.client.errors import Compacted, ConfigurationError, Overloaded, WrongHistory
from paxosd.client.watched import Changed, WatchCall
from paxosd.client.watching import WatchingSession
from paxosd.core.messages import FromClient, ToClient, Unwatch, WatchEvents, Watching, WatchKeys, WatchMark, WatchTaken
from paxosd.core.reasons import Reason
from paxosd.core.types import Revision
from paxosd.machine.kv.events import decode_events, encode_event
from paxosd.machine.kv.records import KeyEvent, KeyValue

GATEWAYS = ["tcp://l1:7100", "tcp://l2:7100"]


def event(revision: Revision, key: bytes = b"k", value: bytes = b"v") -> KeyEvent:
    return KeyEvent(key, KeyValue(key, value, revision, revision, 1, 0), None, revision)


def content(*events: KeyEvent) -> bytes:
    return b"".join(encode_event(each, previous=False) for each in events)


def watch(key: bytes = b"k", end: bytes = b"", start: Revision = 0) -> WatchCall:
    return WatchCall("kv", key, end, start, False, decode_events)


class Bench:
    """A session with watches and a clock. `sent` is what its last poll gave."""

    def __init__(self, *calls: WatchCall) -> None:
        self.session = WatchingSession(GATEWAYS, Random(1))
        self.now = 50.0
        self.sent: list[FromClient] = []
        self.number = 0
        self.stream = 0
        for call in calls:
            self.session.attend(call)

    def poll(self) -> list[FromClient]:
        self.sent = self.session.poll(self.now)
        return self.sent

    def registrations(self) -> list[WatchKeys]:
        """Those that are asked for now; the stream of the latest is the one that `say` speaks in."""
        found = [message for message in self.poll() if isinstance(message, WatchKeys)]
        if found and found[-1].stream != self.stream:
            self.stream, self.number = found[-1].stream, 0
        return found

    def register(self) -> list[WatchKeys]:
        found = self.registrations()
        for asked in found:
            self.say("watching", asked.watch, asked.start - 1 if asked.start else 10)
        return found

    def hear(self, *messages: ToClient) -> None:
        for message in messages:
            self.session.receive(message, self.now)

    def say(self, what: str, watch: int = 0, revision: Revision = 0, **more: int) -> None:
        self.number += 1
        if what == "watching":
            self.hear(Watching(self.stream, 3, self.number, watch, revision, **more))
        else:
            self.hear(WatchMark(self.stream, 3, self.number, revision))

    def tell(self, *events: KeyEvent, watch: int = 1, after: Revision, upto: Revision, more: bool = False) -> None:
        self.number += 1
        self.hear(WatchEvents(self.stream, 3, self.number, (watch,), after, upto, content(*events), more))

    def later(self, seconds: float) -> None:
        """Time passes; the session is polled whenever it wants to be."""
        until, self.sent = self.now + seconds, []
        while (due := self.session.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.sent += self.session.poll(self.now)
        self.now = until


def taken(call: WatchCall) -> list[Revision]:
    found = []
    while (changed := call.take()) is not None:
        found.append(changed.revision)
    return found


def test_a_watch_is_registered_and_what_is_told_of_it_comes_out_revision_by_revision() -> None:
    call = watch(end=b"z")
    bench = Bench(call)
    (asked,) = bench.register()
    assert (asked.watch, asked.machine, asked.key, asked.end, asked.start) == (1, "kv", b"k", b"z", 0)
    assert (call.position, call.revision) == (10, 10)
    bench.tell(event(11), event(13, b"m"), event(13, b"l"), after=10, upto=15)

    assert call.revision == 10
    assert call.take() == Changed(11, (event(11),))
    assert call.revision == 12
    assert call.take() == Changed(13, (event(13, b"m"), event(13, b"l")))
    assert call.revision == 15
    assert call.take() is None


def test_what_a_watch_tells_counts_as_seen_by_its_client() -> None:
    bench = Bench(watch(end=b"z"))
    bench.register()
    bench.tell(event(11), after=10, upto=15)

    assert bench.session.seen == 15


def test_progress_goes_on_where_nothing_happens() -> None:
    call = watch(start=4)
    bench = Bench(call)
    bench.register()
    bench.say("mark", revision=0)
    assert call.revision == 3
    bench.say("mark", revision=90)
    bench.say("mark", revision=80)

    assert call.revision == 90


def test_what_comes_twice_counts_once_and_what_comes_out_of_order_waits_for_what_is_missing() -> None:
    call = watch(start=1)
    bench = Bench(call)
    bench.register()
    first = WatchEvents(bench.stream, 3, 2, (1,), 0, 5, content(event(5)), False)
    second = WatchEvents(bench.stream, 3, 3, (1,), 5, 6, content(event(6)), False)
    third = WatchEvents(bench.stream, 3, 4, (1,), 6, 7, content(event(7)), False)
    bench.hear(third, second)
    assert taken(call) == []
    bench.hear(first, first, second, third)

    assert taken(call) == [5, 6, 7]
    bench.later(watches.GAP_S * 2)
    assert not [message for message in bench.sent if isinstance(message, WatchKeys)]


def test_where_a_number_stays_missing_all_are_registered_again_from_where_they_stand() -> None:
    call, other = watch(start=1), watch(b"other", start=7)
    bench = Bench(call, other)
    first, _ = bench.register()
    bench.tell(event(5), after=0, upto=5)
    bench.hear(WatchEvents(bench.stream, 3, 9, (1,), 5, 6, content(event(6)), False))
    bench.later(watches.GAP_S + watches.PAUSE_S + 0.01)
    again = [message for message in bench.sent if isinstance(message, WatchKeys)]

    assert [(asked.start, asked.key) for asked in again] == [(6, b"k"), (7, b"other")]
    assert {asked.stream for asked in again} != {first.stream}
    assert again[0].stream > first.stream
    bench.hear(WatchEvents(first.stream, 3, 4, (1,), 5, 6, content(event(6)), False))
    assert taken(call) == [5]


def test_events_that_do_not_begin_where_the_watch_stands_are_not_taken() -> None:
    call = watch(start=1)
    bench = Bench(call)
    bench.register()
    bench.tell(event(9), after=8, upto=9)
    bench.later(1.0)

    assert taken(call) == []
    assert [message.start for message in bench.sent if isinstance(message, WatchKeys)] == [1]


def test_what_the_watch_was_told_before_is_not_told_again_where_a_gateway_begins_earlier() -> None:
    call = watch(start=6)
    bench = Bench(call)
    bench.register()
    bench.tell(event(3), event(5), event(7), after=1, upto=8)

    assert taken(call) == [7]


def test_a_revision_in_parts_is_handed_out_whole_or_not_at_all() -> None:
    call = watch(start=1)
    bench = Bench(call)
    bench.register()
    whole = content(event(4, b"k1"), event(4, b"k2"), event(4, b"k3"))
    for number, (part, more) in enumerate(((whole[:7], True), (whole[7:50], True)), 2):
        bench.hear(WatchEvents(bench.stream, 3, number, (1,), 0, 4, part, more))
    assert call.take() is None
    assert call.revision == 0
    bench.hear(WatchEvents(bench.stream, 3, 4, (1,), 0, 4, whole[50:], False))
    assert call.take() == Changed(4, (event(4, b"k1"), event(4, b"k2"), event(4, b"k3")))


def test_parts_of_a_stream_that_ended_are_forgotten() -> None:
    call = watch(start=1)
    bench = Bench(call)
    bench.register()
    whole = content(event(4, b"k1"), event(4, b"k2"))
    bench.hear(WatchEvents(bench.stream, 3, 2, (1,), 0, 4, whole[:7], True))
    bench.hear(Watching(bench.stream, 0, 0, 0, 0, Reason.STREAM_UNKNOWN))
    bench.now += 0.1
    (asked,) = bench.register()
    bench.hear(WatchEvents(bench.stream, 3, 2, (asked.watch,), 0, 4, whole, False))

    assert taken(call) == [4]


@pytest.mark.parametrize("nonsense", [b"\xc1", content(event(5), event(4)), b"\x93\x01"])
def test_bytes_that_are_no_events_end_the_stream_and_nothing_else(nonsense: bytes) -> None:
    call = watch(start=1)
    bench = Bench(call)
    bench.register()
    bench.hear(WatchEvents(bench.stream, 3, 2, (1,), 0, 9, nonsense, False))

    assert taken(call) == []
    assert call.revision == 0
    bench.later(0.1)
    assert [message.start for message in bench.sent if isinstance(message, WatchKeys)] == [1]


def test_a_gateway_that_was_started_anew_and_knows_half_of_the_stream_is_not_taken_for_one_that_knows_all() -> None:
    call, other = watch(start=1), watch(b"other", start=1)
    bench = Bench(call, other)
    bench.registrations()
    bench.say("watching", 1, 0)
    bench.hear(Watching(bench.stream, 9, 1, 2, 0), WatchMark(bench.stream, 9, 2, 50))
    bench.later(0.1)

    assert (call.revision, other.revision) == (0, 0)
    again = [message for message in bench.sent if isinstance(message, WatchKeys)]
    assert [(message.key, message.start) for message in again] == [(b"k", 1), (b"other", 1)]


# ---- gateways --------------------------------------------------------------------------------


def test_a_gateway_that_leaves_a_registration_unanswered_is_left() -> None:
    bench = Bench(watch())
    bench.registrations()
    bench.later(watches.PATIENCE_S + 0.1)

    assert bench.session.gateway == GATEWAYS[1]
    assert [message.watch for message in bench.sent if isinstance(message, WatchKeys)][-1] == 2


def test_a_gateway_that_says_nothing_for_some_seconds_is_left_and_one_that_says_it_is_there_is_not() -> None:
    bench = Bench(watch())
    bench.register()
    for _ in range(10):
        bench.later(watches.SILENCE_S - 0.1)
        bench.say("mark")
    assert bench.session.gateway == GATEWAYS[0]
    bench.later(watches.SILENCE_S + 0.1)

    assert bench.session.gateway == GATEWAYS[1]


def test_a_client_that_stood_still_first_looks_at_what_came_meanwhile() -> None:
    bench = Bench(watch())
    bench.register()
    bench.now += 60
    bench.poll()
    bench.say("mark", revision=99)
    bench.later(1.0)

    assert bench.session.gateway == GATEWAYS[0]


def test_a_gateway_is_told_again_and_again_that_we_are_there_and_what_we_took() -> None:
    bench = Bench(watch(start=1))
    bench.register()
    bench.tell(event(1, value=bytes(watches.CREDIT_BYTES // 4)), after=0, upto=1)
    assert bench.poll() == [WatchTaken(bench.stream, 2)]
    bench.later(watches.HERE_EVERY_S + 0.01)

    assert WatchTaken(bench.stream, 2) in bench.sent


@pytest.mark.parametrize("reason", [Reason.STOPPING, Reason.DIFFERS])
def test_a_gateway_that_serves_nothing_more_is_left_at_once(reason: Reason) -> None:
    bench = Bench(watch(start=1))
    bench.register()
    bench.hear(Watching(bench.stream, 0, 0, 0, 0, reason))
    bench.later(0.1)

    assert bench.session.gateway == GATEWAYS[1]
    assert [message.start for message in bench.sent if isinstance(message, WatchKeys)] == [1]


@pytest.mark.parametrize("reason", [Reason.NO_LEADER, Reason.BEHIND, Reason.OVERLOADED])
def test_who_is_refused_asks_less_and_less_often_and_now_and_then_somebody_else(reason: Reason) -> None:
    bench = Bench(watch(), watch(b"other"))
    times = []
    gateways = set()
    for _ in range(12):
        while not (asked := bench.registrations()):
            bench.now = bench.session.next_deadline() or 0
        times.append(bench.now)
        gateways.add(bench.session.gateway)
        bench.hear(*(Watching(bench.stream, 0, 0, each.watch, 0, reason) for each in asked))

    assert gateways == set(GATEWAYS)
    assert times[-1] - times[-2] == watches.PAUSE_S_MAX


def test_a_compacted_watch_ends_with_the_first_revision_that_is_told_and_others_go_on() -> None:
    call, other = watch(start=3), watch(b"other", start=9)
    bench = Bench(call, other)
    bench.registrations()
    bench.say("watching", 1, 2, refused=Reason.COMPACTED, first=8)
    bench.say("watching", 2, 8)
    bench.tell(event(9, b"other"), watch=2, after=8, upto=9)

    assert isinstance(call.error, Compacted)
    assert call.error.first_available == 8
    assert taken(other) == [9]


def test_a_machine_that_is_not_there_ends_the_watch() -> None:
    call = watch()
    bench = Bench(call)
    bench.registrations()
    bench.hear(Watching(bench.stream, 0, 0, 1, 0, Reason.UNKNOWN_MACHINE))

    assert isinstance(call.error, ConfigurationError)


def test_where_all_gateways_are_of_another_history_a_client_that_only_watches_ends() -> None:
    bench = Bench(watch(start=1))
    bench.register()
    bench.session.set_aside(GATEWAYS[0], "another history", bench.now, of_history=True)
    assert bench.session.gateway == GATEWAYS[1]

    with pytest.raises(WrongHistory):
        bench.session.set_aside(GATEWAYS[1], "another history", bench.now, of_history=True)


# ---- callers ---------------------------------------------------------------------------------


def test_a_watch_that_was_closed_is_ended_and_what_is_still_told_of_it_is_nothing() -> None:
    call, other = watch(start=1), watch(b"other", start=1)
    bench = Bench(call, other)
    bench.register()
    call.closed = True
    bench.session.attend(call)
    assert bench.poll() == [Unwatch(bench.stream, (1,))]
    bench.tell(event(1), after=0, upto=1)

    assert taken(call) == []
    assert bench.poll() == [Unwatch(bench.stream, (1,))]


def test_the_last_watch_is_ended_too() -> None:
    call = watch(start=1)
    bench = Bench(call)
    bench.register()
    call.closed = True
    bench.session.attend(call)

    assert bench.poll() == [Unwatch(bench.stream, (1,))]
    assert bench.poll() == []
    assert bench.session.next_deadline() is None


def test_a_caller_that_takes_nothing_has_its_watch_rest_and_goes_on_without_a_gap_while_others_go_on() -> None:
    call, other = watch(start=1), watch(b"other", start=1)
    bench = Bench(call, other)
    bench.register()
    for revision in range(1, 6):
        bench.tell(event(revision, value=bytes(100_000)), after=revision - 1, upto=revision)
        bench.tell(event(revision, b"other"), watch=2, after=revision - 1, upto=revision)
    sent = bench.poll()
    assert Unwatch(bench.stream, (1,)) in sent
    assert taken(other) == [1, 2, 3, 4, 5]
    assert call.rests
    call.take()
    bench.session.attend(call)
    assert bench.registrations() == []
    call.take()
    bench.session.attend(call)
    (again,) = bench.registrations()

    assert (again.start, again.stream) == (4, bench.stream)
    assert not call.rests
    bench.say("watching", again.watch, 3)
    bench.tell(event(4), event(5), watch=again.watch, after=3, upto=5)
    assert taken(call) == [3, 4, 5]


def test_registrations_go_out_so_many_at_once() -> None:
    bench = Bench(*[watch(b"%d" % number) for number in range(watches.REGISTERING_MAX + 10)])
    first = bench.register()
    second = bench.register()

    assert (len(first), len(second)) == (watches.REGISTERING_MAX, 10)


def test_more_watches_than_a_client_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "WATCHES_MAX", 2)
    calls = [watch(), watch(), watch()]
    Bench(*calls)

    assert [type(call.error) for call in calls] == [type(None), type(None), Overloaded]


def test_who_waits_is_woken_by_what_comes_by_the_registration_and_by_the_end() -> None:
    call = watch()
    woken: list[str] = []
    call.watcher = lambda: woken.append("woken")
    bench = Bench(call)
    bench.register()
    assert len(woken) == 1
    bench.say("mark", revision=99)
    assert len(woken) == 1
    bench.tell(event(100), after=99, upto=100)
    assert len(woken) == 2
    bench.session.close(Overloaded, "of this test")

    assert len(woken) == 3
    assert isinstance(call.error, Overloaded)
    assert taken(call) == [100]
