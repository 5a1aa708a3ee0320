"""One value of the membership file, from the text that was written: a name, a number, a duration.

Addresses are in `transport/addresses.py`, for clients ask there, too.

Each function gives the value or raises a ValueError whose text says what was written, what is wrong with it, and what
would be right.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from paxosd.core.types import MACHINE_NAME, MACHINE_NAME_BYTES_MAX

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MACHINES = ("log", "kv")
"""The machines that come with it."""
CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
WORDS_OF_YAML = ("no", "yes", "on", "off", "true", "false", "null")
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m)", re.ASCII)
AGE = re.compile(r"(\d{1,9})(s|m|h|d)", re.ASCII)
SIZE = re.compile(r"(\d{1,15})(B|KiB|MiB|GiB|KB|MB|GB)?", re.ASCII)
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
AGE_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def meant(written: str, known: Iterable[str]) -> str | None:
    """What was probably meant; None if nothing is near."""
    near = difflib.get_close_matches(written, list(known), 1, 0.6)
    return near[0] if near else None


# ---- names and numbers -----------------------------------------------------------------------


def name(text: str) -> str:
    """The name of a cluster."""
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name: use a-z, 0-9 and -, at most 63 characters")
    return text


def node_id(text: str) -> str:
    """The id of a node: a name that no YAML reader takes for something else."""
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not an id: use a-z, 0-9 and -, at most 63, such as a1")
    if text in WORDS_OF_YAML or text.isdigit():
        raise ValueError(f"{text!r} means something else to other YAML readers; use an id such as n{text}")
    return text


def choice(*known: str) -> Callable[[str], str]:
    """One of a few words."""

    def check(text: str) -> str:
        if text in known:
            return text
        near = meant(text, known)
        raise ValueError(f"{text!r} is none of {', '.join(known)}" + (f"; did you mean {near!r}?" if near else ""))

    return check


def machine(text: str) -> str:
    """What is mounted: a built-in machine, or a class of a user."""
    if text in MACHINES or CLASS.fullmatch(text):
        return text
    near = meant(text, MACHINES)
    more = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"{text!r} is neither {' nor '.join(MACHINES)} nor a class such as mypackage.bank:Bank{more}")


def machine_name(text: str) -> str:
    """The name under which a machine is mounted."""
    if not re.fullmatch(MACHINE_NAME, text):
        raise ValueError(
            f"{text!r} is no name of a machine: use a-z, 0-9, - and _, a letter first, at most {MACHINE_NAME_BYTES_MAX}"
        )
    if text in (*WORDS_OF_YAML, "ledger"):
        raise ValueError(f"{text!r} means something else; use another name")
    return text


def count(text: str) -> int:
    """A whole number, at least 1."""
    if not re.fullmatch(r"0|-?[1-9]\d{0,15}", text, re.ASCII):
        raise ValueError(f"{text!r} is not a whole number, written without leading zeros, colons or points")
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is too small; at least 1")
    return number


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def check(text: str) -> int:
        number = count(text)
        if not low <= number <= high:
            raise ValueError(f"{number} is not between {low} and {high}")
        return number

    return check


def duration_s(text: str) -> float:
    """A duration with its unit, in seconds."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write the unit, such as 100ms, 1.5s or 2m")
    seconds = float(match[1]) * SECONDS[match[2]]
    if not 0.001 <= seconds <= 3600:
        raise ValueError(f"{text} is not between 1ms and 60m")
    return seconds


def age_s(text: str) -> float:
    """A duration that may be long, with its unit, in seconds."""
    match = AGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an age; write the unit, such as 90s, 30m, 12h or 7d")
    seconds = int(match[1]) * AGE_SECONDS[match[2]]
    if not 1 <= seconds <= 3660 * 86400:
        raise ValueError(f"{text} is not between 1s and 3660d")
    return seconds


def size(text: str) -> int:
    """A number of bytes, with or without a unit."""
    match = SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size, such as 512KiB, 1MiB or 65536")
    found = int(match[1]) * BYTES[match[2]]
    if not 1 <= found <= 1 << 40:
        raise ValueError(f"{text} is not between 1 and 1 TiB")
    return found


def path(text: str) -> str:
    """A path of the file system."""
    if not text or "\0" in text:
        raise ValueError("is not a path")
    if text.startswith("~"):
        raise ValueError(f"{text!r} begins with ~, which means nothing here; write the path in full")
    return text
