"""The directory of a local cluster: whose it is, and the end of one that is temporary.

Laws:
1. A data directory belongs to one cluster: acceptors of another one would not share a quorum with its past. What is
   compared is who takes part in which role, and the quorums; limits may change with the file, or with the version.
2. A directory that the user gave is never removed. A temporary one is, however the program ends.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import mkdtemp

from paxosd.config import Config, ConfigError
from paxosd.core.types import NodeId
from paxosd.local.lifetime import hold
from paxosd.local.start import SystemRefused, no_descriptors, start
from paxosd.storage.base import Corrupt, StorageError
from paxosd.storage.files import write_durably

CLAIM_NAME = "cluster.json"
"""The file in a data directory that tells which cluster it belongs to."""

FORMAT = 2


class ClusterDirectory:
    """Where the nodes of a cluster keep their records and logs; None: a temporary directory.

    Raises `ConfigError` if it is another cluster's, `StorageError` if it cannot be used, or `SystemRefused`.
    """

    def __init__(self, named: Path | None, config: Config) -> None:
        self._remover = 0
        # Absolute: nodes work in another directory than this program, which may go elsewhere, too.
        self.path = _made_temporary() if named is None else _absolute(named)
        self._temporary = named is None
        with ExitStack() as stack:
            stack.callback(self.close)
            if self._temporary:
                code = _remover_code(self.path)
                self._remover = start("paxosd-remover", code, None, subprocess.DEVNULL, Path("/"))
            _claim(self.path, config)
            stack.pop_all()

    def hold(self, stack: ExitStack) -> list[int]:
        """The descriptors that a node has to hold, so that nothing is removed before its end; `stack` closes them."""
        if not self._temporary:
            return []
        try:
            held = hold(self.path)
        except OSError as error:
            raise unusable(self.path, error) from error
        stack.callback(os.close, held)
        return [held]

    def close(self) -> None:
        """Remove what is temporary, after the nodes have ended; safe to call twice."""
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._remover and not self.path.exists():  # else it tries again when this program has ended
            with suppress(OSError):  # somebody else may have waited for it
                os.kill(self._remover, signal.SIGKILL)
                os.waitpid(self._remover, 0)
            self._remover = 0


def _remover_code(path: Path) -> str:
    return f"from paxosd.local.lifetime import remove_after_parent; remove_after_parent({os.getpid()}, {str(path)!a})"


def _made_temporary() -> Path:
    try:
        return Path(mkdtemp(prefix="paxosd-local-")).resolve()
    except OSError as error:
        raise StorageError(
            f"no temporary directory can be made: {error.strerror or error}; set TMPDIR to a directory that can be "
            f"written to, or name a data directory"
        ) from error


def _absolute(named: Path) -> Path:
    try:
        return named.resolve()
    except OSError as error:
        raise unusable(named, error) from error


def _claim(data_dir: Path, config: Config) -> None:
    """Note whose directory it is (law 1); raises `ConfigError` if it is another cluster's."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = data_dir / CLAIM_NAME
        claim = _claim_of(config)
        if not file.exists():
            write_durably(file, claim)
        found = file.read_text(errors="replace")
    except OSError as error:
        raise unusable(data_dir, error) from error
    if _is_of_format_1(found):
        raise ConfigError(
            (f"{data_dir}: holds a cluster of an earlier version; run `paxosd upgrade --data-dir {data_dir}` first",)
        )
    if found != claim:
        raise ConfigError(
            (f"{data_dir}: holds a cluster of other nodes or quorums: start that one, or name another directory",)
        )


def _claim_of(config: Config) -> str:
    nodes = {node.id: (node.role.value, node.weight) for node in config.nodes.values()}
    quorum = config.membership.quorum
    return _claim_text(config.cluster, config.transport, nodes, quorum.prepare, quorum.accept)


def _claim_text(
    cluster: str, transport: str, nodes: Mapping[NodeId, tuple[str, int]], prepare: int, accept: int
) -> str:
    claim = {"format": FORMAT, "cluster": cluster, "transport": transport, "prepare": prepare, "accept": accept}
    return json.dumps({**claim, "nodes": nodes}, sort_keys=True) + "\n"


def _is_of_format_1(found: str) -> bool:
    """Version 0.2.0 wrote a list there, with all limits in it."""
    return found.startswith("[")


def is_of_local_cluster(path: Path) -> bool:
    """Whether this is a directory of a whole cluster."""
    return (path / CLAIM_NAME).exists()


def upgrade_claim(path: Path) -> None:
    """Bring the file that tells whose the directory is to this format; its nodes come before. Raises `StorageError`."""
    file = path / CLAIM_NAME
    try:
        found = file.read_text(errors="replace")
        if not _is_of_format_1(found):
            return
        cluster, transport, nodes, prepare, accept, _ = json.loads(found)
        parts = {node: (role, weight) for node, (role, weight, *_) in nodes.items()}
        write_durably(file, _claim_text(cluster, transport, parts, prepare, accept))
    except OSError as error:
        raise unusable(path, error) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise Corrupt(f"{file} cannot be read ({error}): restore it from a backup; nothing was touched") from error


def unusable(path: Path, error: OSError) -> StorageError | SystemRefused:
    """What to raise because a file of the cluster cannot be used."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return no_descriptors(error)
    return StorageError(f"{path} cannot be used: {error.strerror}; name another directory, or mend that")
