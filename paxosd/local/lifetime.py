"""What ends with the program that started it, in whatever way that ends. Quick to import: nodes run it first.

Laws:
1. A process of a cluster looks for its parent, and not for the end of a pipe: other processes that the program forked
   hold its pipes too, and may outlive it.
2. The remover removes a temporary directory when the program and every node are gone. Each node holds a shared lock on
   the directory from before its start until its end, so there is no race to be the last one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress

from paxosd.process.exits import Exit

PARENT_LOOKED_FOR_EVERY_S = 0.2
"""How often a process of a cluster looks whether its program still runs."""


def end_with_parent(parent: int) -> None:
    """From now on, end this process at once when its parent is gone; for a process that has just been started."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what the thread that started us kept away was meant for that one
    try:
        threading.Thread(target=_end_after, args=(parent,), name="paxosd-parent", daemon=True).start()
    except RuntimeError as error:
        sys.exit(f"no thread can be started: {error}; raise the limit (ulimit -u)")


def _end_after(parent: int) -> None:
    _await_gone(parent)
    os._exit(Exit.ERROR)


def remove_after_parent(parent: int, folder: str) -> None:
    """Remove this folder and all that is in it when the parent of this process and the nodes are gone."""
    _await_gone(parent)
    with suppress(OSError):  # it may be gone already, and then there is nothing to do
        held = hold(folder, fcntl.LOCK_EX)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def hold(folder: str | os.PathLike[str], kind: int = fcntl.LOCK_SH) -> int:
    """A file descriptor that holds this lock on the folder until its last copy is closed. Raises `OSError`."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, kind)
    except OSError:
        os.close(held)
        raise
    return held


def _await_gone(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_LOOKED_FOR_EVERY_S)
