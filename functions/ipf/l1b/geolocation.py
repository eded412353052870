"""What L1B asks the sensor model: the Sun over an image, and outlines of the datastrip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from shared.geometry.heights import Relief
    from shared.geometry.model import SensorModel

    Floats: TypeAlias = NDArray[np.float64]

LINE_STEPS_PER_SCENE: Final = 8
COLUMN_STEPS: Final = 8
HEIGHTS_M: Final = (-500.0, 9_000.0)
"""Between these lies all ground."""
_OUTLINE_BAND: Final = "B02"
_OUTLINE_STEPS: Final = 4
_BOX_POINTS: Final = 5


def sun_zenith_at_nodes(model: SensorModel, detector: int, band: str, scenes: int) -> Floats:
    """Sun zenith in degrees where an image looks, each line at its time: 8 steps to a scene and 8 to its width.

    On the ellipsoid: a kilometre of height moves the place by 0.2 km, and the Sun by 0.002 degrees.
    """
    sensor = model.sensor(band, detector)
    lines = np.linspace(0.0, sensor.lines, LINE_STEPS_PER_SCENE * scenes + 1)[:, None]
    place = model.direct(band, detector, lines, np.linspace(0.0, sensor.columns, COLUMN_STEPS + 1))
    return model.sun_angles(place.lon, place.lat, sensor.seconds(lines))[0]


def outline(model: SensorModel, scenes: int, relief: Relief | None) -> tuple[Floats, Floats]:
    """Closed outline of the ground that all detectors see over all scenes, degrees; one ring, in flight order."""
    ground = 0.0 if relief is None else relief
    end = model.sensor(_OUTLINE_BAND, model.detectors[0]).lines
    along = np.linspace(0.0, float(end), _OUTLINE_STEPS * scenes + 1)
    part = np.linspace(0.0, 1.0, _OUTLINE_STEPS + 1)
    low, high = model.detectors[0], model.detectors[-1]
    width = {detector: model.sensor(_OUTLINE_BAND, detector).columns for detector in model.detectors}
    edges = [(low, along, np.zeros(len(along)))]
    edges += [(detector, np.full(len(part), float(end)), part * width[detector]) for detector in model.detectors]
    edges += [(high, along[::-1], np.full(len(along), float(width[high])))]
    edges += [(detector, np.zeros(len(part)), part[::-1] * width[detector]) for detector in reversed(model.detectors)]
    places = [model.direct(_OUTLINE_BAND, detector, lines, columns, ground) for detector, lines, columns in edges]
    lon, lat = np.concatenate([place.lon for place in places]), np.concatenate([place.lat for place in places])
    return np.append(lon, lon[0]), np.append(lat, lat[0])


def boxes(model: SensorModel, scenes: int, heights: tuple[float, float]) -> tuple[Floats, Floats]:
    """Longitudes and latitudes that each detector sees in each scene, in any band, between two heights: (boxes, n)."""
    part = np.linspace(0.0, 1.0, _BOX_POINTS)
    found = []
    for detector in model.detectors:
        for scene in range(scenes):
            seen = []
            for band in model.bands:
                sensor = model.sensor(band, detector)
                lines = (scene + part[:, None]) * sensor.lines / scenes
                seen += [model.direct(band, detector, lines, part * sensor.columns, height) for height in heights]
            found.append([np.concatenate([place[axis].ravel() for place in seen]) for axis in (0, 1)])
    both = np.array(found)
    return both[:, 0], both[:, 1]


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
