"""What callers give for a transaction."""

from __future__ import annotations

from typing import Any

import pytest

from paxosd.client.transactions import transaction
from paxosd.kv import Delete, Put, Range, Txn, compare

MISSING = compare("a", "version", "=", 0)
WRONG = [
    ("x", "y", "compares is a list, such as"),
    (None, [], "compares is a list, such as"),
    (MISSING, [], "compares is a list, such as"),
    ([], Put(b"a", b"1"), "then is a list, such as"),
    ([("a", "=", 0)], [], r"compares\[0\] is not an array of 3"),
    ([MISSING, Put(b"a", b"1")], [], r"compares\[1\] is not a Put"),
    ([], [MISSING], r"then\[0\] is not a Compare"),
    ([], [Put("a", b"1")], r"the key of then\[0\] is bytes, not 'a'; encode it first, such as key.encode()"),  # type: ignore[arg-type]
    ([], [Put(b"a", 5)], r"the value of then\[0\] is bytes, not 5"),  # type: ignore[arg-type]
    ([], [Delete(None)], r"the key of then\[0\] is bytes, not None"),  # type: ignore[arg-type]
    ([], [Range(b"a", "b")], r"the end of then\[0\] is bytes, not 'b'"),  # type: ignore[arg-type]
    ([], [Txn((), (Put(b"a", "1"),))], r"the value of then\[0\] is bytes, not '1'"),  # type: ignore[arg-type]
    ([compare("a", "value", "=", 5)], [], r"the operand of compares\[0\] is bytes, not 5"),
    ([compare("a", "mod", ">", b"5")], [], r"compares\[0\] compares a mod, which is a whole number, not b'5'"),
]


@pytest.mark.parametrize(("compares", "then", "complaint"), WRONG)
def test_what_cannot_be_part_of_a_transaction_is_named_before_anything_is_sent(
    compares: Any, then: Any, complaint: str
) -> None:
    with pytest.raises(TypeError, match=complaint):
        transaction(compares, then, ())


def test_what_is_wrong_in_the_last_part_is_named_too() -> None:
    with pytest.raises(TypeError, match=r"otherwise\[1\] is not 5"):
        transaction([], [], [Range(b"a"), 5])


def test_lists_generators_and_bytes_of_any_kind_will_do() -> None:
    value: Any = bytearray(b"1")
    made = transaction([MISSING], (Put(b"a", value) for _ in range(2)), [Txn((MISSING,), (Delete(b"a"),))])

    assert made == ((MISSING,), (Put(b"a", value),) * 2, (Txn((MISSING,), (Delete(b"a"),)),))


def test_what_is_nested_too_deeply_is_left_to_whoever_knows_how_deep_is_too_deep() -> None:
    deep = Txn((), (Put(b"a", b"1"),))
    for _ in range(5000):
        deep = Txn((), (deep,))
    (_, then, _) = transaction([], [deep], [])

    assert len(then) == 1
