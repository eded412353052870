"""The air over a tile, and the coefficients of 6S for each of its 60 m pixels.

The directions of Sun and view stand on nodes some 5 km apart; aerosol, water vapour and altitude on the pixels. The
table is evaluated on the nodes for a few levels of each of the three, and between all of them it is linear: the levels
lie so close that this costs less than the table itself is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from shared.ccsds._jit import jit
from shared.msi.atmosphere import OZONE_CM_ATM, Air, Sight, coefficients_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]

STEP_ALTITUDE_KM: Final = 0.5
STEP_AEROSOL: Final = 0.08
STEP_ROOT_WATER: Final = 0.09
"""The widest steps between levels; water in roots of cm."""

NODE_STEP_60M: Final = 83


@dataclass(frozen=True, slots=True)
class Sky:
    """Directions over a block of the tile, degrees, on nodes of equal steps that begin and end with the block's edges.

    ``views`` gives by band the view zenith and azimuth, one detector's share not told from the next one's.
    """

    sun_zenith: Floats
    sun_azimuth: Floats
    views: Mapping[str, tuple[Floats, Floats]]

    def sight(self, band: str) -> Sight:
        zenith, azimuth = self.views[band]
        return Sight(self.sun_zenith, zenith, self.sun_azimuth - azimuth)


@dataclass(frozen=True, slots=True)
class AirMaps:
    """What the air holds, float32 at the pixels of 60 m: aerosol optical thickness at 550 nm, water vapour in cm,
    altitude in km (lowered where the pressure is higher than the standard's); and the ozone in cm-atm.
    """

    aot: Floats32
    water_cm: Floats32
    altitude_km: Floats32
    ozone: float = OZONE_CM_ATM


def nodes_of(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of nodes over a block of 60 m pixels."""
    rows, columns = (-(-size // NODE_STEP_60M) + 1 for size in shape)
    return rows, columns


def spread(nodes: Floats, shape: tuple[int, int]) -> Floats32:
    """Values on nodes from edge to edge as values of pixels, bilinear."""
    rows, columns = shape
    down = (np.arange(rows, dtype=np.float32) + 0.5) * (nodes.shape[0] - 1) / rows
    across = (np.arange(columns, dtype=np.float32) + 0.5) * (nodes.shape[1] - 1) / columns
    x, y = np.meshgrid(across.astype(np.float32), down.astype(np.float32))
    return np.asarray(cv2.remap(nodes.astype(np.float32), x, y, cv2.INTER_LINEAR), np.float32)


def levels(values: Floats32, step: float, *, root: bool = False) -> Floats:
    """Levels from the least to the greatest value, one where all are the same; in equal steps, or of the root."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-4:
        return np.array([low])
    if root:
        low, high = np.sqrt(max(low, 0.0)), np.sqrt(high)
    found = np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)
    return np.asarray(found**2 if root else found, np.float64)


def coefficient_maps(
    band: str, satellite: str, skies: Sequence[Sky], air: AirMaps, which: NDArray[np.uint8] | None = None
) -> tuple[Floats32, Floats32, Floats32]:
    """Path reflectance, transmittance and spherical albedo of a band, each of the shape of the maps.

    ``which`` of the ``skies`` holds for each pixel, the first for all where it is not given.
    """
    altitude = levels(air.altitude_km, STEP_ALTITUDE_KM)
    aot = levels(air.aot, STEP_AEROSOL)
    water = levels(air.water_cm, STEP_ROOT_WATER, root=True)
    tables = np.stack([node_table(band, satellite, sky, (altitude, aot, water), air.ozone) for sky in skies])
    found = np.empty((3, *air.aot.shape), np.float32)
    if which is None:
        which = np.zeros(air.aot.shape, np.uint8)
    _interpolate(tables, which, altitude, aot, water, air.altitude_km, air.aot, air.water_cm, found)
    return found[0], found[1], found[2]


def node_table(band: str, satellite: str, sky: Sky, at: tuple[Floats, Floats, Floats], ozone: float) -> Floats32:
    """The three coefficients on the nodes and levels: (rows, columns, altitudes, aerosols, waters, 3)."""
    altitude, aot, water = at
    sight = sky.sight(band)
    wide = Sight(
        *(np.asarray(v)[:, :, None, None, None] for v in (sight.sun_zenith, sight.view_zenith, sight.relative_azimuth))
    )
    found = coefficients_at(band, wide, Air(aot[:, None], water, altitude[:, None, None], ozone), satellite)
    return np.ascontiguousarray(np.stack([found.path, found.transmittance, found.albedo], axis=-1), np.float32)


@jit("float64(float64[::1], float64)")
def _position(levels: Floats, value: float) -> float:
    """Where a value stands between ascending levels, in steps from the first; held at the ends."""
    last = len(levels) - 1
    if last == 0 or value <= levels[0]:
        return 0.0
    for k in range(last):
        if value < levels[k + 1]:
            return float(k + (value - levels[k]) / (levels[k + 1] - levels[k]))
    return float(last)


@jit(
    "void(float32[:, :, :, :, :, :, ::1], uint8[:, ::1], float64[::1], float64[::1], float64[::1],"
    " float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, :, ::1])"
)
def _interpolate(
    tables: Floats32,
    which: NDArray[np.uint8],
    altitudes: Floats,
    aots: Floats,
    waters: Floats,
    altitude: Floats32,
    aot: Floats32,
    water: Floats32,
    found: Floats32,
) -> None:
    """Linear in five directions, pixel by pixel."""
    rows, columns = altitude.shape
    at = np.empty(5, np.int64)
    part = np.empty((5, 2), np.float32)
    for row in range(rows):
        for column in range(columns):
            table = tables[which[row, column]]
            where = (
                (row + 0.5) * (table.shape[0] - 1) / rows,
                (column + 0.5) * (table.shape[1] - 1) / columns,
                _position(altitudes, altitude[row, column]),
                _position(aots, aot[row, column]),
                _position(waters, water[row, column]),
            )
            for axis in range(5):
                at[axis] = min(int(where[axis]), max(table.shape[axis] - 2, 0))
                part[axis, 1] = where[axis] - at[axis]
                part[axis, 0] = 1 - part[axis, 1]
            path, through, albedo = 0.0, 0.0, 0.0
            for corner in range(32):
                weight = np.float32(1)
                for axis in range(5):
                    weight *= part[axis, (corner >> axis) & 1]
                if weight != 0:
                    i, j, k = at[0] + (corner & 1), at[1] + ((corner >> 1) & 1), at[2] + ((corner >> 2) & 1)
                    m, n = at[3] + ((corner >> 3) & 1), at[4] + ((corner >> 4) & 1)
                    path += weight * table[i, j, k, m, n, 0]
                    through += weight * table[i, j, k, m, n, 1]
                    albedo += weight * table[i, j, k, m, n, 2]
            found[0, row, column], found[1, row, column], found[2, row, column] = path, through, albedo
