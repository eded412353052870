"""Altitude, illumination and shadow of the ground, from elevation files.

The light on a slope is that of Richter (1998, doi 10.1364/AO.37.004004) and Hay (1979): the direct beam by the cosine
of its angle to the slope, of the diffuse light the share that comes from around the Sun likewise, the rest by the part
of the sky that the slope sees, and light from the slopes around. Elevations count from the geoid, as in every usual
model.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.warp import Resampling, reproject, transform_bounds

from shared.errors import BadInputError
from shared.geometry.cells import cell_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.jp2 import Extent
    from shared.msi.tiling import Tile

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]

SUFFIXES: Final = {".tif": "GTiff", ".tiff": "GTiff", ".dt0": "DTED", ".dt1": "DTED", ".dt2": "DTED", ".hgt": "SRTMHGT"}
STEP_M: Final = 20
"""Pixel of the illumination, metres."""

_LOWEST, _HIGHEST = -500.0, 9000.0
_AROUND_M: Final = 500.0
"""Around the block: a file whose outermost nodes lie so near tells of pixels within."""
LEAST_COSINE_RATIO: Final = 0.1
"""The least direct light of a slope that the Sun reaches, of that on flat ground: below, the model's errors rule."""
_SHADOW_STEPS: Final = 256


@dataclass(frozen=True, slots=True)
class Relief:
    """The ground of a block at ``STEP_M``.

    ``altitude`` in metres; ``beam`` the direct light on the slope over that on flat ground, 0 in shadow; ``open_sky``
    the part of the sky that the slope sees.
    """

    altitude: Floats32
    beam: Floats32
    open_sky: Floats32


