"""One node as a process: opens what a driver needs, runs it, and ends it well.

Order of the start: configuration, data directory, network, recovery, ready. What fails has touched nothing
that comes later. SIGTERM, SIGINT and SIGHUP drain: no new commands, those taken are finished, leadership is handed
over, and the process exits 0 within 5 s.
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from random import Random
from types import FrameType

from paxosd.assembly import assemble, codec_of
from paxosd.config import Config, ConfigError, load
from paxosd.core.agent import Event
from paxosd.core.options import DRAIN_S_MAX
from paxosd.core.types import NodeId
from paxosd.driver import Driver
from paxosd.health import Beat
from paxosd.storage.base import StorageError, Store
from paxosd.storage.directory import durability_warning, first_incarnation, open_directory
from paxosd.storage.memory import MemoryStore
from paxosd.storage.sqlite import SQLiteStore
from paxosd.transport.base import Transport
from paxosd.transport.descriptors import raise_limit
from paxosd.transport.zeromq import ZeroMQTransport

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

log = logging.getLogger("paxosd")


def configure(path: str, node_id: NodeId, role: str) -> Config:
    """Load the membership file for this node; raises `ConfigError` if the node is not in it as this role."""
    config = load(path)
    node = config.nodes.get(node_id)
    if node is None:
        known = ", ".join(f"{known} ({found.role.value})" for known, found in config.nodes.items())
        raise ConfigError((f"{path}: nodes: there is no node {node_id!r}; the file has {known}",))
    if node.role.value != role:
        raise ConfigError(
            (f"{path}: nodes.{node_id}.role: is {node.role.value}, not {role}; start it with --role {node.role.value}",)
        )
    if config.transport == "queue":
        raise ConfigError((f"{path}: transport: queue is for one machine; start it with `paxosd local`",))
    return config


def data_directory(config: Config, node_id: NodeId, flag: Path | None) -> Path:
    """Where the node keeps its records: the flag, or its own folder below the configured place."""
    return flag if flag is not None else Path(config.storage.dir or "paxosd-data") / node_id


def run_daemon(config: Config, node_id: NodeId, data_dir: Path) -> None:
    """Run the node until a signal ends it; raises `StorageError`, `TransportError` or `InvariantBroken`."""
    raise_limit()
    with ExitStack() as stack:
        store, incarnation, beat = open_store(config, node_id, data_dir, stack)
        transport = _open_transport(config, node_id)
        stack.callback(transport.close)
        run_node(config, node_id, store, transport, incarnation, beat)


def run_node(
    config: Config, node_id: NodeId, store: Store, transport: Transport, incarnation: int, beat: Beat | None
) -> Driver:
    """Recover the node and run it over an open store and transport, until a signal ends it; returns its driver."""
    random = Random(secrets.randbits(64))
    codec = codec_of(config, node_id, incarnation)
    driver = assemble(config, node_id, store, transport, time.monotonic, random, codec, on_event=_log_event)
    stop = StopSignal(transport)
    driver.recover()
    _collect_less_garbage()
    role = config.nodes[node_id].role.value
    log.info("ready node=%s role=%s cluster=%s digest=%s", node_id, role, config.cluster, config.digest.hex())
    _run(driver, transport, stop, beat)
    log.info("stopped node=%s signal=%s", node_id, stop.name)
    return driver


def open_store(config: Config, node_id: NodeId, data_dir: Path, stack: ExitStack) -> tuple[Store, int, Beat | None]:
    """The node's store, the number of this life, and what shows that it lives."""
    if config.storage.engine == "memory":
        log.warning("storage.engine is memory: everything is lost when this process ends; for tests only")
        return MemoryStore(), first_incarnation(), None
    directory = open_directory(data_dir, config.cluster, node_id, config.nodes[node_id].role.value)
    stack.callback(directory.close)
    warning = durability_warning(data_dir)
    if warning is not None:
        log.warning("%s", warning)
    directory.require_records()
    store = SQLiteStore(directory.store_path)
    stack.callback(store.close)
    directory.note_records()
    return store, directory.incarnation, Beat(data_dir)


def _open_transport(config: Config, node_id: NodeId) -> ZeroMQTransport:
    node = config.nodes[node_id]
    assert node.listen is not None
    peers = {other: known.address.url for other, known in config.nodes.items() if known.address and other != node_id}
    return ZeroMQTransport(
        node_id,
        peers,
        node.listen.url,
        node.client_listen.url if node.client_listen is not None else None,
        config.limits.frame_bytes_max,
        config.limits.client_frame_bytes_max,
    )


DROPS_TOLD_EVERY_S = 60.0


class StopSignal:
    """Remembers that SIGTERM, SIGINT or SIGHUP (its terminal was closed) came, and wakes the loop."""

    def __init__(self, transport: Transport) -> None:
        self.name = ""
        self._transport = transport
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks for
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        self._transport.wake()


class DropReport:
    """Says now and then what the transport dropped since the last time; nobody else would tell."""

    def __init__(self, transport: Transport, now: float) -> None:
        self._transport = transport
        self._told: Counter[str] = Counter()
        self._next_at = now + DROPS_TOLD_EVERY_S

    def tell(self, now: float) -> None:
        """Log one line if something was dropped, at most once in `DROPS_TOLD_EVERY_S`; `now` is monotonic."""
        if now < self._next_at:
            return
        self._next_at = now + DROPS_TOLD_EVERY_S
        new = self._transport.dropped - self._told
        if new:
            self._told = Counter(self._transport.dropped)
            log.info("transport.dropped %s", ", ".join(f"{count} ({reason})" for reason, count in sorted(new.items())))


def _run(driver: Driver, transport: Transport, stop: StopSignal, beat: Beat | None) -> None:
    drops = DropReport(transport, time.monotonic())
    while not stop.name:
        _step(driver, beat)
        drops.tell(time.monotonic())
    log.info("draining signal=%s", stop.name)
    until = time.monotonic() + DRAIN_S_MAX
    driver.agent.drain(time.monotonic())
    driver.turn()
    while not driver.agent.drained and time.monotonic() < until:
        _step(driver, beat)
    driver.turn()


def _step(driver: Driver, beat: Beat | None) -> None:
    driver.wait()
    driver.turn()
    if beat is not None:
        try:
            beat.touch(time.monotonic())
        except OSError as error:
            raise StorageError(
                f"{error.filename} could not be touched: {error.strerror}; the data directory is gone or fails: mend "
                f"that and start again"
            ) from error


def _log_event(event: Event) -> None:
    fields = " ".join(f"{name}={value}" for name, value in event.fields.items())
    log.info("%s %s", event.name, fields)


def _collect_less_garbage() -> None:
    """Full collections walk everything that is alive and stall the loop; what starts here stays alive anyway."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def configure_logging(node_id: str) -> None:
    """Log to stderr, one line per event, with the node's id in each; raises `ConfigError` for an unknown level."""
    logging.basicConfig(level=log_level(), format=f"%(asctime)s {node_id} %(levelname)s %(message)s", force=True)


def log_level() -> str:
    """What the environment says how much is logged; raises `ConfigError`."""
    level = os.environ.get("PAXOSD_LOG_LEVEL") or "INFO"
    if level.upper() not in LOG_LEVELS:
        raise ConfigError((f"environment PAXOSD_LOG_LEVEL: {level!r} is none of {', '.join(LOG_LEVELS)}",))
    return level.upper()
