"""Which places hold a key: the same as by looking at all of them, and quickly."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from paxosd.gateway.ranges import TO_THE_END, Place, Ranges
from tests.core.helpers import always_the_same

keys = st.binary(min_size=0, max_size=2)
Bounds = tuple[bytes, bytes]
bounds = st.tuples(keys, st.one_of(st.just(b""), st.just(TO_THE_END), keys))


@always_the_same
@given(st.lists(st.tuples(st.booleans(), bounds), max_size=60), st.lists(keys, max_size=20))
def test_a_key_is_held_by_just_those_places_that_say_so(steps: list[tuple[bool, Bounds]], asked: list[bytes]) -> None:
    ranges, model = Ranges(), dict[Bounds, Place]()
    for adds, (key, end) in steps:
        if adds:
            model[key, end] = ranges.place(key, end)
        elif (key, end) in model:
            ranges.remove(model.pop((key, end)))

    assert len(ranges) == len(model)
    for key in asked:
        found = [(place.key, place.end) for place in ranges.of(key)]
        assert len(found) == len(set(found))
        assert set(found) == {bounds for bounds, place in model.items() if place.holds(key)}


def test_a_key_among_thousands_of_ranges_is_found_in_a_few_steps_also_after_half_of_them_went() -> None:
    ranges, random = Ranges(), Random(3)
    names = [b"%05d/" % number for number in range(10_000)]
    random.shuffle(names)
    places = [ranges.place(name, name[:-1] + b"0") for name in names]
    for place in places[:5000]:
        ranges.remove(place)

    class Counted(bytes):
        compared = 0

        def __lt__(self, other: bytes) -> bool:
            Counted.compared += 1
            return bytes(self) < other

        def __ge__(self, other: bytes) -> bool:
            Counted.compared += 1
            return bytes(self) >= other

    found = list(ranges.of(Counted(places[9000].key + b"x")))

    assert found == [places[9000]]
    assert Counted.compared < 1000


def test_a_place_is_one_for_all_that_ask_for_the_same_keys() -> None:
    ranges = Ranges()

    assert ranges.place(b"a", b"") is ranges.place(b"a", b"")
    assert ranges.place(b"a", b"b") is ranges.place(b"a", b"b")
    assert ranges.place(b"a", b"") is not ranges.place(b"a", b"b")
