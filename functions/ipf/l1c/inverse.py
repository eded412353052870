"""Inverse location: from the pixels of a tile to line and column of an image, by the sensor model and the terrain.

The sensor model is asked on nodes 240 m apart, at three heights over the range of the ground. Between nodes positions
are bilinear, in height a parabola; the height of each pixel is the terrain's, bilinear. Against the sensor model itself
that is within some thousandths of a pixel (the pointing's own motion between nodes); it is checked at places of every
image and tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.l1c._positions import positions
from shared.errors import PermanentError
from shared.geometry.heights import HeightField, unwrapped
from shared.msi.instrument import band_named
from shared.msi.tiling import TILE_SIZE_M, to_degrees, to_utm

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.working import BandImage, WorkingFolder
    from shared.geometry.heights import Relief
    from shared.geometry.model import SensorModel
    from shared.msi.tiling import Tile

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]

NODE_M: Final = 240
_TOLERANCE_PX: Final = 0.05
_PROBES: Final = 12
_MARGIN_M: Final = 8_000.0
_EDGE_DEG: Final = 0.01
_LOWEST_M: Final = -500.0
_HIGHEST_M: Final = 9_000.0
_ROOM_M: Final = 1.0
_LINES: Final = 288
"""Lines of a 10 m band between the rows of the grid that finds where an image lies."""


@dataclass(frozen=True, slots=True)
class SeenImage:
    """One image as one tile's ground sees it.

    Attributes:
        model: of the sensor.
        image: which detector and band.
        ground: heights under the tile's part of the image.
        heights: at which the sensor model is asked, metres.
        bounds: left, bottom, right, top of that part, metres of the tile's zone.
        residual: largest error of a position at the places tried, pixels.
        spread: pixels by which the relief moves positions, at most.
    """

    model: SensorModel
    image: BandImage
    ground: HeightField
    heights: Floats
    bounds: tuple[float, float, float, float]
    residual: float = 0.0
    spread: float = 0.0

    def at(self, tile: Tile, x: Floats, y: Floats, height: float) -> tuple[Floats, Floats]:
        """Line and column, continuous positions (0.5 is the centre of the first), of metres at a height; any shape.

        NaN where no line of the datastrip sees the place.
        """
        return self.model.inverse(self.image.band, self.image.detector, *to_degrees(tile.epsg, x, y), height)


def locate(working: WorkingFolder, image: BandImage, tile: Tile) -> SeenImage | None:
    """An image's part in a tile; ``None`` where it has none.

    Raises:
        PermanentError: where positions between nodes miss the sensor model's by more than 0.05 pixels.
    """
    return locate_in(working.sensor_model(), working.relief(), image, tile)


def locate_in(model: SensorModel, relief: Relief | None, image: BandImage, tile: Tile) -> SeenImage | None:
    """As ``locate``, with the sensor model and the ground (None: the ellipsoid at height 0)."""
    far = _bounds(model, image, tile, (0.0, 0.0) if relief is None else (_LOWEST_M, _HIGHEST_M))
    if far is None:
        return None
    ground = _sea(tile, far) if relief is None else relief.field(*_window(tile, far))
    low, high = ground.lowest - _ROOM_M, ground.highest + _ROOM_M
    bounds = _bounds(model, image, tile, (low, high))
    if bounds is None:
        return None
    seen = SeenImage(model, image, ground, np.array([low, (low + high) / 2, high]), bounds)
    return _probed(seen, tile)


def _bounds(
    model: SensorModel, image: BandImage, tile: Tile, heights: tuple[float, float]
) -> tuple[float, float, float, float] | None:
    """The part of an image that may meet the tile, seen between two heights: left, bottom, right, top; metres."""
    step = _LINES * 10 // band_named(image.band).resolution
    lines = np.linspace(0.0, image.lines, 1 + -(-image.lines // step))
    columns = np.linspace(0.0, image.columns, 9)
    seen = [model.direct(image.band, image.detector, lines[:, None], columns, height) for height in heights]
    x, y = (
        np.stack(parts, 1) for parts in zip(*(to_utm(tile.epsg).transform(s.lon, s.lat) for s in seen), strict=True)
    )
    left, bottom, right, top = tile.bounds
    inside = (x > left - _MARGIN_M) & (x < right + _MARGIN_M) & (y > bottom - _MARGIN_M) & (y < top + _MARGIN_M)
    rows = np.flatnonzero(inside.any(axis=(1, 2)))
    if not rows.size:
        return None
    part = slice(max(int(rows[0]) - 1, 0), int(rows[-1]) + 2)
    x, y = x[part], y[part]
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]  # what is too far from the tile's zone to be projected
    bounds = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    apart = bounds[2] <= left or bounds[0] >= right or bounds[3] <= bottom or bounds[1] >= top
    return None if apart else bounds


def _window(tile: Tile, bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """West, south, east, north of what lies in both tile and bounds, and a little around it."""
    left, bottom, right, top = tile.bounds
    x = np.linspace(max(left, bounds[0]), min(right, bounds[2]), 9)
    y = np.linspace(max(bottom, bounds[1]), min(top, bounds[3]), 9)
    lon, lat = to_degrees(tile.epsg, *np.meshgrid(x, y))
    lon = unwrapped(lon)
    wide = _EDGE_DEG / float(np.cos(np.radians(np.abs(lat).max())))
    return (
        float(lon.min()) - wide,
        float(lat.min()) - _EDGE_DEG,
        float(lon.max()) + wide,
        float(lat.max()) + _EDGE_DEG,
    )


def _sea(tile: Tile, bounds: tuple[float, float, float, float]) -> HeightField:
    west, south, east, north = _window(tile, bounds)
    return HeightField(np.zeros((2, 2), np.float32), west, south, east - west, north - south)


def _probed(seen: SeenImage, tile: Tile) -> SeenImage:
    """With the errors of positions at the middles of some cells of nodes, where they are largest."""
    resolution = band_named(seen.image.band).resolution
    rows, columns = block_of(seen, tile, resolution)
    step = NODE_M // resolution
    random = np.random.default_rng(seen.image.detector)
    residual = spread = 0.0
    for _ in range(_PROBES if rows and columns else 0):
        row, column = (int(random.integers(part.start, part.stop)) // step * step for part in (rows, columns))
        found = dense(seen, tile, resolution, range(row, row + step), range(column, column + step))
        middle = step // 2
        x = np.array(tile.ulx + (column + middle + 0.5) * resolution)
        y = np.array(tile.uly - (row + middle + 0.5) * resolution)
        height = float(seen.ground.at(*to_degrees(tile.epsg, x, y)))
        exact = np.array(seen.at(tile, x, y, height))
        low, high = (np.array(seen.at(tile, x, y, float(h))) for h in seen.heights[[0, 2]])
        if np.isfinite([*exact, *low, *high]).all():
            got = np.array([found[0][middle, middle] + found[2], found[1][middle, middle]])
            residual = max(residual, float(np.abs(got - exact).max()))
            spread = max(spread, float(np.abs(high - low).max()))
    if residual > _TOLERANCE_PX:
        raise PermanentError(
            f"inverse location of {tile.name}: expected within {_TOLERANCE_PX} px, found {residual:.3f}"
        )
    return SeenImage(seen.model, seen.image, seen.ground, seen.heights, seen.bounds, residual, spread)


@dataclass(frozen=True, slots=True)
class Nodes:
    """The sensor model over a block of a tile's pixels, as the inner loops take it (``_positions``).

    Nodes lie at multiples of 240 m from the tile's corner: a pixel's position does not depend on the block.
    ``lines``: the first and last line that the block's ground is seen in, or a little beyond; ``None`` where in none.
    """

    table: Floats
    field: Floats32
    middle: float
    flat: bool
    step: int
    skip: NDArray[np.int64]
    lines: tuple[float, float] | None


def nodes_over(seen: SeenImage, tile: Tile, resolution: int, rows: range, columns: range) -> Nodes:
    """The nodes around a block."""
    step, ground = NODE_M // resolution, seen.ground
    starts = [part.start // step * step for part in (rows, columns)]
    down, across = (
        start + step * np.arange((part.stop - 1 - start) // step + 2, dtype=np.float64)
        for start, part in zip(starts, (rows, columns), strict=True)
    )
    x, y = np.meshgrid(tile.ulx + (across + 0.5) * resolution, tile.uly - (down + 0.5) * resolution)
    lon, lat = to_degrees(tile.epsg, x, y)
    lon -= 360.0 * np.round((lon - ground.west) / 360.0)
    flat = ground.lowest == ground.highest
    line, column, reach = _parabolas(seen, lon, lat, flat=flat)
    place = [(lon - ground.west) / ground.step_lon, (lat - ground.south) / ground.step_lat]
    table = np.ascontiguousarray(np.stack([*place, *line, *column], -1))
    known = np.isfinite(line[0])
    lines = (float((line[0] - reach)[known].min()), float((line[0] + reach)[known].max())) if known.any() else None
    skip = np.array([part.start - start for part, start in zip((rows, columns), starts, strict=True)], np.int64)
    return Nodes(table, ground.heights, float(seen.heights[1]), flat, step, skip, lines)


def _parabolas(seen: SeenImage, lon: Floats, lat: Floats, *, flat: bool) -> tuple[Floats, Floats, Floats]:
    """Coefficients of line and column in the height above the middle one, (3, ...); how far lines get from the first.

    NaN where no line of the datastrip sees the place at one of the heights.
    """
    image = seen.image

    def at(height: float) -> Floats:
        return np.stack(seen.model.inverse(image.band, image.detector, lon, lat, height))

    middle = at(float(seen.heights[1]))
    if flat:
        none = np.zeros_like(middle)
        line, column = np.stack([middle, none, none], 1)
        return line, column, none[0]
    half = float(seen.heights[2] - seen.heights[1])
    low, high = at(float(seen.heights[0])), at(float(seen.heights[2]))
    middle[~np.isfinite(low + high)] = np.nan
    slope, bend = (high - low) / (2 * half), (low + high - 2 * middle) / (2 * half**2)
    line, column = np.stack([middle, slope, bend], 1)
    return line, column, np.abs(line[1]) * half + np.abs(line[2]) * half**2


def dense(seen: SeenImage, tile: Tile, resolution: int, rows: range, columns: range) -> tuple[Floats32, Floats32, int]:
    """Line and column at the centres of a block of the tile's pixels, float32, shape (rows, columns), and a base line.

    Lines are counted from the base: a datastrip has more lines than single precision can tell apart. NaN where no line
    of the datastrip sees the pixel.
    """
    nodes = nodes_over(seen, tile, resolution, rows, columns)
    base = int(np.floor(nodes.lines[0])) if nodes.lines else 0
    line, column = np.empty((2, len(rows), len(columns)), np.float32)
    positions(nodes.table, nodes.field, nodes.middle, nodes.flat, nodes.step, nodes.skip, float(base), line, column)
    return line, column, base


def pixel_range(low: float, high: float, origin: float, resolution: int, size: int) -> range:
    """Pixels of a tile's axis that metres ``low`` to ``high`` from ``origin`` can touch, held within the tile."""
    first = int(np.floor((low - origin) / resolution)) - 1
    stop = int(np.ceil((high - origin) / resolution)) + 1
    return range(min(max(first, 0), size), min(max(stop, 0), size))


def block_of(seen: SeenImage, tile: Tile, resolution: int) -> tuple[range, range]:
    """Rows and columns of the tile that the image can touch."""
    size = TILE_SIZE_M // resolution
    left, bottom, right, top = seen.bounds
    return (
        pixel_range(tile.uly - top, tile.uly - bottom, 0.0, resolution, size),
        pixel_range(left, right, float(tile.ulx), resolution, size),
    )
