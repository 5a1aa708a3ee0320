"""Peer bytes never end a process: whatever well-formed message a member or a client sends, every role lives on."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from paxosd.core import messages
from paxosd.core.decrees import Birth, Replace, after, encode_decree
from paxosd.core.messages import (
    FromClient,
    FromPeer,
    Message,
    SeenCommits,
)
from paxosd.core.reasons import Reason
from paxosd.core.types import NO_BALLOT, Ballot, Source, Vote
from paxosd.core.values import encode_body
from paxosd.core.voters import NO_VOTERS, Voters
from tests.core.helpers import REPLICAS, always_the_same, born, disk_of, membership, noop, value
from tests.core.test_node import elected, replica

numbers = st.one_of(st.integers(0, 12), st.integers(0, 2**31), st.integers(2**63 - 9, 2**63 - 1))
ballots = st.one_of(st.just(NO_BALLOT), st.builds(Ballot, st.integers(1, 6), st.sampled_from(sorted(REPLICAS))))
BORN = born(membership(REPLICAS))
REPLACED = after(BORN, 3, Replace("r1", disk_of("r1"), 7))
DECREES = [
    encode_decree(5, Replace("r3", disk_of("r3"), 8)),
    encode_decree(5, Birth(b"another history!", b"", 1, 1, ())),
]
values = st.sampled_from([noop(), noop(5000), value(b"a"), value(b"a", b"b", first_seq=2), *DECREES])
votes = st.builds(Vote, numbers, ballots, values)
KINDS: dict[Any, st.SearchStrategy[Any]] = {
    int: numbers,
    bool: st.booleans(),
    str: st.sampled_from(sorted(REPLICAS)),
    bytes: st.one_of(values, st.sampled_from([b"", encode_body([b"a"]), encode_body([b"a", b"b"]), b"nonsense"])),
    Ballot: ballots,
    Reason: st.sampled_from(list(Reason)),
    tuple[int, ...]: st.lists(numbers, max_size=3).map(tuple),
    tuple[bytes, ...]: st.lists(values, max_size=3).map(tuple),
    tuple[Vote, ...]: st.lists(votes, max_size=3).map(tuple),
    tuple[SeenCommits, ...]: st.lists(st.tuples(numbers, numbers), max_size=3).map(tuple),
    Voters: st.sampled_from([NO_VOTERS, NO_VOTERS._replace(history=BORN.history), BORN, REPLACED]),
}


def of(kind: type) -> st.SearchStrategy[Message]:
    hints = get_type_hints(kind)
    found: st.SearchStrategy[Message] = st.builds(
        kind, **{field.name: KINDS[hints[field.name]] for field in fields(kind)}
    )
    return found


def in_its_own_name(step: tuple[Source, Message]) -> tuple[Source, Message]:
    """Mostly whoever owns a ballot speaks in it; otherwise most messages would be ignored at once."""
    source, message = step
    owner = getattr(message, "ballot", NO_BALLOT).proposer
    return (owner, message) if owner and type(message) in OWNED else (source, message)


OWNED = {messages.Prepare, messages.Accept, messages.Heartbeat, messages.Watermark, messages.Resign}
from_peers = st.tuples(st.sampled_from(["r2", "r3"]), st.one_of(*map(of, get_args(FromPeer)))).map(in_its_own_name)
from_clients = st.tuples(st.sampled_from([b"me", b"other"]), st.one_of(*map(of, get_args(FromClient))))


@always_the_same
@given(st.booleans(), st.lists(st.one_of(from_peers, from_clients, st.floats(0.0, 0.5)), max_size=30))
def test_whatever_is_said_in_whatever_order_no_role_ends(
    leads: bool, script: list[tuple[Source, Message] | float]
) -> None:
    stage = elected()[0] if leads else replica()
    own: list[Message] = []
    for step in script:
        if isinstance(step, float):
            stage.wait(step)
        else:
            stage.deliver(*step)
        stage.deliver("r1", *own)
        own = [sent.message for sent in stage.sent if sent.target == "r1"]
        assert stage.agent.next_deadline() is not None
        assert [slot for slot, _ in stage.chosen] == list(range(1, len(stage.chosen) + 1))
        stage.sent = []
    stage.set_aside()
