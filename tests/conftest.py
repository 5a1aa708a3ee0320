"""Failed assertions of what several test files share are explained like those of a test file."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "tests.core.helpers", "paxosd.testing.feeding", "paxosd.testing.machines", "tests.storage.contract"
)
