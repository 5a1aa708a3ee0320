"""A part of the membership file: what stands under its keys, and what is wrong there.

Laws:
1. Asking for a value that is wrong notes the problem with its line and gives the default, so that one look finds
   all that is wrong.
2. A key that nobody asks for is a mistake, and what was meant is often near.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from paxosd.config.document import Items, Table, Text
from paxosd.config.values import meant

T = TypeVar("T")

PROBLEM_CHARS_MAX = 1000
"""How long one complaint is: it quotes what was written, and a file may hold anything. Names of hosts are shorter."""

NO_LINE = 0
"""Stands for a problem that is not in the file."""


class Findings:
    """All that is wrong with one file, and all that is odd. `name` stands in the messages."""

    def __init__(self, name: str) -> None:
        self.warnings: list[str] = []
        self._name = name
        self._problems: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._problems)

    def wrong(self, line: int, what: str) -> None:
        self._problems.append((line, _cut(what)))

    def place(self, line: int) -> str:
        """As messages show it."""
        return self._name if line == NO_LINE else f"{self._name}:{line}"

    def odd(self, what: str) -> None:
        self.warnings.append(f"{self._name}: {what}")

    def told(self) -> tuple[str, ...]:
        """The problems in the order of their lines, each as "file:line: what"."""
        return tuple(f"{self.place(line)}: {what}" for line, what in sorted(self._problems))


class Section:
    """One mapping of the file.

    `line` is where its key stands. `where` is the path of keys to it, such as `nodes.a1`; empty at the top.
    """

    def __init__(self, table: Table, line: int, where: str, findings: Findings) -> None:
        self._table = table
        self._line = line
        self._where = where
        self._findings = findings

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._table.entries)

    def __contains__(self, key: str) -> bool:
        return key in self._table.entries

    def says(self, key: str, text: str) -> bool:
        """Whether exactly this text stands under the key."""
        value = self._table.entries.get(key)
        return isinstance(value, Text) and value.text == text

    def wrong(self, key: str, what: str) -> None:
        """Note a problem with what stands under the key, or with the whole section if that is absent or empty."""
        line = self._table.lines.get(key, self._line)
        self._findings.wrong(line, f"{self._path(key)}: {what}")

    def _path(self, key: str) -> str:
        return f"{self._where}.{key}".strip(".")

    def place(self, key: str) -> str:
        """Where that stands, as "file:line"."""
        return self._findings.place(self._table.lines.get(key, self._line))

    # ---- what stands here ----

    def only(self, *known: str) -> None:
        """Note every key that is not one of these."""
        for key in self.keys:
            if key not in known:
                self.wrong(key, unknown(key, known))

    def section(self, key: str, rule: str = "must be a mapping of keys and values") -> Section | None:
        """The mapping under a key; None if there is none. What is something else breaks the `rule`."""
        value = self._table.entries.get(key)
        if value is None:
            return None
        if not isinstance(value, Table):
            self.wrong(key, rule)
            return None
        return Section(value, self._table.lines[key], self._path(key), self._findings)

    def part(self, key: str) -> Section:
        """The mapping under a key, an empty one if there is none."""
        return self.section(key) or Section(Table({}, {}), self._line, self._path(key), self._findings)

    def required_section(self, key: str) -> Section | None:
        """The mapping under a key that must be there; None if it is not, which is noted."""
        if key not in self:
            self.wrong(key, "is missing")
        return self.section(key)

    def value(self, key: str, check: Callable[[str], T], default: T) -> T:
        """The value under a key, or the default."""
        value = self._checked(key, check)
        return default if value is None else value

    def required(self, key: str, check: Callable[[str], T]) -> T | None:
        """The value under a key that must be there; None if it is not, or is wrong, which is noted."""
        if key not in self:
            self.wrong(key, "is missing")
        return self._checked(key, check)

    def own(self, key: str, check: Callable[[str], T], default: T, env: Mapping[str, str], variable: str) -> T:
        """A value that is this node's own matter: the environment goes before the file, the file before the default."""
        from_file = self.value(key, check, default)
        if not env.get(variable):
            return from_file
        try:
            return check(env[variable])
        except ValueError as error:
            self._findings.wrong(NO_LINE, f"environment {variable}: {error}")
            return from_file

    def _checked(self, key: str, check: Callable[[str], T]) -> T | None:
        value = self._table.entries.get(key)
        if value is None:
            return None
        if not isinstance(value, Text):
            self.wrong(key, f"must be one value, not {'a list' if isinstance(value, Items) else 'a mapping'}")
            return None
        try:
            return check(value.text)
        except ValueError as error:
            self._findings.wrong(value.line, f"{self._path(key)}: {error}")
            return None


def _cut(what: str) -> str:
    """Without the middle of what is long: the key stands in front, and the advice at the end."""
    half = PROBLEM_CHARS_MAX // 2
    return what if len(what) <= PROBLEM_CHARS_MAX else f"{what[:half]} ... {what[-half:]}"


def unknown(key: str, known: Sequence[str]) -> str:
    """What to say of a key that means nothing."""
    near = meant(key, known)
    return "unknown key; " + (f"did you mean {near!r}?" if near else f"known are {', '.join(known)}")
