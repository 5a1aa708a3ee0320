"""What the verbs of keys have in common: their command lines, texts as bytes, requests, and how keys are printed."""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from paxosd.commands.tables import print_table
from paxosd.excerpts import shown
from paxosd.process.exits import Exit
from paxosd.process.streams import tell

if TYPE_CHECKING:
    from paxosd.client import Client
    from paxosd.machine.kv.records import KeyValue
    from paxosd.machine.kv.requests import Command, Question
    from paxosd.machine.kv.results import Result

Options: TypeAlias = argparse.Namespace
AddVerb: TypeAlias = Callable[[str, str, str], argparse.ArgumentParser]
"""Adds a verb with a short and a long description, and gives its parser."""


def as_bytes(text: str) -> bytes:
    """A key or a value, byte by byte as the shell gave it."""
    return os.fsencode(text)


def add_range(parser: argparse.ArgumentParser) -> None:
    """Which keys: one, a range, or those with a prefix."""
    parser.add_argument("key", metavar="KEY", help='the key; with --prefix, what keys begin with ("" begins all)')
    parser.add_argument("end", metavar="END", nargs="?", default="", help="all keys from KEY on, and below END")
    parser.add_argument("--prefix", action="store_true", help="all keys that begin with KEY")
    parser.add_argument("--from-key", action="store_true", help="all keys from KEY on")


def range_of(options: Options) -> tuple[bytes, bytes]:
    """The key and the end of what `add_range` took; raises `ValueError`."""
    from paxosd.machine.kv.ranges import NO_END, prefix_range  # noqa: PLC0415 (slow to import)

    if bool(options.end) + options.prefix + options.from_key > 1:
        raise ValueError("END, --prefix and --from-key each name a range: give one of them")
    key = as_bytes(options.key)
    if options.prefix:
        return prefix_range(key)
    if not key:
        raise ValueError('a key is not empty; --prefix "" names all keys')
    return key, NO_END if options.from_key else as_bytes(options.end)


def is_one_key(options: Options) -> bool:
    """Whether the options name one key and no range."""
    return not (options.end or options.prefix or options.from_key)


def change(client: Client, command: Command, timeout_s: float) -> tuple[Result, int]:
    """Let the keys do this; the result, and its revision. Raises `PaxosError`."""
    from paxosd.machine.kv.encoding import encode_command  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import decode_result  # noqa: PLC0415 (slow to import)

    receipt = client.call("kv", encode_command(command), timeout=timeout_s)
    return _unless_failed(decode_result(receipt.result)), receipt.revision


def ask(client: Client, question: Question, timeout_s: float) -> Result:
    """Ask the keys this. Raises `PaxosError`."""
    from paxosd.machine.kv.encoding import encode_question  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import decode_result  # noqa: PLC0415 (slow to import)

    return _unless_failed(decode_result(client.query("kv", encode_question(question), timeout=timeout_s).answer))


def _unless_failed(result: Result) -> Result:
    from paxosd.client.driving import of_failure  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import Failed  # noqa: PLC0415 (slow to import)

    if isinstance(result, Failed):
        raise of_failure(result)
    return result


# ---- printing ----


def print_json(fields: dict[str, object]) -> None:
    """One object a line."""
    print(json.dumps(fields), flush=True)


def named(name: str, content: bytes) -> dict[str, object]:
    """Bytes as a field: as text, or in base64 under a name that says so."""
    try:
        return {name: content.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_b64": base64.b64encode(content).decode("ascii")}


def key_fields(found: KeyValue) -> dict[str, object]:
    """A key for programs."""
    return {
        **named("key", found.key),
        **named("value", found.value),
        "create_revision": found.create_revision,
        "mod_revision": found.mod_revision,
        "version": found.version,
        "lease": found.lease,
    }


KEY_COLUMNS = ("KEY", "VALUE", "CREATED", "MODIFIED", "VERSION", "LEASE")


def print_keys(found: Iterable[KeyValue]) -> None:
    """Keys for people."""
    rows = [
        (shown(kv.key), shown(kv.value), kv.create_revision, kv.mod_revision, kv.version, kv.lease or "-")
        for kv in found
    ]
    print_table(KEY_COLUMNS, rows, sys.stdout)


def write_raw(content: bytes) -> None:
    """Bytes to stdout as they are, and a newline."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content + b"\n")
    sys.stdout.buffer.flush()


def usage(reason: object) -> int:
    """Say that the command line makes no sense; returns the exit code."""
    tell("paxosctl", f"{reason}; nothing was sent")
    return Exit.USAGE


Handler: TypeAlias = Callable[[Any, Options], int]
"""What a verb does with a client; returns the exit code."""
