"""Threads and locks of the system, also where gevent or eventlet have put greenlets in their place.

Laws:
1. What runs here is a thread of the system: a call of libzmq does not give way, so a greenlet in one would stop all
   others.
2. Who waits for such a thread from a patched process lets the greenlets beside it run meanwhile.
3. Nothing of either library is imported: a patched function is known by not being built in, and the module itself is
   made anew from its source in the interpreter.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from importlib.machinery import BuiltinImporter
from importlib.util import module_from_spec
from types import BuiltinFunctionType
from typing import Any

PAUSE_FIRST_S = 0.0005
PAUSE_MAX_S = 0.01
"""How long a greenlet sleeps between two looks at what it waits for."""


def is_patched() -> bool:
    """Whether something put its own threads or its own sleep in place of the system's."""
    return not all(
        isinstance(function, BuiltinFunctionType)
        for function in (_thread.start_new_thread, _thread.allocate_lock, time.sleep)
    )


def _unpatched_threads() -> Any:
    spec = BuiltinImporter.find_spec("_thread")
    if not is_patched() or spec is None or spec.loader is None:
        return _thread
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_system = _unpatched_threads()
_start_new_thread: Callable[[Callable[[], None], tuple[()]], int] = _system.start_new_thread
allocate_lock: Callable[[], _thread.LockType] = _system.allocate_lock
allocate_rlock: Callable[[], Any] = _system.RLock
get_ident: Callable[[], int] = _system.get_ident


def wait(turnstile: _thread.LockType, timeout_s: float | None) -> bool:
    """Take a lock that is held, as soon as another thread lets it go; False if the time is over. None: no limit."""
    if not is_patched():
        return turnstile.acquire(timeout=-1 if timeout_s is None else max(0.0, timeout_s))
    end = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s = PAUSE_FIRST_S
    while not turnstile.acquire(blocking=False):
        if end is not None and time.monotonic() >= end:
            return False
        time.sleep(pause_s)  # theirs, in which other greenlets run
        pause_s = min(pause_s * 1.5, PAUSE_MAX_S)
    return True


class NativeThread:
    """A thread that does not keep the process alive. Raises `RuntimeError` or `MemoryError` if none can be started."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        self._run = run
        self._name = name
        self._running = allocate_lock()
        self._ident = 0
        self._ended = False
        self._running.acquire()
        if is_patched():
            _start_new_thread(self._main, ())
        else:  # with a name that debuggers show
            threading.Thread(target=self._main, name=name, daemon=True).start()

    def _main(self) -> None:
        self._ident = get_ident()
        run, self._run = self._run, _nothing
        try:
            run()
        finally:
            self._ended = True
            self._running.release()

    @property
    def is_current(self) -> bool:
        """Whether it is this thread that asks."""
        return self._ident == get_ident()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; False if the time is over, or if it is this thread that asks."""
        if self.is_current:
            return False
        if self._ended:  # also if an earlier wait took the lock, and a Ctrl-C came before it gave it back
            return True
        if wait(self._running, timeout_s):
            self._running.release()
            return True
        return False


def _nothing() -> None:
    pass
