"""Sun and view angles of a tile from the geolocation of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.l1c.inverse import fit_inverse
from functions.ipf.safe.angles import Angles, TileAngles, node_degrees, node_metres
from shared.msi.earth import gps_ns_from_utc, sun_angles
from shared.msi.instrument import band_named
from shared.msi.tiling import TILE_SIZE_M, to_utm

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.working import Datastrip, Geolocation, WorkingFolder
    from shared.msi.tiling import Tile

    Floats: TypeAlias = NDArray[np.float64]

REFERENCE_BAND: Final = "B04"


def sensing_ns(working: WorkingFolder, datastrip: Datastrip, tile: Tile) -> int:
    """GPS nanoseconds when the tile's centre was seen, or would have been; held within the datastrip's span.

    Line times grow evenly over a tile: a plane through those of the reference band's nodes near it gives the centre's.
    """
    times, places = [], []
    for image in datastrip.images:
        if image.band == REFERENCE_BAND:
            grids = working.geolocation(image)
            x, y = to_utm(tile.epsg).transform(grids.lon, grids.lat)
            near = np.hypot(x - tile.ulx - TILE_SIZE_M / 2, y - tile.uly + TILE_SIZE_M / 2) < TILE_SIZE_M
            line = np.broadcast_to(grids.lines[:, None], x.shape)[near]
            times.append(image.line_times_ns(line) - datastrip.centre_ns)
            places.append(np.stack([x[near] - tile.ulx, y[near] - tile.uly, np.ones(line.size)], axis=1))
    plane = np.linalg.lstsq(np.concatenate(places), np.concatenate(times), rcond=None)[0]
    found = datastrip.centre_ns + round(float(plane @ (TILE_SIZE_M / 2, -TILE_SIZE_M / 2, 1.0)))
    begin, end = gps_ns_from_utc(datastrip.sensing_start), gps_ns_from_utc(datastrip.sensing_stop)
    return min(max(found, begin), end)


def tile_angles(working: WorkingFolder, datastrip: Datastrip, tile: Tile, time_ns: int) -> TileAngles:
    """Angles on the 5 km grid: the Sun's everywhere, at ``time_ns``; the view's where an image looks."""
    zenith, azimuth = sun_angles(*node_degrees(tile), time_ns)
    views: dict[tuple[int, int], Angles] = {}
    for image in datastrip.images:
        grids = working.geolocation(image)
        model = fit_inverse(grids, tile)
        if model is not None:
            line, column = model.at(*node_metres(tile))
            views[band_named(image.band).index, image.detector] = _view(grids, line, column)
    return TileAngles(Angles(zenith, azimuth), views)


def _view(grids: Geolocation, line: Floats, column: Floats) -> Angles:
    inside = (line >= 0) & (line <= grids.lines[-1]) & (column >= 0) & (column <= grids.columns[-1])
    radians = np.radians(grids.view_azimuth)
    zenith, sine, cosine = (
        _at(grids, values, line, column) for values in (grids.view_zenith, np.sin(radians), np.cos(radians))
    )
    azimuth = np.degrees(np.arctan2(sine, cosine)) % 360.0
    return Angles(np.where(inside, zenith, np.nan), np.where(inside, azimuth, np.nan))


def _at(grids: Geolocation, values: Floats, line: Floats, column: Floats) -> Floats:
    """Bilinear between the grid's nodes, which are equally spaced; far outside, its edge."""
    rows = line / (grids.lines[-1] - grids.lines[0]) * (len(grids.lines) - 1)
    columns = column / (grids.columns[-1] - grids.columns[0]) * (len(grids.columns) - 1)
    across, down = (np.clip(a, -1e4, 1e4).astype(np.float32) for a in (columns, rows))
    found = cv2.remap(values.astype(np.float32), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float64)
