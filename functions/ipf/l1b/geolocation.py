"""Geolocation grids of one image from the viewing model, and the Sun over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.safe.working import Geolocation
from shared.msi.earth import sun_angles

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from shared.msi.geometry import ViewingModel
    from shared.msi.instrument import Band

    Floats: TypeAlias = NDArray[np.float64]

LINE_STEPS_PER_SCENE: Final = 8
COLUMN_STEPS: Final = 8


def geolocate(model: ViewingModel, detector: int, band: Band, scenes: int) -> Geolocation:
    """Grids of 8 steps to a scene and 8 to a detector's width, about 3 km, from edge to edge."""
    lines = np.linspace(0.0, scenes * band.lines_per_scene, LINE_STEPS_PER_SCENE * scenes + 1)
    columns = np.linspace(0.0, band.width, COLUMN_STEPS + 1)
    lon, lat = model.locate(detector, band, lines[:, None], columns[None, :])
    zenith, azimuth = model.view_angles(detector, band, lines[:, None], columns[None, :])
    return Geolocation(lines, columns, lon, lat, zenith, azimuth)


def sun_zenith_at_nodes(grids: Geolocation, band: Band, first_line_ns: int) -> Floats:
    """Sun zenith in degrees at the grids' nodes, each line at its nominal time."""
    seconds = grids.lines * band.line_period_ns * 1e-9
    span = float(seconds[-1])
    begin, _ = sun_angles(grids.lon, grids.lat, first_line_ns)
    end, _ = sun_angles(grids.lon, grids.lat, first_line_ns + round(span * 1e9))
    part = (seconds / span)[:, None]
    return np.asarray(begin * (1 - part) + end * part, np.float64)


def spread(nodes: Floats, lines: int, columns: int, part: slice) -> NDArray[np.float32]:
    """Node values, from edge to edge of ``lines``, linearly at the centres of the samples of some: (part, columns)."""
    along = _weights(lines, nodes.shape[0])[part]
    return np.asarray(along @ nodes @ _weights(columns, nodes.shape[1]).T, np.float32)


def _weights(samples: int, nodes: int) -> Floats:
    at = (np.arange(samples) + 0.5) * (nodes - 1) / samples
    before = np.minimum(at.astype(np.int64), nodes - 2)
    matrix = np.zeros((samples, nodes))
    rows = np.arange(samples)
    matrix[rows, before], matrix[rows, before + 1] = 1 - (at - before), at - before
    return matrix
