"""Where a datastrip's granules and its quicklook lie and how they were seen: on the ground where elevations are given,
else on the ellipsoid at height 0, as the headers of the quicklook always are.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common.xml import node
from shared.geometry import frames
from shared.geometry.fields import Fields
from shared.geometry.model import QUICKLOOK, SensorModel
from shared.geometry.refining import Quicklook
from shared.geometry.telemetry import telemetry_model
from shared.msi.instrument import COLUMN_STEP_10M, DETECTORS, LINE_PERIOD_NS, LINES_PER_SCENE_10M, band_named

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping

    from functions.ipf.l0c.unconsolidated import Telemetry
    from shared.geometry.frames import EarthOrientation, Floats
    from shared.geometry.heights import Relief
    from shared.geometry.instrument import Instrument

REFERENCE_BAND: Final = band_named("B04")
DECIMATION: Final = 32
"""Lines and columns of a 10 m band to one of the quicklook."""

HEADER_FIRST: Final = 39
HEADER_STEP: Final = 78
_BAND: Final = REFERENCE_BAND.name
_MIDDLE: Final = 0.5
_STATES_STEP: Final = 20

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class GranuleGeometry:
    """Degrees throughout; ``footprint`` is closed and runs counter-clockwise, (longitude, latitude).

    ``heights``, metres above the ellipsoid, are of the footprint's points, and of the centre ``height``.
    ``quicklook`` are (line, column) of the four corners in the quicklook, in the sequence of ``footprint``;
    ``quicklook_centre`` that of the centre.
    """

    footprint: tuple[Point, ...]
    heights: tuple[float, ...]
    centre: Point
    height: float
    view_zenith: float
    view_azimuth: float
    sun_zenith: float
    sun_azimuth: float
    quicklook: tuple[Point, ...]
    quicklook_centre: Point


@dataclass(frozen=True, slots=True)
class Header:
    """How one line of the quicklook was seen; ``places`` are begin, centre and end of the swath.

    Roll, pitch and yaw, degrees: of the body against the frame with z to the Earth's centre and x along the motion over
    ground.
    """

    gps_ns: int
    line: int
    roll: float
    pitch: float
    yaw: float
    places: tuple[HeaderPlace, ...]


@dataclass(frozen=True, slots=True)
class HeaderPlace:
    """One place of a header: the track's azimuth, angles of view and Sun (degrees), pixel of a 10 m band (m)."""

    position: str
    orientation: float
    view: Point
    sun: Point
    along: float
    across: float


@dataclass(frozen=True, slots=True)
class StripGeometry:
    """The sensor model of a datastrip, and how its quicklook is laid out.

    ``ground``: elevations, or the height of the ellipsoid.
    """

    model: SensorModel
    scenes: int
    connect: tuple[int, ...]
    mounting: ET.Element
    ground: Relief | float = 0.0

    @property
    def quicklook(self) -> Quicklook:
        """The quicklook's display model."""
        assert self.model.strip.quicklook is not None  # noqa: S101 - strip_geometry gave it one
        return self.model.strip.quicklook

    @property
    def columns(self) -> int:
        """Columns of the quicklook."""
        return int(self.quicklook.tan_psi.shape[1])


