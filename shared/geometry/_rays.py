"""Compiled loops over rays: from a line and column to a height above the ellipsoid.

States are rows of position (3) and matrix (9), at ``clock`` = (first second, step); between two they are linear, as are
directions between columns and beyond the first and last. Results that do not exist are NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds._jit import jit

if TYPE_CHECKING:
    from shared.geometry.frames import Floats

WGS84_A: Final = 6_378_137.0
WGS84_F: Final = 1 / 298.257_223_563
_B: Final = WGS84_A * (1 - WGS84_F)
_E2: Final = WGS84_F * (2 - WGS84_F)
_EP2: Final = _E2 / (1 - _E2)
SETTLED_M: Final = 1e-4
TABLE: Final = "float64[:, ::1]"
LIST: Final = "float64[::1]"


@jit(f"void({TABLE}, {LIST}, {TABLE}, float64, float64, {LIST})")
def cast_ray(states: Floats, clock: Floats, looks: Floats, second: float, column: float, ray: Floats) -> None:
    """Origin (3) and direction (3) into ``ray``."""
    place = (second - clock[0]) / clock[1]
    row = min(max(int(place), 0), states.shape[0] - 2)
    part = place - row
    spot = column - 0.5
    left = min(max(math.floor(spot), 0), looks.shape[0] - 2)
    share = spot - left
    for i in range(3):
        ray[i] = states[row, i] * (1 - part) + states[row + 1, i] * part
        ray[3 + i] = 0.0
    for j in range(3):
        look = looks[left, j] * (1 - share) + looks[left + 1, j] * share
        for i in range(3):
            k = 3 + 3 * i + j
            ray[3 + i] += (states[row, k] * (1 - part) + states[row + 1, k] * part) * look


@jit("UniTuple(float64, 3)(float64, float64, float64)")
def geodetic(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Longitude, latitude (radians) and height by Bowring's formula, twice: below 1e-9 m up to 10 km."""
    p = math.hypot(x, y)
    angle = math.atan2(z * WGS84_A, p * _B)
    lat = 0.0
    for _ in range(2):
        lat = math.atan2(z + _EP2 * _B * math.sin(angle) ** 3, p - _E2 * WGS84_A * math.cos(angle) ** 3)
        angle = math.atan2((1 - WGS84_F) * math.sin(lat), math.cos(lat))
    sin = math.sin(lat)
    return math.atan2(y, x), lat, p * math.cos(lat) + z * sin - WGS84_A * math.sqrt(1 - _E2 * sin * sin)


@jit(f"float64({LIST}, float64)")
def reach(ray: Floats, height: float) -> float:
    """How many directions from the origin the ray first reaches a height above the ellipsoid; NaN if never."""
    distance, swell = 0.0, height
    for _ in range(6):
        squash = (WGS84_A + swell) / (_B + swell)
        a = ray[3] * ray[3] + ray[4] * ray[4] + (ray[5] * squash) ** 2
        half_b = ray[0] * ray[3] + ray[1] * ray[4] + ray[2] * ray[5] * squash * squash
        c = ray[0] * ray[0] + ray[1] * ray[1] + (ray[2] * squash) ** 2 - (WGS84_A + swell) ** 2
        root = half_b * half_b - a * c
        if not root >= 0.0:
            return math.nan
        distance = (-half_b - math.sqrt(root)) / a
        found = geodetic(ray[0] + distance * ray[3], ray[1] + distance * ray[4], ray[2] + distance * ray[5])[2]
        swell += height - found  # a surface of one height is no ellipsoid, by some centimetres at 9 km
        if abs(height - found) < SETTLED_M:
            break
    return distance


@jit(f"void({LIST}, float64, {LIST})")
def ground(ray: Floats, distance: float, place: Floats) -> None:
    """Longitude and latitude in degrees, and height, of a point of the ray."""
    lon, lat, height = geodetic(ray[0] + distance * ray[3], ray[1] + distance * ray[4], ray[2] + distance * ray[5])
    place[0], place[1], place[2] = math.degrees(lon), math.degrees(lat), height


@jit(f"void({TABLE}, {LIST}, {TABLE}, {LIST}, {LIST}, {LIST}, {TABLE})")
def to_heights(
    states: Floats, clock: Floats, looks: Floats, seconds: Floats, columns: Floats, heights: Floats, places: Floats
) -> None:
    """Longitude, latitude and height of each ray at its height, into ``places`` (n, 3)."""
    ray = np.empty(6)
    for i in range(len(seconds)):
        cast_ray(states, clock, looks, seconds[i], columns[i], ray)
        ground(ray, reach(ray, heights[i]), places[i])
