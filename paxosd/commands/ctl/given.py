"""What a command takes beside its flags: a value, of the command line or of stdin, read before anything is connected.

Law: of stdin no more is read than the cluster takes.
"""

from __future__ import annotations

import argparse
import os
import sys

from paxosd.client.errors import ConfigurationError
from paxosd.client.verdicts import too_large
from paxosd.config import ConfigError, load
from paxosd.core.options import COMMAND_BYTES_MAX


def given(options: argparse.Namespace) -> bytes:
    """The value that the options name, where `takes` says that there is one: "value", it is an argument, and `-` is
    stdin; "stdin", it always is that. Raises `OSError`, `TooLarge` or `ConfigurationError`."""
    if options.takes == "stdin" or (options.takes == "value" and options.value == "-"):
        return _from_stdin(_bytes_max(options))
    return os.fsencode(options.value or "") if options.takes == "value" else b""


def _from_stdin(bytes_max: int) -> bytes:
    """All that stdin holds; what has no end is read until it is known to be too much."""
    value = sys.stdin.buffer.read(bytes_max + 1)
    if len(value) > bytes_max:
        raise too_large(len(value), bytes_max, or_more=True)
    return value


def _bytes_max(options: argparse.Namespace) -> int:
    """The largest command that the cluster takes, as far as that is known before it is asked."""
    try:
        return load(options.config).limits.command_bytes_max if options.config else COMMAND_BYTES_MAX
    except ConfigError as error:
        raise ConfigurationError(str(error)) from error
