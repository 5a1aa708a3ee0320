"""Keys keep the contract of a state machine."""

from __future__ import annotations

from paxosd.machine.kv.encoding import encode_command, encode_question
from paxosd.machine.kv.kv import Kv
from paxosd.machine.kv.ranges import NO_END
from paxosd.machine.kv.requests import (
    AskLease,
    AskLeases,
    Compact,
    Compare,
    CompareOp,
    CompareTarget,
    Delete,
    Grant,
    Keep,
    Put,
    Range,
    Revoke,
    Txn,
)
from paxosd.testing import MachineContract

IS_NEW = Compare(b"a", CompareTarget.VERSION, CompareOp.EQUAL, 0)


class TestKv(MachineContract):
    make = staticmethod(Kv)
    commands = tuple(
        encode_command(command)
        for command in (
            Put(b"a", b"1"),
            Put(b"b", b"2", 1, previous=True),
            Put(b"c", b"3", 2),
            Put(b"a", b"", keep_value=True, keep_lease=True),
            Delete(b"a"),
            Delete(b"a", NO_END, previous=True),
            Txn((IS_NEW,), (Put(b"a", b"4", 3), Put(b"d", b"4")), (Range(b"a", NO_END), Delete(b"d"))),
            Compact(9),
            Grant(900),
            Grant(30_000),
            Revoke(4),
            Keep((1, 2, 3, 4, 5, 6)),
        )
    )
    questions = tuple(
        encode_question(question)
        for question in (Range(b"a", NO_END), Range(b"a", NO_END, 12), AskLease(1), AskLeases())
    )
