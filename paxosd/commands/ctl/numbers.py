"""Numbers of a command line: what is none, or out of bounds, is a mistake in usage, and nothing was sent."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from paxosd.client.arguments import LEASE_S_MAX, SECONDS_MAX, lease_ms, revision, seconds

NUMBER_MAX = 2**63 - 1


def a_timeout(text: str) -> float:
    """How many seconds to wait; above 0."""
    try:
        return seconds(float(text))
    except ValueError:
        rule = f"a number of seconds above 0, such as 2.5, and at most {SECONDS_MAX:g}"
        raise argparse.ArgumentTypeError(f"{text!r} is not {rule}") from None


def a_wait(text: str) -> float:
    """The same, and 0: not at all."""
    try:
        return seconds(float(text), least=0.0)
    except ValueError:
        rule = f"a number of seconds from 0 on, such as 2.5, and at most {SECONDS_MAX:g}"
        raise argparse.ArgumentTypeError(f"{text!r} is not {rule}") from None


def a_lease_time(text: str) -> float:
    """The seconds of a lease."""
    try:
        lease_ms(found := float(text))
    except ValueError:
        rule = f"a number of seconds from 0.001 to {LEASE_S_MAX:g}, such as 10"
        raise argparse.ArgumentTypeError(f"{text!r} is not {rule}") from None
    return found


def a_revision(text: str) -> int:
    """A revision of the log or of keys."""
    try:
        return revision(int(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a revision: they count 1, 2, 3 ...") from None


def a_number(least: int, most: int = NUMBER_MAX) -> Callable[[str], int]:
    """A whole number within these bounds."""

    def check(text: str) -> int:
        rule = f"a whole number from {least} on" if most == NUMBER_MAX else f"a whole number from {least} to {most}"
        try:
            found = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {rule}") from None
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {rule}")
        return found

    return check


def a_name(text: str) -> str:
    """The name of a lock, a queue and the like."""
    if not text:
        raise argparse.ArgumentTypeError("a name is not empty")
    return text
