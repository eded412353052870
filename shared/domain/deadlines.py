"""The clock of the promise: T0 and the budgets that run from it.

``T0`` is the latest modification time, at the station, over all files of the session: the moment the last byte was
available for pick-up. Late inputs never move it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from shared.errors import ConfigurationError

BUDGETS: Final[Mapping[str, timedelta]] = {
    "HKTM": timedelta(minutes=30),
    "SAD": timedelta(minutes=30),
    "L0": timedelta(minutes=75),
    "L1A": timedelta(minutes=75),
    "L1B": timedelta(minutes=75),
    "L1C": timedelta(minutes=75),
    "L2A": timedelta(minutes=120),
}


def t0(modified: Iterable[datetime]) -> datetime:
    """T0 of a session, from the modification times of its files at the station; at least one is needed."""
    return max(modified)


def deadline(start: datetime, level: str, budgets: Mapping[str, float] | None = None) -> datetime:
    """When a product of ``level`` must be queryable, for a session with T0 ``start``.

    ``budgets``: minutes by level, where a strategy decided others than ``BUDGETS``.
    """
    if budgets and level in budgets:
        return start + timedelta(minutes=budgets[level])
    try:
        return start + BUDGETS[level]
    except KeyError:
        raise ConfigurationError(f"level {level}: expected one of {', '.join(BUDGETS)}") from None


def slack(due: datetime, at: datetime) -> timedelta:
    """Time left at ``at``; negative after a miss."""
    return due - at
