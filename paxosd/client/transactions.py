"""What callers give for a transaction, checked before anything is sent; a complaint names what stands where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from paxosd.excerpts import excerpt
from paxosd.machine.kv.requests import Compare, CompareTarget, Delete, Op, Put, Range, Txn

Parts: TypeAlias = tuple[tuple[Compare, ...], tuple[Op, ...], tuple[Op, ...]]

DEPTH_LOOKED_AT = 20
"""What is nested deeper is refused anyway, and with a better reason."""
A_CONDITION = 'compare("a", "version", "=", 0)'
AN_OPERATION = 'Put(b"a", b"1")'


def transaction(compares: Any, then: Any, otherwise: Any, depth: int = 0) -> Parts:
    """The parts of a transaction that stands so deep in others; raises `TypeError`."""
    return _conditions(compares), _operations("then", then, depth), _operations("otherwise", otherwise, depth)


def _conditions(given: Any) -> tuple[Compare, ...]:
    return tuple(_condition(one, where) for where, one in _each("compares", given, (Compare,), A_CONDITION))


def _operations(what: str, given: Any, depth: int) -> tuple[Op, ...]:
    return tuple(
        _operation(one, where, depth) for where, one in _each(what, given, (Put, Delete, Range, Txn), AN_OPERATION)
    )


def _each(what: str, given: Any, kinds: tuple[type, ...], example: str) -> Iterable[tuple[str, Any]]:
    if isinstance(given, (str, bytes, *kinds)) or not isinstance(given, Iterable):
        raise TypeError(f"{what} is a list, such as [{example}], not {excerpt(given)}")
    for place, one in enumerate(given):
        if not isinstance(one, kinds):
            raise TypeError(f"{what}[{place}] is not {excerpt(one)}, but something such as {example}")
        yield f"{what}[{place}]", one


def _condition(one: Compare, where: str) -> Compare:
    _bytes_in(one, where, "key", "end")
    if one.target is CompareTarget.VALUE:
        _bytes_in(one, where, "operand")
    elif isinstance(one.operand, bool) or not isinstance(one.operand, int):
        raise TypeError(
            f"{where} compares a {one.target.name.lower()}, which is a whole number, not {excerpt(one.operand)}"
        )
    return one


def _operation(one: Op, where: str, depth: int) -> Op:
    match one:
        case Put():
            _bytes_in(one, where, "key", "value")
        case Delete() | Range():
            _bytes_in(one, where, "key", "end")
        case Txn(compares, then, otherwise) if depth < DEPTH_LOOKED_AT:
            return Txn(*transaction(compares, then, otherwise, depth + 1))
    return one


def _bytes_in(one: object, where: str, *names: str) -> None:
    for name in names:
        if not isinstance(given := getattr(one, name), bytes | bytearray | memoryview):
            advice = f"; encode it first, such as {name}.encode()" if isinstance(given, str) else ""
            raise TypeError(f"the {name} of {where} is bytes, not {excerpt(given)}{advice}")
