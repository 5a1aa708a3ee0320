"""The plugin of pytest, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

TESTS = """
def test_a_first_one(paxosd_client):
    paxosd_client.put("left behind", b"1")
    with paxosd_client.lock("job") as held:
        assert held.fence


def test_another_one_finds_no_keys_of_the_first(paxosd_client, paxosd):
    assert paxosd_client.get_range(prefix="").items == ()
    assert len(paxosd.pids) == 1
"""


def test_a_project_that_installs_it_has_a_cluster_in_its_tests(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npaxosd_replicas = 1\n")
    plugin = [] if entry_points(group="pytest11", name="paxosd") else ["-p", "paxosd.testing.plugin"]

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout
