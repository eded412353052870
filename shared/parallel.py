"""Several requests at a time: threads where there is something to gain, none where there is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Thread
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

FEW: Final = 2
"""So many requests are as fast one after the other as in threads that have to be started."""


_one_after_the_other: Final[ContextVar[bool]] = ContextVar("one_after_the_other", default=False)


@contextmanager
def one_after_the_other() -> Iterator[None]:
    """No threads in this context: a rehearsal must play the same for the same seed."""
    token = _one_after_the_other.set(True)
    try:
        yield
    finally:
        _one_after_the_other.reset(token)


class Inline(Executor):
    """An executor that does what it is given at once, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever asks for the result is told
            future.set_exception(error)
        return future

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """As any executor's: all is done before the first result is given, and an error is raised in its turn."""
        del timeout, chunksize  # nothing is waited for
        done: list[tuple[T | None, Exception | None]] = []
        for args in zip(*iterables, strict=False):
            try:
                done.append((fn(*args), None))
            except Exception as error:  # noqa: BLE001 - whoever comes to its result is told
                done.append((None, error))
        return _results(done)


def _results(done: list[tuple[T | None, Exception | None]]) -> Iterator[T]:
    for result, error in done:
        if error is not None:
            raise error
        yield cast("T", result)


def pool_of(threads: int, tasks: int) -> Executor:
    """An executor for so many tasks, with at most so many threads."""
    return Inline() if tasks <= FEW or _one_after_the_other.get() else ThreadPoolExecutor(min(threads, tasks))


def beside(do: Callable[[], T], name: str) -> Future[T]:
    """``do`` in a thread that a process which ends does not wait for; at once, where there are no threads."""
    if _one_after_the_other.get():
        return Inline().submit(do)
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(do())
        except BaseException as error:  # noqa: BLE001  whoever asks for the result is told
            future.set_exception(error)

    Thread(target=run, name=name, daemon=True).start()
    return future
