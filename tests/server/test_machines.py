"""Machines that the membership file names: made, or refused with the place and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from paxosd.commands import check_config
from paxosd.config import ConfigError
from paxosd.config.file import parse
from paxosd.machine.kv.kv import Kv
from paxosd.machine.log import Log
from paxosd.process.exits import Exit
from paxosd.server.machines import NoMachine, machine_of, machines_of
from tests.machine.echo import Echo

FILE = """\
cluster: demo
nodes:
  r1: {role: replica, address: "r1:7000", client: "r1:7100"}
"""


def test_built_in_machines_and_classes_of_users_are_made_anew_each_time() -> None:
    config = parse(FILE + "machines: {kv: kv, echo: tests.machine.echo:Echo}\n")
    one, other = machines_of(config), machines_of(config)

    assert {name: type(machine) for name, machine in one.items()} == {"log": Log, "kv": Kv, "echo": Echo}
    assert one["echo"] is not other["echo"]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (
            "nowhere.bank:Bank",
            "ModuleNotFoundError: No module named 'nowhere'; it must be importable where",
        ),
        ("tests.machine.echo:Bank", "AttributeError: module 'tests.machine.echo' has no attribute 'Bank'"),
        ("pathlib:Path", "is no machine: it has no apply, query, due_ms"),
        ("enum:Enum", "TypeError"),
    ],
)
def test_a_class_that_is_no_machine_is_refused_and_it_is_said_why(kind: str, why: str) -> None:
    with pytest.raises(NoMachine) as refused:
        machine_of(kind)

    assert why in str(refused.value)


def test_all_machines_that_cannot_be_made_are_told_with_their_lines() -> None:
    config = parse(FILE + "machines:\n  a: nowhere:A\n  kv: kv\n  b: nowhere:B\n", "f.yaml")

    with pytest.raises(ConfigError) as refused:
        machines_of(config)
    assert [problem.split(": nowhere")[0] for problem in refused.value.problems] == [
        "f.yaml:5: machines.a",
        "f.yaml:7: machines.b",
    ]


def test_check_config_finds_a_class_that_cannot_be_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(FILE + "machines: {bank: nowhere:Bank}\n")

    assert check_config.main([str(file)]) == Exit.CONFIGURATION
    assert f"{file}:4: machines.bank: nowhere:Bank cannot be made" in capsys.readouterr().err
