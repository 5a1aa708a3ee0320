"""Messages to frames and back.

    frame   = [version, cluster digest, sender, incarnation, [message, …]]
    message = [type number, field, …]

Laws:
1. Fields are only ever appended, and numbers never used again. A decoder ignores fields that it does not know
   and counts messages that it does not know, so that a newer peer can speak to an older one.
2. Whatever comes in is checked for size and shape before it is decoded and for type and range after: a frame is
   understood, or it raises `MalformedFrame`, and nothing else. Decoding touches nothing but the frame, so whatever
   goes wrong in it is the fault of who sent that.
3. What a complaint quotes of a frame is an excerpt (see `excerpts.py`).
4. Values are opaque bytes here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgpack

import paxosd.core.messages as m
from paxosd.core.types import NodeId
from paxosd.excerpts import excerpt
from paxosd.wire.fields import checks_of, node, number
from paxosd.wire.numbers import FROM_CLIENT, FROM_PEER, NUMBER_OF, NUMBERS, TO_CLIENT
from paxosd.wire.shape import require_shallow, require_whole

VERSION = 1
ARRAY_ITEMS_MAX = 16384
CLIENT_MESSAGES_MAX = 64
"""How many messages a gateway takes in one frame of a client: so many can be handled before others have their turn."""
PEER_MESSAGES_MAX = 1024
"""How many messages one frame between nodes holds: 5 ms of work. There may be 16,384 rows in each."""
HEADER_BYTES_MAX = 128
"""More than the envelope around the messages of a frame ever takes."""
NO_DIGEST = b""
"""Stands for the membership file of a client that has none."""


class MalformedFrame(Exception):
    """Bytes that are not a frame. `reason` is a short name for counters; the text says more."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class ForeignFrame(MalformedFrame):
    """A well-formed frame of another cluster, of another membership file or of another wire version."""

    def __init__(self, reason: str, detail: str, sender: str) -> None:
        super().__init__(reason, detail)
        self.sender = sender  # a node id by its form


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a frame held. `unknown` counts messages of types that this version does not know."""

    sender: NodeId
    incarnation: int
    messages: list[m.Message]
    unknown: int


_CHECKS_BY_NUMBER = {number: checks_of(message_type) for number, message_type in NUMBERS.items()}
_NAMES = {message_type: tuple(field.name for field in fields(message_type)) for message_type in NUMBERS.values()}


_pack = msgpack.Packer(use_bin_type=True).pack
_array_header = msgpack.Packer().pack_array_header


def _plain(value: Any) -> Any:
    """A field as msgpack takes it: a nested dataclass becomes an array, like the named tuples already are."""
    if isinstance(value, tuple) and value and isinstance(value[0], m.NodeStatus):
        return [[getattr(status, name) for name in _STATUS_NAMES] for status in value]
    return value


_STATUS_NAMES = tuple(field.name for field in fields(m.NodeStatus))


class Codec:
    """Speaks for one node, or one client, of one cluster. `digest` is of its membership file, or `NO_DIGEST`.

    `client_frame_bytes_max`: what a gateway reads, which may be more than it sends to anybody: a client that was told
    of no limit must hear that its value is too large.
    """

    def __init__(
        self, digest: bytes, sender: str, incarnation: int, frame_bytes_max: int, client_frame_bytes_max: int = 0
    ) -> None:
        self._digest = digest
        self.frame_bytes_max = frame_bytes_max
        self._client_frame_bytes_max = client_frame_bytes_max or frame_bytes_max
        self._sender = sender
        self.speak_as(incarnation)

    def speak_as(self, incarnation: int) -> None:
        """From now on frames are of this life."""
        parts = _pack(VERSION), _pack(self._digest), _pack(self._sender), _pack(incarnation)
        self._header = b"".join((_array_header(5), *parts))

    # ---- out ----

    def pack(self, message: m.Message) -> bytes:
        """One message, to be put into any number of frames."""
        message_type = type(message)
        parts = [NUMBER_OF[message_type]]
        parts += [_plain(getattr(message, name)) for name in _NAMES[message_type]]
        return bytes(_pack(parts))

    def frames(
        self, packed: Sequence[bytes], frame_bytes_max: int | None = None, messages_max: int = ARRAY_ITEMS_MAX
    ) -> list[bytes]:
        """These messages in as few frames as the limits allow; no messages make one empty frame.

        `frame_bytes_max`: a smaller limit than our own, which only a message that is larger by itself exceeds.
        `messages_max`: of one frame; `CLIENT_MESSAGES_MAX` from a client, `PEER_MESSAGES_MAX` between nodes.
        """
        room = (frame_bytes_max or self.frame_bytes_max) - HEADER_BYTES_MAX
        frames: list[bytes] = []
        batch: list[bytes] = []
        size = 0
        for message in packed:
            if batch and (size + len(message) > room or len(batch) == messages_max):
                frames.append(self._frame(batch))
                batch, size = [], 0
            batch.append(message)
            size += len(message)
        frames.append(self._frame(batch))
        return frames

    def _frame(self, packed: list[bytes]) -> bytes:
        return b"".join((self._header, _array_header(len(packed)), *packed))

    # ---- in ----

    def from_peer(self, frame: bytes) -> Envelope:
        """What another node sent; raises `MalformedFrame` or `ForeignFrame`."""
        _require_small(frame, self.frame_bytes_max)
        return self._decode(frame, FROM_PEER, (self._digest,), PEER_MESSAGES_MAX)

    def from_client(self, frame: bytes) -> Envelope:
        """What a client sent; a client without a membership file is welcome."""
        _require_small(frame, self._client_frame_bytes_max)
        return self._decode(frame, FROM_CLIENT, (self._digest, NO_DIGEST), CLIENT_MESSAGES_MAX)

    def from_gateway(self, frame: bytes) -> Envelope:
        """What a gateway sent to us, a client; without a membership file we take any cluster's word."""
        _require_small(frame, self.frame_bytes_max)
        digests = (self._digest,) if self._digest != NO_DIGEST else None
        return self._decode(frame, TO_CLIENT, digests, ARRAY_ITEMS_MAX)

    def _decode(
        self, frame: bytes, allowed: frozenset[int], digests: tuple[bytes, ...] | None, messages_max: int
    ) -> Envelope:
        """`allowed`: the numbers of this plane. `digests`: whose frames count; None: everybody's."""
        try:
            require_whole(frame)
            version, digest, sender, incarnation, packed = msgpack.unpackb(
                frame,
                use_list=False,
                raw=False,
                strict_map_key=True,
                max_array_len=ARRAY_ITEMS_MAX,
                max_map_len=0,
                max_ext_len=0,
            )
            node(sender)
        except _WHATEVER as error:
            raise MalformedFrame("malformed frame", excerpt(error)) from None
        if version != VERSION:
            raise ForeignFrame("other wire version", f"{excerpt(version)}, we speak {VERSION}", sender)
        if digests is not None and digest not in digests:
            raise ForeignFrame("other cluster", _digests(digest, self._digest), sender)
        try:
            return Envelope(sender, number(incarnation), *_messages(packed, allowed, messages_max))
        except _WHATEVER as error:
            raise MalformedFrame("malformed message", excerpt(error)) from None


