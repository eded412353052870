"""What is going on in a session, as a few lines that change."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from functions.cli.story import SessionStory

_PRINT_EVERY_S: Final = 15.0


def counts(story: SessionStory) -> dict[str, tuple[int, int]]:
    """(done, begun) of the files and of each step, in the order in which they began."""
    found: dict[str, tuple[int, int]] = {"files": (len(story.received), len(story.seen))}
    begun_first = sorted(story.work.values(), key=lambda work: work.order.modified.timestamp() if work.order else 0.0)
    for work in begun_first:
        done, begun = found.get(work.place.step, (0, 0))
        found[work.place.step] = (done + (work.outcome is not None), begun + 1)
    return found


class Watch:
    """Progress bars of a session on a terminal; a line now and then where the output is none."""

    def __init__(self, console: Console) -> None:
        self._console = console
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

    def update(self, story: SessionStory) -> None:
        """Show the session as its records stand."""
        now = counts(story)
        for name, (done, begun) in now.items():
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=max(begun, 1))
            self._progress.update(self._tasks[name], completed=done, total=max(begun, 1))
        if not self._console.is_terminal and time.monotonic() - self._printed > _PRINT_EVERY_S:
            self._printed = time.monotonic()
            told = ", ".join(f"{name} {done}/{begun}" for name, (done, begun) in now.items())
            self._console.print(f"{self._printed - self._began:.0f} s: {told}")
