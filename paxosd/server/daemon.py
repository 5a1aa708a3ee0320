"""One node as a process: opens what a driver needs, runs it, and ends it well.

Order of the start: configuration, data directory, network, recovery, ready. What fails has touched nothing
that comes later. SIGTERM, SIGINT and SIGHUP drain: no new commands, those taken are finished, leadership is handed
over, and the process exits 0 within 5 s (`process/signals.py` has the rest). The loop never waits for the log
(`process/outlet.py`).
"""

from __future__ import annotations

import logging
import os
import resource
import secrets
import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

from paxosd.config import Config, ConfigError, NodeConfig, load
from paxosd.core.agent import Agent, Event
from paxosd.core.options import DRAIN_S_MAX
from paxosd.core.types import NodeId
from paxosd.driver import DiskWatch, Driver
from paxosd.lives import CHANCE_BITS, OwnLife
from paxosd.machine.mounts import MachineMissing
from paxosd.process import streams
from paxosd.process.garbage import collect_less_garbage
from paxosd.process.outlet import Outlet
from paxosd.process.signals import Stop
from paxosd.server.assembly import assemble, codec_of
from paxosd.server.health import BEAT_NAME, Beat
from paxosd.server.space import disk_watch
from paxosd.storage.ballast import Ballast, give_up_if_full
from paxosd.storage.base import StorageError, Store
from paxosd.storage.directory import IDENTITY_NAME, durability_warning, open_directory
from paxosd.storage.files import explained
from paxosd.storage.memory import MemoryStore
from paxosd.storage.sqlite.store import SQLiteStore
from paxosd.transport.base import Transport, TransportError
from paxosd.transport.zeromq.descriptors import raise_limit
from paxosd.transport.zeromq.node import ZeroMQTransport

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

ENDS_WITHIN_S = 5.0
"""How long a daemon takes to end after a signal, at most, whatever its disk does; a drain is over well before."""

DESCRIPTORS_MIN = 32
DESCRIPTORS_PER_NODE = 4
"""How many files a daemon must be allowed to have open, without clients: for itself, and for its links."""

LOG_WAITS_S_MAX = 0.5
"""How long a daemon that ends waits for whoever reads its log."""

TOLD_EVERY_S = 60.0
"""How often the same trouble is logged."""

OWNER_ONLY = 0o077
"""The umask of a daemon: what it makes is for its own user, whatever it was started with."""

log = logging.getLogger("paxosd")


def configure(path: str, node_id: NodeId, role: str) -> Config:
    """Load the membership file for this node; raises `ConfigError` if the node is not in it as this role."""
    config = load(path, os.environ)
    node = node_of(config, node_id)
    if node.role.value != role:
        raise ConfigError(
            (f"{path}: nodes.{node_id}.role: is {node.role.value}, not {role}; start it with --role {node.role.value}",)
        )
    if config.transport == "queue":
        raise ConfigError((f"{path}: transport: queue is for one machine; start it with `paxosd local`",))
    return config


def node_of(config: Config, node_id: NodeId) -> NodeConfig:
    """The node in the membership file; raises `ConfigError` if it is not in it."""
    node = config.nodes.get(node_id)
    if node is None:
        known = ", ".join(f"{known} ({found.role.value})" for known, found in config.nodes.items())
        raise ConfigError((f"{config.path}: nodes: there is no node {node_id!r}; the file has {known}",))
    return node


def data_directory(config: Config, node_id: NodeId, flag: Path | None) -> Path:
    """Where the node keeps its records: the flag, or its own folder below the configured place.

    That place is relative to the membership file, wherever the daemon was started from. Raises `ConfigError`.
    """
    if flag is not None:
        return flag
    place = config.storage.dir or "paxosd-data"
    if Path(place).is_absolute():
        return Path(place) / node_id
    beside = _folder_of(config.path)
    directory = beside / place / node_id
    _refuse_to_forget(config, directory, Path(place) / node_id)
    return directory


def _folder_of(path: str) -> Path:
    try:
        folder = Path(path).absolute().parent
    except FileNotFoundError:
        folder = Path("/proc")
    if folder.parts[1:2] in (("dev",), ("proc",)):
        raise ConfigError((f"{path}: storage.dir: has no folder to be relative to; give --data-dir, or a whole path",))
    return folder


def _refuse_to_forget(config: Config, directory: Path, as_before: Path) -> None:
    """Version 0.2 took relative places below the working directory: records that are there must not be forgotten."""
    if (as_before / IDENTITY_NAME).exists() and not (directory / IDENTITY_NAME).exists():
        raise ConfigError(
            (
                f"{config.path}: storage.dir: is relative to this file, so the records belong into {directory}; but "
                f"those of this node are in {as_before.absolute()}: move them there, or give that as --data-dir",
            )
        )


