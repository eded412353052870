"""A typed door to numba: explicit signatures only, compiled once per machine and cached beside the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def jit(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for one signature; it runs without the interpreter lock."""
    return cast("Callable[[Callable[P, R]], Callable[P, R]]", numba.njit(signature, cache=True, nogil=True))
