"""Command lines of ours have one parser, and what it quotes of a command line cannot steer a terminal."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from paxosd.commands.flags import Parser, command_parser

STEERING = "\x1b[2J\x1b]0;title\x07\nline\udcff"
COMMANDS = Path(__file__).parents[2] / "paxosd" / "commands"


def is_refused(arguments: list[str], capfd: pytest.CaptureFixture[str], parser: Parser) -> None:
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(arguments)
    told = capfd.readouterr().err

    assert ended.value.code == 2
    assert "\\x1b[2J" in told
    assert not [line for line in told.splitlines() if not line.isprintable()]


@pytest.mark.parametrize(
    "arguments",
    [
        [STEERING],
        [f"--{STEERING}"],
        ["--size", STEERING],
        ["--kind", STEERING],
        ["sub", STEERING],
        ["sub", "a", STEERING],
    ],
)
def test_an_argument_that_is_refused_is_quoted_without_its_escape_sequences(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    parser = command_parser("some", "does something")
    parser.add_argument("--size", type=int)
    parser.add_argument("--kind", choices=["a", "b"])
    sub = parser.add_subparsers().add_parser("sub")
    sub.add_argument("word", type=int if arguments == ["sub", STEERING] else str)

    is_refused(arguments, capfd, parser)


def test_every_command_line_is_read_by_that_parser() -> None:
    made = [
        f"{path.name}:{node.lineno}"
        for path in COMMANDS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "argparse.ArgumentParser"
    ]

    assert made == []
