"""What callers give, checked before anything is sent; every complaint names the value, the rule and an example."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paxosd.client import verdicts
from paxosd.client.errors import ConfigurationError
from paxosd.core.types import SESSION_BYTES, Revision, SessionId
from paxosd.machine.kv.ranges import prefix_range
from paxosd.transport.addresses import dialled

VALUE_BYTES_MAX = 1 << 30
SECONDS_MAX = 1e6
"""Eleven days; also what keeps every wait within the range of the clocks and polls of a system."""
LEASE_S_MAX = 3e9
"""Nearly a hundred years."""

SEQ_MAX = 2**62
NUMBER_MAX = 2**63 - 1
"""The largest number in a message."""

EXAMPLE = '["l1:7100", "l2:7100"]'


def addresses(endpoints: Sequence[str], any_scheme: bool = False) -> list[str]:
    """As URLs; raises `ConfigurationError`. `any_scheme`: not only "tcp://"."""
    if isinstance(endpoints, str) or not isinstance(endpoints, Sequence) or not endpoints:
        raise ConfigurationError(f"endpoints are a list of addresses such as {EXAMPLE}, not {endpoints!r}")
    return [_address(endpoint, any_scheme) for endpoint in endpoints]


def _address(endpoint: object, any_scheme: bool) -> str:
    if not isinstance(endpoint, str):
        raise ConfigurationError(f"an endpoint is a text such as {EXAMPLE}, not {endpoint!r}")
    scheme, divider, rest = endpoint.partition("://")
    if any_scheme and divider and scheme != "tcp":
        return endpoint
    try:
        return dialled(rest if scheme == "tcp" and divider else endpoint).url
    except ValueError as error:
        raise ConfigurationError(f"endpoint {endpoint!r} is no address: {error}; write host:port, {EXAMPLE}") from error


def value(given: object, bytes_max: int) -> bytes:
    """A value as the bytes that it has now, whatever becomes of the object. Raises `TypeError` or `TooLarge`."""
    if type(given) is bytes and len(given) <= bytes_max:  # as nearly all are
        return given
    if isinstance(given, str):
        raise TypeError("a value is bytes, not str; encode it first, such as value.encode()")
    try:
        view = memoryview(given)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"a value is bytes, not {type(given).__name__}; make bytes of it first, such as str(value).encode()"
        ) from None
    if "O" in view.format:
        raise TypeError(f"a value is bytes, and {type(given).__name__} has references to objects; encode it first")
    if view.nbytes > bytes_max:
        raise verdicts.too_large(view.nbytes, bytes_max)
    return given if type(given) is bytes else view.tobytes()


def seconds(timeout: float, least: float | None = None) -> float:
    """A time to wait; above 0, or from `least` on. Raises `TypeError` or `ValueError`."""
    if type(timeout) is float and 0 < timeout <= SECONDS_MAX:  # as nearly all are
        return timeout
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"a timeout is a number of seconds, such as 2.5, not {timeout!r}")
    if not (0 < timeout <= SECONDS_MAX or timeout == least):
        rule = "above 0" if least is None else f"from {least:g} on"
        raise ValueError(f"a timeout is a number of seconds {rule}, and at most {SECONDS_MAX:g}, not {timeout!r}")
    return float(timeout)


def lease_ms(ttl: float) -> int:
    """The time of a lease in milliseconds, for a number of seconds; raises `TypeError` or `ValueError`."""
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise TypeError(f"the time of a lease is a number of seconds, such as 10, not {ttl!r}")
    if not 0.001 <= ttl <= LEASE_S_MAX:
        raise ValueError(f"the time of a lease is from 0.001 to {LEASE_S_MAX:g} seconds, not {ttl!r}")
    return round(ttl * 1000)


def revision(start: Revision) -> Revision:
    """A position in the log; raises `TypeError` or `ValueError`."""
    if isinstance(start, bool) or not isinstance(start, int):
        raise TypeError(f"a revision is a whole number, such as 1, not {start!r}")
    if not 0 < start < 1 << 63:
        raise ValueError(f"revisions count from 1 on, and {start} is none: start=1 reads the whole log")
    return start


def nodes(what: str, count: int | None) -> None:
    """Check how many nodes of a kind a cluster shall have; None: as usual. Raises `TypeError` or `ValueError`."""
    if isinstance(count, bool) or not isinstance(count, int | None):
        raise TypeError(f"{what} is a whole number, such as 3, not {count!r}")
    if count is not None and count < 0:
        raise ValueError(f"{what} is a whole number from 0 on, not {count!r}")


def folder(data_dir: str | Path | None) -> Path | None:
    """Where to keep something; None: nowhere. An empty text is not the directory at hand; raises `ValueError`."""
    if data_dir == "":
        raise ValueError("data_dir is the path of a directory, not ''; None: nothing is kept")
    return None if data_dir is None else Path(data_dir)


def waiting_time(timeout: float | None) -> tuple[bool, float | None]:
    """Whether to wait at all, and how many seconds; None: for ever. Raises `TypeError` or `ValueError`."""
    if timeout is None:
        return True, None
    given = seconds(timeout, least=0.0)
    return bool(given), given or None


def value_bytes(given: bytes | bytearray | memoryview) -> bytes:
    """A value for a key, as the bytes that it has now; raises `TypeError`. The cluster says how large it may be."""
    return value(given, VALUE_BYTES_MAX)


def text_or_bytes(given: str | bytes | bytearray | memoryview) -> bytes:
    """A key, or what people shall read; text is encoded as UTF-8. Raises `TypeError`."""
    if type(given) is bytes:
        return given
    if isinstance(given, str):
        return given.encode()
    if isinstance(given, bytes | bytearray | memoryview):
        return bytes(given)
    raise TypeError(f"a key is bytes or text, such as b'jobs/1', not {given!r}")


def key(given: str | bytes | bytearray | memoryview) -> bytes:
    """A key; raises `TypeError` or `ValueError`."""
    found = text_or_bytes(given)
    if not found:
        raise ValueError("a key is not empty; get_range(prefix=b'') reads all keys")
    return found


def whole_number(what: str, given: int, most: int) -> int:
    """From 0 to `most`; raises `TypeError` or `ValueError`."""
    any_whole_number(what, given)
    if not 0 <= given <= most:
        raise ValueError(f"{what} is a whole number from 0 to {most}, not {given}")
    return given


def any_whole_number(what: str, given: int) -> int:
    """Of any size, negative ones too; raises `TypeError`."""
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{what} is a whole number, not {given!r}")
    return given


def at(revision: Revision) -> Revision:
    """A revision, or 0 for none of them; raises `TypeError` or `ValueError`."""
    return whole_number("a revision", revision, NUMBER_MAX)


def maybe_at(revision: Revision | None) -> Revision | None:
    """The same, or None; raises `TypeError` or `ValueError`."""
    return None if revision is None else at(revision)


def at_most(limit: int) -> int:
    """How many, 0 for all; raises `TypeError` or `ValueError`."""
    return whole_number("a limit", limit, NUMBER_MAX)


def command_name(session: bytes | str, seq: int) -> tuple[SessionId, int]:
    """The session of a command, which may be hexadecimal digits, and its number; raises `TypeError` or `ValueError`."""
    if not isinstance(session, bytes | str):
        raise TypeError(f"a session is bytes, or hexadecimal digits, such as error.session.hex(), not {session!r}")
    try:
        found = bytes.fromhex(session) if isinstance(session, str) else session
    except ValueError:
        found = b""
    if len(found) != SESSION_BYTES:
        raise ValueError(f"a session has {SESSION_BYTES} bytes, or twice as many hexadecimal digits, not {session!r}")
    if not whole_number("the number of a command", seq, SEQ_MAX):
        raise ValueError("the commands of a session count from 1 on")
    return found, seq


def range_of(first: str | bytes, end: str | bytes, prefix: str | bytes | None) -> tuple[bytes, bytes]:
    """The key and the end of a range; raises `TypeError` or `ValueError`."""
    if prefix is None:
        return key(first), text_or_bytes(end)
    if first or end:
        raise ValueError("a range is named by key and end, or by prefix, not by both")
    return prefix_range(text_or_bytes(prefix))
