"""What all tests in containers need: an engine, Compose v2, and the image of this checkout.

What is missing is told once, by the first test: the others are skipped, for they can say no more.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

import pytest

from tests.compose.cluster import run

IMAGE = "paxosd:test"
PREPARED_WITHIN_S = 600.0


@dataclass(slots=True)
class Preparation:
    """What there is to test with: `image`, or a complaint; `may_skip`: it is no failure that there is nothing."""

    image: str = ""
    complaint: str = ""
    may_skip: bool = False
    told: bool = False


def engine_complaint() -> str | None:
    """Why there is no Docker Engine to test with; None if there is one."""
    try:
        found = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return "there is no `docker` command: install a Docker Engine"
    return None if found.returncode == 0 else f"no Docker Engine answers: {found.stderr.strip()}"


def make_image() -> str:
    """Build the image of this checkout; raises `AssertionError` with the cause if it cannot be made."""
    os.environ["DOCKER_CONFIG"] = run("tests/compose/compose_v2.sh", within_s=PREPARED_WITHIN_S).strip()
    base = run("tests/compose/base_image.sh", within_s=PREPARED_WITHIN_S).strip()
    variables = {"PYTHON_IMAGE": base, "PAXOSD_IMAGE": IMAGE}
    run("docker", "compose", "build", "p1", env=variables, within_s=PREPARED_WITHIN_S)
    return IMAGE


def prepare() -> Preparation:
    complaint = engine_complaint()
    if complaint is not None:
        return Preparation(complaint=complaint, may_skip=os.environ.get("CI") != "true")
    try:
        return Preparation(make_image())
    except AssertionError as error:
        return Preparation(complaint=f"there is no image to test with: {error}")


@pytest.fixture(scope="session")
def preparation() -> Preparation:
    """What there is to test with; made once."""
    return prepare()


@pytest.fixture
def image(preparation: Preparation) -> str:
    """The image of this checkout. Without an engine the tests fail in CI, and are skipped elsewhere."""
    if not preparation.complaint:
        return preparation.image
    if preparation.may_skip:
        pytest.skip(preparation.complaint)
    if preparation.told:
        pytest.skip("not tried, for what the first test says")
    preparation.told = True
    pytest.fail(preparation.complaint.strip(), pytrace=False)
