"""Events as bytes and back: every event, one behind the other, and anything that is none."""

from __future__ import annotations

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxosd.machine.kv.events import MalformedEvents, decode_events, encode_event
from paxosd.machine.kv.records import KeyEvent, KeyValue
from tests.core.helpers import always_the_same

numbers = st.integers(1, 2**63 - 1)
keys = st.binary(max_size=5)


def kvs(key: bytes) -> st.SearchStrategy[KeyValue | None]:
    return st.one_of(
        st.none(), st.builds(KeyValue, st.just(key), st.binary(max_size=9), numbers, numbers, numbers, numbers)
    )


events = keys.flatmap(lambda key: st.builds(KeyEvent, st.just(key), kvs(key), kvs(key), numbers))


@always_the_same
@given(st.lists(events, max_size=5))
def test_events_one_behind_the_other_are_read_as_they_were(told: list[KeyEvent]) -> None:
    assert decode_events(b"".join(encode_event(event, previous=True) for event in told)) == told
    without = [event._replace(previous=None) for event in told]
    assert decode_events(b"".join(encode_event(event, previous=False) for event in told)) == without


@always_the_same
@given(st.binary(max_size=60))
def test_bytes_that_are_no_events_are_refused_and_raise_nothing_else(content: bytes) -> None:
    with suppress(MalformedEvents):
        assert all(isinstance(event, KeyEvent) for event in decode_events(content))


@pytest.mark.parametrize(
    "fields",
    [
        [], [1, b"k"], [0, b"k", None], [-1, b"k", None], [2**63, b"k", None], [True, b"k", None], ["1", b"k", None],
        [1, "k", None], [1, b"k", b"short"], [1, b"k", "text"], [1, b"k", None, None, None], {}, 7, None,
    ],
)  # fmt: skip
def test_what_cannot_be_an_event_is_refused(fields: object) -> None:
    with pytest.raises(MalformedEvents):
        decode_events(bytes(msgpack.packb(fields)))


def test_bytes_that_end_inside_an_event_are_refused() -> None:
    whole = encode_event(KeyEvent(b"key", KeyValue(b"key", b"value", 1, 2, 3, 4), None, 2), previous=False)

    for length in range(1, len(whole)):
        with pytest.raises(MalformedEvents):
            decode_events(whole[:length])
