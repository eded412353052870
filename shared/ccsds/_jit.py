"""A typed door to numba: explicit signatures only, compiled once per machine and cached beside the source.

numba takes a cache only where it may write. So that no Job compiles, images bring a filled one: NUMBA_CACHE_SEED
names it, and it is laid into NUMBA_CACHE_DIR where that does not exist yet. Where it was filled under another
NUMBA_CPU_NAME, nothing in it is taken.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def lay_out(seed: str, target: str) -> None:
    """Copy a filled cache to where there is none. Whoever comes first wins; an error costs no more than compiling."""
    if not seed or not target or Path(target).exists():
        return
    with suppress(OSError):
        part = tempfile.mkdtemp(dir=Path(target).parent)
        try:
            shutil.copytree(seed, part, dirs_exist_ok=True)
            Path(part).rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)


lay_out(os.environ.get("NUMBA_CACHE_SEED", ""), os.environ.get("NUMBA_CACHE_DIR", ""))


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
