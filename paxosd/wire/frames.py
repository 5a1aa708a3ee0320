"""Messages to frames and back.

    frame   = [version, cluster digest, history, sender, incarnation, [message, …]]
    message = [type number, field, …]

Laws:
1. Fields are only ever appended, and numbers never used again. A decoder ignores fields that it does not know
   and counts messages that it does not know, so that a newer peer can speak to an older one.
2. Whatever comes in is checked for size and shape before it is decoded and for type and range after: a frame is
   understood, or it raises `MalformedFrame`, and nothing else. Decoding touches nothing but the frame, so whatever
   goes wrong in it is the fault of who sent that.
3. What a complaint quotes of a frame is an excerpt (see `excerpts.py`).
4. Values are opaque bytes here too.
5. A frame of another history is refused by name, before anything in it is looked at. One whose sender knows no history
   yet counts, and so does every frame for a reader that knows none: the driver, and a client, say what follows from it.
6. The first item of a frame is its version, for ever. A frame of version 1 has no history:
   [1, cluster digest, sender, incarnation, [message, …]].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgpack

import paxosd.core.messages as m
from paxosd.core.types import NO_HISTORY, HistoryId, NodeId, Sending
from paxosd.excerpts import excerpt
from paxosd.wire.fields import Check, checks_of, node, number
from paxosd.wire.fields import history as history_id
from paxosd.wire.heads import head
from paxosd.wire.numbers import FROM_CLIENT, FROM_PEER, NUMBER_OF, NUMBERS, TO_CLIENT
from paxosd.wire.shape import require_shallow, require_whole

VERSION = 2
_HEADER_ITEMS = 5
"""What stands in a frame in front of its messages."""
ANOTHER_HISTORY = "another history"
"""Why a frame of another history of this cluster is refused."""
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
    """A well-formed frame of another cluster, membership file, history or wire version."""

    def __init__(
        self, reason: str, detail: str, sender: str, version: int = VERSION, history: HistoryId = NO_HISTORY
    ) -> None:
        super().__init__(reason, detail)
        self.sender = sender  # a node id by its form
        self.version = version
        self.history = history  # that it names, where another one is the reason


def another_history(theirs: HistoryId, ours: HistoryId, sender: str) -> ForeignFrame:
    """What there is to say of a frame of another history."""
    what = f"it is of {theirs.hex()[:8]}, we are of {ours.hex()[:8]}"
    return ForeignFrame(ANOTHER_HISTORY, what, sender, history=theirs)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a frame held. `unknown` counts messages of types that this version does not know."""

    sender: NodeId
    incarnation: int
    messages: list[m.Message]
    unknown: int
    history: HistoryId = NO_HISTORY


_CHECKS_BY_NUMBER = {number: checks_of(message_type) for number, message_type in NUMBERS.items()}
_NAMES = {message_type: tuple(field.name for field in fields(message_type)) for message_type in NUMBERS.values()}
_BODY_AT = _NAMES[m.Propose].index("body")
_HEAD_CHECKS = tuple(c for i, c in enumerate(_CHECKS_BY_NUMBER[NUMBER_OF[m.Propose]]) if i != _BODY_AT)


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
    `history` is the one that it belongs to, once that is known.

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
        self._incarnation = incarnation
        self.history: HistoryId = NO_HISTORY
        self._make_header()

    def speak_as(self, incarnation: int) -> None:
        """From now on frames are of this life."""
        self._incarnation = incarnation
        self._make_header()

    def belong_to(self, history: HistoryId) -> None:
        """From now on frames are of this history, and those of another one are refused."""
        self.history = history
        self._make_header()

    def _make_header(self) -> None:
        items = VERSION, self._digest, self.history, self._sender, self._incarnation
        self._header = b"".join((_array_header(_HEADER_ITEMS + 1), *map(_pack, items)))
        self._beginnings = tuple(
            b"".join((_array_header(_HEADER_ITEMS + 1), *map(_pack, (VERSION, digest, history))))
            for digest in {self._digest, NO_DIGEST}
            for history in {self.history, NO_HISTORY}
        )

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

    def refusal(self, foreign: ForeignFrame) -> bytes:
        """An empty frame that tells the sender of this one whom it reached, in the form of its own version: a reader of
        version 1 understands nothing but five items, and refuses the number in front by name."""
        if foreign.version != 1:
            return self._frame([])
        refusal: bytes = _pack([VERSION, self._digest, self._sender, self._incarnation, []])
        return refusal

    # ---- in ----

    def from_peer(self, frame: bytes) -> Envelope:
        """What another node sent; raises `MalformedFrame` or `ForeignFrame`."""
        _require_small(frame, self.frame_bytes_max)
        return self._decode(frame, FROM_PEER, (self._digest,), PEER_MESSAGES_MAX)

    def sending(self, frame: bytes) -> Sending | None:
        """What a client's frame of a single `Propose` says besides its commands, which are not read; None if it is any
        other one, or not of our cluster and our history: `from_client` says what it is."""
        if len(frame) > self._client_frame_bytes_max or not frame.startswith(self._beginnings):
            return None
        try:
            fields = head(frame, _HEADER_ITEMS, NUMBER_OF[m.Propose], _BODY_AT, len(_HEAD_CHECKS) - _BODY_AT)
            return None if fields is None else Sending(*list(map(_checked, _HEAD_CHECKS, fields))[:_BODY_AT])
        except _WHATEVER:
            return None

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
            items = _items(frame)
            version = items[0]
            sender = node(items[_SENDER_AT.get(version, _SENDER_AT[VERSION])])
        except _WHATEVER as error:
            raise MalformedFrame("malformed frame", excerpt(error)) from None
        if version != VERSION:
            told = f"it speaks {excerpt(version)}, we speak {VERSION}: run one version of paxosd everywhere"
            raise ForeignFrame("other wire version", told, sender, version)
        try:
            _, digest, history, _, incarnation, packed = items
            history_id(history)
        except _WHATEVER as error:
            raise MalformedFrame("malformed frame", excerpt(error)) from None
        if digests is not None and digest not in digests:
            raise ForeignFrame("other cluster", _digests(digest, self._digest), sender)
        if history != self.history and history != NO_HISTORY != self.history:
            raise another_history(history, self.history, sender)
        try:
            return Envelope(sender, number(incarnation), *_messages(packed, allowed, messages_max), history)
        except _WHATEVER as error:
            raise MalformedFrame("malformed message", excerpt(error)) from None


_SENDER_AT = {1: 2, VERSION: 3}
"""Where in a frame of each version its sender stands; in those of later ones at the same place, as far as we know."""


def _checked(check: Check, field: Any) -> Any:
    return check(field)


def _items(frame: bytes) -> tuple[Any, ...]:
    """What a frame holds; raises whatever its bytes make the decoder raise."""
    require_whole(frame)
    items = msgpack.unpackb(
        frame,
        use_list=False,
        raw=False,
        strict_map_key=True,
        max_array_len=ARRAY_ITEMS_MAX,
        max_map_len=0,
        max_ext_len=0,
    )
    if type(items) is not tuple:
        raise ValueError("not an array")
    return items


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
