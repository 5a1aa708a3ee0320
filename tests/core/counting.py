"""How much a call does, in steps of Python: the same in every run and on every machine."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def operations(call: Callable[[], object]) -> int:
    """How many lines of Python run in this call."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal count
        count += 1
        return trace

    _traced(call, trace)
    return count


def instructions(call: Callable[[], object]) -> int:
    """How many instructions of the interpreter run in this call, in this thread; what runs in C is one each."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    _traced(call, trace)
    return count


def _traced(call: Callable[[], object], trace: Callable[..., Any]) -> None:
    """Without the garbage collector: whatever listens to it, as Hypothesis does, would be counted when it happens."""
    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
