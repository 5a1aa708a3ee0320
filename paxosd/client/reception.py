"""What comes from a gateway: whose it is, and to which history the client belongs from then on.

Laws:
1. A client belongs to the history of the first answer that was given out of a log: a session that is open, a result, a
   page. A gateway that serves nobody, and may be of a history that is over, binds nobody.
2. Nothing of another history gets to the session but the news that there is one.
"""

from __future__ import annotations

from paxosd.client.session import Session
from paxosd.core.messages import (
    Applied,
    LogPage,
    Message,
    SessionOpened,
    SlotPage,
    SnapshotPage,
    WatchEvents,
    Watching,
    WatchMark,
)
from paxosd.core.types import NO_HISTORY, Instant
from paxosd.wire.frames import ANOTHER_HISTORY, Codec, ForeignFrame, MalformedFrame


def receive(frame: bytes, gateway: str, codec: Codec, session: Session, now: Instant) -> None:
    """Hand a frame of this gateway to the session. Raises `WrongCluster` or `WrongHistory` if no gateway is left."""
    try:
        envelope = codec.from_gateway(frame)
    except ForeignFrame as foreign:
        return session.set_aside(gateway, str(foreign), now, foreign.reason == ANOTHER_HISTORY)
    except (MalformedFrame, MemoryError):
        return None  # whatever it was, the session asks again
    if codec.history == NO_HISTORY != envelope.history and any(map(_is_of_a_log, envelope.messages)):
        codec.belong_to(envelope.history)
    for message in envelope.messages:
        session.receive(message, now)  # type: ignore[arg-type]
    return None


def _is_of_a_log(message: Message) -> bool:
    return isinstance(message, SessionOpened | Applied | SlotPage | SnapshotPage | WatchEvents | WatchMark) or (
        isinstance(message, LogPage | Watching) and not message.refused
    )
