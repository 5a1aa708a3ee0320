"""Where the keys of a recipe stand: `RECIPE/NAME/…`, so that `paxosctl get --prefix lock/` shows all locks.

Law: no name's keys are among those of another one. What divides keys is escaped in names, so "a" and "a/b" are two. A
name is any bytes but none at all; text is encoded as UTF-8.
"""

from __future__ import annotations

from paxosd.recipes.steps import Span

_ESCAPED = {ord("%"): b"%25", ord("/"): b"%2F"}


def place(recipe: str, name: str | bytes, *parts: str) -> bytes:
    """The prefix of all keys of a recipe with this name, or of a part of them. Raises `TypeError` or `ValueError`."""
    if not isinstance(name, str | bytes):
        raise TypeError(f"the name of a {recipe} is text or bytes, such as 'job', not {name!r}")
    given = name.encode() if isinstance(name, str) else name
    if not given:
        raise ValueError(f"the name of a {recipe} is not empty: all that gave none would share one")
    escaped = b"".join(_ESCAPED.get(byte, bytes((byte,))) for byte in given)
    return b"/".join([recipe.encode(), escaped, *(part.encode() for part in parts), b""])


def span(recipe: str, name: str | bytes, *parts: str) -> Span:
    """All of these keys."""
    return Span.of_prefix(place(recipe, name, *parts))
