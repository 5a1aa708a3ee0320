"""The history of keys has a steady size, in memory and on a disk, and what is undone leaves no trace in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.by_key import ChangesByKey
from paxosd.machine.kv.past import KeyHistory
from paxosd.machine.kv.ranges import FIRST_KEY, NO_END
from paxosd.machine.kv.records import Change
from paxosd.machine.kv.requests import AskLease, Delete, Grant, Op, Put, Range, Txn
from paxosd.machine.kv.results import LeaseFound
from paxosd.machine.kv.rows import CHANGES
from tests.machine.kv.fed import FedKv, take_changes

WINDOW = 50
BOUNDS = KvBounds(window_revisions=WINDOW)


def puts_of_one_key(count: int) -> Iterator[Change]:
    previous = None
    for revision in range(1, count + 1):
        record = b"%d" % revision
        yield revision, b"k", record, previous
        previous = record


def test_a_history_that_goes_on_takes_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    past = KeyHistory(BOUNDS)
    for change in puts_of_one_key(20 * WINDOW):
        past.add_all([change])

    assert len(past) == WINDOW
    assert len(past._changes) <= 2 * WINDOW + 1


def test_what_is_listed_of_one_key_that_changes_all_the_time_takes_no_more_room() -> None:
    listed = ChangesByKey()
    changes = list(puts_of_one_key(20 * WINDOW))
    for number, change in enumerate(changes):
        listed.add(change)
        if number >= WINDOW:
            listed.forget(changes[number - WINDOW])

    assert len(listed._of_key[b"k"]) <= 2 * WINDOW


@pytest.mark.parametrize("change", [Put(b"gone", b"undone"), Delete(b"there")])
def test_a_change_that_is_undone_after_the_past_was_read_behind_it_leaves_the_past_as_it_was(change: Op) -> None:
    kv = FedKv(BOUNDS)
    kv.do_all(Put(b"gone", b"1"), Put(b"there", b"2"), Delete(b"gone"))
    asked, refused = Range(FIRST_KEY, NO_END, 2), Put(b"other", b"x", lease=999)

    kv.fails(Txn((), (change, asked, refused)))

    assert kv.range(asked) == [b"gone", b"there"]
    assert kv.range(Range(FIRST_KEY, NO_END, 3)) == [b"there"]


@pytest.mark.parametrize("lease", [1, 256, 1 << 32])
def test_a_put_with_a_lease_is_no_plain_one_whatever_its_number(lease: int) -> None:
    """The bytes of some numbers end as those of 0."""
    kv = FedKv(BOUNDS)
    kv.revision = lease - 1
    kv.do_all(Grant(1000, b""), Put(b"k", b"v", lease))

    assert kv.ask(AskLease(lease), LeaseFound).keys == (b"k",)


def test_changes_that_an_earlier_life_wrote_go_from_the_disk_when_they_are_out_of_the_window() -> None:
    kv, rows = FedKv(BOUNDS), dict[bytes, bytes]()
    for number in range(20 * WINDOW):
        kv.do_all(Put(b"k", b"%d" % number))
        take_changes(kv.kv, rows)
        if number % 7 == 0:
            kv.kv.restore(sorted(rows.items()))

    assert sum(key[:1] == CHANGES for key in rows) <= WINDOW + 1
