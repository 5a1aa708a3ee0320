"""What an agent put out and no test looked at fails the test that let it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.helpers import Stage


@pytest.fixture(autouse=True)
def nothing_is_left_over() -> Iterator[None]:
    Stage.on_stage.clear()
    yield
    left = [(type(stage.agent).__name__, stage.leftovers()) for stage in Stage.on_stage if stage.leftovers()]
    Stage.on_stage.clear()
    assert left == []
