"""The head of a client's frame says what the frame says, of the plainest one; of all others nothing."""

from __future__ import annotations

import random

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.core.messages import GetStatus, Message, OpenSession, Propose
from paxosd.core.types import Sending
from paxosd.wire.frames import NO_DIGEST, Codec, MalformedFrame

DIGEST, OURS, OTHER = b"12345678", b"h" * 16, b"\x0a" * 16
SESSION = b"s" * 16
FRAME_BYTES_MAX = 100_000
PROPOSE = Propose(SESSION, 7, 3, 5, 2, b"a body")

always_the_same = settings(derandomize=True, deadline=None, max_examples=300)
sessions = st.binary(min_size=16, max_size=16)
numbers = st.integers(0, 2**63 - 1)


def gateway() -> Codec:
    codec = Codec(DIGEST, "l1", 9, FRAME_BYTES_MAX)
    codec.belong_to(OURS)
    return codec


def frame(*messages: Message, digest: bytes = DIGEST, history: bytes = OURS, sender: str = "client-1") -> bytes:
    codec = Codec(digest, sender, 1, 1 << 20)
    codec.belong_to(history)
    return codec.frames([codec.pack(message) for message in messages])[0]


def head_of(message: Propose) -> Sending:
    return Sending(message.session, message.attempt, message.acknowledged, message.first_seq, message.count)


@always_the_same
@given(
    st.builds(
        Propose, st.binary(min_size=16, max_size=16), numbers, numbers, numbers, numbers, st.binary(max_size=70_000)
    ),
    st.sampled_from([DIGEST, NO_DIGEST]),
    st.sampled_from([OURS, b""]),
    st.sampled_from(["c", "c" * 63]),
)
def test_a_frame_of_commands_has_the_head_that_it_decodes_to(
    message: Propose, digest: bytes, history: bytes, sender: str
) -> None:
    assert gateway().sending(frame(message, digest=digest, history=history, sender=sender)) == head_of(message)


def items(*messages: object, version: object = 2) -> bytes:
    """A frame that no codec of ours makes."""
    packed: bytes = msgpack.packb([version, DIGEST, OURS, "client-1", 1, list(messages)])
    return packed


@pytest.mark.parametrize(
    "frame",
    [
        frame(),
        frame(OpenSession(SESSION, 1)),
        frame(GetStatus(1)),
        frame(PROPOSE, PROPOSE),
        frame(PROPOSE, digest=b"another1"),
        frame(PROPOSE, history=OTHER),
        frame(PROPOSE) + b"\x00",
        frame(PROPOSE)[:-1],
        frame(Propose(SESSION, 7, 3, 5, 2, bytes(FRAME_BYTES_MAX))),
        items([66, SESSION, 7, 3, 5, 2, b"a body", "log"], version=3),
        items([66, SESSION, 7, 3, 5, 2, b"a body", "log", "appended"]),
        items([66, SESSION, 7, 3, 5, 2]),
        items([66, SESSION, 7, 3, 5, 2, b"a body"]),
        items([66, SESSION, 7, 3, 5, 2, b"a body", 5]),
        items([66, SESSION, 7, 3, 5, 2, b"a body", "x" * 300]),
        items([66, SESSION[1:], 7, 3, 5, 2, b"a body", "log"]),
        items([66, SESSION, -7, 3, 5, 2, b"a body", "log"]),
        items([66, SESSION, 7.5, 3, 5, 2, b"a body", "log"]),
        items([66, SESSION, 7, 3, 5, 2, "a text", "log"]),
        items([66, SESSION, 7, 3, 5, 2, ["an array"], "log"]),
        b"",
        b"\x96",
    ],
)
def test_any_other_frame_has_none(frame: bytes) -> None:
    assert gateway().sending(frame) is None


def test_a_gateway_that_knows_no_history_has_heads_of_those_alone_that_know_none() -> None:
    codec = Codec(DIGEST, "l1", 9, FRAME_BYTES_MAX)

    assert codec.sending(frame(PROPOSE, history=b"")) == head_of(PROPOSE)
    assert codec.sending(frame(PROPOSE)) is None


def test_m08_whatever_bytes_come_there_is_the_right_head_or_none() -> None:
    chance, codec, heads = random.Random(8), gateway(), 0
    for _ in range(20_000):
        bytes_ = bytearray(frame(PROPOSE))
        for _ in range(chance.randint(1, 3)):
            bytes_[chance.randrange(len(bytes_))] = chance.randrange(256)
        if (head := codec.sending(bytes(bytes_))) is None:
            continue
        heads += 1
        try:
            [message] = codec.from_client(bytes(bytes_)).messages
        except MalformedFrame:
            continue  # of a client whose name is none
        assert isinstance(message, Propose)
        assert head == head_of(message)

    assert heads > 1000
