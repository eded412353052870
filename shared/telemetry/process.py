"""What a cold start costs: from the start of a process until it has answered the first event.

The server says when it is ready (``ready``), the binding how long the first answer took (``first_answer``); what lies
between, a process that waits for its first event, is no part of it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/self/stat")
_START: Final = 19
"""Of the fields after the command's name, which may hold anything: clock ticks since the machine's start (proc(5))."""
_READY: Final[list[float]] = []
"""Seconds until this process was ready, until its first answer."""


def age_s(stat: Path = _STAT) -> float:
    """Seconds since this process was started, to a clock tick (10 ms); 0 where the system does not say."""
    try:
        ticks = int(stat.read_text(errors="replace").rpartition(")")[2].split()[_START])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def ready(seconds: float) -> None:
    """This process can answer now, so many seconds after its start, or its server's."""
    _READY[:] = [seconds]


def first_answer(seconds: float) -> float | None:
    """The cold start, at the end of an answer that took so long; None of all but the first, and of an unknown start."""
    try:
        return _READY.pop() + seconds
    except IndexError:
        return None
