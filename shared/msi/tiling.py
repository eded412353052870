"""The tile grid of Sentinel-2 products: the 100 km squares of MGRS, each with its overlap, in its own UTM zone.

A tile is 109 800 m square, so that neighbours overlap by 9.8 km. Its upper left corner is that of the MGRS square
moved to a multiple of 60 m, so that the pixels of the three resolutions nest::

    x = floor(E / 60) * 60        y = ceil((N + 100000) / 60) * 60

Zones and their exceptions (32V, 31X to 37X), latitude letters and square letters follow MGRS (NGA.SIG.0012). As in the
published grid, a square that two latitude bands share has the letter of its centre, and a square at the western limit
of its zone is left out where the tiles of the zone before cover its part of the zone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from pyproj import Transformer

from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

TILE_SIZE_M: Final = 109_800
SQUARE_M: Final = 100_000
_LATITUDE_LETTERS: Final = "CDEFGHJKLMNPQRSTUVWX"
_ROW_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUV"
_COLUMN_LETTERS: Final = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
_ROW_CYCLE_M: Final = SQUARE_M * len(_ROW_LETTERS)
_NAME: Final = re.compile(r"T?(\d{2})([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])", re.ASCII)
_OUTLINE_STEP_DEG: Final = 0.05


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile: ``name`` without the leading T ("31TCJ"), EPSG code of its UTM zone, upper left corner in metres."""

    name: str
    epsg: int
    ulx: int
    uly: int

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, bottom, right, top in metres of ``epsg``."""
        return self.ulx, self.uly - TILE_SIZE_M, self.ulx + TILE_SIZE_M, self.uly

    def size(self, resolution: int) -> int:
        """Rows, and columns, at ``resolution`` metres."""
        return TILE_SIZE_M // resolution


def utm_epsg(zone: int, south: bool) -> int:
    """EPSG code of a WGS 84 UTM zone (1 to 60)."""
    return (32700 if south else 32600) + zone


@cache
def to_utm(epsg: int) -> Transformer:
    """Longitude, latitude (WGS 84, degrees) to easting, northing."""
    return Transformer.from_crs(4326, epsg, always_xy=True)


@cache
def _to_geographic(epsg: int) -> Transformer:
    return Transformer.from_crs(epsg, 4326, always_xy=True)


def to_degrees(epsg: int, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of eastings and northings of a zone, any shape."""
    lon, lat = _to_geographic(epsg).transform(x, y)
    return np.asarray(lon, np.float64), np.asarray(lat, np.float64)


