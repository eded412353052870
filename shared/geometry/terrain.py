"""Heights above the ellipsoid from elevation tiles and a geoid.

Elevation tiles (DTED, GeoTIFF, SRTM ``hgt``) hold heights above the geoid at nodes: the centres of a raster's pixels,
as GDAL places them. Files whose names say where they lie are opened when a window needs them, others at once. Where
there is no tile, or no value, the sea is taken: height 0 above the geoid. The geoid is a raster of heights above WGS 84
(GeoTIFF, GTX, ENVI). Both are bilinear between nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from shared.errors import BadInputError
from shared.geometry.cells import cell_of
from shared.geometry.heights import HeightField, Relief

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shared.geometry.frames import Floats

_DRIVERS: Final = {  # each file is read as what it is called: GDAL's own guess would follow a VRT anywhere
    **dict.fromkeys((".dt0", ".dt1", ".dt2"), "DTED"),
    **dict.fromkeys((".tif", ".tiff"), "GTiff"),
    ".hgt": "SRTMHGT",
}
ELEVATION_SUFFIXES: Final = frozenset(_DRIVERS)
_MOST_NODES: Final = 400_000_000
_SEA_STEP: Final = 1 / 120
_HEIGHTS_M: Final = (-12_000.0, 10_000.0)
_ALIGNED: Final = 1e-3


@dataclass(frozen=True, slots=True)
class _Raster:
    """A raster's nodes: longitude of the first column, latitude of the first (northern) row, steps, shape."""

    path: Path
    driver: str
    west: float
    north: float
    step_lon: float
    step_lat: float
    rows: int
    columns: int

    @classmethod
    def read(cls, path: Path, driver: str) -> _Raster:
        try:
            with rasterio.open(path, driver=driver) as source:
                t, crs, shape = source.transform, source.crs, (source.height, source.width)
        except RasterioError as error:
            raise BadInputError(path.name, f"a raster of format {driver}", str(error)) from None
        if crs is None or not crs.is_geographic:
            raise BadInputError(path.name, "longitude and latitude as coordinates", str(crs))
        if t.b or t.d or t.a <= 0 or t.e >= 0 or min(shape) < 2 or t.a * shape[1] > 361 or -t.e * shape[0] > 181:
            raise BadInputError(path.name, "at least 2 x 2 nodes, north up, within the globe", tuple(t)[:6])
        return cls(path, driver, t.c + t.a / 2, t.f + t.e / 2, t.a, -t.e, *shape)

    @property
    def south(self) -> float:
        return self.north - (self.rows - 1) * self.step_lat

    @property
    def east(self) -> float:
        return self.west + (self.columns - 1) * self.step_lon

    def load(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Values of a window, metres; no data is 0."""
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        try:
            with rasterio.open(self.path, driver=self.driver) as source:
                values = source.read(1, window=window, masked=True)
        except RasterioError as error:
            raise BadInputError(self.path.name, "a raster that is whole", str(error)) from None
        heights = np.nan_to_num(np.ma.filled(values.astype(np.float32), 0.0), nan=0.0)
        if heights.size and not (_HEIGHTS_M[0] < float(heights.min()) and float(heights.max()) < _HEIGHTS_M[1]):
            found = [float(heights.min()), float(heights.max())]
            raise BadInputError(self.path.name, f"heights of {_HEIGHTS_M[0]} to {_HEIGHTS_M[1]} m", found)
        return np.ascontiguousarray(heights)


class Terrain(Relief):
    """Where the ground is, from elevation tiles and a geoid; opened when asked, and the last window kept."""

    def __init__(self, files: Sequence[Path], geoid: HeightField | None) -> None:
        cells = {path: cell_of(path) for path in files}
        self._cells: Final = {path: cell for path, cell in cells.items() if cell is not None}
        self._tiles: Final = {path: _opened(path) for path, cell in cells.items() if cell is None}
        self._order: Final = {path: number for number, path in enumerate(files)}
        self._geoid: Final = geoid
        self._last: HeightField | None = None

    @classmethod
    def from_files(cls, dem: Path | Sequence[Path], geoid: Path | None) -> Terrain:
        """Args:
        dem: elevation files, or a folder that is searched through for them by suffix.
        geoid: heights of the geoid above the ellipsoid, global; without one, elevations count from the ellipsoid.
        """
        if not isinstance(dem, (list, tuple)):
            folder: Path = dem  # type: ignore[assignment]
            if not folder.is_dir():
                raise BadInputError(str(folder), "a folder of elevation tiles")
            dem = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _DRIVERS)
        return cls(dem, None if geoid is None else _read_geoid(geoid))

    def field(self, west: float, south: float, east: float, north: float) -> HeightField:
        """See ``Relief.field``."""
        if self._last is None or not self._last.holds(west, south, east, north):
            self._last = self._build(west, south, east, north)
        return self._last

    def _near(self, west: float, south: float, east: float, north: float) -> list[_Raster]:
        """Tiles in the order of the files; those of cells that the window does not meet are left out.

        Of tiles that overlap the last holds.
        """
        for path, cell in self._cells.items():
            if path not in self._tiles and cell.meets(west, south, east, north):
                tile = self._tiles[path] = _opened(path)
                if not cell.holds(tile.west, tile.south, tile.east, tile.north):
                    found = (tile.west, tile.south, tile.east, tile.north)
                    raise BadInputError(path.name, f"nodes of the cell that its name tells, {cell}", found)
        return [self._tiles[path] for path in sorted(self._tiles, key=self._order.__getitem__)]

    def _build(self, west: float, south: float, east: float, north: float) -> HeightField:
        met = [
            (tile, turn)
            for tile in self._near(west, south, east, north)
            for turn in (-360.0, 0.0, 360.0)
            if tile.west + turn - tile.step_lon < east
            and tile.east + turn + tile.step_lon > west
            and tile.south - tile.step_lat < north
            and tile.north + tile.step_lat > south
        ]
        step_lon = min((tile.step_lon for tile, _ in met), default=_SEA_STEP)
        step_lat = min((tile.step_lat for tile, _ in met), default=_SEA_STEP)
        finest = min(met, key=lambda m: (m[0].step_lon, m[0].step_lat), default=None)
        start_lon, start_lat = (finest[0].west + finest[1], finest[0].south) if finest else (west, south)
        first_column, first_row = (
            math.floor((west - start_lon) / step_lon) - 1,
            math.floor((south - start_lat) / step_lat) - 1,
        )
        columns = math.ceil((east - start_lon) / step_lon) + 2 - first_column
        rows = math.ceil((north - start_lat) / step_lat) + 2 - first_row
        if rows * columns > _MOST_NODES:
            raise BadInputError("terrain", f"a window of at most {_MOST_NODES} nodes", rows * columns)
        lon: Floats = start_lon + (first_column + np.arange(columns, dtype=np.float64)) * step_lon
        lat: Floats = start_lat + (first_row + np.arange(rows, dtype=np.float64)) * step_lat
        heights = np.zeros((rows, columns), dtype=np.float32)
        for tile, turn in met:
            _lay(heights, lon - turn, lat, tile)
        if self._geoid is not None:
            for row, parallel in enumerate(lat):
                heights[row] += self._geoid.at(lon, np.full_like(lon, parallel)).astype(np.float32)
        return HeightField(heights, float(lon[0]), float(lat[0]), step_lon, step_lat)


def _opened(path: Path) -> _Raster:
    return _Raster.read(path, _DRIVERS.get(path.suffix.lower(), "GTiff"))


def _geoid_driver(path: Path) -> str:
    """GeoTIFF by its suffix; ENVI where a header lies beside it, as in ESA's GEOIDF; else NOAA's GTX."""
    if path.suffix.lower() in {".tif", ".tiff"}:
        return "GTiff"
    headers = (path.with_suffix(".hdr"), path.with_suffix(".HDR"), path.with_name(path.name + ".hdr"))
    return "ENVI" if any(header.exists() for header in headers) else "GTX"


def _read_geoid(path: Path) -> HeightField:
    """A whole geoid; where it goes round the globe, with its first columns again at its end."""
    raster = _Raster.read(path, _geoid_driver(path))
    if raster.rows * raster.columns > _MOST_NODES // 4:
        raise BadInputError(path.name, "a geoid of at most 100 million nodes", raster.rows * raster.columns)
    values = raster.load(slice(0, raster.rows), slice(0, raster.columns))[::-1]
    if abs(raster.columns * raster.step_lon - 360.0) < raster.step_lon / 2:
        values = np.concatenate([values, values[:, :1]], axis=1)
    return HeightField(np.ascontiguousarray(values), raster.west, raster.south, raster.step_lon, raster.step_lat)


def _lay(heights: NDArray[np.float32], lon: Floats, lat: Floats, tile: _Raster) -> None:
    """Write a tile's values at the nodes that it covers (half a step around it included, where tiles leave a seam)."""
    column, row = (lon - tile.west) / tile.step_lon, (lat - tile.south) / tile.step_lat
    inside_x = np.flatnonzero((column > -0.5) & (column < tile.columns - 0.5))
    inside_y = np.flatnonzero((row > -0.5) & (row < tile.rows - 0.5))
    if not inside_x.size or not inside_y.size:
        return
    x, y = np.clip(column[inside_x], 0, tile.columns - 1), np.clip(row[inside_y], 0, tile.rows - 1)
    left, right = int(x[0]), min(int(x[-1]) + 2, tile.columns)
    low, high = int(y[0]), min(int(y[-1]) + 2, tile.rows)
    values = tile.load(slice(tile.rows - high, tile.rows - low), slice(left, right))[::-1]
    x, y = x - left, y - low
    if max(np.abs(x - np.round(x)).max(), np.abs(y - np.round(y)).max()) < _ALIGNED:
        x, y = np.round(x), np.round(y)
    x0 = np.minimum(x.astype(np.intp), values.shape[1] - 2)
    y0 = np.minimum(y.astype(np.intp), values.shape[0] - 2)
    part_x, part_y = (x - x0).astype(np.float32), (y - y0).astype(np.float32)[:, None]
    west_east = values[:, x0] * (1 - part_x) + values[:, x0 + 1] * part_x
    laid = west_east[y0] * (1 - part_y) + west_east[y0 + 1] * part_y
    heights[np.ix_(inside_y, inside_x)] = laid
