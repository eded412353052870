"""Sun and view angles of a tile from the sensor model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.safe.angles import Angles, TileAngles, node_degrees
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
    """Angles on the 5 km grid: the Sun's everywhere, at GPS nanoseconds; the view's where an image looks."""
    model, relief = working.sensor_model(), working.relief()
    lon, lat = node_degrees(tile)
    heights = np.zeros(lon.shape) if relief is None else relief.at(lon, lat)
    seconds = (time_ns - model.platform.reference_ns) * 1e-9
    views: dict[tuple[int, int], Angles] = {}
    for image in datastrip.images:
        found = _view(model, image, lon, lat, heights)
        if found.defined:
            views[band_named(image.band).index, image.detector] = found
    return TileAngles(Angles(*model.sun_angles(lon, lat, seconds)), views)


def _view(model: SensorModel, image: BandImage, lon: Floats, lat: Floats, heights: Floats) -> Angles:
    line, column = model.inverse(image.band, image.detector, lon, lat, heights)
    inside = (line >= 0) & (line <= image.lines) & (column >= 0) & (column <= image.columns)
    zenith, azimuth = np.full((2, *lon.shape), np.nan)
    if inside.any():
        at = (line[inside], column[inside], heights[inside])
        zenith[inside], azimuth[inside] = model.view_angles(image.band, image.detector, *at)
    return Angles(zenith, azimuth)
