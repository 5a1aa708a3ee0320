"""What one value costs each role, in instructions of the interpreter: a guard that knows no clock and cannot flake.

A count is the same in every run and on every machine, and differs between versions of Python; these are of 3.11. It
has all that the turn of a node does in Python, from a frame that came in to the frames that go out: what runs in C
(msgpack, SQLite, libzmq, the disk) counts as one instruction. The records are in memory. `make bench` measures the
rest.

A ceiling is some 10 % above what was counted last. A change that needs more either finds out why, or raises the ceiling
in the same commit, whose message says what the instructions are spent for. A change that needs less lowers it. To see
the counts: `python -m tests.costs.test_costs`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import cache, partial

import pytest

from paxosd.core.types import LOG
from paxosd.machine.kv.encoding import encode_command, encode_question
from paxosd.machine.kv.requests import Put, Range
from paxosd.wire.frames import Codec, Envelope
from tests.costs.one_thread import APART, CLIENT, TOGETHER, OneThread

VALUE = bytes(100)
MANY = 100
SETTLED_AFTER = 2
"""The first of a kind make what the later ones find."""

ALONE = {
    "client": 4_750,
    "leader": 9_800,
    "acceptor": 3_350,
    "learner": 9_150,
    "leading replica": 15_650,
    "replica": 7_350,
}
"""All that each does for one value that is alone under way."""
FURTHER = {"client": 415, "leader": 2, "acceptor": 2, "learner": 6, "leading replica": 6, "replica": 6}
"""And for each further one that is proposed in the same turn of the client."""
FURTHER_PUT = {"client": 435, "leader": 2, "acceptor": 2, "learner": 72, "leading replica": 72, "replica": 72}
"""The same for a key that is put."""
FURTHER_GET = {"client": 1_230, "leader": 2, "acceptor": 2, "learner": 2_200, "leading replica": 2_170, "replica": 2}
"""The same for a key that is got, linearizably."""


def per_role(spent: Counter[str]) -> Counter[str]:
    """By role in the place of the node; of several the one that did the most."""
    if "p1" in spent:
        acceptor = max(spent[node] for node in ("a1", "a2", "a3"))
        return Counter(client=spent[CLIENT], leader=spent["p1"], acceptor=acceptor, learner=spent["l1"])
    _, follower, leader = sorted(spent[node] for node in TOGETHER)
    return Counter({"client": spent[CLIENT], "leading replica": leader, "replica": follower})


@cache
def counted() -> dict[str, Counter[str]]:
    """What each role does for one value alone, for each further one, and for each further put."""
    found = {what: Counter[str]() for what in ("alone", "further", "further put", "further get")}
    for roles in (APART, TOGETHER):
        cluster = OneThread(roles)
        values, keys = [VALUE] * MANY, [b"key/%d" % number for number in range(MANY)]
        puts = [encode_command(Put(key, VALUE)) for key in keys]
        gets = [encode_question(Range(key)) for key in keys]
        found["alone"] |= spent(cluster, partial(cluster.propose, [VALUE]))
        found["further"] |= further(cluster, partial(cluster.propose, machine=LOG), values)
        found["further put"] |= further(cluster, partial(cluster.propose, machine="kv"), puts)
        found["further get"] |= further(cluster, partial(cluster.ask, machine="kv"), gets)
    return found


def further(cluster: OneThread, call: Callable[[list[bytes]], Counter[str]], calls: list[bytes]) -> Counter[str]:
    """What each role does for each but the first of these calls."""
    first, all_of_them = spent(cluster, partial(call, calls[:1])), spent(cluster, partial(call, calls))
    return Counter({role: -(-(all_of_them[role] - first[role]) // (len(calls) - 1)) for role in first})


def spent(cluster: OneThread, call: Callable[[], Counter[str]]) -> Counter[str]:
    """What each role does until the client has all results of this call."""
    for _ in range(SETTLED_AFTER):
        call()
    cluster.counts = True
    found = per_role(call())
    cluster.counts = False
    return found


of_this_version = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the ceilings are of Python 3.11")


@of_this_version
@pytest.mark.parametrize("role", ALONE)
def test_one_value_costs_no_more_than_its_ceiling(role: str) -> None:
    assert counted()["alone"][role] <= ALONE[role]


@of_this_version
@pytest.mark.parametrize("role", FURTHER)
def test_each_further_value_costs_no_more_than_its_ceiling(role: str) -> None:
    assert counted()["further"][role] <= FURTHER[role]


@of_this_version
@pytest.mark.parametrize("role", FURTHER_PUT)
def test_each_further_put_costs_no_more_than_its_ceiling(role: str) -> None:
    assert counted()["further put"][role] <= FURTHER_PUT[role]


@of_this_version
@pytest.mark.parametrize("role", FURTHER_GET)
def test_each_further_get_costs_no_more_than_its_ceiling(role: str) -> None:
    assert counted()["further get"][role] <= FURTHER_GET[role]


def test_the_count_is_the_same_in_every_run() -> None:
    one, other = OneThread(APART), OneThread(APART)

    assert spent(one, partial(one.propose, [VALUE])) == spent(other, partial(other.propose, [VALUE]))


@of_this_version
def test_frames_that_are_read_twice_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    read: Callable[[Codec, bytes], Envelope] = Codec.from_peer
    monkeypatch.setattr(Codec, "from_peer", lambda codec, frame: read(codec, frame) and read(codec, frame))
    cluster = OneThread(APART)
    cost = spent(cluster, partial(cluster.propose, [VALUE]))

    assert [role for role in ("leader", "acceptor", "learner") if cost[role] > ALONE[role]] != []


if __name__ == "__main__":
    for what, counts in counted().items():
        print(what, dict(counts))