def zone_of(lon: float, lat: float) -> int:
    """The MGRS zone number at a place, with the exceptions of Norway and Svalbard."""
    zone = int((lon + 180.0) % 360.0 // 6) + 1
    if 56.0 <= lat < 64.0 and 3.0 <= lon < 12.0:
        return 32
    if lat >= 72.0 and 0.0 <= lon < 42.0:
        return 31 if lon < 9.0 else 33 if lon < 21.0 else 35 if lon < 33.0 else 37
    return zone


def tile(name: str) -> Tile:
    """The tile called ``name`` ("31TCJ" or "T31TCJ"); BadInputError where MGRS has no such square."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise BadInputError("tile", "a name as 31TCJ", name)
    zone, band = int(match[1]), match[2]
    columns = _COLUMN_LETTERS[(zone - 1) % 3]
    if not 1 <= zone <= 60 or match[3] not in columns:
        raise BadInputError("tile", f"a zone of 1 to 60 and its columns {columns}", name)
    easting = SQUARE_M * (columns.index(match[3]) + 1)
    south = band < "N"
    epsg = utm_epsg(zone, south)
    row = SQUARE_M * ((_ROW_LETTERS.index(match[4]) - (0 if zone % 2 else 5)) % len(_ROW_LETTERS))
    base = -80.0 + 8.0 * _LATITUDE_LETTERS.index(band)
    bottom, top = (
        to_utm(epsg).transform(6.0 * zone - 183.0, lat)[1] for lat in (base, base + (12 if band == "X" else 8))
    )
    # Rows repeat each 2000 km; a latitude band is 900 km high, up to 30 km more away from the central meridian.
    northing = row + _ROW_CYCLE_M * math.ceil((bottom - 2 * SQUARE_M - row) / _ROW_CYCLE_M)
    if northing > top + 2 * SQUARE_M:
        raise BadInputError("tile", f"a row of latitude band {band}", name)
    return _tile(f"{match[1]}{band}{match[3]}{match[4]}", epsg, easting, northing)


def _tile(name: str, epsg: int, easting: int, northing: int) -> Tile:
    return Tile(name, epsg, easting // 60 * 60, -(-(northing + SQUARE_M) // 60) * 60)


def square_at(lon: float, lat: float) -> Tile:
    """The tile whose own 100 km square (without overlap) holds the place; BadInputError beyond 80 S to 84 N.

    A square that two latitude bands share has the letter of its centre, as in the published grid.
    """
    if not -80.0 <= lat < 84.0:
        raise BadInputError("latitude", "-80 to 84 degrees, the extent of UTM", lat)
    zone = zone_of(lon, lat)
    epsg = utm_epsg(zone, south=lat < 0.0)
    easting, northing = to_utm(epsg).transform(lon, lat)
    column, n100 = min(max(int(easting // SQUARE_M), 1), 8), int(northing // SQUARE_M)
    if lat < 0.0:
        n100 = min(n100, 99)  # a hair below the equator rounds to 10 000 km
    return square(zone, epsg, column, n100)


def square(zone: int, epsg: int, column: int, n100: int) -> Tile:
    """The tile of the 100 km square in this column (1 to 8) and row (northing in 100 km) of a zone."""
    centre = _to_geographic(epsg).transform((column + 0.5) * SQUARE_M, (n100 + 0.5) * SQUARE_M)[1]
    band = _LATITUDE_LETTERS[min(max(int((centre + 80.0) // 8), 0), 19)]
    row = _ROW_LETTERS[(n100 + (0 if zone % 2 else 5)) % len(_ROW_LETTERS)]
    letters = f"{_COLUMN_LETTERS[(zone - 1) % 3][column - 1]}{row}"
    return _tile(f"{zone:02d}{band}{letters}", epsg, column * SQUARE_M, n100 * SQUARE_M)


def tiles_meeting(lon: ArrayLike, lat: ArrayLike) -> list[Tile]:
    """Tiles of which some part, overlap included, lies in the footprint, by name.

    Args:
        lon: vertices of the footprint in degrees WGS 84, shape (n,), n >= 3, closed or not; it may cross the
            antimeridian, and spans less than 180 degrees.
        lat: the same vertices' latitudes, shape (n,).

    The footprint's edges are straight in longitude and latitude. A tile counts when a point of the footprint, on a
    grid of 0.05 degrees or finer and on its outline, falls in it.
    """
    ring = _unwrapped(lon, lat)
    points = np.concatenate([_outline(ring), _inside(ring)])
    pending = {found.name: found for found in _squares(points)}
    holding: dict[str, Tile] = {}
    passed: set[str] = set()
    while pending:
        name, candidate = pending.popitem()
        passed.add(name)
        if _holds_any(candidate, points):
            holding[name] = candidate
            pending |= {n.name: n for n in _neighbours(candidate) if n.name not in passed}
    return sorted(found for found in holding.values() if not covered_from_the_west(found))


def _unwrapped(lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    ring = np.stack([np.asarray(lon, np.float64).ravel(), np.asarray(lat, np.float64).ravel()], axis=1)
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise BadInputError("footprint", "at least three finite vertices", ring.tolist())
    ring[:, 0] = np.degrees(np.unwrap(np.radians(ring[:, 0])))
    return ring


def _outline(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    following = np.roll(ring, -1, axis=0)
    parts = []
    for a, b in zip(ring, following, strict=True):
        count = max(int(np.abs(b - a).max() / _OUTLINE_STEP_DEG) + 1, 2)
        parts.append(a + (b - a) * np.linspace(0.0, 1.0, count, endpoint=False)[:, None])
    return np.concatenate(parts)


def _inside(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of a 0.05 degree grid within the ring, by even-odd crossings."""
    (west, south), (east, north) = ring.min(axis=0), ring.max(axis=0)
    x, y = (
        a.ravel()
        for a in np.meshgrid(np.arange(west, east, _OUTLINE_STEP_DEG), np.arange(south, north, _OUTLINE_STEP_DEG))
    )
    odd = np.zeros(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if ay == by:
            continue
        odd ^= ((ay > y) != (by > y)) & (x < ax + (bx - ax) * (y - ay) / (by - ay))
    return np.stack([x[odd], y[odd]], axis=1)


def _squares(points: NDArray[np.float64]) -> Iterator[Tile]:
    # Squares are 100 km: a coarse set of the points meets each, and neighbours fill what it misses.
    coarse = np.unique(np.round(points / 0.2).astype(np.int64), axis=0, return_index=True)[1]
    for lon, lat in points[coarse]:
        if -80.0 <= lat < 84.0:
            yield square_at((lon + 180.0) % 360.0 - 180.0, lat)


def _neighbours(of: Tile) -> Iterator[Tile]:
    """The squares around one. Probes are 10 km apart in easting: a zone's last square may be a narrow strip of it."""
    back = _to_geographic(of.epsg)
    x0, y0 = of.ulx + SQUARE_M / 2, of.uly - SQUARE_M / 2
    for dx in np.linspace(-SQUARE_M, SQUARE_M, 21):
        for dy in (-1.0, -0.6, 0.0, 0.6, 1.0):
            lon, lat = back.transform(x0 + dx, y0 + dy * SQUARE_M)
            if -80.0 <= lat < 84.0:
                yield square_at(lon, lat)


def _holds_any(found: Tile, points: NDArray[np.float64]) -> bool:
    x, y = to_utm(found.epsg).transform((points[:, 0] + 180.0) % 360.0 - 180.0, points[:, 1])
    left, bottom, right, top = found.bounds
    return bool(np.any((x >= left) & (x < right) & (y > bottom) & (y <= top)))


def covered_from_the_west(found: Tile) -> bool:
    """Whether the zone before covers all that a square at its zone's western limit holds of the zone.

    Agrees with the published grid for 99 of 100 squares; where it does not, no ground is lost. Zone 1 keeps all.
    """
    zone = found.epsg % 100
    if zone == 1:
        return False
    steps = np.linspace(0.0, SQUARE_M, 11)
    x, y = (a.ravel() for a in np.meshgrid(found.ulx + steps, found.uly - SQUARE_M + steps))
    lon, lat = _to_geographic(found.epsg).transform(x, y)
    own = np.array([zone_of(a, b) == zone for a, b in zip(lon, lat, strict=True)])
    if own.all() or not own.any():
        return False
    lon, lat = lon[own], lat[own]
    before = zone_of(float(lon.min()) - 0.15, float(lat.mean()))
    if before == zone:
        return False
    west = to_utm(utm_epsg(before, south=found.epsg > 32700))
    limit, _ = west.transform(np.full(lon.shape, 6.0 * zone - 186.0), lat)
    reach = limit // SQUARE_M * SQUARE_M + TILE_SIZE_M
    return bool(np.all(west.transform(lon, lat)[0] < reach))
