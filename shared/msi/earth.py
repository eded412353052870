"""Earth and Sun: WGS84, sidereal time, the Sun's place, GPS time.

Times are integer nanoseconds of GPS time since 1980-01-06T00:00:00, as everywhere in the project; angles at the
borders of functions are degrees. Sun: the Astronomical Almanac's low-precision formulae (section C, "Low precision
formulas for the Sun's coordinates"), good to 0.01 degree between 1950 and 2050. UT1 is taken for UTC (at most 0.9 s
apart).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WGS84_A: Final = 6_378_137.0
WGS84_F: Final = 1 / 298.257223563
WGS84_B: Final = WGS84_A * (1 - WGS84_F)
WGS84_E2: Final = WGS84_F * (2 - WGS84_F)
EARTH_ROTATION_RAD_S: Final = 7.292115e-5

GPS_EPOCH: Final = datetime(1980, 1, 6, tzinfo=UTC)
GPS_MINUS_UTC_S: Final = 18
_GPS_EPOCH_JD: Final = 2_444_244.5
_J2000_JD: Final = 2_451_545.0


def gps_ns_from_utc(when: datetime) -> int:
    """GPS nanoseconds of a UTC instant, exact to its microsecond; valid since 2017 (18 leap seconds)."""
    delta = when.astimezone(UTC) - GPS_EPOCH
    return (delta.days * 86_400 + delta.seconds + GPS_MINUS_UTC_S) * 1_000_000_000 + delta.microseconds * 1000


def utc_from_gps_ns(time_ns: int) -> datetime:
    """The UTC instant, cut to microseconds."""
    return GPS_EPOCH + timedelta(seconds=-GPS_MINUS_UTC_S, microseconds=time_ns // 1000)


def days_since_j2000(time_ns: int) -> float:
    """UTC days since 2000-01-01T12:00:00."""
    return (time_ns / 1e9 - GPS_MINUS_UTC_S) / 86_400 + _GPS_EPOCH_JD - _J2000_JD


def sidereal_angle_deg(time_ns: int) -> float:
    """Greenwich mean sidereal time, degrees (Astronomical Almanac, linear term)."""
    return (280.46062 + 360.985647366 * days_since_j2000(time_ns)) % 360.0


def _sun_place(time_ns: int) -> tuple[float, float, float]:
    """Right ascension and declination (radians), distance (AU)."""
    n = days_since_j2000(time_ns)
    longitude = np.radians(280.460 + 0.9856474 * n)
    anomaly = np.radians(357.528 + 0.9856003 * n)
    ecliptic = longitude + np.radians(1.915) * np.sin(anomaly) + np.radians(0.020) * np.sin(2 * anomaly)
    obliquity = np.radians(23.439 - 4e-7 * n)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(obliquity) * np.sin(ecliptic))
    distance = 1.00014 - 0.01671 * np.cos(anomaly) - 0.00014 * np.cos(2 * anomaly)
    return float(ascension), float(declination), float(distance)


def earth_sun_u(time_ns: int) -> float:
    """Correction U of the solar irradiance for the Earth-Sun distance: 1 / d^2, d in AU."""
    return _sun_place(time_ns)[2] ** -2


def sun_angles(lon_deg: Floats, lat_deg: Floats, time_ns: int) -> tuple[Floats, Floats]:
    """Sun zenith and azimuth (from north through east), degrees, without refraction; shapes as given."""
    ascension, declination, _ = _sun_place(time_ns)
    lat = np.radians(np.asarray(lat_deg, dtype=np.float64))
    hour = np.radians(sidereal_angle_deg(time_ns) + np.asarray(lon_deg, dtype=np.float64)) - ascension
    up = np.sin(lat) * np.sin(declination) + np.cos(lat) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(lat) * np.sin(declination) - np.sin(lat) * np.cos(declination) * np.cos(hour)
    zenith = np.degrees(np.arctan2(np.hypot(east, north), up))
    return zenith, np.degrees(np.arctan2(east, north)) % 360.0


def geodetic_to_ecef(lon_deg: Floats, lat_deg: Floats, height_m: float = 0.0) -> Floats:
    """Earth-fixed metres, shape (..., 3)."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    normal = WGS84_A / np.sqrt(1 - WGS84_E2 * np.sin(lat) ** 2)
    flat = (normal + height_m) * np.cos(lat)
    return np.stack([flat * np.cos(lon), flat * np.sin(lon), (normal * (1 - WGS84_E2) + height_m) * np.sin(lat)], -1)


def surface_to_geodetic(point: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude in degrees of Earth-fixed points that lie on the ellipsoid, shape (..., 3): exact
    there.
    """
    x, y, z = point[..., 0], point[..., 1], point[..., 2]
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, (1 - WGS84_E2) * np.hypot(x, y)))


def local_axes(lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats, Floats]:
    """East, north and up unit vectors at geodetic positions, each of shape (..., 3)."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    zero = np.zeros_like(lon)
    east = np.stack([-np.sin(lon), np.cos(lon), zero], -1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], -1)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)
    return east, north, up


def intersect_ellipsoid(origin: Floats, direction: Floats) -> Floats:
    """First points where rays meet the WGS84 ellipsoid, shape (..., 3); NaN where a ray misses the Earth."""
    scale = np.array([1.0, 1.0, WGS84_A / WGS84_B])
    start, ray = origin * scale, direction * scale
    a = np.einsum("...i,...i->...", ray, ray)
    half_b = np.einsum("...i,...i->...", start, ray)
    c = np.einsum("...i,...i->...", start, start) - WGS84_A**2
    with np.errstate(invalid="ignore"):
        distance = (-half_b - np.sqrt(half_b**2 - a * c)) / a
    result: Floats = origin + distance[..., None] * direction
    return result
