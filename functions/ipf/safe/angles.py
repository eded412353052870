"""Angles of Sun and view on the 5 km grid of tile metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from pyproj import Transformer

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from shared.msi.tiling import Tile

    Floats: TypeAlias = NDArray[np.float64]

STEP_M: Final = 5_000
NODES: Final = 23


@dataclass(frozen=True, slots=True)
class Angles:
    """Zenith and azimuth in degrees, (23, 23), rows from north; NaN where there is none."""

    zenith: Floats
    azimuth: Floats

    @property
    def defined(self) -> bool:
        return bool(np.isfinite(self.zenith).any())

    def mean(self) -> tuple[float, float]:
        """Mean zenith, and mean azimuth as a direction, over the nodes that have one."""
        radians = np.radians(self.azimuth)
        east, north = np.nanmean(np.sin(radians)), np.nanmean(np.cos(radians))
        return float(np.nanmean(self.zenith)), float(np.degrees(np.arctan2(east, north)) % 360.0)


@dataclass(frozen=True, slots=True)
class TileAngles:
    """The Sun's angles, and the view's by (band index, detector)."""

    sun: Angles
    views: dict[tuple[int, int], Angles]

    def mean_view(self, band: int) -> tuple[float, float] | None:
        """Mean over a band's detectors; ``None`` where none has a node in the tile."""
        found = [angles for (index, _), angles in self.views.items() if index == band and angles.defined]
        if not found:
            return None
        stacked = Angles(np.stack([a.zenith for a in found]), np.stack([a.azimuth for a in found]))
        return stacked.mean()


def node_metres(tile: Tile) -> tuple[Floats, Floats]:
    """Easting and northing of the grid's nodes, each (23, 23); the first is the tile's upper left corner."""
    steps = np.arange(NODES) * float(STEP_M)
    x, y = np.meshgrid(tile.ulx + steps, tile.uly - steps)
    return x, y


def node_degrees(tile: Tile) -> tuple[Floats, Floats]:
    """Longitude and latitude of the nodes."""
    lon, lat = Transformer.from_crs(tile.epsg, 4326, always_xy=True).transform(*node_metres(tile))
    return np.asarray(lon, np.float64), np.asarray(lat, np.float64)
