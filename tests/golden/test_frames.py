"""Frames of paxosd 0.2.0: refused by the wire version that they name, on every path, and read as nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paxosd.wire.frames import Codec, ForeignFrame

FRAMES: dict[str, str] = json.loads((Path(__file__).parent / "0.2.0" / "frames.json").read_text())
CODEC = Codec(b"12345678", "n1", 5, 1 << 20)
"""Of the same cluster and the same sender as the frames."""


@pytest.mark.parametrize("name", FRAMES)
def test_u05_a_frame_of_0_2_0_is_refused_with_both_wire_versions(name: str) -> None:
    frame = bytes.fromhex(FRAMES[name])
    for read in (CODEC.from_peer, CODEC.from_client, CODEC.from_gateway):
        with pytest.raises(ForeignFrame, match="other wire version: it speaks 1, we speak 2") as refused:
            read(frame)
        assert refused.value.sender == "n1"
