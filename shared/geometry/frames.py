"""Frames and times: GPS time to UT1 and TT, J2000 to the Earth-fixed frame, positions to longitude and latitude.

- Times are float seconds since a reference instant of GPS time (integer nanoseconds since 1980-01-06).
- Inertial: mean equator and equinox of J2000.0 (EME2000), in which attitudes are given. It is turned from the GCRS by
  the frame bias, 23 milliarcseconds, which is 0.09 m on ground.
- Earth-fixed: ITRF, metres, taken for WGS 84 (they agree within centimetres). IAU 2006/2000A by pyerfa.
- Longitude and latitude in degrees, WGS 84; heights in metres above the ellipsoid.
- Local axes: east, north, up. Azimuths run from north through east.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import erfa
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Numbers: TypeAlias = Floats | float
"""An array, or one number that stands for an array of no dimensions."""

WGS84: Final = 1
"""The ellipsoid's number at erfa."""

_GPS_EPOCH_JD: Final = 2_444_244.5
_TT_MINUS_GPS_S: Final = 51.184  # TAI - GPS is 19 s, TT - TAI is 32.184 s
_DAY_S: Final = 86_400.0
_ARCSEC: Final = np.pi / 648_000
_LIGHT_AU_PER_DAY: Final = 173.144_632_674
EARTH_RATE: Final = 7.292_115_0e-5
"""Rotation of the Earth, radians per second (WGS 84)."""


@dataclass(frozen=True, slots=True)
class EarthOrientation:
    """What the Earth does that no theory foretells, at the time of a datastrip.

    Attributes:
        ut1_minus_utc: seconds, within 0.9 by definition.
        pole_x: coordinate of the pole, arc seconds; pole_y likewise.
        gps_minus_utc: leap seconds since 1980.
    """

    ut1_minus_utc: float
    pole_x: float
    pole_y: float
    gps_minus_utc: int


class EarthRotation:
    """Rotation from EME2000 to the Earth-fixed frame around a reference instant.

    Precession, nutation and the Sun's place are evaluated at both ends of ``span_s`` and taken as linear between (over
    20 minutes wrong by less than 1e-11 rad, the Sun by 1e-8); the rotation angle is exact at each time.
    """

    def __init__(self, reference_ns: int, span_s: tuple[float, float], orientation: EarthOrientation) -> None:
        self._day, self._ns = divmod(reference_ns, 86_400_000_000_000)
        self._ut1_minus_gps: Final = orientation.ut1_minus_utc - orientation.gps_minus_utc
        self._span: Final = span_s
        ends = np.array(span_s)
        tt = self._julian(ends, _TT_MINUS_GPS_S)
        bias = erfa.bp06(*tt)[0]  # GCRS to EME2000
        self._bias: Final[Floats] = bias[0]
        self._celestial: Final = erfa.c2i06a(*tt) @ self._bias.T
        self._sun: Final = self._see_sun(tt)
        locator = erfa.sp00(*tt)[0]
        self._polar: Final = erfa.pom00(orientation.pole_x * _ARCSEC, orientation.pole_y * _ARCSEC, locator)

    def _julian(self, seconds: Floats, offset_s: float) -> tuple[float, Floats]:
        """Two-part Julian date: whole days first, so that fractions keep their precision."""
        return _GPS_EPOCH_JD + self._day, (self._ns * 1e-9 + seconds + offset_s) / _DAY_S

    def matrices(self, seconds: Floats) -> Floats:
        """EME2000 to Earth-fixed at seconds since the reference, shape (..., 3, 3)."""
        angle = erfa.era00(*self._julian(seconds, self._ut1_minus_gps))
        part = self._part(seconds)[..., None, None]
        celestial = self._celestial[0] * (1 - part) + self._celestial[1] * part
        turned: Floats = self._polar @ (about_z(-angle) @ celestial)
        return turned

    def _see_sun(self, tt: tuple[float, Floats]) -> Floats:
        """Where the Sun is seen from the Earth's centre, EME2000 metres, annual aberration included."""
        heliocentric, _ = erfa.epv00(*tt)
        distance = np.linalg.norm(heliocentric["p"], axis=-1, keepdims=True)
        seen = heliocentric["v"] / _LIGHT_AU_PER_DAY - heliocentric["p"] / distance
        sun: Floats = np.einsum("ij,...j->...i", self._bias, seen) * distance * erfa.DAU
        return sun

    def sun(self, seconds: Floats) -> Floats:
        """Where the Sun is seen from the Earth's centre, Earth-fixed metres, shape (..., 3)."""
        part = self._part(seconds)[..., None]
        inertial = self._sun[0] * (1 - part) + self._sun[1] * part
        sun: Floats = np.einsum("...ij,...j->...i", self.matrices(seconds), inertial)
        return sun

    def _part(self, seconds: Floats) -> Floats:
        start, end = self._span
        part: Floats = (np.asarray(seconds, dtype=np.float64) - start) / (end - start)
        return part


def to_geodetic(point: Floats) -> tuple[Floats, Floats, Floats]:
    """Longitude and latitude (degrees) and height (metres) of Earth-fixed points, shape (..., 3)."""
    lon, lat, height = erfa.gc2gd(WGS84, point)
    return np.degrees(lon), np.degrees(lat), height


def to_fixed(lon_deg: Numbers, lat_deg: Numbers, height_m: Numbers) -> Floats:
    """Earth-fixed metres of geodetic positions, shape (..., 3)."""
    point: Floats = erfa.gd2gc(WGS84, np.radians(lon_deg), np.radians(lat_deg), height_m)
    return point


def local_axes(lon_deg: Numbers, lat_deg: Numbers) -> Floats:
    """East, north and up as the rows of matrices, shape (..., 3, 3)."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    rows = [
        [-np.sin(lon), np.cos(lon), np.zeros_like(lon)],
        [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)],
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def zenith_azimuth(lon_deg: Floats, lat_deg: Floats, direction: Floats) -> tuple[Floats, Floats]:
    """Zenith angle and azimuth, degrees, of directions (from the ground, not normalised) at places."""
    east, north, up = np.moveaxis(np.einsum("...ij,...j->...i", local_axes(lon_deg, lat_deg), direction), -1, 0)
    return np.degrees(np.arctan2(np.hypot(east, north), up)), np.degrees(np.arctan2(east, north)) % 360.0


def about_x(angle: Floats) -> Floats:
    """Matrices that turn vectors about x by an angle in radians, right-handed, shape (..., 3, 3)."""
    return _turn(angle, 1, 2)


def about_y(angle: Floats) -> Floats:
    """As ``about_x``, about y."""
    return _turn(angle, 2, 0)


def about_z(angle: Floats) -> Floats:
    """As ``about_x``, about z."""
    return _turn(angle, 0, 1)


def _turn(angle: Floats, first: int, second: int) -> Floats:
    angle = np.asarray(angle, dtype=np.float64)
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., 3 - first - second, 3 - first - second] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -matrix[..., second, first]
    return matrix
