"""What an agent put out and no test looked at fails the test that let it."""

from __future__ import annotations

from tests.core.leftovers import nothing_is_left_over

__all__ = ["nothing_is_left_over"]
