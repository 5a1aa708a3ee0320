"""What the command lines of `paxosd` and `paxosctl` share. Only what is quick to import: `paxosd health` runs often."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from paxosd import __version__
from paxosd.excerpts import escaped
from paxosd.process.exits import Exit
from paxosd.process.streams import tell


class Parser(argparse.ArgumentParser):
    """Reads every command line of ours. What it quotes of one in a complaint cannot steer a terminal."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **settings})

    def error(self, message: str) -> NoReturn:
        super().error(escaped(message))


def add_version(parser: Parser) -> None:
    """`--version`: print the version, and nothing else."""
    parser.add_argument(
        "--version", action="version", version=f"{parser.prog} {__version__}", help="print the version and exit"
    )


def add_write_out(parser: Parser, default: str) -> None:
    """`-w`: for people or for programs."""
    parser.add_argument(
        "-w",
        "--write-out",
        choices=["table", "json"],
        default=default,
        help="a table to read, or json for programs (default: table)",
    )


def data_dir(text: str) -> Path:
    """The value of `--data-dir`, in full; an empty one, often an unset variable of a shell, is none."""
    if not text:
        raise argparse.ArgumentTypeError("name a directory; the text is empty")
    try:
        return Path(text).absolute()
    except FileNotFoundError:
        raise argparse.ArgumentTypeError(f"{text!r} is relative to a working directory that is gone") from None


def command_parser(command: str, told: str) -> Parser:
    """A parser of the command line of `paxosd COMMAND`."""
    return Parser(prog=f"paxosd {command}", description=told)


def fail(code: Exit, reason: object) -> int:
    """Say on stderr why `paxosd` fails; returns the exit code."""
    tell("paxosd", reason)
    return code
