"""Whether a daemon's loop turns: it touches a file, and `paxosd health` looks how long ago.

This is liveness only, and never a matter of quorum: a node that is cut off is not helped by a restart.
Only the standard library is imported here, because a container asks every few seconds.
"""

from __future__ import annotations

import time
from pathlib import Path

BEAT_NAME = "alive"
BEAT_EVERY_S = 1.0
STALE_AFTER_S = 10.0


class Beat:
    """Touches the file at most once a second."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / BEAT_NAME
        self._next_at = 0.0

    def touch(self, now: float) -> None:
        """Say that the loop turned; `now` is monotonic."""
        if now >= self._next_at:
            self._next_at = now + BEAT_EVERY_S
            self._path.touch()


def complaint(directory: Path) -> str | None:
    """Why the daemon of this data directory is not well; None if it is."""
    path = directory / BEAT_NAME
    try:
        age_s = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return f"{path} does not exist: no daemon has run in this data directory yet; is the path right?"
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if age_s > STALE_AFTER_S:
        return (
            f"the daemon's loop last turned {age_s:.0f} s ago: it is stopped, dead or waits for its disk; see its log"
        )
    return None
