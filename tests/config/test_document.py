"""YAML with lines: what PyYAML would let pass or take for something else is a text, or an error, with its line."""

from __future__ import annotations

import time

import pytest

from paxosd.config.document import DEPTH_MAX, DOCUMENT_BYTES_MAX, Items, Table, Text, YamlError, read


def problems(text: str) -> list[tuple[int, str]]:
    with pytest.raises(YamlError) as caught:
        read(text)
    return caught.value.problems


ODD_SCALARS = ["no", "0777", "1:30", "1e3", "~", "null", "2001-01-01", "0x10", "1_000", ".inf", "=", "y"]


@pytest.mark.parametrize("text", ODD_SCALARS)
def test_a_scalar_stays_what_was_written(text: str) -> None:
    assert read(f"key: {text}") == Table({"key": Text(1, text)}, {"key": 1})


def test_keys_and_values_know_their_lines_in_both_styles() -> None:
    document = read("# a comment\na:\n  b: 1\n  c:\n    2\nd: {e: 3,\n  f: 4}\n")
    inner = Table({"b": Text(3, "1"), "c": Text(5, "2")}, {"b": 3, "c": 4})
    flow = Table({"e": Text(6, "3"), "f": Text(7, "4")}, {"e": 6, "f": 7})

    assert document == Table({"a": inner, "d": flow}, {"a": 2, "d": 6})


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "\n\n"])
def test_nothing_is_none(text: str) -> None:
    assert read(text) is None


def test_a_list_is_a_list_and_a_text_a_text() -> None:
    assert read("- a\n- b\n") == Items()
    assert read("just words") == Text(1, "just words")


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    assert read("\ufeffa: 1\r\nb: 2\r\n") == Table({"a": Text(1, "1"), "b": Text(2, "2")}, {"a": 1, "b": 2})


@pytest.mark.parametrize(("text", "line", "what"), [
    ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands in line 1 already"),
    ("x:\n  a: 1\n  'a': 2\n", 3, "the key 'a' stands in line 2 already"),
    ("a: {b: 1, b: 2}\n", 1, "the key 'b' stands in line 1 already"),
    ("a: 1\n? [b]\n: 2\n", 2, "a key must be a text"),
    ("a: 1\nb: &x 2\n", 2, "anchors and aliases"),
    ("a: 1\nb: *x\n", 2, "anchors and aliases"),
    ("a: 1\nb: !!str 2\n", 2, "the tag tag:yaml.org,2002:str is not used here"),
    ("a: 1\nb: !x 2\n", 2, "the tag !x is not used here"),
    ("a: 1\n\tb: 2\n", 2, "not YAML"),
    ("a: 1\n  b: 2\n", 2, "not YAML: mapping values are not allowed here"),
    ("a: 1\nb: [1, 2\nc: 3\n", 3, "that begins in line 2"),
    ("a: 1\nb: 'x\nc: 3\n", 4, "while scanning a quoted scalar that begins in line 2"),
    ("a: 1\n---\nb: 2\n", 2, "not YAML"),
    ("%YAML 3.0\n---\na: 1\n", 1, "not YAML"),
    ("a: 1\nb: x\x07y\n", 2, r"the character '\x07' is not allowed"),
    ("a: 1\nb: @x\n", 2, "not YAML"),
    ("a: 1\nb\n", 3, "not YAML"),
])  # fmt: skip
def test_m20_a_trap_is_an_error_at_its_line(text: str, line: int, what: str) -> None:
    found = problems(text)

    assert found[0][0] == line
    assert what in found[0][1]


def test_all_traps_of_one_kind_are_told_at_once() -> None:
    assert [line for line, _ in problems("a: 1\na: 2\nb: {c: 1, c: 2}\nb: 3\n")] == [2, 3, 4]
    assert [line for line, _ in problems("a: &x 1\nb: !y 2\nc: *x\n")] == [1, 2, 3]


def test_m20_no_more_problems_are_told_than_one_reads() -> None:
    assert len(problems("a: [" + "*x, " * 1000 + "]")) == 20


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- ", "? "])
def test_m20_nesting_ends_before_it_costs_anything(bracket: str) -> None:
    started = time.process_time()
    ((_, what),) = problems(bracket * (DOCUMENT_BYTES_MAX // len(bracket)))

    assert what == f"nested deeper than {DEPTH_MAX} levels"
    assert time.process_time() - started < 1


def test_m20_a_bomb_of_aliases_is_never_expanded() -> None:
    names = list(zip("abcdefgh", "bcdefghi", strict=True))
    levels = [f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]" for before, name in names]
    bomb = "\n".join(["a: &a [x,x,x,x,x,x,x,x,x]", *levels])

    assert all("anchors and aliases" in what for _, what in problems(bomb))


def test_m20_a_text_that_is_too_long_is_not_parsed() -> None:
    started = time.process_time()

    assert problems("a: 1\n" * DOCUMENT_BYTES_MAX)[0][0] == 1
    assert time.process_time() - started < 0.1
