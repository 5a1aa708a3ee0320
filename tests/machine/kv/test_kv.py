"""Bytes that make no sense, and rows; what etcd's manual says of keys is in `test_as_etcd.py`."""

from __future__ import annotations

import pytest

from paxosd.core.agent import InvariantBroken
from paxosd.machine.base import QueryRefused
from paxosd.machine.kv.encoding import encode_command, encode_question, plain_get
from paxosd.machine.kv.kv import PUT_DONE, Kv
from paxosd.machine.kv.requests import (
    Compact,
    Delete,
    Failure,
    Grant,
    Put,
    Range,
    Revoke,
    Txn,
)
from paxosd.machine.kv.results import (
    Failed,
    decode_result,
)
from tests.machine.kv.fed import FedKv, take_changes


@pytest.fixture
def kv() -> FedKv:
    return FedKv()


# ---- bytes that make no sense ----


def test_bytes_that_make_no_sense_change_nothing_and_say_so(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b"v"))
    before = kv.kv.digest()
    result = decode_result(kv.do_bytes(b"\xc1 nonsense"))

    assert isinstance(result, Failed)
    assert result.failure == Failure.MALFORMED
    assert kv.kv.digest() == before


def test_a_question_that_makes_no_sense_is_refused(kv: FedKv) -> None:
    with pytest.raises(QueryRefused):
        kv.kv.query(b"nonsense", 0, 0)
    with pytest.raises(QueryRefused):
        kv.kv.query(encode_command(Put(b"k", b"v")), 0, 0)


@pytest.mark.parametrize("options", [{"lease": 0}, {"previous": True}, {"keep_lease": True}])
def test_a_put_does_the_same_whether_it_is_plain_or_in_a_transaction(options: dict[str, bool]) -> None:
    plain, within = FedKv(), FedKv()
    for kv in (plain, within):
        kv.do_all(Grant(500), Put(b"k", b"v", 1))
    put = Put(b"k", b"w", **options)
    plain.do_all(put)
    within.do_all(Txn(then=(put,)))

    assert plain.kv.digest() == within.kv.digest()


@pytest.mark.parametrize(
    "content",
    ["9701c4016bc4017600c2c200", "9701c4016bc4017600c2c2ce00c2c2c2", "9701c400c4017600c2c2c2",
     "9701c4016bc40176c2c2c2c2", "9701a16bc4017600c2c2c2", "9701c4016bc4017600c2c2c2c2",
     "9701c4016bc40176", "9701c4016ba17600c2c2c2", "9701c4016b0500c2c2c2",
     "9701c4016bc40176c400c2c2c2", "9701c4016bc4017600c2c2c200c2c2c2"],
)  # fmt: skip
def test_what_looks_like_a_plain_put_and_is_none_is_malformed(kv: FedKv, content: str) -> None:
    result = decode_result(kv.do_bytes(bytes.fromhex(content)))

    assert isinstance(result, Failed)
    assert result.failure in (Failure.MALFORMED, Failure.EMPTY_KEY)


def test_a_plain_put_has_a_result_of_few_bytes_which_is_shared(kv: FedKv) -> None:
    assert kv.do_bytes(encode_command(Put(b"k", b"v"))) is PUT_DONE
    assert len(PUT_DONE) == 3


@pytest.mark.parametrize("key", [b"k", b"gone", b"c4000000c200c2c200000000", bytes.fromhex("c4000000c200c2c200000000")])
def test_a_question_for_a_key_has_the_same_answer_whether_it_is_plain_or_not(kv: FedKv, key: bytes) -> None:
    kv.do_all(Put(b"k", b"v"), Put(b"gone", b"v"), Delete(b"gone"))
    plain, other = Range(key), Range(key, limit=1)

    assert plain_get(encode_question(plain)) == key
    assert plain_get(encode_question(other)) is None
    assert kv.kv.query(encode_question(plain), 3, 0) == kv.kv.query(encode_question(other), 3, 0)


