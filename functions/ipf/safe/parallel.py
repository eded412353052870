"""Work over several processes: OpenJPEG and the arithmetic around it hold the interpreter, so threads would not do."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.joborder import JobOrder

P = ParamSpec("P")
T = TypeVar("T")


class _Inline(Executor):
    """Runs each call as it is submitted."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as any executor does
            future.set_exception(error)
        return future


@contextmanager
def workers(count: int) -> Iterator[Executor]:
    """An executor of ``count`` processes, or of this one where ``count`` is 1. What is submitted must be picklable."""
    if count <= 1:
        yield _Inline()
        return
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def threads_of(order: JobOrder) -> int:
    """The parameter NUMBER_OF_THREADS, 1 where it is not given; BadInputError where it is no number of 1 to 256."""
    text = order.parameters.get("NUMBER_OF_THREADS", "1")
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise BadInputError("job order, NUMBER_OF_THREADS", "a number of 1 to 256", text)
    return int(text)
