"""Keys stand on the disk in blocks: what they say is the state, however often it changed, and they do not pile up."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Iterator

import pytest

from paxosd.core.agent import InvariantBroken
from paxosd.machine.kv import blocks
from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.encoding import encode_command
from paxosd.machine.kv.kv import PUT_DONE, Kv
from paxosd.machine.kv.ranges import NO_END
from paxosd.machine.kv.requests import Compact, Delete, Put
from paxosd.machine.kv.rows import TOTALS
from tests.machine.kv.fed import FedKv, take_changes

Rows = dict[bytes, bytes]
TIGHT = KvBounds(spare_bytes=64)


def restored_of(rows: Rows, bounds: KvBounds = TIGHT) -> Kv:
    made = Kv(bounds)
    made.restore(sorted(rows.items()))
    return made


def block_bytes(rows: Rows) -> int:
    """What all blocks count for."""
    return sum(blocks.BLOCK_COUNTS_BYTES + len(content) for key, content in rows.items() if key[:1] == blocks.BLOCK)


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few keys, of which the oldest go soon."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES_MAX", 100)
    monkeypatch.setattr(blocks, "BLOCK_COUNTS_BYTES", 8)


@pytest.mark.usefixtures("tight")
@pytest.mark.parametrize("seed", range(20))
def test_after_any_puts_and_deletes_the_blocks_are_the_state(seed: int) -> None:
    chance = random.Random(seed)
    kv, rows = FedKv(TIGHT), Rows()
    for _ in range(60):
        for _ in range(chance.randrange(6)):
            key = b"%d" % chance.randrange(12)
            put = Put(key, bytes(chance.randrange(40)))
            kv.do_all(put if chance.random() < 0.6 else Delete(key, NO_END if chance.random() < 0.1 else b""))
        if chance.random() < 0.3:
            take_changes(kv.kv, rows)
        if chance.random() < 0.1:  # a restart: what was not taken is applied again
            take_changes(kv.kv, rows)
            kv.kv = restored_of(rows)
        if chance.random() < 0.5:
            take_changes(kv.kv, rows)
            assert restored_of(rows).digest() == kv.kv.digest()


@pytest.mark.usefixtures("tight")
def test_blocks_hold_little_more_than_twice_what_there_is_whatever_was_put() -> None:
    kv, rows = FedKv(TIGHT), Rows()
    for number in range(30):
        kv.do_all(Put(b"cold/%d" % number, bytes(50)))
    for number in range(2_000):
        kv.do_all(Put(b"hot/%d" % (number % 3), bytes(20)))
        if number % 7 == 0:
            take_changes(kv.kv, rows)
            live = sum(len(kv.key) + len(kv.value) + 32 + 8 for kv in kv.all_keys())
            assert block_bytes(rows) <= 2.5 * live + 64 + 3 * (8 + 100)


@pytest.mark.usefixtures("tight")
def test_what_one_writing_removes_is_bounded_in_blocks_by_what_has_changed() -> None:
    kv, rows = FedKv(TIGHT), Rows()
    for _ in range(100):
        kv.do_all(*[Put(b"%d" % number, bytes(50)) for number in range(10)])
    take_changes(kv.kv, rows)
    for number in range(500):
        kv.do_all(Put(b"more/%d" % number, bytes(50)))
    take_changes(kv.kv, rows)
    kv.do_all(Delete(b"more/", b"more0"))
    put, delete = kv.kv.changes()

    gone = [key for key in delete if key[:1] == blocks.BLOCK]
    written = sum(8 + len(content) for key, content in put if key[:1] == blocks.BLOCK)
    assert len(gone) > 0
    assert 8 * len(gone) <= 4 * written + 64 + 8


@pytest.mark.usefixtures("tight")
def test_what_one_writing_writes_anew_is_bounded_by_what_has_changed() -> None:
    """Three of four keys go, and what is left stands in blocks with them: it is written anew over many writings."""
    kv, rows = FedKv(TIGHT), Rows()
    kv.do_all(*[Put(b"%d/%03d" % (number % 4, number), bytes(500)) for number in range(400)])
    take_changes(kv.kv, rows)
    kv.do_all(Delete(b"1", NO_END))
    put, _ = kv.kv.changes()

    written = sum(len(content) for key, content in put if key[:1] == blocks.BLOCK)
    of_deletes = 300 * (8 + len(b"1/001")) * 13 // 10  # with what stands around them in blocks
    assert 2 * of_deletes < written <= 5 * of_deletes + 64


@pytest.mark.usefixtures("tight")
def test_a_key_that_was_deleted_is_forgotten_by_and_by() -> None:
    kv, rows = FedKv(TIGHT), Rows()
    for number in range(100):
        kv.do_all(Put(b"gone/%d" % number, b""))
    take_changes(kv.kv, rows)
    kv.do_all(Delete(b"gone/", b"gone0"))
    take_changes(kv.kv, rows)
    for _ in range(400):
        kv.do_all(Put(b"k", b""))
        take_changes(kv.kv, rows)

    assert not any(b"gone/" in content for key, content in rows.items() if key[:1] == blocks.BLOCK)
    assert restored_of(rows).digest() == kv.kv.digest()


def test_many_keys_stand_in_one_row() -> None:
    kv, rows = FedKv(TIGHT), Rows()
    kv.do_all(*[Put(b"key/%d" % number, bytes(100)) for number in range(1_000)], Compact(1_000))
    take_changes(kv.kv, rows)

    assert sorted(key[:1] for key in rows) == [b"b", b"b", b"b", b"h", b"t"]
    assert restored_of(rows).digest() == kv.kv.digest()


def test_a_run_of_puts_is_what_each_of_them_is_alone() -> None:
    """Also where there is no room for some of them: others that are smaller find theirs."""
    commands = [encode_command(Put(b"%d" % (number % 7), bytes(number % 5 * 10))) for number in range(200)]
    commands[50] = encode_command(Delete(b"3"))
    bounds = KvBounds(keys_bytes=350, window_revisions=30)
    together, alone = Kv(bounds), Kv(bounds)
    of_each = [alone.apply(number, [command], 0)[0] for number, command in enumerate(commands, 1)]

    assert 20 < sum(result != PUT_DONE for result in of_each) < 120
    assert list(together.apply(1, commands, 0)) == of_each
    assert together.digest() == alone.digest()


@pytest.mark.usefixtures("tight")
def test_blocks_do_not_pile_up_where_many_keys_change_between_two_writings() -> None:
    """Far more than may go besides what changed."""
    chance = random.Random(1)
    kv, rows = FedKv(TIGHT), Rows()
    kv.do_all(*[Put(b"%03d" % number, bytes(30)) for number in range(300)])
    for _ in range(40):
        kv.do_all(*[Put(b"%03d" % chance.randrange(300), bytes(30)) for _ in range(100)])
        take_changes(kv.kv, rows)

    live = sum(len(kv.key) + len(kv.value) + 32 + 8 for kv in kv.all_keys())
    assert block_bytes(rows) <= 2.5 * live


@pytest.mark.usefixtures("tight")
def test_what_is_written_anew_is_little_more_than_what_changes() -> None:
    """Of many cold keys as much as makes room, and not all that may go."""
    chance = random.Random(1)
    kv, rows = FedKv(TIGHT), Rows()
    kv.do_all(*[Put(b"%03d" % number, bytes(30)) for number in range(300)])
    take_changes(kv.kv, rows)
    changed = written = 0
    for _ in range(400):
        kv.do_all(*[Put(b"%03d" % number, bytes(30)) for number in chance.sample(range(300), 10)])
        changed += 10 * (8 + 3 + 32 + 30)
        put, delete = kv.kv.changes()
        written += sum(len(content) for key, content in put if key[:1] == blocks.BLOCK)
        for gone in delete:
            del rows[gone]
        rows.update(put)

    assert written <= 1.6 * changed


def test_restoring_holds_one_block_at_a_time() -> None:
    """Values of 1 MB that were overwritten before the blocks with them went, and one that counts."""
    kv, rows = FedKv(TIGHT), Rows()
    kv.do_all(Put(b"k", b"v"))
    take_changes(kv.kv, rows)
    ((last, content),) = [(key, content) for key, content in rows.items() if key[:1] == blocks.BLOCK]

    before = FedKv(TIGHT)
    before.do_all(Put(b"k", bytes(1_000_000)))
    stale = before.kv.changes().put[0][1]

    def overwritten() -> Iterator[tuple[bytes, bytes]]:
        for number in range(20):
            yield blocks.BLOCK + number.to_bytes(8, "big"), bytes(memoryview(stale))
        yield blocks.BLOCK + (20).to_bytes(8, "big"), content
        yield from [(key, row) for key, row in rows.items() if key not in (last, TOTALS)]
        yield TOTALS, struct.pack(">5Q", 1, 0, 0, 21, 1)

    made = Kv(TIGHT)
    tracemalloc.start()
    try:
        made.restore(overwritten())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert made.digest() == kv.kv.digest()
    assert most < 8_000_000


@pytest.mark.usefixtures("tight")
@pytest.mark.parametrize("missing", [[0], [1], [2], [0, 1, 2]])
def test_blocks_that_are_missing_are_noticed(missing: list[int]) -> None:
    kv, rows = FedKv(TIGHT), Rows()
    kv.do_all(*[Put(b"%d" % number, bytes(100)) for number in range(3)])
    take_changes(kv.kv, rows)
    of_keys = sorted(key for key in rows if key[:1] == blocks.BLOCK)
    for number in missing:
        del rows[of_keys[number]]

    with pytest.raises(InvariantBroken, match=r"is missing|are not all there"):
        restored_of(rows)


@pytest.mark.usefixtures("tight")
def test_numbers_of_blocks_go_on_where_all_of_them_went() -> None:
    kv, rows = FedKv(TIGHT), Rows()
    for _ in range(3):
        kv.do_all(*[Put(bytes([number]), bytes(100)) for number in range(1, 25)])
        take_changes(kv.kv, rows)
        kv.do_all(Delete(b"\0", NO_END))
        take_changes(kv.kv, rows)
        take_changes(kv.kv, rows)
        assert not any(key[:1] == blocks.BLOCK for key in rows)
        kv.kv = restored_of(rows)
    kv.do_all(Put(b"k", b""))
    take_changes(kv.kv, rows)

    assert restored_of(rows).digest() == kv.kv.digest()


def test_what_a_run_of_puts_moves_out_of_the_history_is_no_part_of_the_digest() -> None:
    bounds = KvBounds(window_revisions=10)
    kv, rows = FedKv(bounds), Rows()
    kv.do_all(*[Put(b"%d" % (number % 3), b"%d" % number) for number in range(40)])
    take_changes(kv.kv, rows)

    assert kv.kv.digest() == restored_of(rows, bounds).digest()


def test_each_key_that_changed_counts_among_what_is_to_be_written_soon() -> None:
    kv = FedKv(TIGHT)
    kv.do_all(Put(b"there", b""))
    take_changes(kv.kv, {})
    kv.do_all(*[Put(b"%d" % number, b"") for number in range(100)], Delete(b"there"))

    assert kv.kv.changed_rows >= 101 // 4


@pytest.mark.parametrize("missing", range(3))
def test_changes_that_are_missing_are_noticed_the_last_ones_too(missing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paxosd.machine.kv.rows.ROW_BYTES_MAX", 1)
    kv, rows = FedKv(TIGHT), Rows()
    kv.do_all(*[Put(b"k", b"%d" % number) for number in range(3)])
    take_changes(kv.kv, rows)
    del rows[sorted(key for key in rows if key[:1] == b"h")[missing]]

    with pytest.raises(InvariantBroken, match="are missing"):
        restored_of(rows)


def test_where_all_changes_went_none_is_missed() -> None:
    kv, rows = FedKv(TIGHT), Rows()
    kv.do_all(Put(b"k", b""))
    take_changes(kv.kv, rows)
    kv.do_all(Put(b"k", b"v"), Compact(3))
    take_changes(kv.kv, rows)

    assert restored_of(rows).digest() == kv.kv.digest()
