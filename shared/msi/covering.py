"""Which tiles hold points of the ground, many points at a time: for what is spread over thousands of kilometres.

Agrees with ``tiling.tiles_meeting`` where the points stand as close, but for corners of tiles, which it takes at whole
100 km of their zone and not at the next multiple of 60 m.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.msi.tiling import (
    SQUARE_M,
    TILE_SIZE_M,
    Tile,
    covered_from_the_west,
    square,
    to_degrees,
    to_utm,
    utm_epsg,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

_OVERLAP_M: Final = TILE_SIZE_M - SQUARE_M
_NORTH_ROWS, _SOUTH_ROWS = range(94), range(11, 100)
_EQUATOR_DEG: Final = 0.1
"""A tile north of the equator reaches so far beyond it."""
_KM_PER_DEGREE: Final = 111.0


def zones_of(lon: ArrayLike, lat: ArrayLike) -> Counts:
    """``tiling.zone_of`` for arrays of one shape."""
    east, north = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    east = (east + 180.0) % 360.0 - 180.0
    zone = np.asarray((east + 180.0) // 6.0, np.int64) + 1
    zone = np.where((north >= 56.0) & (north < 64.0) & (east >= 3.0) & (east < 12.0), 32, zone)
    wide = np.select([east < 9.0, east < 21.0, east < 33.0], [31, 33, 35], 37)
    return np.where((north >= 72.0) & (east >= 0.0) & (east < 42.0), wide, zone)


def tiles_of_points(lon: ArrayLike, lat: ArrayLike, flags: ArrayLike) -> dict[str, int]:
    """The tiles, overlap included, that hold any of the points, and what flags the points in each have together.

    Args:
        lon: degrees WGS 84, any shape.
        lat: degrees, the same shape; what lies beyond 80 S to 84 N, the extent of UTM, is in no tile.
        flags: bits of whole numbers, the same shape.
    """
    east, north, bits = (np.asarray(each).ravel() for each in (lon, lat, flags))
    inside = (north >= -80.0) & (north < 84.0)
    east, north, bits = (east[inside] + 180.0) % 360.0 - 180.0, north[inside], bits[inside]
    # A tile may reach into the zones beside its own, by its width at most.
    reach = TILE_SIZE_M / 1000.0 / _KM_PER_DEGREE / np.cos(np.radians(north))
    near = np.stack([zones_of(east + shift, north) for shift in (-reach, 0.0 * reach, reach)])
    found: dict[str, int] = {}
    for zone in np.unique(near):
        for south in (False, True):
            there = (near == zone).any(axis=0) & ((north < 0.0) if south else (north >= -_EQUATOR_DEG))
            if there.any():
                epsg = utm_epsg(int(zone), south)
                for place, some in _places(epsg, east[there], north[there], bits[there]).items():
                    tile = _published(int(zone), epsg, *place)
                    if tile is not None:
                        found[tile.name] = found.get(tile.name, 0) | some
    return found


def _places(epsg: int, lon: Floats, lat: Floats, flags: Counts) -> dict[tuple[int, int], int]:
    """Columns and rows of a zone's squares whose tiles hold any of the points, and the flags of the points in each."""
    x, y = (np.asarray(each) for each in to_utm(epsg).transform(lon, lat))
    column, row = (np.floor(each / SQUARE_M).astype(np.int64) for each in (x, y))
    # Tiles reach beyond their squares to the east and to the south.
    west, above = x - column * SQUARE_M < _OVERLAP_M, (row + 1) * SQUARE_M - y <= _OVERLAP_M
    both = west & above
    columns = np.concatenate([column, column[west] - 1, column[above], column[both] - 1])
    rows = np.concatenate([row, row[west], row[above] + 1, row[both] + 1])
    bits = np.concatenate([flags, flags[west], flags[above], flags[both]])
    allowed = _SOUTH_ROWS if epsg > 32700 else _NORTH_ROWS
    held = (columns >= 1) & (columns <= 8) & (rows >= allowed.start) & (rows < allowed.stop)
    places, which = np.unique(rows[held] * 10 + columns[held], return_inverse=True)
    together = np.zeros(len(places), np.int64)
    np.bitwise_or.at(together, which, bits[held])
    return {(int(place % 10), int(place // 10)): int(some) for place, some in zip(places, together, strict=True)}


@cache
def _published(zone: int, epsg: int, column: int, row: int) -> Tile | None:
    """The tile of a square; None where no ground of the square is of the zone, or the grid leaves it out."""
    steps = np.linspace(0.0, SQUARE_M, 11)
    x, y = np.meshgrid(column * SQUARE_M + steps, row * SQUARE_M + steps)
    lon, lat = to_degrees(epsg, x, y)
    own = (zones_of(lon, lat) == zone) & (lat >= -80.0) & (lat < 84.0) & ((lat < 0.0) == (epsg > 32700))
    if not own.any():
        return None
    tile = square(zone, epsg, column, row)
    return None if not own.all() and covered_from_the_west(tile) else tile
