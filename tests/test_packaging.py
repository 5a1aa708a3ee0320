"""What the installed package offers: the two commands, the same through `python -m`, and types."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points, version
from importlib.resources import files

import pytest

import paxosd


@pytest.mark.parametrize("command", ["paxosd", "paxosctl"])
def test_a_command_is_installed(command: str) -> None:
    (found,) = entry_points(group="console_scripts", name=command)

    assert callable(found.load())


def test_python_m_paxosd_is_the_same_command() -> None:
    ended = subprocess.run([sys.executable, "-m", "paxosd", "--role", "king"], capture_output=True, text=True)

    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: paxosd ")


def test_the_package_says_one_version_and_that_it_has_types() -> None:
    assert version("paxosd") == paxosd.__version__
    assert files("paxosd").joinpath("py.typed").is_file()
