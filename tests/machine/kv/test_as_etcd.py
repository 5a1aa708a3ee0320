"""What etcd's manual says of keys, transactions and history, sentence by sentence."""

from __future__ import annotations

import pytest

from paxosd.machine.kv.ranges import FIRST_KEY, NO_END, prefix_range
from paxosd.machine.kv.records import KeyEvent, KeyValue
from paxosd.machine.kv.requests import (
    Compact,
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Failure,
    Op,
    Put,
    Range,
    Sort,
    Txn,
)
from paxosd.machine.kv.results import CompactDone, Deleted, Failed, PutDone, RangeFound, TxnDone
from tests.machine.kv.fed import FedKv

EQUAL, NOT_EQUAL, LESS, GREATER = CompareOp.EQUAL, CompareOp.NOT_EQUAL, CompareOp.LESS, CompareOp.GREATER
VALUE, VERSION, CREATE, MOD, LEASE = CompareTarget


@pytest.fixture
def kv() -> FedKv:
    return FedKv()


# ---- keys ----


def test_a_key_has_the_revision_that_made_it_the_latest_one_and_a_version(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b"1"), Put(b"other", b""), Put(b"k", b"2"))

    assert kv.get(b"k") == KeyValue(b"k", b"2", create_revision=1, mod_revision=3, version=2, lease=0)


def test_a_key_that_was_deleted_and_is_put_again_begins_with_version_1(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b"1"), Put(b"k", b"2"), Delete(b"k"), Put(b"k", b"3"))

    assert kv.get(b"k") == KeyValue(b"k", b"3", 4, 4, 1, 0)


def test_missing_is_not_empty(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b""))

    assert kv.get(b"k") == KeyValue(b"k", b"", 1, 1, 1, 0)
    assert kv.get(b"missing") is None


def test_a_put_tells_the_previous_if_it_is_asked(kv: FedKv) -> None:
    assert kv.do(Put(b"k", b"1", previous=True), PutDone) == PutDone(None)
    assert kv.do(Put(b"k", b"2"), PutDone) == PutDone(None)
    assert kv.do(Put(b"k", b"3", previous=True), PutDone) == PutDone(KeyValue(b"k", b"2", 1, 2, 2, 0))


def test_a_put_may_keep_the_value(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b"1"), Put(b"k", b"", keep_value=True))

    assert kv.get(b"k") == KeyValue(b"k", b"1", 1, 2, 2, 0)


def test_what_is_to_be_kept_must_be_there(kv: FedKv) -> None:
    assert kv.fails(Put(b"k", b"", keep_value=True)) == Failure.KEY_NOT_FOUND
    assert kv.fails(Put(b"k", b"v", keep_lease=True)) == Failure.KEY_NOT_FOUND


def test_a_value_that_is_given_and_kept_is_refused(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b"1"))

    assert kv.fails(Put(b"k", b"2", keep_value=True)) == Failure.INVALID


@pytest.mark.parametrize("command", [Put(b"", b"v"), Delete(b""), Delete(b"", b"z"), Txn(then=(Put(b"", b""),))])
def test_an_empty_key_is_refused(kv: FedKv, command: Put | Delete | Txn) -> None:
    assert kv.fails(command) == Failure.EMPTY_KEY


# ---- deletes and ranges ----


@pytest.fixture
def five(kv: FedKv) -> FedKv:
    kv.do_all(*[Put(key, key.upper()) for key in (b"a", b"a\xff", b"b", b"b/1", b"\xff\xff")])
    return kv


@pytest.mark.parametrize(
    ("key", "end", "found"),
    [
        (b"b", b"", [b"b"]),
        (b"c", b"", []),
        (b"a", b"b", [b"a", b"a\xff"]),
        (b"b", NO_END, [b"b", b"b/1", b"\xff\xff"]),
        (FIRST_KEY, NO_END, [b"a", b"a\xff", b"b", b"b/1", b"\xff\xff"]),
        (b"b", b"a", []),
        (b"b", b"b", []),
    ],
)
def test_a_range_ends_below_its_end(five: FedKv, key: bytes, end: bytes, found: list[bytes]) -> None:
    assert five.range(Range(key, end)) == found
    assert five.do(Delete(key, end), Deleted).count == len(found)
    assert five.range(Range(key, end)) == []


