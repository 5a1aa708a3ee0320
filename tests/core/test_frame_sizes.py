"""By construction: under every limits that a membership file may have, each message that carries a value fits a frame.

Names, rounds and slots are as long as they can be, bodies and values as large as the limits let them get.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.config import ConfigError, parse
from paxosd.core.acceptor import Acceptor
from paxosd.core.learner import Learner
from paxosd.core.membership import Membership, Role
from paxosd.core.messages import (
    Accept,
    Chosen,
    FetchVotes,
    Forward,
    LogPage,
    Message,
    Prepare,
    Propose,
    Refused,
)
from paxosd.core.options import BODY_TABLE_BYTES_MAX, CLIENT_FRAME_BYTES, COMMAND_BYTES_MAX, Limits
from paxosd.core.proposer import Proposer
from paxosd.core.quorum import Quorum
from paxosd.core.reasons import Reason
from paxosd.core.records import Disk, Learned, Promised, Record, Told, Voted
from paxosd.core.types import Ballot
from paxosd.core.values import Batch, encode_body, encode_value
from paxosd.gateway.gateway import Gateway
from paxosd.machine.ledger import Ledger, opened_session
from paxosd.machine.log import Log
from paxosd.server.assembly import codec_of
from paxosd.storage.memory import MemoryStore
from paxosd.wire.frames import NO_DIGEST, Codec, MalformedFrame
from tests.core.helpers import TIMING, Stage, Steady, born, disk_of, elect, heartbeat, session_id

P, A, L, M = ("".join((letter, "x" * 62)) for letter in "palm")
MEMBERS = Membership(
    {P: Role.PROPOSER, A: Role.ACCEPTOR, L: Role.LEARNER, M: Role.LEARNER}, Quorum.majority(dict.fromkeys([A], 1))
)
HIGH = Ballot(2**62, P)
FAR = 2**59
"""A slot that takes nine bytes."""
SESSION = opened_session(session_id(9), 1)

few_but_large = settings(derandomize=True, deadline=None, max_examples=8)
OF_A: list[Record] = [born(MEMBERS), Disk(disk_of(A), copied=False, used=True)]
"""What the acceptor's disk says of itself."""


