"""The programs in docs/machines.md run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "machines.md"

MOUNTED = """
from paxosd.server.machines import machine_of
from bank import Bank
from paxosd.machine.replicated import CallFailed

machine = machine_of("bank:Bank")
deposited, withdrawn = machine.apply(1, [Bank.command("deposit", "alice", 5), Bank.command("withdraw", "alice", 7)], 0)
assert Bank.result(deposited) == 5
try:
    Bank.result(withdrawn)
except CallFailed as failed:
    assert failed.text == "alice has less than 7"
assert Bank.result(machine.query(Bank.question("balance", "alice"), 2, 0)) == 5
old, new = machine_of("newbank:Bank"), machine_of("newbank:Bank")
old.apply(1, [Bank.command("deposit", "alice", 5)], 0)
from newbank import Bank as NewBank
new.apply(1, [NewBank.command("deposit", "alice", 5)], 0)
balances = [NewBank.result(each.query(NewBank.question("balance", "alice"), 1, 0)) for each in (old, new)]
assert balances == [5, 6], balances
assert machine_of("tally:Tally").apply(1, [b"a", b"a"], 0) == [b"1", b"2"]
"""

TRIED = """
from trybank import TriedBank

machine = TriedBank()
empty = machine.digest()
results = machine.apply(1, [b"c1-%d" % number for number in range(20)], 0)
assert len(results) == 20 and machine.digest() != empty, results
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the files of the page."""
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", PAGE.read_text(), re.MULTILINE)
    for block in blocks:
        text = textwrap.dedent(block).strip() + "\n"
        if named := re.match(r"# (\w+\.py)\n", text):
            (tmp_path / named[1]).write_text(text)
    return tmp_path


def run(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )
    assert not done.returncode, done.stdout + done.stderr


def test_the_machines_of_the_page_keep_the_contract(programs: Path) -> None:
    assert sorted(path.name for path in programs.iterdir()) == [
        "bank.py",
        "newbank.py",
        "tally.py",
        "test_machines.py",
        "trybank.py",
    ]
    run(programs, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_machines.py")


def test_the_machines_of_the_page_can_be_mounted_and_called(programs: Path) -> None:
    run(programs, "-c", MOUNTED)


def test_the_machine_of_the_page_that_is_tried_under_faults_does_something(programs: Path) -> None:
    run(programs, "-c", TRIED)
    run(programs, "-m", "paxosd", "sim", "--machine", "trybank:TriedBank", "--seeds", "1", "--jobs", "1")