@pytest.mark.parametrize(
    ("prefix", "found"),
    [(b"a", [b"a", b"a\xff"]), (b"a\xff", [b"a\xff"]), (b"\xff", [b"\xff\xff"]), (b"b/", [b"b/1"]),
     (b"", [b"a", b"a\xff", b"b", b"b/1", b"\xff\xff"])],
)  # fmt: skip
def test_a_prefix_finds_what_begins_so(five: FedKv, prefix: bytes, found: list[bytes]) -> None:
    assert five.range(Range(*prefix_range(prefix))) == found


def test_a_delete_tells_how_many_keys_are_gone_and_what_they_were(five: FedKv) -> None:
    assert five.do(Delete(b"a", b"b", previous=True), Deleted) == Deleted(
        2, (KeyValue(b"a", b"A", 1, 1, 1, 0), KeyValue(b"a\xff", b"A\xff", 2, 2, 1, 0))
    )


def test_a_delete_of_nothing_is_no_event(five: FedKv) -> None:
    assert five.do(Delete(b"nothing"), Deleted) == Deleted(0)
    assert five.events(6) == []


def test_a_limit_tells_the_first_items_that_there_are_more_and_how_many_in_all(five: FedKv) -> None:
    found = five.ask(Range(b"a", NO_END, limit=2), RangeFound)

    assert ([kv.key for kv in found.items], found.count, found.more) == ([b"a", b"a\xff"], 5, True)
    assert not five.ask(Range(b"a", NO_END, limit=5), RangeFound).more


def test_counting_alone_tells_no_items(five: FedKv) -> None:
    assert five.ask(Range(b"a", b"c", count_only=True), RangeFound) == RangeFound((), 4, False, 5)


def test_keys_alone_come_without_values(five: FedKv) -> None:
    assert five.ask(Range(b"b", keys_only=True), RangeFound).items == (KeyValue(b"b", b"", 3, 3, 1, 0),)


@pytest.mark.parametrize(
    ("sort", "ascending"),
    [
        (Sort.KEY, [b"a", b"b", b"c"]),
        (Sort.VALUE, [b"c", b"b", b"a"]),
        (Sort.VERSION, [b"a", b"c", b"b"]),
        (Sort.CREATE, [b"c", b"a", b"b"]),
        (Sort.MOD, [b"a", b"c", b"b"]),
    ],
)
def test_a_range_is_in_the_order_that_is_asked_and_the_limit_counts_after_it(
    kv: FedKv, sort: Sort, ascending: list[bytes]
) -> None:
    kv.do_all(Put(b"c", b""), Put(b"a", b"3"), Put(b"b", b""), Put(b"c", b"1"), Put(b"b", b""), Put(b"b", b"2"))

    assert kv.range(Range(b"a", NO_END, sort=sort)) == ascending
    assert kv.range(Range(b"a", NO_END, sort=sort, descending=True, limit=2)) == ascending[:0:-1]


def test_bounds_of_revisions_pass_over_items(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b""), Put(b"b", b""), Put(b"c", b""), Put(b"a", b""))

    assert kv.range(Range(b"a", NO_END, min_mod_revision=3)) == [b"a", b"c"]
    assert kv.range(Range(b"a", NO_END, max_mod_revision=3)) == [b"b", b"c"]
    assert kv.range(Range(b"a", NO_END, min_create_revision=2)) == [b"b", b"c"]
    assert kv.range(Range(b"a", NO_END, max_create_revision=1)) == [b"a"]


# ---- transactions ----


def holds(kv: FedKv, *compares: Compare) -> bool:
    return kv.do(Txn(compares), TxnDone).succeeded


@pytest.mark.parametrize(
    ("target", "equal", "lower"),
    [(VALUE, b"v", b"u"), (VERSION, 2, 1), (CREATE, 2, 1), (MOD, 3, 2), (LEASE, 0, None)],
)
def test_each_target_is_compared_in_four_ways(
    kv: FedKv, target: CompareTarget, equal: bytes | int, lower: bytes | int | None
) -> None:
    kv.do_all(Put(b"other", b""), Put(b"k", b"w"), Put(b"k", b"v"))

    assert holds(kv, Compare(b"k", target, EQUAL, equal))
    assert not holds(kv, Compare(b"k", target, NOT_EQUAL, equal))
    assert not holds(kv, Compare(b"k", target, GREATER, equal))
    assert not holds(kv, Compare(b"k", target, LESS, equal))
    if lower is not None:
        assert holds(kv, Compare(b"k", target, GREATER, lower))
        assert holds(kv, Compare(b"k", target, NOT_EQUAL, lower))
        assert not holds(kv, Compare(b"k", target, LESS, lower))


