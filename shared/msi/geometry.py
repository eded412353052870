"""The viewing model: where on the ellipsoid a detector's line and column look, and back.

Built from ancillary telemetry alone (GPS points, attitude samples, the line-time origin), so that whoever holds the
packets can rebuild exactly the model that the lines were taken with. Positions: Lagrange interpolation over 8 GPS
points; attitude: normalised linear interpolation of quaternions, 125 ms apart (error below 1e-9 rad at the orbital
rate). WGS84 at height 0; no aberration, light time or refraction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from shared.errors import BadInputError
from shared.msi import earth
from shared.msi.instrument import DETECTORS, SCENE_NS, Band, line_of_sight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.msi.earth import Floats

_LAGRANGE_POINTS: Final = 8
_NEWTON_STEPS: Final = 6
_SETTLED: Final = 1e-4  # lines or columns


class GpsPointLike(Protocol):
    """A navigation fix: GPS nanoseconds, Earth-fixed position in metres."""

    @property
    def gps_ns(self) -> int: ...
    @property
    def position(self) -> Sequence[float]: ...


class AttitudePointLike(Protocol):
    """An attitude sample: GPS nanoseconds, quaternion (x, y, z, w) from body to Earth-fixed."""

    @property
    def gps_ns(self) -> int: ...
    @property
    def quaternion(self) -> Sequence[float]: ...


class ViewingModel:
    """Direct and inverse location of one datastrip.

    Args:
        gps_points: at least 8, any order, duplicates allowed; they should span the lines with 4 s on each side.
        attitude_points: at least 2, spanning the lines' times.
        first_line_time: nominal time of line 0 of scene 1, GPS nanoseconds.

    Lines count from the nominal line 0 of scene 1 of each band, columns from a detector's first; positions are
    continuous: 0.5 is the centre of the first line or column.
    """

    def __init__(
        self,
        gps_points: Sequence[GpsPointLike],
        attitude_points: Sequence[AttitudePointLike],
        first_line_time: int,
    ) -> None:
        fixes = sorted({point.gps_ns: point for point in gps_points}.items())
        samples = sorted({point.gps_ns: point for point in attitude_points}.items())
        if len(fixes) < _LAGRANGE_POINTS or len(samples) < 2:
            raise BadInputError(
                "ancillary data", f"{_LAGRANGE_POINTS} GPS points and 2 attitudes", (len(fixes), len(samples))
            )
        self.first_line_time: Final = first_line_time
        self._fix_s: Final = self._seconds([time for time, _ in fixes])
        self._positions: Final = np.array([tuple(point.position) for _, point in fixes], dtype=np.float64)
        self._sample_s: Final = self._seconds([time for time, _ in samples])
        self._quaternions: Final = _one_sided(np.array([tuple(p.quaternion) for _, p in samples], dtype=np.float64))

    def _seconds(self, times_ns: Sequence[int]) -> Floats:
        return np.array([(time - self.first_line_time) * 1e-9 for time in times_ns], dtype=np.float64)

    def line_time(self, detector: int, band: Band, lines: Floats) -> Floats:
        """GPS nanoseconds (as float64, 0.25 us resolution) at which positions along a detector's image are taken."""
        return self.first_line_time + self.line_seconds(detector, band, lines) * 1e9

    def line_seconds(self, detector: int, band: Band, lines: Floats) -> Floats:
        """Seconds since ``first_line_time``, to full precision."""
        start = band.dating_lines(detector)
        return (np.asarray(lines, dtype=np.float64) - start) * (band.line_period_ns * 1e-9)

    def position(self, seconds: Floats) -> Floats:
        """Earth-fixed satellite position in metres at seconds since ``first_line_time``, shape (..., 3)."""
        known, points = self._fix_s, _LAGRANGE_POINTS
        start = np.clip(np.searchsorted(known, seconds) - points // 2, 0, len(known) - points)
        nodes = known[start[..., None] + np.arange(points)]
        weights = np.ones_like(nodes)
        for i in range(points):
            for j in range(points):
                if i != j:
                    weights[..., i] *= (seconds - nodes[..., j]) / (nodes[..., i] - nodes[..., j])
        located: Floats = np.einsum("...k,...kc->...c", weights, self._positions[start[..., None] + np.arange(points)])
        return located

    def attitude(self, seconds: Floats) -> Floats:
        """Unit quaternions body to Earth-fixed at seconds since ``first_line_time``, shape (..., 4)."""
        known = self._sample_s
        after = np.clip(np.searchsorted(known, seconds), 1, len(known) - 1)
        part = ((seconds - known[after - 1]) / (known[after] - known[after - 1]))[..., None]
        mixed = (1 - part) * self._quaternions[after - 1] + part * self._quaternions[after]
        result: Floats = mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)
        return result

    def _rays(self, detector: int, band: Band, lines: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Satellite positions and viewing directions (not normalised), Earth-fixed, shape (..., 3)."""
        seconds = self.line_seconds(detector, band, lines)
        across, along = line_of_sight(detector, band, np.asarray(columns, dtype=np.float64))
        body = np.stack([along, -across, np.ones_like(across)], -1)
        return self.position(seconds), _rotate(self.attitude(seconds), body)

    def locate(self, detector: int, band: Band, lines: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude, degrees, where (line, column) looks; ``lines`` and ``columns`` broadcast.

        A grid costs least as ``lines[:, None], columns[None, :]``: orbit and attitude are then computed once for each
        line.
        """
        origin, direction = self._rays(detector, band, lines, columns)
        return earth.surface_to_geodetic(earth.intersect_ellipsoid(origin, direction))

    def view_angles(self, detector: int, band: Band, lines: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Zenith and azimuth (from north through east), degrees, of the satellite as seen from the ground."""
        origin, direction = self._rays(detector, band, lines, columns)
        lon, lat = earth.surface_to_geodetic(earth.intersect_ellipsoid(origin, direction))
        parts = [np.einsum("...i,...i->...", -direction, axis) for axis in earth.local_axes(lon, lat)]
        zenith = np.degrees(np.arctan2(np.hypot(parts[0], parts[1]), parts[2]))
        return zenith, np.degrees(np.arctan2(parts[0], parts[1])) % 360.0

    def sun_angles(self, lon_deg: Floats, lat_deg: Floats, time_ns: int | None = None) -> tuple[Floats, Floats]:
        """Sun zenith and azimuth, degrees, at one instant: ``first_line_time`` where none is given."""
        return earth.sun_angles(lon_deg, lat_deg, self.first_line_time if time_ns is None else time_ns)

    def inverse(
        self, detector: int, band: Band, lon_deg: Floats, lat_deg: Floats, scenes: int = 1
    ) -> tuple[Floats, Floats]:
        """Line and column that look at places (shape as given), by Newton's method; may lie outside the image.

        Good to 1e-3 pixel for places within about one swath and some scenes of the datastrip (``scenes`` sets the
        start).
        """
        lon, lat = np.asarray(lon_deg, dtype=np.float64), np.asarray(lat_deg, dtype=np.float64)
        line = np.full(lon.shape, band.lines_per_scene * scenes / 2)
        column = np.full(lon.shape, band.width / 2)
        cos_lat = np.cos(np.radians(lat))
        for _ in range(_NEWTON_STEPS):
            here = self.locate(detector, band, line, column)
            by_line = self.locate(detector, band, line + 1, column)
            by_column = self.locate(detector, band, line, column + 1)
            a, b = (by_line[0] - here[0]) * cos_lat, (by_column[0] - here[0]) * cos_lat
            c, d = by_line[1] - here[1], by_column[1] - here[1]
            east, north = (lon - here[0]) * cos_lat, lat - here[1]
            determinant = a * d - b * c
            step_line = (d * east - b * north) / determinant
            step_column = (a * north - c * east) / determinant
            line, column = line + step_line, column + step_column
            if np.all((np.abs(step_line) < _SETTLED) & (np.abs(step_column) < _SETTLED)):
                break
        return line, column

    def footprint(self, detectors: Sequence[int], band: Band, scenes: int, points: int = 5) -> tuple[Floats, Floats]:
        """Closed outline of the ground that the detectors see over all scenes, degrees; one ring, in flight order."""
        end = float(band.lines_per_scene * scenes)
        lines, columns = np.linspace(0, end, points), np.linspace(0, band.width, points)
        low, high = min(detectors), max(detectors)
        across = [detector for detector in DETECTORS if low <= detector <= high]
        ring = [self.locate(low, band, lines, np.zeros(points))]
        ring += [self.locate(detector, band, np.full(points, end), columns) for detector in across]
        ring += [self.locate(high, band, lines[::-1], np.full(points, float(band.width)))]
        ring += [self.locate(detector, band, np.zeros(points), columns[::-1]) for detector in reversed(across)]
        lon, lat = (np.concatenate(part) for part in zip(*ring, strict=True))
        return np.append(lon, lon[0]), np.append(lat, lat[0])

    @property
    def span_s(self) -> tuple[float, float]:
        """Seconds since ``first_line_time`` that both ancillary series cover."""
        return max(self._fix_s[0], self._sample_s[0]), min(self._fix_s[-1], self._sample_s[-1])

    def centre_time(self, scenes: int) -> int:
        """GPS nanoseconds of the middle of a datastrip of so many scenes."""
        return self.first_line_time + round(SCENE_NS * scenes / 2)


def _one_sided(quaternions: Floats) -> Floats:
    """The same rotations with signs that let neighbours be mixed."""
    flips = np.sign(np.einsum("ij,ij->i", quaternions[1:], quaternions[:-1]))
    signs: Floats = np.concatenate([[1.0], np.cumprod(np.where(flips < 0, -1.0, 1.0))])
    return quaternions * signs[:, None]


def _rotate(quaternion: Floats, vector: Floats) -> Floats:
    """Vectors turned by unit quaternions (x, y, z, w); leading shapes broadcast."""
    axis, real = quaternion[..., :3], quaternion[..., 3:]
    twice = 2.0 * np.cross(axis, vector)
    return np.asarray(vector + real * twice + np.cross(axis, twice), dtype=np.float64)
