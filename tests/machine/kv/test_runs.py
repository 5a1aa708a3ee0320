"""What many commands do together is what they do one by one, whatever is among them."""

from __future__ import annotations

import random

import pytest

from paxosd.machine.kv.bounds import KvBounds
from paxosd.machine.kv.encoding import PUTS_AT_ONCE, encode_command, encode_question
from paxosd.machine.kv.kv import PUT_DONE, Kv
from paxosd.machine.kv.ranges import FIRST_KEY, NO_END
from paxosd.machine.kv.requests import (
    Command,
    Compact,
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Grant,
    Put,
    Range,
    Revoke,
    Txn,
)
from tests.machine.kv.fed import take_changes

HOSTILE = [
    bytes.fromhex(content)
    for content in ("9701c400c4017600c2c2c2", "9701a16bc4017600c2c2c2", "9701c4016b0500c2c2c2",
                    "9701c4016bc40500c2c2c2", "9701c4016bc40176c2c2c2c2", "9701c4016bc4017600c2c2c200c2c2c2", "9701",
                    "9701c4016bc40176c400c2c2c2", "")
]  # fmt: skip
TIGHT = KvBounds(keys_bytes=1_500, window_revisions=40, window_bytes=9_000, spare_bytes=64)
SHORT = KvBounds(window_revisions=15, spare_bytes=64)
NEVER = Compare(b"\xff", CompareTarget.VERSION, CompareOp.EQUAL, 1)


def command_of(chance: random.Random) -> Command:
    key = b"%d" % chance.randrange(20)
    match chance.randrange(12):
        case 0:
            return Delete(key, NO_END if chance.random() < 0.2 else b"")
        case 1:
            return Put(key, b"leased", lease=1)
        case 2:
            return Put(key, b"told", previous=True)
        case 3:
            return Txn((NEVER,), (), (Put(key, b"in"), Put(b"more/" + key, bytes(20))))
        case 4:
            return Txn((), (Put(key, b"undone"), Delete(b"7/"), Put(b"other", b"x", lease=999)), ())
        case _:
            return Put(key, bytes(chance.randrange(80)))


def reads_of_what_is_undone(past: int) -> list[Command]:
    """Transactions that read the past behind their changes, and are refused then."""
    refused = Put(b"other", b"x", lease=999)
    asked = Range(FIRST_KEY, NO_END, past)
    return [Txn((), (change, asked, refused), ()) for change in (Put(b"1", b"undone"), Delete(b"2"), Put(b"new", b""))]


def contents_of(chance: random.Random, count: int) -> list[bytes]:
    commands: list[bytes] = [encode_command(Grant(1_000_000, b""))]
    while len(commands) < count:
        if chance.random() < 0.05:
            commands.append(chance.choice(HOSTILE))
        elif chance.random() < 0.02:
            past = max(1, len(commands) - 20)
            other: list[Command] = [Revoke(1), Compact(past), *reads_of_what_is_undone(past)]
            commands.append(encode_command(chance.choice(other)))
        else:
            commands.append(encode_command(command_of(chance)))
    return commands


def told_of(kv: Kv, revision: int, chance: random.Random) -> list[bytes]:
    """What is answered about now and about the past."""
    pasts = [0, *[max(kv.first_revision, revision - back) for back in (1, 5, 30)]]
    asked = [Range(FIRST_KEY, NO_END, past) for past in pasts]
    asked += [Range(b"%d" % chance.randrange(20), b"", past) for past in pasts]
    asked += [Range(FIRST_KEY, NO_END, past, count_only=True) for past in pasts]
    return [kv.query(encode_question(each), revision, 0) for each in asked]


@pytest.mark.parametrize("bounds", [TIGHT, SHORT, KvBounds()])
@pytest.mark.parametrize("seed", range(25))
def test_commands_do_the_same_in_runs_as_alone(seed: int, bounds: KvBounds) -> None:
    chance = random.Random(seed)
    contents = contents_of(chance, 600)
    together, alone = Kv(bounds), Kv(bounds)
    rows: dict[bytes, bytes] = {}
    done = 0
    while done < len(contents):
        run = contents[done : done + chance.choice([1, 2, 10, PUTS_AT_ONCE, 200])]
        of_each = [alone.apply(done + number, [content], 0)[0] for number, content in enumerate(run, 1)]
        assert list(together.apply(done + 1, run, 0)) == of_each
        done += len(run)
        assert together.digest() == alone.digest()
        if chance.random() < 0.5:
            asks = chance.randrange(1 << 30)
            assert told_of(together, done, random.Random(asks)) == told_of(alone, done, random.Random(asks))
        if chance.random() < 0.3:
            take_changes(together, rows)
            together = Kv(bounds)
            together.restore(sorted(rows.items()))
            assert together.digest() == alone.digest()


def test_a_run_that_makes_no_sense_at_one_place_is_done_at_the_others() -> None:
    commands = [encode_command(Put(b"%d" % number, b"v")) for number in range(2 * PUTS_AT_ONCE)]
    commands[PUTS_AT_ONCE + 3] = HOSTILE[0]
    results = Kv().apply(1, commands, 0)

    assert [number for number, result in enumerate(results) if result != PUT_DONE] == [PUTS_AT_ONCE + 3]
