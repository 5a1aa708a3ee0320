"""The two faces of a client have the same words."""

from __future__ import annotations

import pytest

from tests.client.two_faces import CLIENT, FILES, for_threads


@pytest.mark.parametrize("name", FILES)
def test_the_face_for_threads_is_the_one_for_asyncio(name: str) -> None:
    made = for_threads((CLIENT / "aio" / name).read_text())

    assert (CLIENT / "threads" / name).read_text() == made, "write it with `python -m tests.client.two_faces`"