def strip_geometry(
    telemetry: Telemetry,
    instrument: Instrument,
    orientation: EarthOrientation,
    first_line_ns: Mapping[tuple[str, int], int],
    ground: Relief | float = 0.0,
) -> StripGeometry:
    """The geometry of a datastrip; BadInputError where there are too few GPS points or attitudes.

    ``first_line_ns`` as the image packets date them.
    """
    descriptor = telemetry.descriptor
    plain = telemetry_model(descriptor, telemetry.gps, telemetry.attitudes, orientation, instrument, first_line_ns)
    looks = {d: plain.sensor(_BAND, d).looks for d in DETECTORS if (_BAND, d) in plain.strip.first_line_ns}
    across = {detector: (-look[:, 1] / look[:, 2]) for detector, look in looks.items()}
    step = DECIMATION * COLUMN_STEP_10M
    low = min(float(values.min()) for values in across.values())
    high = max(float(values.max()) for values in across.values())
    count = max(int(np.ceil((high - low) / step)), 2)
    tan_psi = np.stack([low + (np.arange(count) + _MIDDLE) * step, np.zeros(count)])
    mounting = mounting_angles(instrument.spacecraft.piloting_to_msi)
    display = Quicklook(
        first_line_ns=descriptor.first_line_ns,
        line_period_ns=DECIMATION * LINE_PERIOD_NS,
        lines=descriptor.scenes * LINES_PER_SCENE_10M // DECIMATION,
        tan_psi=tan_psi,
        piloting_to_msi=Fields("quicklook", mounting),
    )
    # Named among the bands, the quicklook's lines are covered too where the ancillary data end early.
    begins = {**plain.strip.first_line_ns, (QUICKLOOK, 0): display.first_line_ns}
    strip = dataclasses.replace(plain.strip, quicklook=display, first_line_ns=begins)
    model = SensorModel(strip, instrument.viewing, instrument.spacecraft, bridged=True)
    return StripGeometry(model, descriptor.scenes, _connect(across, low, step, count), mounting, ground)


def _connect(across: Mapping[int, Floats], low: float, step: float, count: int) -> tuple[int, ...]:
    """For detectors 1 to 11, the first quicklook column that the next one fills; its ends where they are idle."""
    columns = []
    for detector in DETECTORS[:-1]:
        last = max((float(values.max()) for d, values in across.items() if d <= detector), default=None)
        first = min((float(values.min()) for d, values in across.items() if d > detector), default=None)
        if last is None or first is None:
            columns.append(0 if last is None else count)
        else:
            columns.append(min(max(round(((last + first) / 2 - low) / step), 0), count))
    return tuple(columns)


def mounting_angles(matrix: Floats) -> ET.Element:
    """``Piloting_To_Msi_Frame``: the angles and the scale that make a mounting's matrix."""
    scale = float(np.linalg.norm(matrix[:, 2]))
    turned = matrix @ np.diag([1.0, 1.0, 1.0 / scale])
    angles = (
        -np.arctan2(-turned[1, 2], turned[2, 2]),
        -np.arcsin(turned[0, 2]),
        -np.arctan2(-turned[0, 1], turned[0, 0]),
    )
    names = ("R1", "R2", "R3")
    return node(
        "Piloting_To_Msi_Frame",
        *(
            node(name, repr(round(float(angle) * 1e3, 9) + 0.0), axis=axis, unit="mrad")
            for name, axis, angle in zip(names, "XYZ", angles, strict=True)
        ),
        node("SCALE_FACTOR", repr(scale)),
        node("COMBINATION_ORDER", "ROTATION_THEN_SCALE"),
    )


def granule_geometry(geometry: StripGeometry, detector: int, scene: int) -> GranuleGeometry:
    """Geometry of a granule in the reference band."""
    model = geometry.model
    columns = model.sensor(_BAND, detector).columns
    first, last = (float(n * LINES_PER_SCENE_10M) for n in (scene - 1, scene))
    lines = np.array([first, last, last, first, (first + last) / 2])
    across = np.array([0.0, 0.0, columns, columns, columns / 2])
    place = model.direct(_BAND, detector, lines, across, geometry.ground)
    view = model.view_angles(_BAND, detector, lines[-1:], across[-1:], geometry.ground)
    seconds = model.sensor(_BAND, detector).seconds(lines[-1:])
    sun = model.sun_angles(place.lon[-1:], place.lat[-1:], seconds)
    rows, cols = model.inverse(QUICKLOOK, 0, place.lon, place.lat, place.height)
    corners, shown = _points(place.lon[:4], place.lat[:4]), _points(rows[:4], cols[:4])
    heights = place.height[:4].tolist()
    if not _counter_clockwise(corners):
        corners, shown, heights = ([each[0], *each[:0:-1]] for each in (corners, shown, heights))
    return GranuleGeometry(
        (*corners, corners[0]),
        (*heights, heights[0]),
        (float(place.lon[-1]), float(place.lat[-1])),
        float(place.height[-1]),
        float(view[0][0]),
        float(view[1][0]),
        float(sun[0][0]),
        float(sun[1][0]),
        tuple(shown),
        (float(rows[-1]), float(cols[-1])),
    )


