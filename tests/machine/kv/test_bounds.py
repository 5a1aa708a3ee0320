"""How much there may be, and how much one request may ask for."""

from __future__ import annotations

import pytest

from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.encoding import encode_command, encode_question
from paxosd.machine.kv.ranges import NO_END
from paxosd.machine.kv.requests import (
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Failure,
    Grant,
    Put,
    Range,
    Revoke,
    Sort,
    Txn,
)
from paxosd.machine.kv.results import (
    Failed,
    RangeFound,
)
from tests.machine.kv.fed import FedKv


def test_history_goes_beyond_its_revisions_whole_ones_first_to_last() -> None:
    kv = FedKv(KvBounds(window_revisions=2))
    kv.do_all(Txn(then=(Put(b"a", b""), Put(b"b", b""))), Put(b"c", b""), Grant(500), Put(b"d", b""))

    assert kv.kv.first_revision == 2
    assert [revision for revision, _ in kv.events(2)] == [2, 4]
    assert kv.ask(Range(b"a", revision=1), Failed).failure == Failure.COMPACTED


def test_history_goes_beyond_its_bytes() -> None:
    kv = FedKv(KvBounds(window_bytes=10_000))
    kv.do_all(*[Put(b"k", b"x" * 1000) for _ in range(20)])

    assert len(kv.events(kv.kv.first_revision)) == 10_000 // (200 + 1 + 1032)


def test_a_revision_that_is_larger_than_the_window_is_not_told_at_all() -> None:
    kv = FedKv(KvBounds(window_bytes=1000))
    kv.do_all(Put(b"a", b""), Txn(then=tuple([Put(b"k%d" % number, b"") for number in range(9)])))

    assert kv.kv.first_revision == 3
    assert len(kv.all_keys()) == 10


def test_a_put_that_finds_no_room_is_refused_and_one_that_takes_none_is_not() -> None:
    kv = FedKv(KvBounds(keys_bytes=100))
    kv.do_all(Put(b"a", b"x" * 60))

    assert kv.fails(Put(b"b", b"x" * 60)) == Failure.FULL
    assert kv.fails(Put(b"a", b"x" * 100)) == Failure.FULL
    kv.do_all(Put(b"a", b"y" * 60), Delete(b"a"), Put(b"b", b"x" * 60))


def test_so_many_leases_may_be_there_and_no_more() -> None:
    kv = FedKv(KvBounds(leases=2))
    kv.do_all(Grant(500), Grant(500))

    assert kv.fails(Grant(500)) == Failure.FULL
    kv.do_all(Revoke(1), Grant(500))


def test_a_lease_may_have_so_many_keys_and_no_more() -> None:
    kv = FedKv(KvBounds(changes=2))
    kv.do_all(Grant(500), Put(b"a", b"", 1), Put(b"b", b"", 1))

    assert kv.fails(Put(b"c", b"", 1)) == Failure.FULL


def test_a_delete_of_very_many_keys_is_refused() -> None:
    kv = FedKv(KvBounds(changes=2))
    kv.do_all(Put(b"a", b""), Put(b"b", b""), Put(b"c", b""))

    assert kv.fails(Delete(b"a", NO_END)) == Failure.TOO_LARGE
    assert kv.fails(Txn(then=(Delete(b"a", b"c"), Delete(b"c")))) == Failure.TOO_LARGE


def test_a_command_that_would_look_at_very_many_keys_is_refused() -> None:
    kv = FedKv(KvBounds(command_scan=2))
    kv.do_all(Put(b"a", b""), Put(b"b", b""), Put(b"c", b""))
    compare = Compare(b"a", CompareTarget.VERSION, CompareOp.EQUAL, 1, b"c")

    kv.do_all(Txn((compare,)), Txn(then=(Range(b"a", b"c"),)))
    assert kv.fails(Txn((compare, compare))) == Failure.TOO_LARGE
    assert kv.fails(Txn(then=(Range(b"a", NO_END),))) == Failure.TOO_LARGE
    assert kv.fails(Txn(then=(Range(b"a", NO_END, revision=1),))) == Failure.TOO_LARGE


@pytest.mark.parametrize(
    "command",
    [
        Txn(then=(Range(b"a", NO_END), Put(b"c", b""))),
        Delete(b"a", NO_END, previous=True),
        Txn(then=(Put(b"c", b""), Put(b"a", b"", previous=True), Put(b"b", b"", previous=True))),
        Txn(then=(Range(b"a"), Range(b"b"))),
    ],
    ids=repr,
)
def test_a_command_with_a_result_that_is_too_large_is_refused(command: Delete | Txn) -> None:
    kv = FedKv(KvBounds(result_bytes=200))
    kv.do_all(Put(b"a", b"x" * 60), Put(b"b", b"x" * 60))

    assert kv.fails(command) == Failure.TOO_LARGE


def test_no_result_is_larger_than_it_may_be() -> None:
    bounds = KvBounds(result_bytes=5000)
    kv = FedKv(bounds)
    for number in range(120):
        kv.do_all(Put(b"%d" % number, b"x" * number))
        ops = Put(b"other", b""), Range(b"0", b"%d" % number)
        results = [
            kv.do_bytes(encode_command(Txn(then=ops))),
            kv.do_bytes(encode_command(Put(b"%d" % number, b"x" * number, previous=True))),
            kv.kv.query(encode_question(Range(b"0", NO_END)), kv.revision, 0),
        ]
        assert all(len(result) <= bounds.result_bytes for result in results)


def pages(kv: FedKv, asked: Range) -> list[list[bytes]]:
    """What is found, answer by answer."""
    found: list[list[bytes]] = []
    key, end = asked.key, asked.end
    while True:
        answer = kv.ask(Range(key, end, revision=asked.revision, descending=asked.descending), RangeFound)
        found.append([kv.key for kv in answer.items])
        assert answer.more == bool(answer.resume)
        if not answer.more:
            return found
        key, end = (key, answer.resume) if asked.descending else (answer.resume, end)


@pytest.mark.parametrize("bounds", [KvBounds(result_bytes=300), KvBounds(question_scan=4)], ids=["bytes", "scan"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("revision", [0, 20])
def test_a_long_answer_is_cut_and_says_where_to_go_on(bounds: KvBounds, descending: bool, revision: int) -> None:
    kv = FedKv(bounds)
    keys = [b"%02d" % number for number in range(20)]
    kv.do_all(*[Put(key, b"x" * 30) for key in keys], Put(b"99", b""), Delete(b"99"), Delete(b"98"))
    found = pages(kv, Range(b"00", NO_END, revision, descending=descending))

    assert [key for page in found for key in page] == keys[:: -1 if descending else 1]
    assert len(found) > 3
    assert max(map(len, found)) < 8


def test_an_answer_in_another_order_than_that_of_keys_is_whole_or_refused() -> None:
    kv = FedKv(KvBounds(result_bytes=300, question_scan=20))
    kv.do_all(*[Put(b"%02d" % number, b"x" * 30) for number in range(20)])

    assert kv.range(Range(b"0", NO_END, sort=Sort.MOD, limit=2, descending=True)) == [b"19", b"18"]
    assert kv.ask(Range(b"0", NO_END, sort=Sort.MOD), Failed).failure == Failure.TOO_LARGE
    kv.do_all(Put(b"more", b""))
    assert kv.ask(Range(b"0", NO_END, sort=Sort.MOD, limit=2), Failed).failure == Failure.TOO_LARGE
