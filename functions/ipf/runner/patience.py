"""Waiting for a store that is down: what an IPF computed is not thrown away for a minute without an answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import Final, TypeVar

from shared.errors import StoreUnavailableError

T = TypeVar("T")
PATIENCE_S: Final = 300.0
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0)
_LONGEST_S: Final = 15.0
_log: Final = logging.getLogger(__name__)


def patiently(
    do: Callable[[], T],
    *,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Do it, and again while the store is down, for ``PATIENCE_S`` at most; then StoreUnavailableError."""
    end = clock() + PATIENCE_S
    for pause_s in chain(_PAUSES_S, repeat(_LONGEST_S)):
        try:
            return do()
        except StoreUnavailableError as error:
            if clock() + pause_s > end:
                raise
            _log.warning("again in %.0f s: %s", pause_s, error)
            pause(pause_s)
    raise AssertionError("the pauses have no end")
