"""YAML with line numbers: a document as plain values, where each knows its line, and the traps are caught.

PyYAML alone lets the last of two equal keys win, reads `no` as false and 0777 as 511, and expands aliases without
end. Here keys are unique, aliases and tags are refused, and scalars stay the text that was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

DOCUMENT_BYTES_MAX = 256 * 1024
"""Room for ten times the largest cluster; reading this much takes a few seconds."""
DEPTH_MAX = 20


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as it was written; quotes make no difference."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with unique text keys; `lines` has the line of each key."""

    entries: Mapping[str, Value]
    lines: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Items:
    """A list; nothing in a membership file is one."""


Value = Text | Table | Items


class YamlError(Exception):
    """The text is not YAML, or uses what is refused here; (line, what) for each place."""

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        super().__init__("; ".join(what for _, what in problems))
        self.problems = problems


def read(text: str) -> Value | None:
    """The one document of a text; None if it is empty. Raises `YamlError` with all problems."""
    if len(text) > DOCUMENT_BYTES_MAX:
        raise YamlError([(1, f"the file has {len(text)} characters; at most {DOCUMENT_BYTES_MAX} are read")])
    try:
        _refuse_events(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise YamlError([_syntax(error)]) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError([(line, f"not YAML: the character {chr(error.character)!r} is not allowed")]) from error
    if root is None:
        return None
    problems: list[tuple[int, str]] = []
    value = _value(root, problems)
    if problems:
        raise YamlError(problems)
    return value


def _syntax(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """Where YAML gave up, and where what it was reading began: the mistake is often there."""
    mark, began = error.problem_mark or error.context_mark, error.context_mark
    line = mark.line + 1 if mark else 1
    what = f"not YAML: {error.problem or error.context}"
    if began is not None and began.line + 1 != line:
        what += f", {error.context} that begins in line {began.line + 1}"
    return line, what


def _refuse_events(text: str) -> None:
    """Look at the flat stream first: aliases and depth must be known before anything is composed."""
    depth = 0
    problems: list[tuple[int, str]] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            problems.append((line, "anchors and aliases (& and *) are not used here: write the value out"))
        elif tag := getattr(event, "tag", None):
            problems.append((line, f"the tag {tag} is not used here: leave it out"))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            problems.append((line, f"nested deeper than {DEPTH_MAX} levels"))
        if len(problems) >= 20 or depth > DEPTH_MAX:
            break
    if problems:
        raise YamlError(problems)


def _value(node: Node, problems: list[tuple[int, str]]) -> Value:
    if isinstance(node, MappingNode):
        return _table(node, problems)
    if isinstance(node, SequenceNode):
        return Items()
    assert isinstance(node, ScalarNode)
    return Text(node.start_mark.line + 1, node.value)


def _table(node: MappingNode, problems: list[tuple[int, str]]) -> Table:
    entries: dict[str, Value] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode):
            problems.append((line, "a key must be a text"))
            continue
        key = key_node.value
        if key in lines:
            problems.append((line, f"the key {key!r} stands in line {lines[key]} already; a key stands once"))
            continue
        lines[key] = line
        entries[key] = _value(value_node, problems)
    return Table(entries, lines)
