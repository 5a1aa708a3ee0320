"""What all tests in containers need: an engine, Compose v2, and the image of this checkout."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.compose.cluster import run

IMAGE = "paxosd:test"
PREPARED_WITHIN_S = 600.0


def engine_complaint() -> str | None:
    """Why there is no Docker Engine to test with; None if there is one."""
    try:
        found = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return "there is no `docker` command: install a Docker Engine"
    return None if found.returncode == 0 else f"no Docker Engine answers: {found.stderr.strip()}"


@pytest.fixture(scope="session")
def image() -> str:
    """The image of this checkout. Without an engine the tests fail in CI, and are skipped elsewhere."""
    complaint = engine_complaint()
    if complaint is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(complaint)
    run("tests/compose/compose_v2.sh", within_s=PREPARED_WITHIN_S)
    base = run("tests/compose/base_image.sh", within_s=PREPARED_WITHIN_S).strip()
    variables = {"PYTHON_IMAGE": base, "PAXOSD_IMAGE": IMAGE}
    run("docker", "compose", "build", "p1", env=variables, within_s=PREPARED_WITHIN_S)
    return IMAGE