def elevation_files(paths: Iterable[Path]) -> list[Path]:
    """The elevation files among these files and in these folders, by suffix."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*")) if path.is_dir() else [path]
    return [path for path in found if path.suffix.lower() in SUFFIXES]


def files_over(files: Iterable[Path], tile: Tile, block: Extent) -> list[Path]:
    """Those whose bounds meet the block (an extent of ``STEP_M``): a volume may hold the whole Earth's.

    Files whose names tell their cells are opened only near it. BadInputError for one that is no elevation raster.
    """
    left, top = tile.ulx + block.column * STEP_M, tile.uly - block.row * STEP_M
    rows, columns = block.shape
    edges = (left - _AROUND_M, top - rows * STEP_M - _AROUND_M, left + columns * STEP_M + _AROUND_M, top + _AROUND_M)
    west, south, east, north = transform_bounds(f"EPSG:{tile.epsg}", "EPSG:4326", *edges)
    around = (west, south, east + 360.0 * (east < west), north)
    known: dict[str, tuple[float, ...]] = {}
    found = []
    for path in files:
        cell = cell_of(path)
        if cell is not None and not cell.meets(*around):
            continue
        with _opened(path) as file:
            system, bounds = file.crs, file.bounds
        place = str(system)
        if place not in known:
            known[place] = transform_bounds(f"EPSG:{tile.epsg}", system, *edges)
        west, south, east, north = known[place]
        turns = (-360.0, 0.0, 360.0) if system.is_geographic else (0.0,)
        east += 360.0 * (system.is_geographic and east < west)
        low, high = sorted((bounds.bottom, bounds.top))
        if low <= north and high >= south and any(bounds.left + t <= east and bounds.right + t >= west for t in turns):
            found.append(path)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[rasterio.DatasetReader]:
    try:
        with rasterio.open(path, driver=SUFFIXES[path.suffix.lower()]) as file:
            if file.crs is None or file.count != 1:
                raise BadInputError(str(path), "an elevation raster of one band, with its reference system")
            yield file
    except RasterioError as error:
        raise BadInputError(str(path), "an elevation raster that GDAL reads", str(error)) from None


def read_altitude(files: Sequence[Path], tile: Tile, block: Extent) -> Floats32 | None:
    """Metres above the geoid on the block (an extent of ``STEP_M``), cubic; sea level where no file has any.

    None where no file touches the block. Raises BadInputError for a file that is no elevation raster.
    """
    rows, columns = block.shape
    left, top = tile.ulx + block.column * STEP_M, tile.uly - block.row * STEP_M
    place = {
        "dst_transform": rasterio.Affine(STEP_M, 0.0, left, 0.0, -STEP_M, top),
        "dst_crs": f"EPSG:{tile.epsg}",
        "dst_nodata": np.nan,
    }
    result = np.full((rows, columns), np.nan, np.float32)
    for path in files:
        part = np.full((rows, columns), np.nan, np.float32)
        with _opened(path) as file:
            reproject(rasterio.band(file, 1), part, src_nodata=file.nodata, resampling=Resampling.cubic, **place)
        result = np.where(np.isnan(result), part, result)
    known = np.isfinite(result) & (result > _LOWEST) & (result < _HIGHEST)
    return np.where(known, result, np.float32(0)).astype(np.float32) if known.any() else None


def relief(altitude: Floats32, sun_zenith_deg: Floats32 | float, sun_azimuth_deg: Floats32 | float) -> Relief:
    """Slopes by central differences, self-shadow and cast shadow; angles per pixel or one for all.

    Grid north is taken for north (they differ by up to 3 degrees in a zone's corners).
    """
    smooth = np.asarray(cv2.GaussianBlur(altitude, (0, 0), 1.0), np.float32)
    per_metre = 1 / (8.0 * STEP_M)
    east = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=per_metre)
    south = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=per_metre)
    zenith = np.radians(np.asarray(sun_zenith_deg, np.float32))
    azimuth = np.radians(np.asarray(sun_azimuth_deg, np.float32))
    upright = np.asarray(1 / np.sqrt(1 + east * east + south * south), np.float32)
    # The normal is (-dz/dx, -dz/dy, 1) with y to the north; south = -dz/dy.
    tilt = np.tan(zenith) * (south * np.cos(azimuth) - east * np.sin(azimuth))
    ratio = np.asarray(upright * (1 + tilt), np.float32)
    steep = float(np.max(zenith))
    shadow = (ratio <= 0) | cast_shadow(smooth, steep, float(np.mean(azimuth)))
    beam = np.where(shadow, np.float32(0), np.maximum(ratio, np.float32(LEAST_COSINE_RATIO)))
    return Relief(altitude, beam.astype(np.float32), ((1 + upright) / 2).astype(np.float32))


def cast_shadow(altitude: Floats32, sun_zenith: float, sun_azimuth: float) -> NDArray[np.bool_]:
    """Where the ground towards the Sun stands above the ray to it; angles in radians.

    Tried on pixels of 60 m, at every step towards the Sun until no ground of the block is high enough.
    """
    shape = (max(altitude.shape[1] * STEP_M // 60, 1), max(altitude.shape[0] * STEP_M // 60, 1))
    ground = np.asarray(cv2.resize(altitude, shape, interpolation=cv2.INTER_AREA), np.float32)
    rise = 60.0 / np.tan(min(sun_zenith, np.radians(85.0)))
    highest = float(ground.max() - ground.min())
    shaded = np.zeros(ground.shape, bool)
    for step in range(1, min(int(highest / rise), _SHADOW_STEPS) + 1):
        down, right = round(-step * np.cos(sun_azimuth)), round(step * np.sin(sun_azimuth))
        if abs(down) >= ground.shape[0] or abs(right) >= ground.shape[1]:
            break
        here, there = shifted(ground.shape, down, right)
        shaded[here] |= ground[there] > ground[here] + np.float32(step * rise + 5.0)
    full = cv2.resize(shaded.astype(np.uint8), altitude.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(full, np.uint8) > 0


def shifted(shape: tuple[int, ...], down: int, right: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that have a neighbour so far down and right, and those neighbours."""
    rows, columns = shape
    here = slice(max(-down, 0), rows - max(down, 0)), slice(max(-right, 0), columns - max(right, 0))
    there = slice(max(down, 0), rows - max(-down, 0)), slice(max(right, 0), columns - max(-right, 0))
    return here, there
