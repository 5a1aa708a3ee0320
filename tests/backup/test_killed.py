"""kill -9 at every step of a restore: whoever runs it again has all, and nothing half made is ever opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paxosd.config import Config
from tests.backup.test_restoring import backup, opened

SLOTS = 20
KILLED = """
import os, signal, sys
from paxosd.commands.restore import main

steps, place = int(sys.argv[1]), sys.argv[2]

def count(event, arguments):
    global steps
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "sqlite3.connect") and place in str(arguments[0]):
        steps -= 1
        if not steps:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
sys.exit(main(sys.argv[3:]))
"""


def restored(step: int, folder: Path, place: Path, node: str) -> int:
    """The exit code of a restore that is killed at this step; 0: it never is."""
    words = [str(step), str(place), str(folder / "b"), "--config", str(folder / "cluster.yaml")]
    command = [sys.executable, "-c", KILLED, *words, "--id", node, "--data-dir", str(place)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize("node", ["l1", "a1"])
def test_a_restore_that_is_killed_at_any_step_is_run_again(tmp_path: Path, config: Config, node: str) -> None:
    backup(tmp_path / "b", SLOTS)
    step, code = 0, -9
    while code:
        step += 1
        place = tmp_path / f"{node}-{step}"
        code = restored(step, tmp_path, place, node)
        assert code in (0, -9)
        if code and not (place / "identity.json").exists():
            assert restored(0, tmp_path, place, node) == 0
        for store in opened(config, place, node):
            assert node != "l1" or store.learned_stop() == SLOTS + 1
    assert step > 10
