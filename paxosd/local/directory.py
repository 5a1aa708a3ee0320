"""The directory of a local cluster: whose it is, and the end of one that is temporary.

Laws:
1. A data directory belongs to one cluster: acceptors of another one would not share a quorum with its past.
2. A directory that the user gave is never removed. A temporary one is, however the program ends.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import mkdtemp

from paxosd.config import Config, ConfigError
from paxosd.local.lifetime import hold
from paxosd.local.start import SystemRefused, no_descriptors, start
from paxosd.storage.base import StorageError

MEANING_NAME = "cluster.json"
"""The file in a data directory that tells which cluster it belongs to."""


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
        file = data_dir / MEANING_NAME
        if not file.exists():
            file.write_text(config.meaning + "\n")
        found = file.read_text().rstrip("\n")
    except OSError as error:
        raise unusable(data_dir, error) from error
    if found != config.meaning:
        raise ConfigError(
            (f"{data_dir}: holds a cluster of other nodes or limits: start that one, or name another directory",)
        )


def unusable(path: Path, error: OSError) -> StorageError | SystemRefused:
    """What to raise because a file of the cluster cannot be used."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return no_descriptors(error)
    return StorageError(f"{path} cannot be used: {error.strerror}; name another directory, or mend that")
