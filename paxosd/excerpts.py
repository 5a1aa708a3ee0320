"""What somebody else sent, shown: for a log line, an exception's text, a terminal.

Laws:
1. An excerpt is printable ASCII in one line and of bounded length, whatever it is of: it cannot steer a terminal, forge
   a line of the log, or fill the disk.
2. Making one takes bounded time and memory: nothing nested is walked through, nothing long is copied whole.
3. What is shown whole has everything escaped that does not print.
"""

from __future__ import annotations

EXCERPT_CHARS_MAX = 80
"""Of one excerpt; what is longer ends in dots."""


def excerpt(what: object) -> str:
    """A text or bytes in quotes, a number, an exception's own text; of anything else only what it is."""
    if isinstance(what, str | bytes):
        return _cut(ascii(what[:EXCERPT_CHARS_MAX]), len(what) > EXCERPT_CHARS_MAX)
    if isinstance(what, Exception):
        return _cut(ascii(str(what)[:EXCERPT_CHARS_MAX])[1:-1] or type(what).__name__, False)
    if isinstance(what, tuple | list):
        return f"an array of {len(what)}"
    if what is None or isinstance(what, bool | float) or (isinstance(what, int) and what.bit_length() <= 64):
        return str(what)
    return f"a {type(what).__name__}"


def shown(value: bytes) -> str:
    """A value for the eye: text where it is UTF-8, and every byte or character that does not print escaped."""
    return escaped(value.decode("utf-8", "backslashreplace"))


def escaped(text: str) -> str:
    """The text with everything that does not print escaped, so that it cannot steer a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _cut(text: str, longer: bool) -> str:
    room = EXCERPT_CHARS_MAX - 3
    return f"{text[:room]}..." if longer or len(text) > EXCERPT_CHARS_MAX else text
