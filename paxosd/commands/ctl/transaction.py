"""The text of a transaction, as `paxosctl txn` reads it from stdin: three parts with an empty line between them.

    compares      value("key") = "text"      also != < >, and of create, mod, version and lease, with a number
    then          put KEY VALUE | get KEY [END] [--prefix] | del KEY [END] [--prefix]
    otherwise     the same; it may be left out

Words with blanks stand in quotes, as in a shell.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paxosd.machine.kv.requests import Compare, Op

HELP = """\
Do some things if others hold, all or nothing, at one revision. What, is read from stdin: compares, an empty line, what
to do if all of them hold, an empty line, what to do otherwise.

examples:
  paxosctl txn <<'EOF'
  mod("conf") = "1207"
  value("owner") = "me"

  put conf new
  del --prefix drafts/

  get conf
  EOF

Compares are of value, create, mod, version or lease, with = != < or >; a key that is missing has 0 everywhere and no
value. What is done is put KEY VALUE, get KEY [END], del KEY [END], the latter two with --prefix, too.
"""

_COMPARE = re.compile(
    r'(value|version|create|mod|lease)\(\s*("(?:[^"\\]|\\.)*")\s*\)\s*(=|!=|<|>)\s*("(?:[^"\\]|\\.)*")'
)
_OPS = {"=": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", ">": "GREATER"}


def parse(text: bytes) -> tuple[list[Compare], list[Op], list[Op]]:
    """The compares, and what to do if they hold, or else; raises `ValueError`, with the line."""
    try:
        lines = text.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"stdin is not text in UTF-8: {error}") from None
    parts: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(lines, 1):
        if line.strip():
            parts[-1].append((number, line.strip()))
        elif number < len(lines) or len(parts) < 2:
            parts.append([])
    while len(parts) > 3 and not parts[-1]:
        parts.pop()
    if len(parts) > 3:
        raise ValueError("there are more than three parts, with an empty line between them")
    compares, then, otherwise = [*parts, [], []][:3]
    if not then and not otherwise:
        raise ValueError("there is nothing to do: an empty line stands between compares and what to do")
    return [_compare(*at) for at in compares], [_op(*at) for at in then], [_op(*at) for at in otherwise]


def _compare(number: int, line: str) -> Compare:
    from paxosd.machine.kv.requests import Compare, CompareOp, CompareTarget  # noqa: PLC0415 (slow to import)

    found = _COMPARE.fullmatch(line)
    if found is None:
        raise ValueError(f'line {number}: {line!r} is no compare such as value("key") = "text" or mod("key") > "0"')
    target, key, op, operand = found.groups()
    wanted: bytes | int = _unquoted(operand)
    if target != "value":
        try:
            wanted = int(wanted)
        except ValueError:
            raise ValueError(f"line {number}: {target} is compared with a number, not with {operand}") from None
    return Compare(_unquoted(key), CompareTarget[target.upper()], CompareOp[_OPS[op]], wanted)


def _unquoted(text: str) -> bytes:
    return shlex.split(text)[0].encode() if text != '""' else b""


def _op(number: int, line: str) -> Op:
    from paxosd.machine.kv.ranges import prefix_range  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.requests import Delete, Put, Range  # noqa: PLC0415 (slow to import)

    try:
        verb, *words = [word.encode() for word in shlex.split(line)]
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    has_prefix = b"--prefix" in words
    words = [word for word in words if word != b"--prefix"]
    match verb, words:
        case b"put", [key, value] if not has_prefix:
            return Put(key, value)
        case b"get" | b"del", [key] if has_prefix:
            return (Range if verb == b"get" else Delete)(*prefix_range(key))
        case b"get" | b"del", [key, *end] if not has_prefix and len(end) < 2:
            last = end[0] if end else b""
            return (Range if verb == b"get" else Delete)(key, last)
    raise ValueError(f"line {number}: {line!r} is none of put KEY VALUE, get KEY [END], del KEY [END], --prefix")