def birth_without(config: Config, without: Sequence[NodeId]) -> frozenset[NodeId]:
    """The acceptors that an operator leaves out of the birth; raises `ConfigError` if too few are left."""
    members = config.membership
    unknown = [node for node in without if node not in members.acceptors]
    if unknown:
        known = ", ".join(members.acceptors)
        raise ConfigError((f"--birth-without {unknown[0]}: there is no such acceptor; {config.path} has {known}",))
    rest = [node for node in members.acceptors if node not in without]
    if not (members.quorum.can_prepare(rest) and members.quorum.can_accept(rest)):
        raise ConfigError(("--birth-without: the acceptors that are left are no quorum; leave fewer out",))
    return frozenset(without)


def run_daemon(config: Config, node_id: NodeId, data_dir: Path, stop: Stop, without: Collection[NodeId] = ()) -> None:
    """Run the node until a signal ends it; raises `StorageError`, `TransportError` or `InvariantBroken`."""
    for warning in config.warnings:
        log.warning("%s", warning)
    raise_limit()
    _require_descriptors(config)
    with ExitStack() as stack:
        store, life, beat = open_store(config, node_id, data_dir, stack)
        transport = _open_transport(config, node_id)
        stack.callback(transport.close)
        watch = disk_watch(config, data_dir, store, beat)
        run_node(config, node_id, store, transport, life, beat, stop, watch, without)


def _require_descriptors(config: Config) -> None:
    """Raises `TransportError` if so few files may be open that libzmq would end the process without a word of ours."""
    least = DESCRIPTORS_MIN + DESCRIPTORS_PER_NODE * len(config.nodes)
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < least:
        raise TransportError(
            f"this process may have {allowed} files open, and needs at least {least}: let it have more (ulimit -n, "
            f"LimitNOFILE, ulimits: {{nofile: ...}}) and start again"
        )


def run_node(
    config: Config,
    node_id: NodeId,
    store: Store,
    transport: Transport,
    life: OwnLife,
    beat: Beat | None,
    stop: Stop,
    disk: DiskWatch | None = None,
    without: Collection[NodeId] = (),
) -> Driver:
    """Recover the node and run it over an open store and transport, until a signal ends it; returns its driver."""
    random = Random(secrets.randbits(256))
    codec = codec_of(config, node_id, life.number)
    driver = assemble(
        config,
        node_id,
        store,
        transport,
        time.monotonic,
        random,
        codec,
        on_event=_log_event,
        life=life,
        disk=disk,
        without=without,
    )
    try:
        driver.recover()
    except MachineMissing as error:
        advice = "what was mounted stays mounted: name it again"
        raise ConfigError((f"{config.path}: machines: {error}, and the file does not name it; {advice}",)) from error
    _require_same_voters(config, driver.agent)
    collect_less_garbage()
    stop.ready(transport.wake, ENDS_WITHIN_S)
    role = config.nodes[node_id].role.value
    lag = driver.agent.lag
    far = f" catches_up={str(lag)!r}" if lag else ""
    log.info("ready node=%s role=%s cluster=%s digest=%s%s", node_id, role, config.cluster, config.digest.hex(), far)
    _run(driver, transport, stop, beat)
    log.info("stopped node=%s signal=%s", node_id, stop.name)
    return driver


def _require_same_voters(config: Config, agent: Agent) -> None:
    """Raises `ConfigError` if the file says otherwise than the birth who votes, and with which quorums."""
    found = agent.known.voters.difference(config.membership)
    if found:
        history = agent.known.voters.history.hex()
        what = f"this node belongs to history {history}, whose voters no file can change"
        raise ConfigError(tuple(f"{config.path}: {each}; {what}; put it back as it was" for each in found))


