"""Inverse location: from the metres of a tile to line and column of an image.

Without terrain the mapping is smooth, so polynomials of total degree 5 in easting and northing, fitted to the
geolocation grid around the tile, hold it within a few thousandths of a pixel; the fit's own residual is kept and
checked. They are evaluated every 32 pixels and interpolated linearly between, which leaves centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from shared.errors import PermanentError
from shared.msi.tiling import TILE_SIZE_M, to_utm

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.working import Geolocation
    from shared.msi.tiling import Tile

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]

NODE_STEP: Final = 32
_DEGREE: Final = 5
_MARGIN_M: Final = 8_000.0
_TOLERANCE_PX: Final = 0.05
_MIN_LINES: Final = 9


@dataclass(frozen=True, slots=True)
class InverseModel:
    """Polynomials for line and column over normalised easting and northing.

    ``bounds`` are the metres (left, bottom, right, top) of the part of the image that may meet the tile;
    ``residual`` is the largest error at the grid's nodes, pixels.
    """

    centre: tuple[float, float]
    scale: float
    line: Floats
    column: Floats
    bounds: tuple[float, float, float, float]
    residual: float

    def at(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Line and column, continuous positions (0.5 is the centre of the first), of metres; any shape."""
        terms = _terms((x - self.centre[0]) / self.scale, (y - self.centre[1]) / self.scale)
        return np.tensordot(self.line, terms, 1), np.tensordot(self.column, terms, 1)


def fit_inverse(grids: Geolocation, tile: Tile) -> InverseModel | None:
    """The inverse location of an image for one tile, ``None`` where the image does not meet the tile.

    Raises:
        PermanentError: where the polynomials miss the grid by more than 0.05 pixels.
    """
    x, y = to_utm(tile.epsg).transform(grids.lon, grids.lat)
    left, bottom, right, top = tile.bounds
    inside = (x > left - _MARGIN_M) & (x < right + _MARGIN_M) & (y > bottom - _MARGIN_M) & (y < top + _MARGIN_M)
    rows = np.flatnonzero(inside.any(axis=1))
    if not rows.size:
        return None
    first, stop = _widened(int(rows[0]), int(rows[-1]) + 1, len(grids.lines))
    x, y = x[first:stop], y[first:stop]
    line, column = np.meshgrid(grids.lines[first:stop], grids.columns, indexing="ij")
    centre = float(x.mean()), float(y.mean())
    scale = float(max(np.ptp(x), np.ptp(y))) / 2
    terms = _terms((x.ravel() - centre[0]) / scale, (y.ravel() - centre[1]) / scale)
    wanted = np.stack([line.ravel(), column.ravel()], axis=1)
    solved = np.asarray(np.linalg.lstsq(terms.T, wanted, rcond=None)[0], np.float64)
    misses = np.abs(terms.T @ solved - wanted)
    residual = float(misses.max())
    if residual > _TOLERANCE_PX:
        raise PermanentError(
            f"inverse location of {tile.name}: expected within {_TOLERANCE_PX} px, found {residual:.3f}"
        )
    bounds = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    if bounds[2] <= left or bounds[0] >= right or bounds[3] <= bottom or bounds[1] >= top:
        return None
    return InverseModel(centre, scale, solved[:, 0], solved[:, 1], bounds, residual)


def _widened(first: int, stop: int, count: int) -> tuple[int, int]:
    """At least nine of the grid's lines, so that the polynomial is determined."""
    lacking = max(_MIN_LINES - (stop - first), 0)
    first = max(first - (lacking + 1) // 2, 0)
    return first, min(max(stop, first + _MIN_LINES), count)


def _terms(u: Floats, v: Floats) -> Floats:
    powers = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    return np.stack([u**i * v**j for i, j in powers])


def dense(
    model: InverseModel, tile: Tile, resolution: int, rows: range, columns: range
) -> tuple[Floats32, Floats32, int]:
    """Line and column at the centres of a block of the tile's pixels, float32, shape (rows, columns), and a base line.

    Lines are counted from the base: a datastrip has more lines than single precision can tell apart.
    """
    row_nodes, column_nodes = _nodes(rows), _nodes(columns)
    x = tile.ulx + (column_nodes + 0.5) * resolution
    y = tile.uly - (row_nodes + 0.5) * resolution
    line, column = model.at(*np.meshgrid(x, y))
    base = int(np.floor(line.min()))
    return _enlarge(line - base, len(rows), len(columns)), _enlarge(column, len(rows), len(columns)), base


def _nodes(pixels: range) -> Floats:
    """Pixel positions of the nodes: one before the block, then every 32 pixels, one after."""
    count = -(-len(pixels) // NODE_STEP) + 2
    return np.asarray(pixels.start + (np.arange(count) - 1) * NODE_STEP + (NODE_STEP - 1) / 2, np.float64)


def _enlarge(nodes: Floats, rows: int, columns: int) -> Floats32:
    size = (nodes.shape[1] * NODE_STEP, nodes.shape[0] * NODE_STEP)
    whole = cv2.resize(nodes.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[NODE_STEP : NODE_STEP + rows, NODE_STEP : NODE_STEP + columns], np.float32)


def pixel_range(low: float, high: float, origin: float, resolution: int, size: int) -> range:
    """Pixels of a tile's axis that metres ``low`` to ``high`` from ``origin`` can touch, held within the tile."""
    first = int(np.floor((low - origin) / resolution)) - 1
    stop = int(np.ceil((high - origin) / resolution)) + 1
    return range(min(max(first, 0), size), min(max(stop, 0), size))


def block_of(model: InverseModel, tile: Tile, resolution: int) -> tuple[range, range]:
    """Rows and columns of the tile that the image can touch."""
    size = TILE_SIZE_M // resolution
    left, bottom, right, top = model.bounds
    return (
        pixel_range(tile.uly - top, tile.uly - bottom, 0.0, resolution, size),
        pixel_range(left, right, float(tile.ulx), resolution, size),
    )
