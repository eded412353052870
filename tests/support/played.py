"""A house with a whole session at its station."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.house import START, House
from tests.support.standin import StandInStation


def build(first: int = 100, **more: Any) -> House:
    """A house whose station holds a session of two channels; its first chunk has ``first`` bytes."""
    station = StandInStation()
    station.fill(START - timedelta(minutes=2), first=first)
    return House(**{"station": station, **more})
