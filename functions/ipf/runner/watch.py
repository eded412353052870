"""Whether a run still does something: its log grows, or files that its processor names change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from functions.ipf.runner.pod import Calls

_OFTEN_S: Final = 10.0
_SELDOM_S: Final = 3600.0


class Watch:
    """Looks now and then; ``quiet`` says that nothing has changed for the limit of ``calls``.

    What is compared is each file's own time with the newest seen before, so clocks of a store need not agree with ours.
    """

    def __init__(self, calls: Calls, log: Path) -> None:
        self._calls, self._log = calls, log
        self._newest: dict[str, int] = {}
        self._since = time.monotonic()

    @property
    def every_s(self) -> float:
        """How long to wait between two looks."""
        limit = self._calls.quiet_limit_s
        return min(_OFTEN_S, limit / 4) if limit else _SELDOM_S

    def quiet(self) -> bool:
        """Look; whether nothing has changed for too long."""
        if not self._calls.quiet_limit_s:
            return False
        found = {"": _modified(self._log)}
        for pattern in self._calls.activity:
            found[pattern] = max(map(_modified, self._calls.base.glob(pattern)), default=0)
        if found != self._newest:
            self._newest, self._since = found, time.monotonic()
        return time.monotonic() - self._since >= self._calls.quiet_limit_s


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # it has gone since it was listed
        return 0
