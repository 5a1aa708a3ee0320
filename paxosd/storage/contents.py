"""What a record without a key says, as bytes: the same way for every class of records.

    content = [field, …]     msgpack; a record, a named tuple or a tuple inside is an array as well

Laws:
1. How a class is written follows from the types of its fields alone. A type that this file does not know is a
   `TypeError` when the class is registered, so no record comes to a disk that cannot be read again.
2. A record is found again by its name, which is that of its class in lower case. So a class is never renamed. Fields
   are only appended, with a default: what an earlier version wrote has fewer of them.
3. What is read is a record, or it raises: `UnknownContent` if a newer version wrote it, else `ValueError`.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgpack

_Way: TypeAlias = Callable[[Any], Any]
_pack = msgpack.Packer().pack
_INT64 = range(-(2**63), 2**63)


class UnknownContent(Exception):
    """A newer version wrote this; the text says what it is."""


class Contents:
    """Writes and reads the records of these classes; raises `TypeError` for one that it cannot write."""

    def __init__(self, kinds: Iterable[type]) -> None:
        self.kinds = {kind.__name__.lower(): kind for kind in kinds}
        self._names = {kind: name for name, kind in self.kinds.items()}
        self._ways = {kind: _record(kind) for kind in self.kinds.values()}

    def name(self, record: object) -> str:
        """By what name a record is found again."""
        return self._names[type(record)]

    def pack(self, record: object) -> bytes:
        """What it says. Raises `OverflowError` for a number of more than 64 bits."""
        out, _ = self._ways[type(record)]
        return bytes(_pack(out(record)))

    def unpack(self, name: str, content: bytes) -> Any:
        """The record of that name that says this; raises `UnknownContent` or `ValueError`."""
        kind = self.kinds.get(name)
        if kind is None:
            raise UnknownContent(f"a record {name!r}")
        _, back = self._ways[kind]
        try:
            return back(msgpack.unpackb(content, use_list=False))
        except (ValueError, OverflowError, msgpack.UnpackException) as error:
            raise ValueError(f"the record {name!r} cannot be read: {error}") from error


def _record(kind: type) -> tuple[_Way, _Way]:
    """How records of a class, or named tuples, are made plain and made again."""
    hints = get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        fields = dataclasses.fields(kind)
        names = [field.name for field in fields]
        least = sum(field.default is dataclasses.MISSING for field in fields)
    else:
        names = list(getattr(kind, "_fields"))  # noqa: B009 (of a named tuple, which no type tells)
        least = len(names)
    ways = [_ways(hints[name]) for name in names]

    def out(record: Any) -> list[Any]:
        return [way(getattr(record, name)) for name, (way, _) in zip(names, ways, strict=True)]

    def back(plain: Any) -> Any:
        _require(tuple, plain)
        if len(plain) > len(names):
            raise UnknownContent(f"a {kind.__name__} of {len(plain)} fields")
        if len(plain) < least:
            raise ValueError(f"{kind.__name__} has {len(plain)} fields of {least}")
        return kind(*(way(value) for value, (_, way) in zip(plain, ways, strict=False)))

    return out, back


def _ways(hint: Any) -> tuple[_Way, _Way]:
    """How a value of this type is made plain, and made again and checked."""
    if hint is int:
        return _int64, lambda plain: _int64(_require(int, plain))
    if hint in (bool, str, bytes):
        return _same, lambda plain: _require(hint, plain)
    if get_origin(hint) in (Union, types.UnionType):
        return _optional(hint)
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint))
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or hasattr(hint, "_fields")):
        return _record(hint)
    raise TypeError(f"a record cannot hold {hint}: see the laws of contents.py")


def _optional(hint: Any) -> tuple[_Way, _Way]:
    one, none = sorted(get_args(hint), key=lambda part: part is type(None))
    if len(get_args(hint)) != 2 or none is not type(None):
        raise TypeError(f"a record cannot hold {hint}: only one type, or None")
    out, back = _ways(one)
    return (lambda value: None if value is None else out(value)), (lambda plain: None if plain is None else back(plain))


def _tuple(parts: Sequence[Any]) -> tuple[_Way, _Way]:
    if len(parts) == 2 and parts[1] is Ellipsis:
        out, back = _ways(parts[0])
        return (lambda value: [out(item) for item in value]), (
            lambda plain: tuple(back(item) for item in _require(tuple, plain))
        )
    ways = [_ways(part) for part in parts]

    def each(value: Any) -> list[Any]:
        return [way(item) for item, (way, _) in zip(value, ways, strict=True)]

    def again(plain: Any) -> tuple[Any, ...]:
        return tuple(way(item) for item, (_, way) in zip(_require(tuple, plain), ways, strict=True))

    return each, again


def _same(value: Any) -> Any:
    return value


def _int64(value: int) -> int:
    if value not in _INT64:
        raise OverflowError(f"{value} has more than 64 bits")
    return value


def _require(kind: type, plain: Any) -> Any:
    if type(plain) is not kind:
        raise ValueError(f"not {kind.__name__}: {plain!r:.40}")
    return plain
