"""Directions of Sun and view over a block, from the 5 km grids of the tile's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.l2a.air import Sky, nodes_of
from functions.ipf.safe.angles import NODES, STEP_M
from shared.msi.instrument import BANDS

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.angles import Angles, TileAngles
    from functions.ipf.safe.jp2 import Extent

    Floats: TypeAlias = NDArray[np.float64]


_SPREAD: Final = 3
"""Rank of nodes that lie on more than one line."""


def node_grid(block: Extent) -> tuple[Floats, Floats]:
    """Rows and columns of the block's nodes in units of the metadata's grid; ``block`` at 60 m."""
    rows, columns = nodes_of(block.shape)
    down = np.linspace(block.row, block.row_stop, rows) * 60 / STEP_M
    across = np.linspace(block.column, block.column_stop, columns) * 60 / STEP_M
    y, x = np.meshgrid(down, across, indexing="ij")
    return y, x


def sky_over(angles: TileAngles, block: Extent, parity: int | None = None) -> Sky:
    """The Sun bilinear; the view of each band by the plane through its detectors' directions.

    Neighbouring detectors look up to 2 degrees apart along the track: the plane through all is their mean, which errs
    by some 0.001 in the reflectance of the atmosphere; with ``parity`` 0 or 1 it is that of the even or odd detectors,
    of all where the band has none such. A band without any direction has the mean of the others, no direction at all
    is the vertical.
    """
    y, x = node_grid(block)
    east, north, up = _unit(angles.sun)
    sun = [_bilinear(part, y, x) for part in (east, north, up)]
    planes = {}
    for band in BANDS:
        own = {detector: view for (index, detector), view in angles.views.items() if index == band.index}
        plane = None
        if parity is not None:
            plane = _plane([view for detector, view in own.items() if detector % 2 == parity], _SPREAD)
        if plane is None:
            plane = _plane(list(own.values()))
        if plane is not None:
            planes[band.name] = plane
    others = np.mean(list(planes.values()), axis=0) if planes else np.zeros((3, 2))
    ones = np.stack([np.ones_like(x), x, y], axis=-1)
    views = {band.name: _angles(*np.moveaxis(ones @ planes.get(band.name, others), -1, 0)) for band in BANDS}
    return Sky(*_angles(sun[0] / sun[2], sun[1] / sun[2]), views)


def _unit(angles: Angles) -> tuple[Floats, Floats, Floats]:
    zenith, azimuth = np.radians(angles.zenith), np.radians(angles.azimuth)
    return np.sin(zenith) * np.sin(azimuth), np.sin(zenith) * np.cos(azimuth), np.cos(zenith)


def _angles(east: Floats, north: Floats) -> tuple[Floats, Floats]:
    """Zenith and azimuth, degrees, of the direction (east, north, 1)."""
    return np.degrees(np.arctan(np.hypot(east, north))), np.degrees(np.arctan2(east, north)) % 360.0


def _plane(views: list[Angles], least_rank: int = 1) -> Floats | None:
    """Least squares of the tangents to east and north over 1, column, row: shape (3, 2). None where the nodes are too
    few for it, or lie on one line where ``least_rank`` is 3.
    """
    row, column = np.mgrid[:NODES, :NODES].astype(np.float64)
    places, tangents = [], []
    for view in views:
        known = np.isfinite(view.zenith) & np.isfinite(view.azimuth)
        east, north, up = (part[known] for part in _unit(view))
        places.append(np.stack([np.ones(known.sum()), column[known], row[known]], axis=-1))
        tangents.append(np.stack([east / up, north / up], axis=-1))
    if not places or not sum(map(len, places)):
        return None
    found, _, rank, _ = np.linalg.lstsq(np.concatenate(places), np.concatenate(tangents), rcond=None)
    return np.asarray(found, np.float64) if rank >= least_rank else None


def _bilinear(grid: Floats, y: Floats, x: Floats) -> Floats:
    i, j = (np.clip(np.floor(at).astype(np.intp), 0, NODES - 2) for at in (y, x))
    f, g = y - i, x - j
    upper = grid[i, j] * (1 - g) + grid[i, j + 1] * g
    lower = grid[i + 1, j] * (1 - g) + grid[i + 1, j + 1] * g
    return np.asarray(upper * (1 - f) + lower * f, np.float64)
