"""Whether a daemon's loop turns: it says so in a file, and `paxosd health` reads how long ago.

Laws:
1. This is liveness only, and never a matter of quorum: a node that is cut off is not helped by a restart.
2. No wall clock: times are of the kernel's monotonic clock, and count for the boot in which they were taken. Containers
   share both with their host; what a time namespace adds is taken off.
3. What is not understood is no sign of life. Whoever looks changes nothing.
4. Saying that one lives must not end a life: only a data directory that is gone does; all else is tried again.

Only the standard library is imported here, because a container asks every few seconds.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

BEAT_NAME = "alive"
BEAT_EVERY_S = 1.0
STALE_AFTER_S = 10.0
LINE_BYTES = 240
"""Each line has this length, so that a new one covers the old one as a whole."""

_OFFSETS = Path("/proc/self/timens_offsets")

STARTING, TURNING, STOPPED = "starting", "turning", "stopped"


class Beat:
    """Says in the data directory that the daemon starts, that its loop turns, and that it was stopped.

    `trouble` is why the last try failed; None if it did not. The file is kept open, and each line replaces the last
    one where it stands: that needs neither room on the disk nor a file descriptor.
    """

    def __init__(self, directory: Path) -> None:
        self.trouble: OSError | None = None
        self.directory = directory
        self._identity = _identity(directory)
        self._process = f"{_boot()} {_namespace()} {os.getpid()} {_started(os.getpid())}"
        self._noted = ""
        self._file: int | None = None
        self._next_at = 0.0
        self._say(STARTING)

    def touch(self, now: float, progress: str = "") -> None:
        """Say that the loop turns, at most once in `BEAT_EVERY_S`; `now` is monotonic. `progress`: how far the node is
        with catching up, as long as it is.

        Raises `FileNotFoundError` if the data directory is gone, or is another one by now.
        """
        if now < self._next_at:
            return
        self._next_at = now + BEAT_EVERY_S
        try:
            if _identity(self.directory) != self._identity:
                raise FileNotFoundError
        except FileNotFoundError:
            raise
        except OSError as error:
            self.trouble = error
        else:
            self._say(TURNING, progress)

    def note(self, word: str) -> None:
        """Say besides that the disk is "low" or "full"; empty: it has room."""
        self._noted = word

    def close(self) -> None:
        """Say that the daemon was stopped."""
        self._say(STOPPED)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _say(self, state: str, progress: str = "") -> None:
        try:
            if self._file is None or os.fstat(self._file).st_nlink == 0:
                self._make()
            assert self._file is not None
            line = f"{state} {self._process} {_monotonic_ms()} {self._noted or '-'} {progress}"
            os.pwrite(self._file, f"{line[: LINE_BYTES - 1]:<{LINE_BYTES - 1}}\n".encode(), 0)
            self.trouble = None
        except OSError as error:
            self.trouble = error

    def _make(self) -> None:
        """A new file: what stands under the name may be a link, and what it leads to is not ours."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self.directory / BEAT_NAME
        path.unlink(missing_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def complaint(directory: Path) -> str | None:
    """Why the daemon of this data directory is not well; None if it is."""
    path = directory / BEAT_NAME
    try:
        line = _read(path)
    except FileNotFoundError:
        return f"{path} does not exist: no daemon has run in this data directory yet; is the path right?"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    try:
        state, boot, namespace, pid, started, at_ms, *_ = line.decode("ascii").split()
        if state not in (STARTING, TURNING, STOPPED) or not pid.isdigit():
            raise ValueError(line)
        age_s = (_monotonic_ms() - int(at_ms)) / 1000
        if boot != _boot():
            return f"{path} is of another boot of this machine, or of another machine: no daemon has run here since"
        if state == STOPPED:
            return "the daemon has ended; see the end of its log, and start it again"
        if namespace == _namespace() != "-" and not _lives(int(pid), started):
            return f"the daemon is dead: its process {pid} is gone; see the end of its log, and start it again"
    except (ValueError, OverflowError):
        return f"{path} is not what a daemon of this version writes: no daemon that could be told about runs here"
    if age_s < 0:
        return f"{path} has a time that has not come yet: it was not written on this machine"
    if state == STARTING:
        return f"the daemon has been starting for {age_s:.0f} s: it reads its records, and its loop does not turn yet"
    if age_s > STALE_AFTER_S:
        return f"the daemon's loop last turned {age_s:.0f} s ago: it stands still, or waits for its disk; see its log"
    return None


def notice(directory: Path) -> str | None:
    """What a daemon that is well has to say besides: that its disk is nearly full; None: nothing."""
    try:
        words = _read(directory / BEAT_NAME).decode("ascii", "replace").split()
    except OSError:
        return None
    return _NOTICES.get(words[6]) if len(words) > 6 else None


_NOTICES = {
    "low": "the disk is nearly full: make room, or raise storage.quota; new commands may be refused (NoSpace)",
    "full": "the disk is full: make room, or raise storage.quota; this node takes nothing new until then",
}


def progress(directory: Path) -> str:
    """How far the daemon of this data directory is with catching up; empty if it does not. It must be well."""
    words = _read(directory / BEAT_NAME).decode("ascii", errors="replace").split()
    return " ".join(words[7:])


def _read(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(0, "it is not a file")
        return os.read(file, LINE_BYTES + 1)
    finally:
        os.close(file)


def _identity(directory: Path) -> tuple[int, int]:
    found = directory.stat()
    return found.st_dev, found.st_ino


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000 - _added_ms()


def _added_ms() -> int:
    """What the time namespace of this process, such as that of a container which was moved, adds to the clock."""
    try:
        (line,) = (line for line in _OFFSETS.read_text().splitlines() if line.startswith("monotonic"))
        _, seconds, nanoseconds = line.split()
        return int(seconds) * 1000 + int(nanoseconds) // 1_000_000
    except (OSError, ValueError):
        return 0  # a kernel without them


# ---- what the kernel says of processes; "-" where it says nothing ------------------------------


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or "-"
    except OSError:
        return "-"


def _namespace() -> str:
    """In which process ids count, and the times when processes were started. They mean nothing elsewhere, as in another
    container with the same volume.
    """
    try:
        return str(Path("/proc/self/ns/pid").readlink()) + _time_namespace()
    except OSError:
        return "-"


def _time_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/time").readlink()).removeprefix("time:")
    except OSError:
        return ""  # a kernel without them


def _started(pid: int) -> str:
    """When the process was started: its id may pass to another one. "gone" if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "-"
    return "gone" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _lives(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is somebody else's
    return "-" in (now := _started(pid), started) or now == started
