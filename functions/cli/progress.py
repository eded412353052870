"""What is going on in a session, as a few lines that change."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from functions.cli.views import WorkRow, work_rows
from shared.ledger import keys

_PRINT_EVERY_S: Final = 15.0


def counts(session: str, listing: Mapping[str, datetime]) -> dict[str, tuple[int, int]]:
    """(done, begun) of the files and of each step, in the order in which they began."""
    root = keys.session(session)
    seen = sum(key.startswith(f"{root}seen/") for key in listing)
    received = sum(key.startswith(f"{root}received/") for key in listing)
    found: dict[str, tuple[int, int]] = {"files": (received, seen)}
    for row in work_rows(dict(listing)):
        done, begun = found.get(row.step, (0, 0))
        found[row.step] = (done + _is_done(row), begun + 1)
    return found


def _is_done(row: WorkRow) -> int:
    return int(row.stands == "finished")


class Watch:
    """Progress bars of a session on a terminal; a line now and then where the output is none."""

    def __init__(self, console: Console, session: str) -> None:
        self._console, self._session = console, session
        self._progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._began = self._printed = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, listing: Mapping[str, datetime]) -> None:
        """Show the session as its records stand."""
        now = counts(self._session, listing)
        for name, (done, begun) in now.items():
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=max(begun, 1))
            self._progress.update(self._tasks[name], completed=done, total=max(begun, 1))
        if not self._console.is_terminal and time.monotonic() - self._printed > _PRINT_EVERY_S:
            self._printed = time.monotonic()
            told = ", ".join(f"{name} {done}/{begun}" for name, (done, begun) in now.items())
            self._console.print(f"{self._printed - self._began:.0f} s: {told}")
