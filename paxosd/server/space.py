"""A daemon's eye on its disk: from the configuration to what the driver looks at, and to `paxosd health`."""

from __future__ import annotations

from pathlib import Path

from paxosd.config import Config
from paxosd.core.space import Space
from paxosd.server.health import Beat
from paxosd.storage.base import Store
from paxosd.storage.space import Gauge, Watch, directory_watch
from paxosd.storage.sqlite.store import SQLiteStore


def disk_watch(config: Config, data_dir: Path, store: Store, beat: Beat | None) -> Watch | None:
    """What this node's driver looks at; None where nothing is kept on a disk."""
    if not isinstance(store, SQLiteStore) or store.ballast is None:
        return None
    storage = config.storage

    def tell_health(space: Space) -> None:
        if beat is not None:
            beat.note(space.name.lower() if space.is_short else "")

    gauge = Gauge(storage.quota_bytes, storage.reserve_bytes)
    return directory_watch(data_dir, store, store.ballast, gauge, tell_health)
