"""Numbers and names of a command line that are none: a mistake in usage, told before anything is connected."""

from __future__ import annotations

import pytest

from paxosd.client import Client
from paxosd.commands.ctl.options import Options
from paxosd.commands.paxosctl import command
from paxosd.process.exits import Exit

WRONG = [
    "lock a --wait -1", "lock a --ttl 0", "lock a --ttl nan", "sem a 0", "sem a many", "elect a --wait inf",
    "get a --limit -1", f"get a --rev {2**70}", "put a b --lease 0", "put a b --if-revision -2", "compact 0",
    f"compact {2**70}", "queue put a b --priority -1", f"queue put a b --priority {2**32}", "queue get a --wait nan",
    "watch a --rev -1", "watch a --count x",
]  # fmt: skip


def nobody(options: Options) -> Client:
    raise AssertionError("connected")


@pytest.mark.parametrize("words", WRONG)
def test_a_number_that_is_none_is_refused_with_what_would_be_right(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(["--endpoints", "h:1", *words.split()], nobody)

    assert ended.value.code == Exit.USAGE
    assert " is not a " in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["lock", "elect", "queue get"])
def test_a_name_is_not_empty(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command(["--endpoints", "h:1", *verb.split(), ""], nobody)

    assert "a name is not empty" in capsys.readouterr().err