def quicklook_footprint(geometry: StripGeometry) -> tuple[Point, ...]:
    """Outline of the quicklook, closed, counter-clockwise, (longitude, latitude)."""
    points = max(8, 4 * geometry.scenes)
    ring = _points(*geometry.model.footprint(QUICKLOOK, 0, geometry.ground, points=points))
    if not _counter_clockwise(ring):
        ring.reverse()
    return (*ring, ring[0])


def _points(first: Floats, second: Floats) -> list[Point]:
    return list(zip(first.tolist(), second.tolist(), strict=True))


def _counter_clockwise(ring: list[Point]) -> bool:
    lon, lat = np.array(ring).T
    lon = lon - 360.0 * np.round((lon - lon[0]) / 360.0)
    return bool(np.sum(lon * np.roll(lat, -1) - np.roll(lon, -1) * lat) > 0)


def headers(geometry: StripGeometry) -> list[Header]:
    """One header for each ``HEADER_STEP`` lines of the quicklook, from ``HEADER_FIRST`` on; at least one."""
    model, display = geometry.model, geometry.quicklook
    lines = list(range(HEADER_FIRST, display.lines, HEADER_STEP)) or [display.lines // 2]
    turns = attitude_angles(model, model.sensor(QUICKLOOK, 0).seconds(np.array(lines, np.float64)))
    return [
        Header(
            display.first_line_ns + round(line * display.line_period_ns), line, *angles, _header_places(geometry, line)
        )
        for line, angles in zip(lines, turns, strict=True)
    ]


def _header_places(geometry: StripGeometry, line: int) -> tuple[HeaderPlace, ...]:
    model, last = geometry.model, float(geometry.columns)
    at = np.array([0.0, last / 2, last - 1.0])
    lines = np.full(3, float(line))
    here = model.direct(QUICKLOOK, 0, lines, at)
    along, across = model.direct(QUICKLOOK, 0, lines + 1, at), model.direct(QUICKLOOK, 0, lines, at + 1)
    view = model.view_angles(QUICKLOOK, 0, lines, at)
    sun = model.sun_angles(here.lon, here.lat, model.sensor(QUICKLOOK, 0).seconds(lines))
    fixed = frames.to_fixed(*here)
    ahead, aside = (frames.to_fixed(*there) - fixed for there in (along, across))
    track = frames.zenith_azimuth(here.lon, here.lat, ahead)[1]
    sizes = [np.linalg.norm(step, axis=-1) / DECIMATION for step in (ahead, aside)]
    return tuple(
        HeaderPlace(
            position,
            float(track[n]),
            (float(view[0][n]), float(view[1][n])),
            (float(sun[0][n]), float(sun[1][n])),
            float(sizes[0][n]),
            float(sizes[1][n]),
        )
        for n, position in enumerate(("begin", "center", "end"))
    )


def attitude_angles(model: SensorModel, seconds: Floats) -> list[tuple[float, float, float]]:
    """Roll, pitch and yaw of the body at times, degrees; see ``Header``."""
    start, step, table = model.platform.states("VNIR", np.eye(3), np.eye(3))
    index = np.clip(np.rint((seconds - start) / step).astype(int), _STATES_STEP, len(table) - 1 - _STATES_STEP)
    position = table[index, :3]
    motion = table[index + _STATES_STEP, :3] - table[index - _STATES_STEP, :3]
    down = -position / np.linalg.norm(position, axis=-1, keepdims=True)
    forward = motion - np.einsum("ni,ni->n", motion, down)[:, None] * down
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    steered = np.stack([forward, np.cross(down, forward), down], -1)
    turn = np.swapaxes(steered, -1, -2) @ table[index, 3:].reshape(-1, 3, 3)
    roll, pitch, yaw = turn[:, 2, 1], turn[:, 0, 2], turn[:, 1, 0]
    found = np.degrees(np.arcsin(np.clip(np.stack([roll, pitch, yaw], -1), -1.0, 1.0)))
    return [(float(r), float(p), float(y)) for r, p, y in found]
