"""Lines of sight: from a line and column of a detector to a ray in the Earth-fixed frame.

The chain, innermost first: direction of the column (tan psi_y, -tan psi_x, 1), with x along the flight, y to its right
and z to the ground; detector, focal plane, instrument (MSI), each by GIP_SPAMOD and the refining; piloting frame;
attitude to EME2000; rotation of the Earth. No aberration, light time or refraction: GIPP and refining are estimated
without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.geometry.frames import EARTH_RATE, EarthRotation, Floats, Numbers, about_x, about_y, about_z
from shared.geometry.trajectory import Attitude, Orbit

if TYPE_CHECKING:
    from shared.geometry.datastrip import Datastrip
    from shared.geometry.refining import Correction, Refining

_ROOM_S: Final = 0.5  # of lines beyond the image's, so that whoever interpolates over its edge finds them
STATE_STEP_S: Final = 0.005
"""Step of the table of states, between which kernels interpolate linearly: below 1 mm on ground."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One detector in one band (or the quicklook's display model), ready to be located.

    Attributes:
        name: for messages, as ``B04/D05``.
        first_line_s: when line 0 begins, seconds since the platform's reference.
        line_s: duration of a line, seconds.
        lines: of the image.
        looks: directions (tan psi_y, -tan psi_x, 1) of the columns' centres in the detector frame, (n, 3).
        states: seconds since the reference of the first state, the states' step, and the states: position (3) and the
            matrix from the detector to the Earth-fixed frame (3 x 3, by rows), (m, 12).
    """

    name: str
    first_line_s: float
    line_s: float
    lines: int
    looks: Floats
    states: tuple[float, float, Floats]

    @property
    def columns(self) -> int:
        """Columns of the image."""
        return len(self.looks)

    def seconds(self, lines: Numbers) -> Floats:
        """Seconds since the reference at line positions: 0 is the beginning of the first line, 0.5 its middle."""
        return self.first_line_s + np.asarray(lines, dtype=np.float64) * self.line_s

    def covered_seconds(self, lines: Numbers) -> Floats:
        """As ``seconds``; BadInputError where ancillary data do not cover them."""
        seconds = self.seconds(lines)
        start, step, states = self.states
        end = start + step * (len(states) - 1)
        if not np.all((seconds >= start) & (seconds <= end)):
            covered = [round(float((limit - self.first_line_s) / self.line_s)) for limit in (start, end)]
            expected = f"lines that the ancillary data cover, {covered[0]} to {covered[1]}"
            raise BadInputError(self.name, expected, [float(np.min(lines)), float(np.max(lines))])
        return seconds

    def positions(self, seconds: Numbers) -> Floats:
        """The satellite's position, Earth-fixed metres, shape (..., 3)."""
        start, step, states = self.states
        place = (np.asarray(seconds) - start) / step
        index = np.clip(place.astype(np.intp), 0, len(states) - 2)
        part = (place - index)[..., None]
        return np.asarray(states[index, :3] * (1 - part) + states[index + 1, :3] * part)


class Platform:
    """The satellite over one datastrip: where it is and how its instrument is turned.

    Seconds count from ``reference_ns``, the middle of the datastrip, GPS nanoseconds: so do the refining's polynomials.
    ``beyond_s`` tells how far the lines reach beyond orbit and attitude data: with ``bridged``, where packets may have
    been lost, such lines are located by extrapolation, otherwise refused.
    """

    def __init__(self, strip: Datastrip, refining: Refining | None, *, bridged: bool = False) -> None:
        self.reference_ns: Final = (strip.start_ns + strip.stop_ns) // 2
        self._orbit: Final = Orbit(self.seconds(strip.positions_ns), strip.positions, strip.name, bridged=bridged)
        self._attitude: Final = Attitude(
            self.seconds(strip.attitudes_ns), strip.quaternions, strip.name, bridged=bridged
        )
        known = (self._orbit.seconds, self._attitude.seconds)
        start, end = max(float(times[0]) for times in known), min(float(times[-1]) for times in known)
        if end - start < 1.0:
            raise BadInputError(strip.name, "GPS points and attitudes that share at least 1 s", (start, end))
        lines = self._lines(strip) if bridged else (start, end)
        self.beyond_s: Final = max(start - lines[0], lines[1] - end, 0.0)
        room = _ROOM_S if bridged else 0.0
        self.span_s: Final = (min(start, lines[0] - room), max(end, lines[1] + room))
        self.rotation: Final = EarthRotation(self.reference_ns, self.span_s, strip.orientation)
        self._refining: Final = refining

    def seconds(self, gps_ns: tuple[int, ...]) -> Floats:
        """Seconds since the reference of GPS nanoseconds."""
        return np.array([time - self.reference_ns for time in gps_ns], dtype=np.float64) * 1e-9

    def _lines(self, strip: Datastrip) -> tuple[float, float]:
        """When the first line of any band begins, and the last ends: with ``bridged``, states cover all of them."""
        starts = self.seconds(tuple(strip.first_line_ns.values()))
        duration = (strip.lines_10m + 6) * strip.line_period_ns * 1e-9
        return float(starts.min()), float(starts.max()) + duration

    def states(self, plane: str, outer: Floats, inner: Floats) -> tuple[float, float, Floats]:
        """The table of ``Sensor.states`` over all that the ancillary data cover.

        Args:
            plane: ``VNIR`` or ``SWIR``, for the refining.
            outer: instrument to piloting frame, (3, 3).
            inner: detector to instrument frame, (3, 3).
        """
        start, end = self.span_s
        seconds: Floats = start + STATE_STEP_S * np.arange(int((end - start) / STATE_STEP_S) + 1, dtype=np.float64)
        if self._refining is not None:
            if (correction := self._refining.focal_planes.get(plane)) is not None:
                inner = _correction(correction, seconds) @ inner
            outer = outer @ _correction(self._refining.msi, seconds)
        turns = self.rotation.matrices(seconds) @ self._attitude.matrices(seconds) @ (outer @ inner)
        return start, STATE_STEP_S, np.concatenate([self._positions(seconds), turns.reshape(-1, 9)], axis=1)

    def _positions(self, seconds: Floats) -> Floats:
        """Earth-fixed metres, refined, shape (..., 3)."""
        position = self._orbit.at(seconds)
        if self._refining is None or not self._refining.position:
            return position
        # Local orbital frame: z to the Earth's centre, x along the orbital momentum, y completes them.
        inertial = self._orbit.rate(seconds) + np.cross([0.0, 0.0, EARTH_RATE], position)
        z = -position / np.linalg.norm(position, axis=-1, keepdims=True)
        momentum = np.cross(position, inertial)
        x = momentum / np.linalg.norm(momentum, axis=-1, keepdims=True)
        axes = np.stack([x, np.cross(z, x), z], -1)
        moved: Floats = position + np.einsum("...ij,...j->...i", axes, self._refining.position.at(seconds))
        return moved


def _correction(correction: Correction, seconds: Floats) -> Floats:
    """Inner to outer frame by a refining: the rotation as in ``gipp.mounting``, the homothety 1 + c on z."""
    x, y, z = np.moveaxis(correction.rotation.at(seconds), -1, 0)
    scale = np.zeros((*np.shape(seconds), 3, 3))
    scale[..., 0, 0] = scale[..., 1, 1] = 1.0
    scale[..., 2, 2] = 1.0 + correction.homothety.at(seconds)[..., 2]
    turned: Floats = about_x(-x) @ about_y(-y) @ about_z(-z) @ scale
    return turned
