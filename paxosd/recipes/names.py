"""Where the keys of a recipe stand: `RECIPE/NAME/…`, so that `paxosctl get --prefix lock/` shows all locks.

Law: no name's keys are among those of another one. What divides keys is escaped in names, so "a" and "a/b" are two.
"""

from __future__ import annotations

from paxosd.recipes.steps import Span

_ESCAPED = {ord("%"): b"%25", ord("/"): b"%2F"}


def place(recipe: str, name: str | bytes, *parts: str) -> bytes:
    """The prefix of all keys of a recipe with this name, or of a part of them."""
    given = name.encode() if isinstance(name, str) else name
    escaped = b"".join(_ESCAPED.get(byte, bytes((byte,))) for byte in given)
    return b"/".join([recipe.encode(), escaped, *(part.encode() for part in parts), b""])


def span(recipe: str, name: str | bytes, *parts: str) -> Span:
    """All of these keys."""
    return Span.of_prefix(place(recipe, name, *parts))
