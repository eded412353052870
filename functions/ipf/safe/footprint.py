"""The part of a tile that a datastrip covers, as a polygon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from pyproj import Transformer
from rasterio.features import shapes

from functions.ipf.safe.jp2 import Extent
from shared.msi.tiling import TILE_SIZE_M, to_utm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shared.msi.tiling import Tile

Point = tuple[float, float]


def clip_to_tile(ring: Sequence[Point], tile: Tile) -> list[Point]:
    """A ring of (longitude, latitude), cut to the tile and closed; empty where they are apart.

    The method is that of Sutherland and Hodgman (1974), doi 10.1145/360767.360802.
    """
    corners = _clipped(ring, tile)
    if not corners:
        return []
    back = Transformer.from_crs(tile.epsg, 4326, always_xy=True)
    found = [back.transform(*point) for point in corners]
    return [*found, found[0]]


def extent_in_tile(ring: Sequence[Point], tile: Tile, resolution: int) -> Extent:
    """The rows and columns of a tile's image that a ring of (longitude, latitude) reaches; empty where it does not."""
    corners = _clipped(ring, tile)
    if not corners:
        return Extent(0, 0, 0, 0)
    x, y = np.array(corners).T
    return Extent(
        int((tile.uly - y.max()) // resolution),
        int((x.min() - tile.ulx) // resolution),
        int(-((y.min() - tile.uly) // resolution)),
        int(-((tile.ulx - x.max()) // resolution)),
    )


def _clipped(ring: Sequence[Point], tile: Tile) -> list[Point]:
    """The corners, in metres of the tile's zone."""
    lon, lat = np.array(ring, np.float64).T
    x, y = to_utm(tile.epsg).transform(lon, lat)
    if not np.isfinite([x, y]).all():
        return []  # too far from the tile's zone to be projected
    polygon = list(zip(np.asarray(x).tolist(), np.asarray(y).tolist(), strict=True))
    if polygon[0] == polygon[-1]:
        polygon.pop()
    left, bottom, right, top = tile.bounds
    for axis, limit, sign in ((0, left, 1.0), (0, right, -1.0), (1, bottom, 1.0), (1, top, -1.0)):
        polygon = _cut(polygon, axis, float(limit), sign)
        if not polygon:
            return []
    return [a for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True) if a != b]


def _cut(polygon: list[Point], axis: int, limit: float, sign: float) -> list[Point]:
    """What lies on the side of ``limit`` that ``sign`` points to."""
    kept: list[Point] = []
    for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        da, db = sign * (a[axis] - limit), sign * (b[axis] - limit)
        if da >= 0:
            kept.append(a)
        if (da < 0) != (db < 0):
            part = da / (da - db)
            kept.append((a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])))
    return kept


def outline(seen: NDArray[np.bool_], tile: Tile) -> list[Point]:
    """The largest part of a tile where ``seen`` is true, as a closed ring of (longitude, latitude), clockwise.

    Corners lie on the edges of pixels; a corner is left out where the ring stays within two pixels without it. Holes
    are filled. Empty where nothing is seen.

    Args:
        seen: (n, n), the whole tile.
        tile: the tile.
    """
    rings = [
        np.array(shape["coordinates"][0], np.float32) for shape, value in shapes(seen.astype(np.uint8)) if value > 0
    ]
    if not rings:
        return []
    ring = max(rings, key=lambda corners: float(cv2.contourArea(corners)))
    corners = cv2.approxPolyDP(ring[:-1, None, :], 2.0, closed=True)[:, 0, :].astype(np.float64)
    if len(corners) < 3:
        corners = ring[:-1].astype(np.float64)
    step = TILE_SIZE_M / seen.shape[0]
    back = Transformer.from_crs(tile.epsg, 4326, always_xy=True)
    lon, lat = back.transform(tile.ulx + corners[:, 0] * step, tile.uly - corners[:, 1] * step)
    found = list(zip(lon.tolist(), lat.tolist(), strict=True))
    if _area(found) > 0:
        found.reverse()
    return [*found, found[0]]


def _area(ring: Sequence[Point]) -> float:
    """Signed area in square degrees, positive counter-clockwise."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)) / 2


def position_list(ring: Sequence[Point]) -> str:
    """Latitude and longitude in turn, as footprints in metadata have them."""
    return " ".join(f"{lat:.9f} {lon:.9f}" for lon, lat in ring)
