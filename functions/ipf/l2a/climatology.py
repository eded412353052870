"""The aerosol that is usual at a place and time of the year, for tiles of which nothing else tells.

A table of 5 degrees and months, made by ``make_aerosol_climatology.py``, which says of what. Between the middles of
cells and of months it is linear; beyond the last middle, 2.5 degrees from a pole, it is held. Its values are for the
mean altitude of a cell's ground. ``docs/processors.md`` has its errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Usual:
    """Aerosol optical thickness at 550 nm, above ground of the altitude in km."""

    aot550: float
    ground_km: float


@dataclass(frozen=True, slots=True)
class _Table:
    """Aerosol by month, latitude and longitude (ascending middles of cells, degrees), altitude in km without month."""

    aot550: Floats
    ground_km: Floats
    latitude: Floats
    longitude: Floats


@cache
def _table() -> _Table:
    path = files("functions.ipf.l2a").joinpath("aerosol_climatology.npz")
    with np.load(str(path), allow_pickle=False) as found:
        return _Table(
            found["aot550_thousandths"] / 1000.0, found["altitude_m"] / 1000.0, found["latitude"], found["longitude"]
        )


def usual_aerosol(lon: float, lat: float, when: datetime | None) -> Usual:
    """Of a place in degrees, at a time of the year; ``when`` None is the mean of the year."""
    table = _table()
    north = float(np.clip(np.interp(lat, table.latitude, np.arange(len(table.latitude))), 0, len(table.latitude) - 1))
    step = float(table.longitude[1] - table.longitude[0])
    east = float((lon - table.longitude[0]) / step)
    ground = _between(_between(table.ground_km, north), east)
    monthly = _between(np.moveaxis(_between(np.moveaxis(table.aot550, 1, 0), north), 1, 0), east)
    thick = float(monthly.mean()) if when is None else float(_between(monthly, _months(when)))
    return Usual(thick, float(ground))


def _months(when: datetime) -> float:
    """Time since the middle of January in months of equal length, from -0.5 to 11.5."""
    return (when.timetuple().tm_yday - 0.5) / 365.25 * 12 - 0.5


def _between(values: Floats, at: float) -> Floats:
    """Linear along the first axis at a position in steps from its first entry; after the last comes the first again."""
    low = int(np.floor(at))
    part = at - low
    count = len(values)
    return np.asarray(values[low % count] * (1 - part) + values[(low + 1) % count] * part, np.float64)
