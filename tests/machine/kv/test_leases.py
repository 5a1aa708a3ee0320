"""Leases: log time, and the keys that end with them."""

from __future__ import annotations

import pytest

from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.ranges import NO_END
from paxosd.machine.kv.records import KeyEvent, KeyValue
from paxosd.machine.kv.requests import (
    AskLease,
    AskLeases,
    Delete,
    Failure,
    Grant,
    Keep,
    Put,
    Range,
    Revoke,
    Txn,
)
from paxosd.machine.kv.results import (
    Failed,
    Granted,
    KeepDone,
    LeaseFound,
    LeasesFound,
    Revoked,
)
from tests.machine.kv.fed import FedKv


@pytest.fixture
def kv() -> FedKv:
    return FedKv()


def test_a_lease_has_the_revision_of_its_grant_as_its_id(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b""))

    assert kv.do(Grant(500, b"name"), Granted) == Granted(2, 500)
    assert kv.ask(AskLease(2), LeaseFound) == LeaseFound(2, 500, 500, b"name")
    assert kv.kv.due_ms == kv.log_time_ms + 500


def test_keys_end_with_their_lease_in_one_revision(kv: FedKv) -> None:
    kv.do_all(Grant(500), Put(b"b", b"", 1), Put(b"a", b"", 1), Put(b"other", b""))
    kv.wait_ms(499)
    assert kv.range(Range(b"a", NO_END)) == [b"a", b"b", b"other"]
    kv.wait_ms(1)

    assert kv.range(Range(b"a", NO_END)) == [b"other"]
    assert kv.events(5) == [
        (5, tuple(KeyEvent(key, None, KeyValue(key, b"", made, made, 1, 1), 5) for key, made in ((b"a", 3), (b"b", 2))))
    ]
    assert kv.kv.due_ms is None


def test_a_lease_that_is_kept_runs_for_its_whole_time_from_then_on(kv: FedKv) -> None:
    kv.do_all(Grant(500), Put(b"k", b"", 1))
    kv.wait_ms(400)

    assert kv.do(Keep((1, 9)), KeepDone) == KeepDone((500, 0))
    kv.wait_ms(499)
    assert kv.ask(AskLease(1), LeaseFound) == LeaseFound(1, 500, 1, b"", (b"k",))
    kv.wait_ms(1)
    assert kv.ask(AskLease(1), Failed).failure == Failure.LEASE_GONE
    assert kv.do(Keep((1,)), KeepDone) == KeepDone((0,))


def test_a_lease_that_is_revoked_takes_its_keys_along(kv: FedKv) -> None:
    kv.do_all(Grant(500), Put(b"k", b"", 1), Put(b"other", b""))

    assert kv.do(Revoke(1), Revoked) == Revoked(1)
    assert kv.range(Range(b"a", NO_END)) == [b"other"]
    assert kv.fails(Revoke(1)) == Failure.LEASE_GONE


def test_a_put_with_a_lease_that_is_not_there_is_refused(kv: FedKv) -> None:
    kv.do_all(Grant(500))

    assert kv.fails(Put(b"k", b"", 7)) == Failure.LEASE_GONE
    assert kv.fails(Txn(then=(Put(b"a", b""), Put(b"k", b"", 7)))) == Failure.LEASE_GONE


def test_a_put_without_a_lease_takes_the_key_off_the_one_it_had(kv: FedKv) -> None:
    kv.do_all(Grant(500), Put(b"k", b"", 1), Put(b"k", b"free"))
    kv.wait_ms(500)

    assert kv.range(Range(b"k")) == [b"k"]


def test_a_put_with_another_lease_moves_the_key_to_it(kv: FedKv) -> None:
    kv.do_all(Grant(500), Grant(900), Put(b"k", b"", 1), Put(b"k", b"", 2))
    kv.wait_ms(500)
    assert kv.range(Range(b"k")) == [b"k"]
    kv.wait_ms(400)
    assert kv.range(Range(b"k")) == []


def test_a_put_may_keep_the_lease_of_its_key(kv: FedKv) -> None:
    kv.do_all(Grant(500), Put(b"k", b"", 1), Put(b"k", b"new", keep_lease=True))

    assert kv.get(b"k") == KeyValue(b"k", b"new", 2, 3, 2, 1)
    kv.wait_ms(500)
    assert kv.range(Range(b"k")) == []


def test_a_key_that_was_deleted_is_not_the_leases_any_more(kv: FedKv) -> None:
    kv.do_all(Grant(500), Put(b"k", b"", 1), Delete(b"k"), Put(b"k", b""))
    kv.wait_ms(500)

    assert kv.range(Range(b"k")) == [b"k"]


def test_a_transaction_that_is_taken_back_leaves_leases_with_their_keys(kv: FedKv) -> None:
    kv.do_all(Grant(500), Put(b"a", b"", 1), Put(b"b", b""))
    failing = Put(b"c", b"", keep_value=True)

    assert kv.fails(Txn(then=(Put(b"a", b"free"), Put(b"b", b"", 1), failing))) == Failure.KEY_NOT_FOUND
    kv.wait_ms(500)
    assert kv.range(Range(b"a", NO_END)) == [b"b"]


def test_leases_are_listed_in_the_order_of_their_ids(kv: FedKv) -> None:
    kv.do_all(Grant(900), Grant(500, b"x"), Grant(700))

    found = kv.ask(AskLeases(2), LeasesFound)
    assert found == LeasesFound((LeaseFound(2, 500, 500, b"x"), LeaseFound(3, 700, 700, b"")))


def test_where_very_many_keys_run_out_at_once_some_go_now_and_none_of_their_leases_is_alive() -> None:
    kv = FedKv(KvBounds(changes=3))
    kv.do_all(Grant(500), Grant(500), Put(b"a", b"", 1), Put(b"b", b"", 1), Put(b"c", b"", 2), Put(b"d", b"", 2))
    kv.wait_ms(500)

    assert kv.range(Range(b"a", NO_END)) == [b"c", b"d"]
    assert kv.kv.due_ms == kv.log_time_ms
    assert kv.do(Keep((1, 2)), KeepDone) == KeepDone((0, 0))
    assert kv.fails(Put(b"e", b"", 2)) == Failure.LEASE_GONE
    assert kv.fails(Revoke(2)) == Failure.LEASE_GONE
    assert kv.ask(AskLeases(), LeasesFound) == LeasesFound(())
    kv.wait_ms(0)
    assert kv.range(Range(b"a", NO_END)) == []


def test_leases_that_run_out_together_go_in_one_revision_and_the_first_one_first(kv: FedKv) -> None:
    kv.do_all(Grant(900), Grant(500), Put(b"a", b"", 1), Put(b"b", b"", 2))
    kv.wait_ms(1000)

    assert [(revision, [event.key for event in events]) for revision, events in kv.events(5)] == [(5, [b"b", b"a"])]