def _require_small(frame: bytes, bytes_max: int) -> None:
    if len(frame) > bytes_max:
        raise MalformedFrame("frame too large", f"{len(frame)} bytes")


_WHATEVER = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    LookupError,
    MemoryError,
    RuntimeError,  # also RecursionError
    SystemError,
    TypeError,
    ValueError,
    msgpack.UnpackException,
)
"""All that somebody's bytes can make the decoder raise, what nobody thought of too (law 2)."""


def _messages(packed: Any, allowed: frozenset[int], messages_max: int) -> tuple[list[m.Message], int]:
    if type(packed) is not tuple:
        raise ValueError("the messages are not an array")
    if len(packed) > messages_max:
        raise ValueError(f"{len(packed)} messages in one frame, {messages_max} are taken")
    messages: list[m.Message] = []
    unknown = 0
    for item in packed:
        if type(item) is not tuple:
            raise ValueError("a message is not an array")
        kind = number(item[0])
        checks = _CHECKS_BY_NUMBER.get(kind)
        if checks is None:
            require_shallow(item)
            unknown += 1
            continue
        if kind not in allowed:
            raise ValueError(f"{NUMBERS[kind].__name__} is not for this plane")
        if len(item) <= len(checks):
            raise ValueError(f"{NUMBERS[kind].__name__} lacks fields")
        messages.append(NUMBERS[kind](*[check(field) for check, field in zip(checks, item[1:], strict=False)]))
        if len(item) > len(checks) + 1:
            require_shallow(item[len(checks) + 1 :])
    return messages, unknown


def _digests(theirs: Any, ours: bytes) -> str:
    shown = "none" if theirs == NO_DIGEST else excerpt(theirs.hex() if isinstance(theirs, bytes) else theirs).strip("'")
    return f"its membership file has digest {shown}, ours {ours.hex()}; compare the files"
