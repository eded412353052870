"""Since when this process has been there: what a cold start costs before the first line of our code."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/self/stat")
_START: Final = 19
"""Of the fields after the command's name, which may hold anything: clock ticks since the machine's start (proc(5))."""


def age_s(stat: Path = _STAT) -> float:
    """Seconds since this process was started, to a clock tick (10 ms); 0 where the system does not say."""
    try:
        ticks = int(stat.read_text(errors="replace").rpartition(")")[2].split()[_START])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
