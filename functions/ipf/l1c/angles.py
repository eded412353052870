"""Sun and view angles of a tile from the sensor model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.safe.angles import STEP_M, Angles, TileAngles, node_degrees
from shared.msi.earth import gps_ns_from_utc
from shared.msi.instrument import band_named
from shared.msi.tiling import TILE_SIZE_M, to_utm

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.working import BandImage, Datastrip, WorkingFolder
    from shared.geometry.model import SensorModel
    from shared.msi.tiling import Tile

    Floats: TypeAlias = NDArray[np.float64]

REFERENCE_BAND: Final = "B04"
_STEPS: Final = 8


def sensing_ns(working: WorkingFolder, datastrip: Datastrip, tile: Tile) -> int:
    """GPS nanoseconds when the tile's centre was seen, or would have been had the strip reached it; within its span.

    Line times grow evenly over a tile: a plane through those of the reference band's nodes near it gives the centre's.
    """
    model = working.sensor_model()
    times, places = [], []
    for image in datastrip.images:
        if image.band == REFERENCE_BAND:
            lines = np.linspace(0.0, image.lines, 1 + _STEPS * datastrip.scenes)
            place = model.direct(image.band, image.detector, lines[:, None], np.linspace(0.0, image.columns, _STEPS))
            x, y = to_utm(tile.epsg).transform(place.lon, place.lat)
            near = np.hypot(x - tile.ulx - TILE_SIZE_M / 2, y - tile.uly + TILE_SIZE_M / 2) < TILE_SIZE_M
            line = np.broadcast_to(lines[:, None], x.shape)[near]
            times.append(image.line_times_ns(line) - datastrip.centre_ns)
            places.append(np.stack([x[near] - tile.ulx, y[near] - tile.uly, np.ones(line.size)], axis=1))
    plane = np.linalg.lstsq(np.concatenate(places), np.concatenate(times), rcond=None)[0]
    found = datastrip.centre_ns + round(float(plane @ (TILE_SIZE_M / 2, -TILE_SIZE_M / 2, 1.0)))
    begin, end = gps_ns_from_utc(datastrip.sensing_start), gps_ns_from_utc(datastrip.sensing_stop)
    return min(max(found, begin), end)


def tile_angles(working: WorkingFolder, datastrip: Datastrip, tile: Tile, time_ns: int) -> TileAngles:
    """Angles on the 5 km grid: the Sun's everywhere, at GPS nanoseconds; the view's where an image looks.

    A band that sees the tile only between nodes has the view at the node that is nearest to one of its images.
    """
    model, relief = working.sensor_model(), working.relief()
    lon, lat = node_degrees(tile)
    heights = np.zeros(lon.shape) if relief is None else relief.at(lon, lat)
    seconds = (time_ns - model.platform.reference_ns) * 1e-9
    views: dict[tuple[int, int], Angles] = {}
    beside: dict[int, tuple[float, int, Angles]] = {}
    for image in datastrip.images:
        band = band_named(image.band)
        outside, found = _view(model, image, lon, lat, heights)
        if not outside:
            views[band.index, image.detector] = found
        elif outside * band.resolution < min(STEP_M, beside.get(band.index, (STEP_M,))[0]):
            beside[band.index] = (outside * band.resolution, image.detector, found)
    for index in set(beside) - {index for index, _ in views}:
        _, detector, found = beside[index]
        views[index, detector] = found
    return TileAngles(Angles(*model.sun_angles(lon, lat, seconds)), views)


def _view(model: SensorModel, image: BandImage, lon: Floats, lat: Floats, heights: Floats) -> tuple[float, Angles]:
    """How far outside of the image the nearest node is, pixels; angles at the nodes that are no farther."""
    line, column = model.inverse(image.band, image.detector, lon, lat, heights)
    across = np.maximum(np.maximum(-column, column - image.columns), 0.0)
    along = np.maximum(np.maximum(-line, line - image.lines), 0.0)
    outside = np.where(np.isfinite(line), np.maximum(across, along), np.inf)
    nearest = float(outside.min())
    at = np.isfinite(outside) & (outside <= nearest)
    zenith, azimuth = np.full((2, *lon.shape), np.nan)
    if at.any():
        places = (line[at], column[at], heights[at])
        zenith[at], azimuth[at] = model.view_angles(image.band, image.detector, *places)
    return nearest, Angles(zenith, azimuth)
