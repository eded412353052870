"""Compiled loops over rays: from a line and column to the terrain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shared.ccsds._jit import jit
from shared.geometry._rays import LIST, SETTLED_M, TABLE, cast_ray, geodetic, ground, reach

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shared.geometry.frames import Floats


@jit(f"float64(float32[:, ::1], {LIST}, float64, float64)")
def height_at(field: NDArray[np.float32], grid: Floats, lon: float, lat: float) -> float:
    """Bilinear height at degrees; beyond the field its edge."""
    lon += 360.0 * round((grid[0] + 0.5 * grid[2] * field.shape[1] - lon) / 360.0)
    x = min(max((lon - grid[0]) / grid[2], 0.0), field.shape[1] - 1.000001)
    y = min(max((lat - grid[1]) / grid[3], 0.0), field.shape[0] - 1.000001)
    column, row = int(x), int(y)
    x -= column
    y -= row
    south = field[row, column] * (1 - x) + field[row, column + 1] * x
    north = field[row + 1, column] * (1 - x) + field[row + 1, column + 1] * x
    height: float = south * (1 - y) + north * y
    return height


@jit(f"void(float32[:, ::1], {LIST}, {LIST}, {LIST}, {LIST})")
def heights_at(field: NDArray[np.float32], grid: Floats, lon: Floats, lat: Floats, heights: Floats) -> None:
    """Heights of a field at places."""
    for i in range(len(lon)):
        known = math.isfinite(lon[i]) and math.isfinite(lat[i])
        heights[i] = height_at(field, grid, lon[i], lat[i]) if known else math.nan


@jit(f"float64({LIST}, float64, float32[:, ::1], {LIST})")
def _clearance(ray: Floats, distance: float, field: NDArray[np.float32], grid: Floats) -> float:
    """How high the ray is above the terrain at a distance."""
    lon, lat, height = geodetic(ray[0] + distance * ray[3], ray[1] + distance * ray[4], ray[2] + distance * ray[5])
    return height - height_at(field, grid, math.degrees(lon), math.degrees(lat))


@jit(f"float64({LIST}, float64, float64, float64, float64, float32[:, ::1], {LIST})")
def _cross(
    ray: Floats, high: float, low: float, above: float, below: float, field: NDArray[np.float32], grid: Floats
) -> float:
    """Where between two distances the clearance passes zero, by regula falsi (Illinois)."""
    side = 0
    for _ in range(60):
        middle = (low * above - high * below) / (above - below)
        clearance = _clearance(ray, middle, field, grid)
        if abs(clearance) < SETTLED_M:
            return middle
        if clearance > 0.0:
            high, above = middle, clearance
            if side == 1:
                below *= 0.5
            side = 1
        else:
            low, below = middle, clearance
            if side == -1:
                above *= 0.5
            side = -1
    return 0.5 * (high + low)


@jit("float64(float64, float64, float64, float64)")
def _next_border(start: float, rate: float, bend: float, passed: float) -> float:
    """Where on a path start + s (rate + bend s), beyond ``passed``, the next border of a cell lies; 2 if nowhere."""
    place, slope = start + passed * (rate + bend * passed), rate + 2.0 * bend * passed
    if slope == 0.0:
        return 2.0
    border = math.floor(place + 1e-6) + 1.0 if slope > 0.0 else math.ceil(place - 1e-6) - 1.0
    ahead = passed + (border - place) / slope
    for _ in range(2):
        slope = rate + 2.0 * bend * ahead
        if slope == 0.0:
            return 2.0
        ahead += (border - start - ahead * (rate + bend * ahead)) / slope
    return ahead if ahead > passed else 2.0


@jit(f"void({LIST}, float64, {LIST}, float64, {LIST})")
def _cells(ray: Floats, distance: float, grid: Floats, middle: float, place: Floats) -> None:
    """Column and row of a point of the ray in a field whose middle lies at longitude ``middle``."""
    lon, lat, _ = geodetic(ray[0] + distance * ray[3], ray[1] + distance * ray[4], ray[2] + distance * ray[5])
    lon, lat = math.degrees(lon), math.degrees(lat)
    lon += 360.0 * round((middle - lon) / 360.0)
    place[0], place[1] = (lon - grid[0]) / grid[2], (lat - grid[1]) / grid[3]


@jit(f"float64({LIST}, float64, float64, float32[:, ::1], {LIST})")
def _march(ray: Floats, top: float, bottom: float, field: NDArray[np.float32], grid: Floats) -> float:
    """The first distance between ``top`` and ``bottom`` at which the ray meets the terrain.

    The path is cut where it enters another cell of the field. Within a cell the terrain is bilinear and the clearance
    along the path a parabola (but for the Earth's curvature, below a millimetre in a cell): three values give it, so no
    ridge between two cuts is missed. In cells the path is a parabola as well: over some kilometres a straight line in
    space is none in longitude and latitude.
    """
    first, half_way, last = np.empty(2), np.empty(2), np.empty(2)
    middle_lon = grid[0] + 0.5 * grid[2] * field.shape[1]
    _cells(ray, top, grid, middle_lon, first)
    _cells(ray, 0.5 * (top + bottom), grid, middle_lon, half_way)
    _cells(ray, bottom, grid, middle_lon, last)
    bends = 2.0 * (first + last - 2.0 * half_way)
    rates = last - first - bends
    passed, at = 0.0, top
    above = _clearance(ray, at, field, grid)
    while passed < 1.0:
        ahead = min(
            _next_border(first[0], rates[0], bends[0], passed), _next_border(first[1], rates[1], bends[1], passed)
        )
        passed = min(max(ahead, passed + 1e-9), 1.0)
        then = top + passed * (bottom - top)
        below = _clearance(ray, then, field, grid)
        if below > 0.0:
            half = 0.5 * (at + then)
            middle = _clearance(ray, half, field, grid)
            bend = 2.0 * (above + below - 2.0 * middle)
            slope = 4.0 * middle - 3.0 * above - below
            if bend > 0.0 and 0.0 < -slope < 2.0 * bend:
                lowest = at + (then - at) * (-0.5 * slope / bend)
                dip = _clearance(ray, lowest, field, grid)
                if dip <= 0.0:
                    return _cross(ray, at, lowest, above, dip, field, grid)
        else:
            return _cross(ray, at, then, above, below, field, grid)
        at, above = then, below
    return bottom


@jit(f"void({TABLE}, {LIST}, {TABLE}, {LIST}, {LIST}, float32[:, ::1], {LIST}, {TABLE})")
def to_terrain(
    states: Floats,
    clock: Floats,
    looks: Floats,
    seconds: Floats,
    columns: Floats,
    field: NDArray[np.float32],
    grid: Floats,
    places: Floats,
) -> None:
    """Longitude, latitude and height where each ray first meets the terrain, into ``places`` (n, 3).

    ``grid``: west and south of the field's first node, steps of longitude and latitude, lowest and highest height.
    """
    ray = np.empty(6)
    for i in range(len(seconds)):
        cast_ray(states, clock, looks, seconds[i], columns[i], ray)
        top, bottom = reach(ray, grid[5] + 1.0), reach(ray, grid[4] - 1.0)
        distance = math.nan
        if top == top and bottom == bottom:  # noqa: PLR0124 - not NaN
            distance = _march(ray, top, bottom, field, grid)
        ground(ray, distance, places[i])