@pytest.mark.parametrize("target", [VERSION, CREATE, MOD, LEASE])
def test_a_key_that_is_not_there_has_version_revisions_and_lease_0(kv: FedKv, target: CompareTarget) -> None:
    assert holds(kv, Compare(b"missing", target, EQUAL, 0))
    assert not holds(kv, Compare(b"missing", target, GREATER, 0))


@pytest.mark.parametrize("op", CompareOp)
@pytest.mark.parametrize("operand", [b"", b"v"])
def test_no_compare_of_a_value_holds_for_a_key_that_is_not_there(kv: FedKv, op: CompareOp, operand: bytes) -> None:
    assert not holds(kv, Compare(b"missing", VALUE, op, operand))
    assert not holds(kv, Compare(b"a", VALUE, op, operand, end=NO_END))


def test_a_compare_of_a_range_is_of_each_key_in_it(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"), Put(b"b", b"1"), Put(b"c", b"2"))

    assert holds(kv, Compare(b"a", VALUE, EQUAL, b"1", end=b"c"))
    assert not holds(kv, Compare(b"a", VALUE, EQUAL, b"1", end=NO_END))
    assert holds(kv, Compare(b"x", CREATE, EQUAL, 0, end=NO_END))


def test_all_compares_must_hold_and_none_is_enough(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"))

    assert holds(kv)
    assert not holds(kv, Compare(b"a", VALUE, EQUAL, b"1"), Compare(b"b", VERSION, GREATER, 0))


def test_one_transaction_is_one_revision(kv: FedKv) -> None:
    kv.do_all(Txn(then=(Put(b"a", b""), Put(b"b", b""), Delete(b"c"))))

    assert [(each.mod_revision, each.version) for each in kv.all_keys()] == [(1, 1), (1, 1)]
    assert kv.events(1) == [(1, tuple(KeyEvent(key, KeyValue(key, b"", 1, 1, 1, 0), None, 1) for key in (b"a", b"b")))]


def test_the_other_branch_is_done_if_a_compare_does_not_hold(kv: FedKv) -> None:
    txn = Txn((Compare(b"k", VERSION, EQUAL, 0),), (Put(b"k", b"new"),), (Range(b"k"), Put(b"seen", b"")))
    first, second = kv.do(txn, TxnDone), kv.do(txn, TxnDone)

    assert first == TxnDone(True, (PutDone(),))
    assert second == TxnDone(False, (RangeFound((KeyValue(b"k", b"new", 1, 1, 1, 0),), 1, False, 2), PutDone()))


def test_an_operation_sees_what_those_before_it_did(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b""))
    done = kv.do(Txn(then=(Put(b"b", b""), Range(b"a", NO_END), Delete(b"a"), Range(b"a", NO_END))), TxnDone)

    found = [[kv.key for kv in result.items] for result in done.results if isinstance(result, RangeFound)]
    assert found == [[b"a", b"b"], [b"b"]]


def test_compares_of_inner_transactions_see_the_keys_as_they_were_before(kv: FedKv) -> None:
    inner = Txn((Compare(b"a", VERSION, EQUAL, 0),), (Put(b"c", b"as before"),), (Put(b"c", b"as it became"),))
    kv.do_all(Txn(then=(Put(b"a", b""), inner)))

    assert (found := kv.get(b"c")) and found.value == b"as before"


@pytest.mark.parametrize(
    "ops",
    [
        (Put(b"k", b"1"), Put(b"k", b"2")),
        (Put(b"k", b"1"), Delete(b"k")),
        (Delete(b"k"), Put(b"k", b"1")),
        (Delete(b"a", b"z"), Put(b"k", b"1")),
        (Put(b"k", b"1"), Delete(b"a", NO_END)),
        (Put(b"k", b"1"), Txn(then=(Put(b"k", b"2"),))),
        (Put(b"k", b"1"), Txn(otherwise=(Put(b"k", b"2"),))),
        (Txn(then=(Put(b"k", b"1"),)), Txn(otherwise=(Put(b"k", b"2"),))),
        (Delete(b"k"), Txn(then=(Put(b"k", b"2"),))),
        (Txn(then=(Put(b"k", b"2"),)), Txn(then=(Delete(b"k"),))),
        (Txn(then=(Txn(then=(Put(b"k", b"2"),)),)), Put(b"k", b"1")),
        (Txn(then=(Put(b"k", b"2"),), otherwise=(Delete(b"k"), Put(b"l", b""))), Delete(b"l")),
    ],
    ids=repr,
)
def test_a_transaction_that_could_change_a_key_twice_is_refused_whichever_branch_it_is_in(
    kv: FedKv, ops: tuple[Op, ...]
) -> None:
    assert kv.fails(Txn(then=ops)) == Failure.DUPLICATE_KEY
    assert kv.fails(Txn(otherwise=ops)) == Failure.DUPLICATE_KEY


@pytest.mark.parametrize(
    "txn",
    [
        Txn(then=(Put(b"k", b"1"),), otherwise=(Put(b"k", b"2"),)),
        Txn(then=(Put(b"k", b"1"),), otherwise=(Delete(b"k"),)),
        Txn(then=(Txn(then=(Put(b"k", b"1"),), otherwise=(Delete(b"a", NO_END),)), Range(b"l"))),
        Txn(then=(Delete(b"a", b"c"), Delete(b"b", b"d"))),
        Txn(then=(Delete(b"a", b"k"), Put(b"k", b""))),
        Txn(then=(Delete(b"k\0", NO_END), Put(b"k", b""))),
    ],
    ids=repr,
)
def test_a_key_may_be_in_two_branches_of_which_one_is_done(kv: FedKv, txn: Txn) -> None:
    kv.do(txn, TxnDone)


def test_a_transaction_of_which_one_part_cannot_be_done_changes_nothing(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"), Put(b"b", b"1"))
    parts = Put(b"a", b"2"), Delete(b"b"), Put(b"c", b"2"), Put(b"d", b"", keep_value=True)

    assert kv.fails(Txn(then=parts)) == Failure.KEY_NOT_FOUND
    assert kv.events(3) == []
    assert kv.get(b"b", revision=2) == kv.get(b"b")


# ---- the past ----


def test_a_past_revision_shows_the_keys_as_they_were_after_it(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"), Put(b"b", b"1"), Put(b"a", b"2"), Delete(b"b"), Put(b"b", b"3"))

    values = [[kv.value for kv in kv.ask(Range(b"a", NO_END, at), RangeFound).items] for at in range(1, 6)]
    assert values == [[b"1"], [b"1", b"1"], [b"2", b"1"], [b"2"], [b"2", b"3"]]


def test_a_future_revision_is_refused(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"))

    assert kv.ask(Range(b"a", revision=2), Failed).failure == Failure.FUTURE_REVISION
    assert kv.fails(Txn(then=(Put(b"b", b""), Range(b"a", revision=2)))) == Failure.FUTURE_REVISION
    assert kv.fails(Compact(4)) == Failure.FUTURE_REVISION


def test_a_revision_of_another_machine_is_not_in_the_future(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"))
    kv.revision = 7

    assert kv.get(b"a", revision=7) == kv.get(b"a")
    assert kv.ask(Range(b"a", revision=8), Failed).failure == Failure.FUTURE_REVISION


def test_what_is_before_the_compacted_revision_is_refused_with_the_first_one_that_is_told(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"), Put(b"a", b"2"), Put(b"a", b"3"))

    assert kv.do(Compact(2), CompactDone) == CompactDone(2)
    assert kv.kv.first_revision == 2
    assert kv.ask(Range(b"a", revision=1), Failed) == Failed(
        Failure.COMPACTED, "revision 1 is not kept any more, the history begins at 2", 2
    )
    assert (found := kv.get(b"a", revision=2)) and found.value == b"2"
    assert [revision for revision, _ in kv.events(2)] == [2, 3]


def test_compacting_what_is_compacted_is_refused(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"), Put(b"a", b"2"), Compact(2))

    assert kv.fails(Compact(2)) == Failure.COMPACTED
    assert kv.fails(Compact(1)) == Failure.COMPACTED


def test_compacting_leaves_all_keys_that_are_there(kv: FedKv) -> None:
    kv.do_all(Put(b"a", b"1"), Put(b"b", b"2"), Delete(b"a"))
    before = kv.all_keys()
    kv.do_all(Compact(4))

    assert kv.all_keys() == before
    assert kv.events(4) == []


def test_an_event_has_the_key_before_and_after(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b"1"), Put(b"k", b"2"), Delete(b"k"))
    one, two = KeyValue(b"k", b"1", 1, 1, 1, 0), KeyValue(b"k", b"2", 1, 2, 2, 0)

    assert kv.events(1) == [
        (1, (KeyEvent(b"k", one, None, 1),)),
        (2, (KeyEvent(b"k", two, one, 2),)),
        (3, (KeyEvent(b"k", None, two, 3),)),
    ]
