"""A typed door to numba: explicit signatures only, compiled once per machine and cached beside the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def jit(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for one signature; it runs without the interpreter lock.

    Where neither the source's folder nor the user's cache can be written, every process compiles anew: some seconds.
    Set NUMBA_CACHE_DIR there.
    """

    def compiled(function: Callable[P, R]) -> Callable[P, R]:
        try:
            return cast("Callable[P, R]", numba.njit(signature, cache=True, nogil=True)(function))
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            return cast("Callable[P, R]", numba.njit(signature, nogil=True)(function))

    return compiled