def open_store(config: Config, node_id: NodeId, data_dir: Path, stack: ExitStack) -> tuple[Store, OwnLife, Beat | None]:
    """The node's store, this life of it, and what shows that it lives."""
    if config.storage.engine == "memory":
        log.warning("storage.engine is memory: everything is lost when this process ends; for tests only")
        return MemoryStore(), OwnLife(1, secrets.randbits(CHANCE_BITS)), None
    os.umask(OWNER_ONLY)
    if give_up_if_full(data_dir):
        log.warning("the disk of %s is full: its ballast is given up, so that this node can start; make room", data_dir)
    directory = open_directory(data_dir, config.cluster, node_id, config.nodes[node_id].role.value)
    stack.callback(directory.close)
    if directory.is_new:
        log.warning(
            "made a NEW data directory, %s, without any records; if this node has run before and its directory still "
            "exists, end it now, and give it that one; if that one is lost, the others admit this one as a new disk",
            data_dir,
        )
    else:
        log.info("data directory %s", data_dir)
    beat = Beat(data_dir)
    stack.callback(beat.close)
    warning = durability_warning(data_dir)
    if warning is not None:
        log.warning("%s", warning)
    directory.require_records()
    ballast = Ballast(data_dir, wanted=config.storage.reserve_bytes != 0)
    store = SQLiteStore(directory.store_path, directory, ballast)
    stack.callback(store.close)
    directory.note_records()
    life = OwnLife(directory.count, secrets.randbits(CHANCE_BITS), directory.keep_count)
    return store, life, beat


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


class DropReport:
    """Says now and then what the transport dropped since the last time; nobody else would tell."""

    def __init__(self, transport: Transport, now: float) -> None:
        self._transport = transport
        self._told: Counter[str] = Counter()
        self._next_at = now + TOLD_EVERY_S

    def tell(self, now: float) -> None:
        """Log one line if something was dropped, at most once in `TOLD_EVERY_S`; `now` is monotonic."""
        if now < self._next_at:
            return
        self._next_at = now + TOLD_EVERY_S
        new = self._transport.dropped - self._told
        if new:
            self._told = Counter(self._transport.dropped)
            log.info("transport.dropped %s", ", ".join(f"{count} ({reason})" for reason, count in sorted(new.items())))


class Sign:
    """Shows that the loop turns, where there is a data directory to show it in."""

    def __init__(self, beat: Beat | None) -> None:
        self._beat = beat
        self._tell_at = 0.0

    def touch(self, now: float, progress: str = "") -> None:
        """Raises `StorageError` if the data directory is gone; all else is told now and then, and tried again."""
        if self._beat is None:
            return
        try:
            self._beat.touch(now, progress)
        except FileNotFoundError as error:
            raise StorageError(
                f"{self._beat.directory} is gone, or is another directory by now: put it back as it was, and start "
                f"again"
            ) from error
        trouble = self._beat.trouble
        if trouble is not None and now >= self._tell_at:
            self._tell_at = now + TOLD_EVERY_S
            path = self._beat.directory / BEAT_NAME
            log.warning(
                "%s cannot be written: %s; `paxosd health` says that this node is not well for so long",
                path,
                explained(trouble),
            )


def _run(driver: Driver, transport: Transport, stop: Stop, beat: Beat | None) -> None:
    drops, sign = DropReport(transport, time.monotonic()), Sign(beat)
    while not stop.name:
        _step(driver, sign)
        drops.tell(time.monotonic())
    log.info("draining signal=%s", stop.name)
    until = time.monotonic() + DRAIN_S_MAX
    driver.agent.drain(time.monotonic())
    driver.turn()
    while not driver.agent.drained and time.monotonic() < until:
        _step(driver, sign)
    driver.turn()


def _step(driver: Driver, sign: Sign) -> None:
    driver.wait()
    driver.turn()
    lag = driver.agent.lag
    sign.touch(time.monotonic(), str(lag) if lag else "")


def _log_event(event: Event) -> None:
    fields = " ".join(f"{name}={value}" for name, value in event.fields.items())
    log.log(logging.WARNING if event.is_warning else logging.INFO, "%s %s", event.name, fields)


def configure_logging(node_id: str, stop: Stop) -> Outlet:
    """Log to stderr, one line per event, with the node's id in each; raises `ConfigError` for an unknown level.

    From now on nobody who writes to stderr waits for its reader. Who ends the process closes the outlet.
    """
    level = log_level()
    outlet = Outlet(streams.STDERR)
    streams.log_to(outlet)
    logging.basicConfig(level=level, format=f"%(asctime)s {node_id} %(levelname)s %(message)s", force=True)

    def before_exit(why: str) -> None:
        log.warning("ended at once: %s", why)
        outlet.close(LOG_WAITS_S_MAX)

    stop.before_exit = before_exit
    return outlet


def log_level() -> str:
    """What the environment says how much is logged; raises `ConfigError`."""
    level = os.environ.get("PAXOSD_LOG_LEVEL") or "INFO"
    if level.upper() not in LOG_LEVELS:
        raise ConfigError((f"environment PAXOSD_LOG_LEVEL: {level!r} is none of {', '.join(LOG_LEVELS)}",))
    return level.upper()
