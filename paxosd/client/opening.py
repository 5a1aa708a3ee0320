"""What both faces need when a client is made: a link, what nobody can guess, and what a membership file says."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from paxosd.client.errors import ConfigurationError, OutOfResources
from paxosd.config import Config, ConfigError, load
from paxosd.core.types import SESSION_BYTES, Wish
from paxosd.transport.shortage import Shortage
from paxosd.transport.zeromq.link import ZeroMQLink

FRAME_BYTES_MAX = 16 * 1024 * 1024


def draw_wish() -> Wish:
    """A wish for a session, which nobody guesses."""
    return secrets.token_bytes(SESSION_BYTES)


def open_link(frame_bytes_max: int) -> ZeroMQLink:
    """A link over ZeroMQ. Raises `OutOfResources`."""
    try:
        return ZeroMQLink(frame_bytes_max)
    except Shortage as error:
        raise OutOfResources(f"no client can be made: {error}") from error


def from_file(config: str | Path | Config) -> tuple[list[str], dict[str, Any]]:
    """The gateways of a membership file, and what else of it a client shall know. Raises `ConfigurationError`."""
    if isinstance(config, (str, Path)):
        try:
            config = load(config)
        except ConfigError as error:
            raise ConfigurationError(str(error)) from error
    if not isinstance(config, Config):
        raise TypeError(f"config is the path of a membership file, such as 'config/cluster.yaml', not {config!r}")
    gateways = [node.client.url for node in config.nodes.values() if node.client is not None]
    if not gateways:
        advice = "give a learner or replica one"
        if config.transport == "queue":
            advice = "use Client.local(), or the addresses that `paxosd local --serve` prints"
        raise ConfigurationError(f"{config.path}: no node has a client address; {advice}")
    usual: dict[str, Any] = {
        "digest": config.digest,
        "command_bytes_max": config.limits.command_bytes_max,
        "frame_bytes_max": config.limits.frame_bytes_max,
    }
    return gateways, usual
