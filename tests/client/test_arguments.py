"""The time of a lease, as callers give it."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from paxosd.client.arguments import lease_ms


@pytest.mark.parametrize(("seconds", "ms"), [(10, 10_000), (0.5, 500), (0.001, 1)])
def test_the_time_of_a_lease_is_in_seconds(seconds: float, ms: int) -> None:
    assert lease_ms(seconds) == ms


@pytest.mark.parametrize("wrong", [0, -1, nan, inf, 1e12])
def test_a_lease_without_a_time_that_can_be_is_refused_before_anything_is_sent(wrong: float) -> None:
    with pytest.raises(ValueError, match="the time of a lease is from"):
        lease_ms(wrong)


@pytest.mark.parametrize("wrong", ["10", None, True])
def test_the_time_of_a_lease_is_a_number(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a number of seconds"):
        lease_ms(wrong)
