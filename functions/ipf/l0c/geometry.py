"""Where a granule lies and how it was seen, from the ancillary packets; WGS84 at height 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.msi.geometry import ViewingModel
from shared.msi.instrument import SCENE_NS, band_named

if TYPE_CHECKING:
    from functions.ipf.l0c.unconsolidated import Telemetry

REFERENCE_BAND: Final = band_named("B04")
_EDGE_COLUMNS: Final = np.array([0.0, 0.0, REFERENCE_BAND.width, REFERENCE_BAND.width, 0.0])
_EDGE_LINES: Final = np.array([0.0, 1.0, 1.0, 0.0, 0.0]) * REFERENCE_BAND.lines_per_scene


@dataclass(frozen=True, slots=True)
class GranuleGeometry:
    """Degrees throughout; ``footprint`` is closed, (longitude, latitude) from the first line's first column down the
    track.
    """

    footprint: tuple[tuple[float, float], ...]
    centre: tuple[float, float]
    view_zenith: float
    view_azimuth: float
    sun_zenith: float
    sun_azimuth: float


def viewing_model(telemetry: Telemetry) -> ViewingModel:
    """The model of a datastrip; BadInputError where there are too few GPS points or attitudes."""
    return ViewingModel(telemetry.gps, telemetry.attitudes, telemetry.descriptor.first_line_ns)


def granule_geometry(model: ViewingModel, detector: int, scene: int) -> GranuleGeometry:
    """Geometry of a granule in the reference band."""
    band = REFERENCE_BAND
    first = (scene - 1) * band.lines_per_scene
    lon, lat = model.locate(detector, band, first + _EDGE_LINES, _EDGE_COLUMNS)
    middle = np.array([first + band.lines_per_scene / 2]), np.array([band.width / 2])
    centre_lon, centre_lat = model.locate(detector, band, *middle)
    view_zenith, view_azimuth = model.view_angles(detector, band, *middle)
    time = model.first_line_time + round((scene - 0.5) * SCENE_NS)
    sun_zenith, sun_azimuth = model.sun_angles(centre_lon, centre_lat, time)
    return GranuleGeometry(
        tuple(zip(lon.tolist(), lat.tolist(), strict=True)),
        (float(centre_lon[0]), float(centre_lat[0])),
        float(view_zenith[0]),
        float(view_azimuth[0]),
        float(sun_zenith[0]),
        float(sun_azimuth[0]),
    )
