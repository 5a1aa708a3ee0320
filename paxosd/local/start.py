"""Starting a process of a cluster: a fresh interpreter that shares nothing with this program but what it is handed.

Laws:
1. `multiprocessing.Process` is not used: its hooks end the cluster when a forked child of the program exits, it refuses
   daemonic parents, runs the main file again, and leaves a process behind. It only packs what is handed over.
2. A process stands in a session of its own: no key of the terminal reaches it.
3. What the system refuses is `SystemRefused`, and then nothing is left behind.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fcntl import F_DUPFD_CLOEXEC, fcntl
from multiprocessing.context import set_spawning_popen
from multiprocessing.popen_spawn_posix import Popen as SpawnPopen
from multiprocessing.reduction import ForkingPickler
from multiprocessing.spawn import get_executable
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from paxosd.client.errors import Unavailable

FIRST_DESCRIPTOR = 3
"""What is handed over is above stdin, stdout and stderr; this program may have those closed, and its pipes there."""


class SystemRefused(Unavailable):
    """Not applied: the system gives this program no more processes, threads or file descriptors."""


def no_descriptors(error: OSError) -> SystemRefused:
    """What to raise where no file can be opened any more."""
    return SystemRefused(
        f"not applied: {error.strerror}: a local cluster needs about four descriptors for each node; raise the limit "
        f"(ulimit -n), or start fewer nodes"
    )


def start(name: str, code: str, handed: object, output: BinaryIO | int, folder: Path, held: Sequence[int] = ()) -> int:
    """Start an interpreter that runs this code; returns its process id.

    It shows its name to `ps`, finds `handed` in `received`, writes into `output`, works in `folder`, and has the
    descriptors `held` open as long as it lives. Raises `SystemRefused`.
    """
    with ExitStack() as stack:
        try:
            pack = stack.enter_context(_packing())
            data = bytes(ForkingPickler.dumps(handed))
            for descriptor in held:
                pack.duplicate_for_child(descriptor)
            child = subprocess.Popen(
                _command(name, code),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=pack.descriptors,
                start_new_session=True,
                cwd=folder,
            )
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise no_descriptors(error) from error
            raise SystemRefused(
                f"not applied: no process can be started: {error.strerror}; raise the limit of processes (ulimit -u), "
                f"give this program more memory, or start fewer nodes"
            ) from error
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin:  # whoever watches it hears that it has ended
        child.stdin.write(data)
    child.returncode = 0  # its end is waited for by its id, in this process alone: the object has no say in it
    return child.pid


def received() -> object:
    """What the process that started this one handed over; once."""
    return ForkingPickler.loads(sys.stdin.buffer.read())


def await_end(pid: int) -> bool:
    """Wait for the end of a child and leave its exit code to be taken; False if this program took it elsewhere."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def exit_code(pid: int) -> int:
    """The exit code of a child that has ended, negative for a signal; from now on its id may be that of another."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextmanager
def signals_later() -> Iterator[None]:
    """A signal that this program handles in Python waits until the block ends.

    In the middle its handler, such as the one of Ctrl-C, could raise and leave half a cluster behind.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {}
    if threading.current_thread() is threading.main_thread():  # handlers run in this one only
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(signal.getsignal(number)):
                before[number] = signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in dict.fromkeys(came):
            signal.raise_signal(each)


def _command(name: str, code: str) -> list[str]:
    executable = os.fsdecode(get_executable() or "")
    if not executable:
        raise SystemRefused(
            "not applied: this program does not know its Python (sys.executable is empty), which the nodes need; call "
            "multiprocessing.set_executable() with its path"
        )
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [executable, *flags, "-c", f"import sys; sys.path[:] = {_module_path()!a}; {code}", name]


def _module_path() -> list[str]:
    """Where this program finds its modules, from wherever one looks."""
    try:
        here = os.getcwd()  # noqa: PTH109 (which may be gone)
    except OSError:
        here = ""
    absolute = [os.path.join(here, entry) for entry in sys.path if isinstance(entry, str)]  # noqa: PTH118
    return [entry for entry in absolute if os.path.isabs(entry)]  # noqa: PTH117


class _Pack(SpawnPopen):
    """Takes the part of a process that is being started, whom `multiprocessing` asks to hand descriptors over."""

    def __init__(self) -> None:  # starts nothing
        self.descriptors: list[int] = []

    def duplicate_for_child(self, fd: int) -> int:
        self.descriptors.append(fcntl(fd, F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR))
        return self.descriptors[-1]


@contextmanager
def _packing() -> Iterator[_Pack]:
    pack = _Pack()
    set_spawning_popen(pack)
    try:
        yield pack
    finally:
        set_spawning_popen(None)
        for descriptor in pack.descriptors:
            os.close(descriptor)