@pytest.mark.parametrize(
    "content",
    ["9d03c400c4000000c200c2c200000000", "9d03a16bc4000000c200c2c200000000", "9d03c4016bc4016bc4000000c200c2c200000000",
     "9d03c4000000c200c2c200000000", "9d03c4026bc4000000c200c2c200000000"],
)  # fmt: skip
def test_what_looks_like_a_plain_question_and_is_none_is_refused(kv: FedKv, content: str) -> None:
    with pytest.raises(QueryRefused):
        kv.kv.query(bytes.fromhex(content), 0, 0)


# ---- rows ----


def test_a_change_is_written_once_and_no_row_again(kv: FedKv) -> None:
    rows: dict[bytes, bytes] = {}
    kv.do_all(Put(b"k", b"1"), Put(b"l", b"1"))
    take_changes(kv.kv, rows)
    kv.do_all(Put(b"k", b"2"))
    put, delete = kv.kv.changes()

    assert sorted(key[:1] for key, _ in put) == [b"b", b"h", b"t"]
    assert delete == []
    assert kv.kv.changed_rows == 0
    assert kv.kv.changes() == ([], [])


def test_a_key_that_came_and_went_between_two_writings_has_no_row(kv: FedKv) -> None:
    rows: dict[bytes, bytes] = {}
    kv.do_all(Put(b"k", b"1"), Delete(b"k"), Grant(500), Revoke(3))
    take_changes(kv.kv, rows)

    assert [key[:1] for key in rows] == [b"h", b"t"]


def test_rows_of_history_go_when_all_of_their_changes_are_out_of_the_window(kv: FedKv) -> None:
    rows: dict[bytes, bytes] = {}
    for _ in range(3):
        kv.do_all(Put(b"k", b"1"), Put(b"k", b"2"))
        take_changes(kv.kv, rows)
    assert len([key for key in rows if key[:1] == b"h"]) == 3
    kv.do_all(Compact(4))
    take_changes(kv.kv, rows)

    assert len([key for key in rows if key[:1] == b"h"]) == 2
    restored = FedKv()
    restored.kv.restore(sorted(rows.items()))
    restored.revision = kv.revision
    assert restored.events(4) == kv.events(4)
    assert restored.kv.digest() == kv.kv.digest()


def test_much_history_is_written_in_several_rows() -> None:
    kv, rows = FedKv(), dict[bytes, bytes]()
    kv.do_all(*[Put(b"k", b"x" * 10_000) for _ in range(20)])
    take_changes(kv.kv, rows)

    sizes = [len(content) for key, content in rows.items() if key[:1] == b"h"]
    assert len(sizes) == 4
    assert max(sizes) <= 64 * 1024
    restored = Kv()
    restored.restore(sorted(rows.items()))
    assert list(restored.events(1, 21)) == kv.events(1)


def test_a_restored_machine_shares_records_between_keys_and_history(kv: FedKv) -> None:
    rows: dict[bytes, bytes] = {}
    kv.do_all(Put(b"k", b"1"), Put(b"k", b"2"))
    take_changes(kv.kv, rows)
    restored = Kv()
    restored.restore(sorted(rows.items()))
    (_, [(_, _, one, _)]), (_, [(_, _, two, previous)]) = restored.revisions(1, 3)

    restored.apply(3, [encode_command(Put(b"k", b"3"))], 0)
    (_, [(_, _, _, before_three)]) = next(iter(restored.revisions(3, 4)))

    assert one is previous
    assert two is before_three


def test_a_digest_tells_a_machine_that_lost_a_row_of_any_kind(kv: FedKv) -> None:
    rows: dict[bytes, bytes] = {}
    kv.do_all(Put(b"k", b"1"), Put(b"k", b"2"), Grant(500), Put(b"l", b""), Delete(b"l"), Compact(2))
    take_changes(kv.kv, rows)
    for lost in rows:
        kept = {key: content for key, content in rows.items() if key != lost}
        restored = Kv()
        try:
            restored.restore(sorted(kept.items()))
        except InvariantBroken:
            continue
        assert restored.digest() != kv.kv.digest()


def test_events_before_the_history_begins_are_never_told_in_part(kv: FedKv) -> None:
    kv.do_all(Put(b"k", b"1"), Put(b"k", b"2"), Compact(2))

    with pytest.raises(ValueError, match="2 is the first"):
        kv.events(1)
