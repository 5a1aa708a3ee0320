"""Messages to frames and back: every type, golden bytes, and anything that is no frame."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.config import PAGE_BYTES_MAX
from paxosd.config.values import NAME
from paxosd.core import messages as m
from paxosd.core.history import ROW_BYTES
from paxosd.core.options import CLIENT_FRAME_BYTES
from paxosd.core.reasons import Reason
from paxosd.core.types import MACHINE_NAME, SENTENCE_CHARS_MAX, Ballot, Entry, Lag, Vote
from paxosd.core.voters import NO_VOTERS, Voter, Voters
from paxosd.wire.fields import NODE_ID
from paxosd.wire.frames import (
    ARRAY_ITEMS_MAX,
    CLIENT_MESSAGES_MAX,
    HEADER_BYTES_MAX,
    PEER_MESSAGES_MAX,
    Codec,
    Envelope,
    ForeignFrame,
    MalformedFrame,
)
from paxosd.wire.numbers import NUMBERS
from tests.core.helpers import session_id

DIGEST = b"12345678"
OURS, OTHER = b"h" * 16, b"\x0a" * 16
SESSION, WISH = b"s" * 16, b"w" * 16
S, W = "c410" + "73" * 16, "c410" + "77" * 16
"""These two as bytes of a message."""
CODEC = Codec(DIGEST, "n1", 5, 1 << 20)

always_the_same = settings(derandomize=True, deadline=None, max_examples=300)

GOLDEN_VOTERS = Voters(b"0123456789abcdef", 5, 1, 1, 2, (Voter("a1", 70000, 1, 1), Voter("a2", 2**62, 5, 1)))
GOLDEN: list[tuple[m.Message, str]] = [
    (
        m.PreVote(ballot=Ballot(round=7, proposer="p1"), voters=GOLDEN_VOTERS),
        "93019207a2703196c41030313233343536373839616263646566050101029294a26131ce00011170010194a26132cf40000000000000000501",
    ),
    (
        m.PreVoteReply(
            ballot=Ballot(round=7, proposer="p1"),
            granted=True,
            promised=Ballot(round=0, proposer=""),
            watermark=9,
            disk=70000,
            voters=GOLDEN_VOTERS,
        ),
        "97029207a27031c39200a009ce0001117096c41030313233343536373839616263646566050101029294a26131ce00011170010194a26132cf40000000000000000501",
    ),
    (
        m.Prepare(ballot=Ballot(round=7, proposer="p1"), from_slot=4, voters=GOLDEN_VOTERS),
        "94039207a270310496c41030313233343536373839616263646566050101029294a26131ce00011170010194a26132cf40000000000000000501",
    ),
    (
        m.Promise(
            ballot=Ballot(round=7, proposer="p1"),
            from_slot=4,
            stop=8,
            end=True,
            votes=(Vote(slot=3, ballot=Ballot(round=7, proposer="p1"), value=b"v"),),
            watermark=5,
            floor=1,
            disk=70000,
            past=b"format 1",
        ),
        "9a049207a270310408c39193039207a27031c401760501ce00011170c408666f726d61742031",
    ),
    (
        m.Nack(ballot=Ballot(round=7, proposer="p1"), promised=Ballot(round=8, proposer="p2")),
        "93059207a270319208a27032",
    ),
    (
        m.Accept(ballot=Ballot(round=7, proposer="p1"), slot=3, value=b"value", watermark=2, decreed=1),
        "96069207a2703103c40576616c75650201",
    ),
    (m.Accepted(ballot=Ballot(round=7, proposer="p1"), slot=3, disk=70000), "94079207a2703103ce00011170"),
    (m.Chosen(slot=3, value=b"value"), "930803c40576616c7565"),
    (m.Watermark(ballot=Ballot(round=7, proposer="p1"), watermark=300, decreed=1), "94099207a27031cd012c01"),
    (
        m.Heartbeat(
            ballot=Ballot(round=7, proposer="p1"),
            sequence=70000,
            watermark=2,
            log_time_ms=1234567890123,
            voters=GOLDEN_VOTERS,
            seen=((70000, 12),),
        ),
        "970a9207a27031ce0001117002cf0000011f71fb04cb96c41030313233343536373839616263646566050101029294a26131ce00011170010194a26132cf400000000000000005019192ce000111700c",
    ),
    (
        m.HeartbeatReply(ballot=Ballot(round=7, proposer="p1"), sequence=1, disk=70000, commits=12),
        "950b9207a2703101ce000111700c",
    ),
    (m.Resign(ballot=Ballot(round=7, proposer="p1")), "920c9207a27031"),
    (m.Fetch(first=11), "920d0b"),
    (
        m.Fetched(first=11, values=(b"a", b""), watermark=13, floor=2, decreed=1, voters=GOLDEN_VOTERS),
        "970e0b92c40161c4000d020196c41030313233343536373839616263646566050101029294a26131ce00011170010194a26132cf40000000000000000501",
    ),
    (m.FetchVotes(first=1, stop=5), "930f0105"),
    (
        m.FetchedVotes(
            first=1,
            asked_stop=5,
            stop=4,
            votes=(Vote(slot=3, ballot=Ballot(round=7, proposer="p1"), value=b"v"),),
            watermark=9,
            floor=1,
            disk=70000,
            decreed=1,
            promised=Ballot(round=8, proposer="p2"),
        ),
        "9a100105049193039207a27031c401760901ce00011170019208a27032",
    ),
    (m.Durable(slot=70), "921e46"),
    (m.Trim(ballot=Ballot(round=7, proposer="p1"), safe=60, everywhere=50), "941f9207a270313c32"),
    (m.FetchSnapshot(snapshot=b"id", offset=300, above=70), "9420c4026964cd012c46"),
    (
        m.SnapshotPart(
            snapshot=b"id", slot=80, size=400, digest=b"digest", offset=300, data=b"data", voters=GOLDEN_VOTERS
        ),
        "9821c402696450cd0190c406646967657374cd012cc4046461746196c4103031323334353637383961626364656605010102"
        "9294a26131ce00011170010194a26132cf40000000000000000501",
    ),
    (
        m.Forward(session=SESSION, attempt=1, acknowledged=2, first_seq=3, count=1, body=b"body"),
        f"9811{S}01020301c404626f6479a36c6f67",
    ),
    (m.WantTime(log_time_ms=1234567890123), "9230cf0000011f71fb04cb"),
    (
        m.WatchKeys(stream=7, watch=2, machine="kv", key=b"k", end=b"l", start=3, previous=True, credit_bytes=262144),
        "99500702a26b76c4016bc4016c03c3ce00040000",
    ),
    (m.Unwatch(stream=7, watches=(2, 300)), "9351079202cd012c"),
    (m.WatchTaken(stream=7, number=9), "93520709"),
    (
        m.Watching(stream=7, begun=70000, number=1, watch=2, revision=5, refused=12, first=8),
        "985307ce000111700102050c08",
    ),
    (
        m.WatchEvents(stream=7, begun=70000, number=2, watches=(2, 3), after=5, upto=9, events=b"events", more=True),
        "995407ce00011170029202030509c4066576656e7473c3",
    ),
    (m.WatchMark(stream=7, begun=70000, number=3, revision=11), "955507ce00011170030b"),
    (m.ForwardRefused(session=SESSION, attempt=1, first_seq=3, count=1, reason=Reason.NOT_LEADER), f"9612{S}01030102"),
    (m.ReadIndex(request=6), "921306"),
    (m.ReadIndexReply(request=6, applied=0), "93140600"),
    (m.Ping(sequence=1), "921501"),
    (
        m.Pong(sequence=1, leading=True, ballot=Ballot(round=7, proposer="p1"), watermark=4, applied=4, revision=2),
        "9c1601c39207a27031040402c40000a0a0a0",
    ),
    (
        m.Outdated(
            ballot=Ballot(round=7, proposer="p1"), promised=Ballot(round=8, proposer="p2"), voters=GOLDEN_VOTERS
        ),
        "94189207a270319208a2703296c41030313233343536373839616263646566050101029294a26131ce00011170010194a26132cf40000000000000000501",
    ),
    (m.Recall(disk=70000, decreed=3), "9319ce0001117003"),
    (m.Recalled(disk=70000, commits=12), "931ace000111700c"),
    (m.Outlived(seen=1048576), "9217ce00100000"),
    (m.DiskSpace(space=2, data_bytes=1048576, room_bytes=0, refuses=True), "952e02ce0010000000c3"),
    (m.OpenSession(wish=WISH, attempt=1), f"9340{W}01"),
    (m.SessionOpened(wish=WISH, session=SESSION, hint="l2:7100"), f"9441{W}{S}a76c323a37313030"),
    (
        m.Propose(session=SESSION, attempt=1, acknowledged=2, first_seq=3, count=1, body=b"body", machine="kv"),
        f"9842{S}01020301c404626f6479a26b76",
    ),
    (
        m.Applied(session=SESSION, first_seq=3, count=1, revision=9, slot=4, hint="", said=b"said"),
        f"9843{S}03010904a0c40473616964",
    ),
    (
        m.Refused(session=SESSION, attempt=1, first_seq=3, count=1, reason=Reason.GAP, expected=2, hint=""),
        f"9a44{S}0103010702a093000000a0",
    ),
    (m.ReadLog(request=1, start=1, linearizable=True, seen=0, wait_ms=0), "96450101c30000"),
    (
        m.LogPage(request=1, entries=(Entry(revision=1, slot=2, value=b"x"),), last=1, refused=0, hint=""),
        "9a460191930102c401780100a00193000000a000",
    ),
    (
        m.Query(request=1, machine="kv", question=b"q", linearizable=True, seen=0),
        "974901a26b76c40171c300ff",
    ),
    (
        m.Answer(request=1, answer=b"a", revision=9, age_ms=-1, refused=0, why="", hint="l2:7100"),
        "984a01c4016109ff00a0a76c323a37313030",
    ),
    (m.ReadSlots(request=1, first=5, linearizable=True), "94240105c3"),
    (
        m.SlotPage(
            1, 5, (b"v",), 1, 6, revision=3, log_time_ms=700, digest=b"\xab", hint="", cluster="demo", voters=NO_VOTERS
        ),
        "9c25010591c40176010603cd02bcc401aba0a464656d6f96c4000000000090",
    ),
    (m.ReadSnapshot(request=1, snapshot=b"id", offset=5), "942601c402696405"),
    (
        m.SnapshotPage(1, b"id", slot=5, size=9, digest=b"d", offset=3, data=b"data"),
        "982701c40269640509c4016403c40464617461",
    ),
    (m.GetStatus(request=1), "924701"),
    (
        m.StatusReport(
            request=1,
            cluster="demo",
            gateway="l1",
            leader="p1",
            ballot=Ballot(round=7, proposer="p1"),
            watermark=4,
            applied=4,
            revision=2,
            nodes=(
                m.NodeStatus(
                    node="a1",
                    role="acceptor",
                    reachable=True,
                    silent_ms=12,
                    leading=False,
                    ballot=Ballot(round=7, proposer="p1"),
                    watermark=4,
                    applied=0,
                    revision=0,
                ),
                m.NodeStatus(
                    node="a2",
                    role="acceptor",
                    reachable=False,
                    silent_ms=-1,
                    leading=False,
                    ballot=Ballot(round=0, proposer=""),
                    watermark=0,
                    applied=0,
                    revision=0,
                ),
            ),
        ),
        "9c4801a464656d6fa26c31a270319207a2703104040292dc0013a26131a86163636570746f72c30cc29207a27031040000000000c200c40000a0a0a0dc0013a26132a86163636570746f72c2ffc29200a0000000000000c200c40000a0a0a0c400a0",
    ),
]
"""One message of each type, and its bytes, which are a promise: another version may be speaking to us."""

GOLDEN_FRAME = "9602c4083132333435363738c400a26e310591921501"
"""A ping in a frame of version 2, digest 12345678, no history, sender n1, incarnation 5."""
GOLDEN_FRAME_OF_A_HISTORY = "9602c4083132333435363738c41068686868686868686868686868686868a26e310591921501"
"""The same of a history."""
GOLDEN_FRAME_OF_VERSION_1 = "9501c4083132333435363738a26e31059192019207a27031"
"""What version 0.2.0 sent."""

PLANES = {"from_peer": m.FromPeer, "from_client": m.FromClient, "from_gateway": m.ToClient}


def read(frame: bytes, message_type: type) -> Envelope:
    """Decode on the plane where this type belongs."""
    plane = next(plane for plane, union in PLANES.items() if message_type in get_args(union))
    envelope: Envelope = getattr(CODEC, plane)(frame)
    return envelope


def frame_of(*packed: bytes) -> bytes:
    return CODEC.frames(packed)[0]


def of(history: bytes) -> Codec:
    """One that speaks for the same node, in this history."""
    codec = Codec(DIGEST, "n1", 5, 1 << 20)
    codec.belong_to(history)
    return codec


def raw(
    messages: Any,
    version: Any = 2,
    digest: Any = DIGEST,
    history: Any = b"",
    sender: Any = "a2",
    incarnation: Any = 1,
) -> bytes:
    return bytes(msgpack.packb([version, digest, history, sender, incarnation, messages]))


# ---- every message ---------------------------------------------------------------------------


def test_every_message_type_has_golden_bytes() -> None:
    assert {type(message) for message, _ in GOLDEN} == set(NUMBERS.values())


@pytest.mark.parametrize(("message", "golden"), GOLDEN, ids=lambda value: type(value).__name__)
def test_u05_a_message_has_the_bytes_it_always_had_and_comes_back(message: m.Message, golden: str) -> None:
    assert CODEC.pack(message).hex() == golden
    assert read(frame_of(bytes.fromhex(golden)), type(message)).messages == [message]


def test_u05_a_frame_has_the_bytes_it_always_had() -> None:
    assert frame_of(CODEC.pack(m.Ping(1))).hex() == GOLDEN_FRAME
    assert CODEC.from_peer(bytes.fromhex(GOLDEN_FRAME)) == Envelope("n1", 5, [m.Ping(1)], 0)


def test_u05_a_frame_of_a_history_has_the_bytes_it_always_had() -> None:
    codec, message = of(OURS), m.Ping(1)
    assert codec.frames([codec.pack(message)])[0].hex() == GOLDEN_FRAME_OF_A_HISTORY
    envelope = codec.from_peer(bytes.fromhex(GOLDEN_FRAME_OF_A_HISTORY))

    assert envelope == Envelope("n1", 5, [message], 0, OURS)


NUMBER = st.integers(0, 2**63 - 1)
ID = st.binary(min_size=16, max_size=16)
NODE = st.from_regex(NODE_ID, fullmatch=True)
AGE = st.integers(-1, 2**63 - 1)
MACHINE = st.from_regex(MACHINE_NAME, fullmatch=True)
TEXT = st.text(max_size=50).filter(str.isprintable)
SENTENCE = st.text(max_size=50).filter(str.isprintable)
BALLOT = st.one_of(st.just(Ballot(0, "")), st.builds(Ballot, NUMBER, NODE))
HISTORY = st.binary(min_size=16, max_size=16)
VOTER = st.builds(Voter, NODE, NUMBER, NUMBER, st.integers(1, 1000))
VOTERS = st.one_of(
    st.just(NO_VOTERS),
    st.builds(
        lambda history, birth, later, named: Voters(history, birth + later, birth, 1, 1, named),
        HISTORY, st.integers(0, 2**60), st.integers(0, 2**60),
        st.lists(VOTER, min_size=1, max_size=3, unique_by=lambda voter: voter.node).map(tuple),
    ),
)  # fmt: skip
VOTE = st.builds(Vote, NUMBER, BALLOT, st.binary(max_size=50))
ENTRY = st.builds(Entry, NUMBER, NUMBER, st.binary(max_size=50))
STATUS = st.builds(
    m.NodeStatus, NODE, TEXT, st.booleans(), st.integers(-1, 2**40), st.booleans(), BALLOT, NUMBER,
    NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, st.booleans(),
)  # fmt: skip
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "DiskId": NUMBER, "HistoryId": st.one_of(st.just(b""), ID), "Voters": VOTERS,
    "tuple[SeenCommits, ...]": st.lists(st.tuples(NUMBER, NUMBER), max_size=3).map(tuple),
    "int": NUMBER, "Slot": NUMBER, "Revision": NUMBER, "SessionId": ID, "Wish": ID, "bool": st.booleans(),
    "bytes": st.binary(max_size=100), "str": TEXT, "Sentence": SENTENCE, "NodeId": NODE, "Ballot": BALLOT,
    "MachineName": MACHINE, "Age": AGE, "Reason": st.sampled_from(Reason),
    "tuple[bytes, ...]": st.lists(st.binary(max_size=20), max_size=5).map(tuple),
    "tuple[int, ...]": st.lists(NUMBER, max_size=5).map(tuple),
    "Lag": st.builds(Lag, NUMBER, NUMBER, NUMBER),
    "tuple[Vote, ...]": st.lists(VOTE, max_size=5).map(tuple),
    "tuple[Entry, ...]": st.lists(ENTRY, max_size=5).map(tuple),
    "tuple[NodeStatus, ...]": st.lists(STATUS, max_size=5).map(tuple),
}  # fmt: skip
MESSAGES = st.one_of(
    *(st.builds(kind, *(KINDS[str(field.type)] for field in fields(kind))) for kind in NUMBERS.values())
)


@always_the_same
@given(MESSAGES)
def test_every_message_comes_back_as_it_was(message: m.Message) -> None:
    assert read(frame_of(CODEC.pack(message)), type(message)).messages == [message]


# ---- frames ----------------------------------------------------------------------------------


def test_messages_are_packed_into_as_few_frames_as_the_limit_allows() -> None:
    small = Codec(DIGEST, "n1", 5, 1000)
    packed = [small.pack(m.Chosen(slot, bytes(200))) for slot in range(10)]
    frames = small.frames(packed)

    assert all(len(frame) <= 1000 for frame in frames)
    assert len(frames) == 3
    assert [message for frame in frames for message in small.from_peer(frame).messages] == [
        m.Chosen(slot, bytes(200)) for slot in range(10)
    ]


def test_a_frame_is_kept_below_a_lower_limit_and_a_larger_message_has_one_of_its_own() -> None:
    packed = [CODEC.pack(m.Chosen(slot, bytes(size))) for slot, size in enumerate([200, 200, 5000, 300, 300, 300, 300])]

    assert [len(CODEC.from_peer(frame).messages) for frame in CODEC.frames(packed, 1000)] == [2, 1, 2, 2]


def test_no_frame_is_larger_than_the_limit_if_no_message_is() -> None:
    small = Codec(DIGEST, "x" * 63, 2**63 - 1, 1000)
    for size in range(1, 860):
        packed = [small.pack(m.Chosen(1, bytes(size)))] * 20

        assert max(map(len, small.frames(packed))) <= 1000


def test_no_messages_make_one_empty_frame() -> None:
    assert CODEC.from_peer(CODEC.frames([])[0]).messages == []


def test_a_frame_holds_no_more_messages_than_its_reader_takes() -> None:
    frames = CODEC.frames([CODEC.pack(m.Ping(1))] * (PEER_MESSAGES_MAX + 1), messages_max=PEER_MESSAGES_MAX)

    assert [len(CODEC.from_peer(frame).messages) for frame in frames] == [PEER_MESSAGES_MAX, 1]
    with pytest.raises(MalformedFrame, match="1025 messages in one frame"):
        CODEC.from_peer(CODEC.frames([CODEC.pack(m.Ping(1))] * (PEER_MESSAGES_MAX + 1))[0])


def test_a_page_of_more_rows_than_nodes_send_is_refused_before_any_is_looked_at() -> None:
    votes = [[1, [1, "p1"], b""]] * (PAGE_BYTES_MAX // ROW_BYTES + 1)
    with pytest.raises(MalformedFrame):
        CODEC.from_peer(frame_of(msgpack.packb([16, 1, 1, 1, votes, 1, 1, 1, 1, [0, ""]])))

    assert len(votes) == ARRAY_ITEMS_MAX + 1
    CODEC.from_peer(frame_of(msgpack.packb([16, 1, 1, 1, votes[1:], 1, 1, 1, 1, [0, ""]])))


def test_the_room_that_is_kept_for_the_envelope_is_enough_for_the_largest() -> None:
    largest = Codec(DIGEST, "x" * 63, 2**63 - 1, 1 << 20)
    (frame,) = largest.frames([largest.pack(m.Ping(1))] * 16000)

    assert len(frame) - 16000 * len(largest.pack(m.Ping(1))) <= HEADER_BYTES_MAX


def test_u01_fields_that_a_newer_version_appended_are_ignored() -> None:
    packed = msgpack.packb([7, [7, "p1"], 3, 9, "new", [1, 2]])

    assert CODEC.from_peer(frame_of(packed)).messages == [m.Accepted(Ballot(7, "p1"), 3, disk=9)]


def test_u01_messages_that_a_newer_version_knows_are_counted() -> None:
    envelope = CODEC.from_peer(frame_of(msgpack.packb([63, 1]), CODEC.pack(m.Ping(1)), msgpack.packb([127])))

    assert (envelope.messages, envelope.unknown) == ([m.Ping(1)], 2)


# ---- what is not for us ----------------------------------------------------------------------


@pytest.mark.parametrize("plane", ["from_peer", "from_client", "from_gateway"])
def test_m21_another_wire_version_is_named(plane: str) -> None:
    with pytest.raises(ForeignFrame, match="other wire version") as caught:
        getattr(CODEC, plane)(raw([], version=3))

    assert caught.value.sender == "a2"
    assert "speaks 3, we speak 2" in str(caught.value)


@pytest.mark.parametrize("plane", ["from_peer", "from_client", "from_gateway"])
def test_u05_a_frame_of_version_0_2_0_is_refused_by_name_and_both_sides_can_say_why(plane: str) -> None:
    with pytest.raises(ForeignFrame, match=r"other wire version.*speaks 1, we speak 2") as caught:
        getattr(of(OURS), plane)(bytes.fromhex(GOLDEN_FRAME_OF_VERSION_1))
    refusal = CODEC.refusal(caught.value)
    version, digest, sender, incarnation, messages = msgpack.unpackb(refusal)  # as that version reads a frame

    assert caught.value.sender == "n1"
    assert (version, digest, sender, incarnation, messages) == (2, DIGEST, "n1", 5, [])


@pytest.mark.parametrize("plane", ["from_peer", "from_client", "from_gateway"])
def test_u05_no_frame_that_version_0_2_0_sent_is_taken_for_one_of_this_version(plane: str) -> None:
    frames = json.loads((Path(__file__).parents[1] / "golden" / "0.2.0" / "frames.json").read_text())
    assert len(frames) > 30
    for frame in frames.values():
        with pytest.raises(ForeignFrame, match="other wire version"):
            getattr(CODEC, plane)(bytes.fromhex(frame))


# ---- another history ---------------------------------------------------------------------------


@pytest.mark.parametrize("plane", ["from_peer", "from_client", "from_gateway"])
def test_i01_a_frame_of_another_history_is_refused_by_both_names(plane: str) -> None:
    with pytest.raises(ForeignFrame, match="another history: it is of 0a0a0a0a, we are of 68686868") as caught:
        getattr(of(OURS), plane)(raw([], history=OTHER))

    assert (caught.value.reason, caught.value.sender) == ("another history", "a2")
    assert of(OURS).refusal(caught.value) == of(OURS).frames([])[0]


@pytest.mark.parametrize("plane", ["from_peer", "from_client", "from_gateway"])
@pytest.mark.parametrize(("ours", "theirs"), [(b"", OURS), (OURS, b""), (OURS, OURS), (b"", b"")])
def test_where_one_side_knows_no_history_a_frame_counts(plane: str, ours: bytes, theirs: bytes) -> None:
    assert getattr(of(ours), plane)(raw([], history=theirs)).history == theirs


@pytest.mark.parametrize("history", [None, "", 0, [], b"x", OURS[1:], OURS + b"x", "h" * 16])
def test_what_is_no_id_of_a_history_makes_no_frame(history: Any) -> None:
    for plane in PLANES:
        with pytest.raises(MalformedFrame, match="malformed frame"):
            getattr(CODEC, plane)(raw([], history=history))


def test_another_cluster_is_named_before_another_history() -> None:
    with pytest.raises(ForeignFrame, match="other cluster"):
        of(OURS).from_peer(raw([], history=OTHER, digest=b"othrothr"))


def test_a_codec_that_speaks_for_a_later_life_keeps_its_history() -> None:
    codec = of(OURS)
    codec.speak_as(6)
    envelope = codec.from_peer(codec.frames([])[0])

    assert (envelope.incarnation, envelope.history) == (6, OURS)


@pytest.mark.parametrize("session", [0, "", b"", b"short", b"x" * 17, None])
def test_what_is_no_id_of_a_session_is_no_message(session: Any) -> None:
    with pytest.raises(MalformedFrame, match="malformed message"):
        CODEC.from_client(raw([[66, session, 1, 2, 3, 1, b"body"]]))


def test_m21_another_membership_file_is_named_with_both_digests() -> None:
    with pytest.raises(ForeignFrame, match=f"{b'othrothr'.hex()}.*{DIGEST.hex()}"):
        CODEC.from_peer(raw([], digest=b"othrothr"))


def test_a_client_without_a_membership_file_is_welcome_and_a_peer_without_one_is_not() -> None:
    frame = Codec(b"", "client-1", 1, 1000).frames([CODEC.pack(m.GetStatus(1))])[0]

    assert CODEC.from_client(frame).messages == [m.GetStatus(1)]
    with pytest.raises(ForeignFrame):
        CODEC.from_peer(frame)


def test_a_client_without_a_membership_file_is_welcome_however_it_writes_that() -> None:
    longer = b"\x96\x02\xc5\x00\x00\xc4\x00" + msgpack.packb("client-1") + b"\x01" + msgpack.packb([[71, 1]])

    assert CODEC.from_client(longer).messages == [m.GetStatus(1)]


@pytest.mark.parametrize("digest", [None, "", 0, [], "12345678", DIGEST + b"x"])
def test_m21_a_digest_of_another_type_is_that_of_another_file(digest: Any) -> None:
    for plane in PLANES:
        with pytest.raises(ForeignFrame, match="other cluster"):
            getattr(CODEC, plane)(raw([], digest=digest))


def test_a_client_takes_the_word_of_its_own_cluster_or_of_any_if_it_knows_none() -> None:
    frame = raw([[65, WISH, SESSION, ""]], digest=b"othrothr")

    assert Codec(b"", "client-1", 1, 1000).from_gateway(frame).messages == [m.SessionOpened(WISH, SESSION, "")]
    with pytest.raises(ForeignFrame):
        CODEC.from_gateway(frame)


@pytest.mark.parametrize(("message", "golden"), GOLDEN, ids=lambda value: type(value).__name__)
def test_m16_a_message_of_another_plane_is_refused(message: m.Message, golden: str) -> None:
    for plane, union in PLANES.items():
        if type(message) not in get_args(union):
            with pytest.raises(MalformedFrame, match="not for this plane"):
                getattr(CODEC, plane)(frame_of(bytes.fromhex(golden)))


def nested(depth: int) -> bytes:
    """An array in an array in an array …"""
    return b"\x91" * depth + b"\x90"


def with_item(place: int, item: bytes) -> bytes:
    """A frame of no messages with this in place of one of its items."""
    envelope: list[Any] = [2, DIGEST, b"", "a2", 1, []]
    items = [msgpack.packb(value) for value in envelope]
    items[place] = item
    return b"\x96" + b"".join(items)


@pytest.mark.parametrize("place", range(6))
def test_m08_a_frame_with_something_nested_deep_in_it_is_one_short_typed_error(place: int) -> None:
    for plane, depth in product(PLANES, (1, 6, 100, 500, 1000, 1022, 5000)):
        with pytest.raises(MalformedFrame) as caught:
            getattr(CODEC, plane)(with_item(place, nested(depth)))
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("place", range(6))
def test_m08_what_a_complaint_quotes_is_short_and_printable(place: int) -> None:
    for item in ("\x1b[2J" * 1000, "x" * 100_000, b"\x1b" * 100_000, 2**64 - 1, -(2**63)):
        for plane, shape in product(PLANES, (item, [item], [[item]] * 100)):
            with pytest.raises(MalformedFrame) as caught:
                getattr(CODEC, plane)(with_item(place, msgpack.packb(shape)))
            assert len(str(caught.value)) < 200
            assert str(caught.value).isprintable()


def test_m08_what_a_newer_version_appends_may_be_nested_a_little_and_no_more() -> None:
    newer = [7, [7, "p1"], 3, 9, [[[1]]]]

    assert CODEC.from_peer(raw([newer, [99, [[[1]]]]])).messages == [m.Accepted(Ballot(7, "p1"), 3, 9)]
    for message in (msgpack.packb([7, [7, "p1"], 3, 9])[1:] + nested(20), b"\x63" + nested(20)):
        head = b"\x95" if message[0] == 7 else b"\x92"
        with pytest.raises(MalformedFrame, match="nested too deep"):
            CODEC.from_peer(with_item(5, b"\x91" + head + message))


# ---- what is no frame ------------------------------------------------------------------------

CORPUS: dict[str, bytes] = {
    "empty": b"",
    "nil": b"\xc0",
    "never used": b"\xc1",
    "a number": b"\x05",
    "trailing bytes": raw([]) + b"x",
    "two frames": raw([]) * 2,
    "array32 of a false length": b"\xdd\xff\xff\xff\xff",
    "map32 of a false length": b"\xdf\xff\xff\xff\xff",
    "str32 of a false length": b"\xdb\xff\xff\xff\xffx",
    "bin32 of a false length": b"\xc6\xff\xff\xff\xffx",
    "ext32 of a false length": b"\xc9\xff\xff\xff\xff\x01",
    "ext": msgpack.packb(msgpack.ExtType(1, b"x")),
    "timestamp": msgpack.packb([2, DIGEST, b"", "a2", 1, [msgpack.Timestamp(1)]]),
    "a map": msgpack.packb({"a": 1}),
    "integer keys": msgpack.packb({1: 1, 2: 2}),
    "not utf-8": b"\x96\x02\xc4\x08" + DIGEST + b"\xc4\x00\xa2\xff\xfe\x01\x90",
    "too few items": bytes(msgpack.packb([2, DIGEST, b"", "a2", 1])),
    "no items": b"\x90",
    "as few items as version 1 had": bytes(msgpack.packb([2, DIGEST, "a2", 1, []])),
    "too many items": bytes(msgpack.packb([2, DIGEST, b"", "a2", 1, [], 7])),
    "messages are a number": raw(7),
    "messages are a text": raw("abc"),
    "messages are an empty map": raw({}),
    "messages are an empty text": raw(""),
    "a message is a number": raw([7]),
    "a message is empty": raw([[]]),
    "a message is bytes": raw([b"\x0d\x05"]),
    "a message has too few fields": raw([[6, [7, "p1"], 3]]),
    "no sender": raw([], sender=""),
    "a long sender": raw([], sender="x" * 64),
    "a sender that is bytes": raw([], sender=b"a2"),
    "a negative incarnation": raw([], incarnation=-1),
    "a huge incarnation": raw([], incarnation=2**64 - 1),
    "a slot that is true": raw([[13, True]]),
    "a slot that is a float": raw([[13, 1.0]]),
    "a slot that is not a number": raw([[13, float("nan")]]),
    "a negative slot": raw([[13, -1]]),
    "a flag that is a number": raw([[2, [7, "p1"], 1, [0, ""], 9]]),
    "a hint that is too long": raw([[65, WISH, SESSION, "x" * 256]]),
    "a status with a field too many": raw(
        [[72, 1, "c", "l1", "p1", [7, "p1"], 4, 4, 2, [["a1", "acceptor", True, 12, False, [7, "p1"], 4, 0, 0, 0, 0]]]]
    ),
    "a value that is a text": raw([[8, 3, "text"]]),
    "a ballot of one": raw([[12, [7]]]),
    "a ballot of three": raw([[12, [7, "p1", 1]]]),
    "a ballot that is a text": raw([[12, "p1"]]),
    "a reason that is none": raw([[18, SESSION, 1, 3, 1, 99]]),
    "votes that are a number": raw([[4, [7, "p1"], 4, 8, True, 7, 5, 1]]),
    "a message number that is a text": raw([["13", 1]]),
    "a sender in capitals": raw([], sender="A2"),
    "a sender that steers terminals": raw([], sender="a2\x1b[2J"),
    "a sender with a line end": raw([], sender="a2\n"),
    "a ballot of nobody": raw([[12, [7, ""]]]),
    "a ballot of who steers terminals": raw([[12, [7, "\x1b[2J"]]]),
    "a hint that steers terminals": raw([[65, WISH, SESSION, "\x1b]0;owned\x07"]]),
    "a status of a node that steers terminals": raw(
        [[72, 1, "c", "l1", "p1", [7, "p1"], 4, 4, 2, [["\x1b[2J", "acceptor", True, 12, False, [7, "p1"], 4, 0, 0]]]]
    ),
    "a status of a cluster that steers terminals": raw([[72, 1, "\x1b[2J", "l1", "p1", [7, "p1"], 4, 4, 2, []]]),
}


def test_a_message_that_lacks_fields_is_named() -> None:
    with pytest.raises(MalformedFrame, match="Accept lacks fields"):
        CODEC.from_peer(CORPUS["a message has too few fields"])


@pytest.mark.parametrize("frame", CORPUS.values(), ids=CORPUS)
def test_m08_what_is_no_frame_is_one_typed_error(frame: bytes) -> None:
    for plane in PLANES:
        with pytest.raises(MalformedFrame):
            getattr(CODEC, plane)(frame)


@pytest.mark.parametrize("depth", [1, 2, 10, 100, 511, 512, 1000, 2000, 100_000])
def test_m08_nested_arrays_of_any_depth_are_refused(depth: int) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.from_peer(b"\x91" * depth)


def test_m08_no_frame_costs_time_or_memory() -> None:
    bombs = [b"\xdd\x00\x00\xff\xff" * 4000, b"\xdc\xff\xff" * 6000, raw([])[:-1] + b"\xdd\x7f\xff\xff\xff" * 3000]
    bombs += [*CORPUS.values(), *(b"\x91" * depth for depth in range(1, 2001, 100))]
    tracemalloc.start()
    started = time.process_time()
    for bomb in bombs:
        with pytest.raises(MalformedFrame):
            CODEC.from_peer(bomb)
    spent_s, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_000_000
    assert spent_s < 0.1


def test_m10_a_frame_over_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(MalformedFrame, match="too large"):
        CODEC.from_peer(b"\xc1" * ((1 << 20) + 1))


@pytest.mark.parametrize(("message", "golden"), GOLDEN, ids=lambda value: type(value).__name__)
def test_m08_every_truncation_of_a_frame_is_malformed(message: m.Message, golden: str) -> None:
    frame = frame_of(bytes.fromhex(golden))
    for end in range(len(frame)):
        with pytest.raises(MalformedFrame):
            read(frame[:end], type(message))


def test_m08_flipped_bytes_give_a_valid_envelope_or_a_typed_error_and_nothing_else() -> None:
    draw = random.Random(8)
    errors = 0
    for message, golden in GOLDEN * 100:
        frame = bytearray(frame_of(bytes.fromhex(golden)))
        for _ in range(draw.randint(1, 3)):
            frame[draw.randrange(len(frame))] = draw.randrange(256)
        try:
            assert isinstance(read(bytes(frame), type(message)), Envelope)
        except MalformedFrame:
            errors += 1
    assert errors > 500


@always_the_same
@given(st.binary(max_size=200))
def test_m08_random_bytes_are_one_typed_error(frame: bytes) -> None:
    for plane in PLANES:
        with pytest.raises(MalformedFrame):
            getattr(CODEC, plane)(frame)


def test_a_client_puts_as_much_into_a_frame_as_every_gateway_takes_and_a_larger_message_alone() -> None:
    codec = Codec(DIGEST, "client", 1, 1 << 24)
    small = [m.Propose(session_id(7), number, 1, number, 1, bytes(100_000)) for number in range(1, 6)]
    large = m.Propose(session_id(7), 6, 1, 6, 1, bytes(2 * CLIENT_FRAME_BYTES))
    frames = codec.frames([codec.pack(message) for message in (*small, large)], CLIENT_FRAME_BYTES)

    assert [len(codec.from_client(frame).messages) for frame in frames] == [2, 2, 1, 1]
    assert all(len(frame) <= CLIENT_FRAME_BYTES for frame in frames[:3])


def test_the_wire_takes_the_node_ids_that_the_membership_file_takes() -> None:
    assert NODE_ID.pattern == NAME.pattern


def test_m08_a_client_has_so_many_messages_in_a_frame_and_puts_no_more_there_itself() -> None:
    packed = [CODEC.pack(m.GetStatus(1))] * (CLIENT_MESSAGES_MAX + 1)
    frames = CODEC.frames(packed, messages_max=CLIENT_MESSAGES_MAX)

    assert [len(CODEC.from_client(frame).messages) for frame in frames] == [CLIENT_MESSAGES_MAX, 1]
    with pytest.raises(MalformedFrame, match="65 messages in one frame, 64 are taken"):
        CODEC.from_client(CODEC.frames(packed)[0])


def test_m08_ten_thousand_frames_with_bytes_changed_added_and_cut_out_are_understood_or_typed_errors() -> None:
    draw = random.Random(88)
    corpus = [frame_of(bytes.fromhex(golden)) for _, golden in GOLDEN]
    for number in range(10_000):
        frame = bytearray(corpus[number % len(corpus)])
        for _ in range(draw.randint(1, 4)):
            at, length = draw.randrange(len(frame) + 1), draw.randint(0, 8)
            frame[at : at + draw.choice((0, 1, length))] = draw.choice(
                (b"", draw.randbytes(length), b"\x91" * draw.randint(1, 2000), b"\xdd\xff\xff\xff\xff", frame[at:])
            )
        for plane in PLANES:
            try:
                assert isinstance(getattr(CODEC, plane)(bytes(frame)), Envelope)
            except MalformedFrame as error:
                assert len(str(error)) < 200


def test_a_sentence_may_be_longer_than_a_name_and_has_an_end_all_the_same() -> None:
    def pong(alarm: str) -> bytes:
        return frame_of(CODEC.pack(m.Pong(1, False, Ballot(0, ""), 1, 1, 0, alarm=alarm)))

    (taken,) = CODEC.from_peer(pong("x" * SENTENCE_CHARS_MAX)).messages
    assert isinstance(taken, m.Pong)
    assert len(taken.alarm) == SENTENCE_CHARS_MAX
    for refused in ("x" * (SENTENCE_CHARS_MAX + 1), "\x1b[2J"):
        with pytest.raises(MalformedFrame, match="not a sentence"):
            CODEC.from_peer(pong(refused))


def test_a_status_in_which_nobody_leads_reaches_the_client() -> None:
    report = m.StatusReport(1, "demo", "l1", "", Ballot(0, ""), 1, 1, 0, ())
    (frame,) = CODEC.frames([CODEC.pack(report)])

    assert CODEC.from_gateway(frame).messages == [report]
