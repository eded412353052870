"""Where a granule lies and how it was seen, from the ancillary packets; WGS84 at height 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.geometry.iers import default_orientation
from shared.geometry.instrument import Instrument
from shared.geometry.telemetry import telemetry_model
from shared.msi.instrument import band_named

if TYPE_CHECKING:
    from functions.ipf.l0c.unconsolidated import Telemetry
    from shared.geometry.model import SensorModel

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


def viewing_model(telemetry: Telemetry) -> SensorModel:
    """The model of a datastrip; BadInputError where there are too few GPS points or attitudes."""
    descriptor = telemetry.descriptor
    orientation = default_orientation(descriptor.first_line_ns)
    instrument = Instrument.nominal(descriptor.satellite)
    return telemetry_model(descriptor, telemetry.gps, telemetry.attitudes, orientation, instrument)


def granule_geometry(model: SensorModel, detector: int, scene: int) -> GranuleGeometry:
    """Geometry of a granule in the reference band."""
    band = REFERENCE_BAND
    first = (scene - 1) * band.lines_per_scene
    edge = model.direct(band.name, detector, first + _EDGE_LINES, _EDGE_COLUMNS)
    middle = (first + band.lines_per_scene / 2, band.width / 2)
    centre = model.direct(band.name, detector, *middle)
    view_zenith, view_azimuth = model.view_angles(band.name, detector, *middle)
    seconds = model.sensor(band.name, detector).seconds(middle[0])
    sun_zenith, sun_azimuth = model.sun_angles(centre.lon, centre.lat, seconds)
    return GranuleGeometry(
        tuple(zip(edge.lon.tolist(), edge.lat.tolist(), strict=True)),
        (float(centre.lon), float(centre.lat)),
        float(view_zenith),
        float(view_azimuth),
        float(sun_zenith),
        float(sun_azimuth),
    )
