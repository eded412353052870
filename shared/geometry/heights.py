"""Heights above the ellipsoid on a grid of nodes, bilinear between; and the grounds that give such grids."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import rasterio

from shared.geometry import _terrain

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shared.geometry.frames import Floats, Numbers

_ROUNDING_DEG: Final = 1e-9


@dataclass(frozen=True)
class HeightField:
    """Heights above the ellipsoid, metres, on a regular grid; rows run from south to north.

    Attributes:
        heights: (rows, columns), float32.
        west, south: degrees of the first node; west may lie outside of -180 to 180.
        step_lon, step_lat: degrees.
    """

    heights: NDArray[np.float32]
    west: float
    south: float
    step_lon: float
    step_lat: float

    @cached_property
    def grid(self) -> Floats:
        """As kernels take it: west, south, steps, lowest and highest height."""
        lowest, highest = float(self.heights.min()), float(self.heights.max())
        return np.array([self.west, self.south, self.step_lon, self.step_lat, lowest, highest])

    @property
    def lowest(self) -> float:
        """Of the nodes, metres; ``highest`` likewise."""
        return float(self.grid[4])

    @property
    def highest(self) -> float:
        return float(self.grid[5])

    def holds(self, west: float, south: float, east: float, north: float) -> bool:
        """Whether a window lies inside."""
        rows, columns = self.heights.shape
        return (
            self.west <= west
            and self.south <= south
            and east <= self.west + (columns - 1) * self.step_lon
            and north <= self.south + (rows - 1) * self.step_lat
        )

    def at(self, lon: Numbers, lat: Numbers) -> Floats:
        """Heights at places, degrees."""
        lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        heights = np.empty(lon.size)
        _terrain.heights_at(self.heights, self.grid, np.ravel(lon), np.ravel(lat), heights)
        return heights.reshape(lon.shape)

    def save(self, path: Path) -> None:
        """Write the nodes as a GeoTIFF whose pixels' centres they are, to be read as an elevation tile."""
        rows, columns = self.heights.shape
        north = self.south + (rows - 0.5) * self.step_lat
        turn = rasterio.Affine(self.step_lon, 0, self.west - self.step_lon / 2, 0, -self.step_lat, north)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=columns,
            height=rows,
            count=1,
            dtype="float32",
            crs="EPSG:4326",
            transform=turn,
            compress="DEFLATE",
            predictor=3,
        ) as file:
            file.write(self.heights[::-1], 1)


class Relief(ABC):
    """Where the ground is."""

    @abstractmethod
    def field(self, west: float, south: float, east: float, north: float) -> HeightField:
        """Heights over a window, degrees, ``east`` > ``west`` (which may lie outside of -180 to 180)."""

    def at(self, lon: Numbers, lat: Numbers) -> Floats:
        """Heights above the ellipsoid at places, degrees, which lie together."""
        lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        near = unwrapped(lon)
        return self.field(near.min(), lat.min(), near.max(), lat.max()).at(near, lat)


def unwrapped(lon: Floats) -> Floats:
    """Longitudes of places that lie together, each within 180 degrees of the first."""
    lon = np.asarray(lon, np.float64)
    first = lon.ravel()[0] if lon.size else 0.0
    return np.asarray(lon - 360.0 * np.round((lon - first) / 360.0), dtype=np.float64)


def save_cells(relief: Relief, lon: Floats, lat: Floats, margin_deg: float, folder: Path) -> None:
    """Write the ground below an outline, degrees, and around it, as elevation tiles of one degree.

    Only cells that the outline's own boxes meet are written: ``lon`` and ``lat`` have the shape (boxes, points), each
    box for example a detector's scene. Nodes are those of the ground's own grid, so that a place has the same height.
    """
    folder.mkdir(parents=True, exist_ok=True)
    near = unwrapped(lon)
    wide = margin_deg / max(math.cos(math.radians(float(np.abs(lat).max()))), 0.05)
    windows: dict[tuple[int, int], list[float]] = {}
    for x, y in zip(near, lat, strict=True):
        box = (x.min() - wide, y.min() - margin_deg, x.max() + wide, y.max() + margin_deg)
        for cell in _cells(*(float(edge) for edge in box)):
            west, south, east, north = windows.get(cell, (math.inf, math.inf, -math.inf, -math.inf))
            windows[cell] = [
                min(west, max(box[0], cell[0])),
                min(south, max(box[1], cell[1])),
                max(east, min(box[2], cell[0] + 1)),
                max(north, min(box[3], cell[1] + 1)),
            ]
    for (west, south), window in windows.items():
        relief.field(*window).save(folder / f"{_name(west, south)}.tif")


def _cells(west: float, south: float, east: float, north: float) -> list[tuple[int, int]]:
    columns = range(math.floor(west), math.floor(east - _ROUNDING_DEG) + 1)
    rows = range(math.floor(south), math.floor(north - _ROUNDING_DEG) + 1)
    return [(column, row) for column in columns for row in rows]


def _name(west: int, south: int) -> str:
    """As elevation tiles are called: by their south-western corner."""
    lon = (west + 180) % 360 - 180
    return f"{'n' if south >= 0 else 's'}{abs(south):02d}_{'e' if lon >= 0 else 'w'}{abs(lon):03d}"