@st.composite
def allowed(draw: st.DrawFn) -> Limits:
    """Limits that a membership file may have: what is chosen here is read back from such a file."""
    frame = draw(st.sampled_from([320 * 1024, 320 * 1024 + 1]) | st.integers(320 * 1024, 1 << 20))
    half = st.sampled_from([1, 100, frame // 2]) | st.integers(1, frame // 2)
    command = draw(st.sampled_from([1, frame - 65536]) | st.integers(1, frame - 65536))
    value, page = draw(half), draw(half)
    text = "cluster: demo\ntransport: queue\nnodes:\n  r1: {role: replica}\n"
    text += f"limits: {{frame_bytes: {frame}, command_bytes: {command}, value_bytes: {value}, page_bytes: {page}}}\n"
    return parse(text, "f.yaml", {}).limits


def bodies(limits: Limits) -> Iterator[tuple[int, bytes]]:
    """The largest bodies that get in: one large command, many that are as small as can be, and as many as fit."""
    yield 1, encode_body([bytes(limits.command_bytes_max)])
    yield 4096, encode_body([bytes(min(limits.command_bytes_max, CLIENT_FRAME_BYTES // 4096))] * 4096)
    each = limits.command_bytes_max + 4
    full, rest = divmod(limits.body_bytes_max, each)
    if full and (not rest or rest >= 4):
        commands = [bytes(limits.command_bytes_max)] * full + ([bytes(rest - 4)] if rest else [])
        yield len(commands), encode_body(commands)


def sizes(stage: Stage, *kinds: type, sender: str = P) -> list[int]:  # type: ignore[type-arg]
    """How large the frames of these messages are; each is the only one in its frame."""
    codec = Codec(b"12345678", sender, 2**62, 1 << 30)
    found: list[Message] = [sent.message for sent in stage.sent if isinstance(sent.message, kinds)]
    assert found
    stage.set_aside()
    return [len(codec.frames([codec.pack(message)])[0]) for message in found]


def gateway_with_a_session(limits: Limits) -> Stage[Gateway]:
    """One that hears a leader, and whose ledger knows `SESSION`."""
    ledger = Ledger(MemoryStore(), {"log": Log()}, 9, limits.page_bytes_max)
    ledger.apply(1, encode_value(1, [Batch(session_id(9), 0, 0, 1, b"")]))
    gateway = Stage(lambda _: Gateway(L, "demo", MEMBERS, TIMING, limits, {}, ledger))
    gateway.deliver(P, heartbeat(HIGH))
    gateway.set_aside()
    return gateway


@given(allowed())
@few_but_large
def test_what_a_gateway_forwards_and_a_leader_proposes_fits(limits: Limits) -> None:
    gateway = gateway_with_a_session(limits)
    leader = Stage(lambda _: Proposer(P, MEMBERS, TIMING, limits, Steady(1)), members=MEMBERS)
    elect(leader, {A: []})
    leader.set_aside()
    for first_seq, (count, body) in enumerate(bodies(limits), 1):
        gateway.deliver(b"client", Propose(SESSION, 1, 2**60 + first_seq, 2**60 + first_seq, count, body))
        forwards = [message for _, message in gateway.take(Forward)]
        assert len(forwards) == 1
        leader.deliver(L, *forwards)
    for accept in [message for _, message in leader.take(Accept)]:
        assert len(accept.value) <= limits.slot_bytes_max <= limits.carried_bytes_max
    leader.set_aside()
    gateway.set_aside()


@given(allowed())
@few_but_large
def test_the_largest_value_fits_whatever_carries_it(limits: Limits) -> None:
    value = bytes(limits.carried_bytes_max)
    codec = Codec(b"12345678", P, 2**62, limits.frame_bytes_max)
    forward = Forward(session_id(1), FAR, FAR, FAR, 2**32 - 1, value)
    for message in (Accept(HIGH, FAR, value, FAR), Chosen(FAR, value), forward):
        assert len(codec.frames([codec.pack(message)])[0]) <= limits.frame_bytes_max


@given(allowed(), st.integers(0, 8))
@few_but_large
def test_pages_of_votes_and_of_chosen_values_fit(limits: Limits, tiny: int) -> None:
    count = limits.page_bytes_max // 70 + 2
    values = [bytes(tiny)] * count + [bytes(limits.carried_bytes_max)]
    disk = MemoryStore()
    disk.commit([*OF_A, Promised(HIGH), Told(FAR)])
    disk.commit([Voted(FAR + index, HIGH, value) for index, value in enumerate(values)])
    acceptor = Stage(lambda _: Acceptor(A, MEMBERS, TIMING, limits, disk, Random(1)), members=MEMBERS)
    acceptor.agent.restore(disk.records(), acceptor.now)
    for first in (FAR, FAR + count):
        acceptor.deliver(P, Prepare(HIGH, first))
        acceptor.deliver(L, FetchVotes(first, FAR + count + 1))
    assert max(sizes(acceptor, object, sender=A)) <= limits.frame_bytes_max

    learner = Stage(
        lambda disk: Learner(L, MEMBERS, TIMING, limits, disk, Random(1)),
        [Learned(slot, value) for slot, value in enumerate(values, 1)],
    )
    learner.set_aside()
    for first in (1, count + 1):
        learner.agent._tell_chosen(M, first)
    learner.turn()
    assert max(sizes(learner, object, sender=L)) <= limits.frame_bytes_max


def test_a_page_is_cut_where_votes_of_this_turn_are_larger_than_those_on_disk() -> None:
    limits = Limits(page_bytes_max=100_000, frame_bytes_max=320 * 1024, command_bytes_max=200_000)
    disk = MemoryStore()
    disk.commit([*OF_A, Promised(HIGH), Told(200), *(Voted(slot, HIGH, b"v") for slot in range(1, 200))])
    acceptor = Stage(lambda _: Acceptor(A, MEMBERS, TIMING, limits, disk, Random(1)), members=MEMBERS)
    acceptor.agent.restore(disk.records(), acceptor.now)
    higher = HIGH._replace(round=HIGH.round + 1)
    acceptor.deliver(P, *(Accept(higher, slot, bytes(90_000), slot) for slot in range(1, 9)), Prepare(higher, 1))

    assert max(sizes(acceptor, object, sender=A)) <= limits.frame_bytes_max


@given(allowed())
@few_but_large
def test_a_page_of_the_log_fits(limits: Limits) -> None:
    disk = MemoryStore()
    ledger = Ledger(disk, {"log": Log()}, 9, limits.page_bytes_max)
    values = [encode_value(0, [Batch(session_id(9), 0, 0, 1, b"")])]
    seq = 1
    for count, body in bodies(limits):
        values.append(encode_value(0, [Batch(SESSION, 1, seq, count, body)]))
        seq += count
    disk.commit([Learned(slot, value) for slot, value in enumerate(values, 1)])
    for slot, value in enumerate(values, 1):
        ledger.apply(slot, value)
    codec = Codec(b"12345678", L, 2**62, limits.frame_bytes_max)
    for revision in (1, 2, 3, ledger.revision // 2, ledger.revision):
        entries = ledger.entries(revision, limits.page_bytes_max)
        page = LogPage(2**62, entries, 2**62, 0, "h" * 255)
        assert entries or not revision
        assert len(codec.frames([codec.pack(page)])[0]) <= limits.frame_bytes_max


def test_a_body_that_fits_a_clients_frame_and_no_slot_is_refused_by_name_at_the_gateway_and_at_the_leader() -> None:
    limits = Limits(frame_bytes_max=320 * 1024, command_bytes_max=64 * 1024, value_bytes_max=1000, page_bytes_max=1000)
    body = encode_body([bytes(60_000)] * 5)
    assert CLIENT_FRAME_BYTES + BODY_TABLE_BYTES_MAX < len(body) < limits.client_frame_bytes_max
    gateway = gateway_with_a_session(limits)
    gateway.deliver(b"client", Propose(SESSION, 1, 1, 1, 5, body))
    ((_, refused),) = gateway.take(Refused)
    assert refused.reason is Reason.TOO_LARGE

    leader = Stage(lambda _: Proposer(P, MEMBERS, TIMING, limits, Steady(1)), members=MEMBERS)
    elect(leader, {A: []})
    leader.set_aside()
    leader.deliver(L, Forward(session_id(1), 1, 1, 1, 5, body))
    assert leader.take(Accept) == []
    leader.set_aside()


def test_a_client_that_was_told_of_no_limit_is_read_where_frames_are_small() -> None:
    text = "cluster: demo\ntransport: queue\nnodes:\n  r1: {role: replica}\n"
    text += "limits: {frame_bytes: 320KiB, command_bytes: 64KiB, value_bytes: 1KiB, page_bytes: 1KiB}\n"
    node = codec_of(parse(text, "f.yaml", {}), "r1", 1)
    client = Codec(NO_DIGEST, "client", 1, 16 << 20)
    large = Propose(session_id(1), 1, 1, 1, 1, encode_body([bytes(COMMAND_BYTES_MAX)]))
    assert node.from_client(client.frames([client.pack(large)])[0]).messages == [large]
    with pytest.raises(MalformedFrame, match="frame too large"):
        node.from_client(client.frames([client.pack(large)] * 2)[0])


@pytest.mark.parametrize(
    ("limits", "least"),
    [
        ("frame_bytes: 320KiB", "frame_bytes of at least 1114112"),
        ("command_bytes: 20MiB", "frame_bytes of at least 21037056"),
        ("value_bytes: 9MiB", "frame_bytes of at least 18874368"),
        ("page_bytes: 5MiB", "at most 4194304"),
        ("window_slots: 65537", "at most 65536"),
    ],
)
def test_limits_under_which_a_message_would_not_fit_are_refused_with_the_least_that_would(
    limits: str, least: str
) -> None:
    with pytest.raises(ConfigError, match=least):
        parse(f"cluster: demo\ntransport: queue\nnodes:\n  r1: {{role: replica}}\nlimits: {{{limits}}}\n", "f", {})
