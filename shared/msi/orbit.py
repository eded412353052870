"""A circular sun-synchronous orbit with yaw-steered nadir pointing, as GPS points and attitude samples.

The orbit is Keplerian over the minute that a datastrip lasts; the Earth turns under it at its mean rate. Attitude: z
along the ellipsoid's normal to the ground, x along the motion over ground (that is yaw steering), y to the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.errors import BadInputError
from shared.msi.earth import EARTH_ROTATION_RAD_S, WGS84_E2, Floats, geodetic_to_ecef

ORBIT_RADIUS_M: Final = 7_164_000.0
INCLINATION_DEG: Final = 98.62
MU_M3_S2: Final = 3.986004418e14


@dataclass(frozen=True, slots=True)
class CircularOrbit:
    """A descending or ascending pass in a frame fixed to the Earth at ``reference_ns`` (then it lags behind the Earth).

    Attributes:
        reference_ns: GPS nanoseconds of the instant that the two angles belong to.
        node_deg: longitude of the ascending node, Earth-fixed, at the reference.
        argument_deg: argument of latitude at the reference: 90..270 is descending.
    """

    reference_ns: int
    node_deg: float
    argument_deg: float

    @classmethod
    def over(cls, lon_deg: float, lat_deg: float, time_ns: int, *, descending: bool = True) -> CircularOrbit:
        """The orbit whose geocentric sub-satellite point is a place's, at a given instant.

        BadInputError where the place lies beyond the orbit's inclination.
        """
        place = geodetic_to_ecef(np.asarray(lon_deg, dtype=np.float64), np.asarray(lat_deg, dtype=np.float64))
        inclination = np.radians(INCLINATION_DEG)
        latitude = np.arcsin(place[2] / np.linalg.norm(place))
        height = np.sin(latitude) / np.sin(inclination)
        if not abs(height) <= 1:
            raise BadInputError(
                "place below the orbit", f"a latitude within {180 - INCLINATION_DEG:.1f} degrees", lat_deg
            )
        argument = np.arcsin(height)
        if descending:
            argument = np.pi - argument
        from_node = np.arctan2(np.cos(inclination) * np.sin(argument), np.cos(argument))
        node = np.arctan2(place[1], place[0]) - from_node
        return cls(time_ns, float(np.degrees(node)), float(np.degrees(argument)))

    def state(self, times_ns: Floats) -> tuple[Floats, Floats]:
        """Earth-fixed position (m) and velocity (m/s) at GPS nanoseconds of shape (n,), each of shape (n, 3)."""
        elapsed = (np.asarray(times_ns, dtype=np.float64) - self.reference_ns) * 1e-9
        rate = np.sqrt(MU_M3_S2 / ORBIT_RADIUS_M**3)
        angle = np.radians(self.argument_deg) + rate * elapsed
        tilt = np.radians(INCLINATION_DEG)
        node = np.radians(self.node_deg) - EARTH_ROTATION_RAD_S * elapsed
        along = _plane(angle, node, tilt)
        forward = _plane(angle + np.pi / 2, node, tilt)
        position = ORBIT_RADIUS_M * along
        spin = EARTH_ROTATION_RAD_S * np.stack([position[:, 1], -position[:, 0], np.zeros(len(angle))], -1)
        return position, ORBIT_RADIUS_M * rate * forward + spin


def _plane(angle: Floats, node: Floats, tilt: float) -> Floats:
    """Unit vectors at an angle from the ascending node, in the orbit plane."""
    x, y = np.cos(angle), np.sin(angle) * np.cos(tilt)
    return np.stack(
        [x * np.cos(node) - y * np.sin(node), x * np.sin(node) + y * np.cos(node), np.sin(angle) * np.sin(tilt)], -1
    )


def pointing_quaternions(position: Floats, velocity: Floats) -> Floats:
    """Quaternions (x, y, z, w), body to Earth-fixed, of yaw-steered nadir pointing; shape (n, 4), signs continuous."""
    down = -_ellipsoid_normal(position)
    across = np.cross(down, velocity)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    matrix = np.stack([np.cross(across, down), across, down], -1)
    return _continuous(_from_matrices(matrix))


def _ellipsoid_normal(position: Floats) -> Floats:
    """Unit normals of the ellipsoid below positions (Bowring's latitude: better than 1e-9 rad at this height)."""
    x, y, z = position[:, 0], position[:, 1], position[:, 2]
    flat = np.hypot(x, y)
    axis_ratio = np.sqrt(1 - WGS84_E2)
    reduced = np.arctan2(z, flat * axis_ratio)
    semi_major, semi_minor = 6_378_137.0, 6_378_137.0 * axis_ratio
    lat = np.arctan2(
        z + WGS84_E2 / (1 - WGS84_E2) * semi_minor * np.sin(reduced) ** 3,
        flat - WGS84_E2 * semi_major * np.cos(reduced) ** 3,
    )
    return np.stack([np.cos(lat) * x / flat, np.cos(lat) * y / flat, np.sin(lat)], -1)


def _from_matrices(matrix: Floats) -> Floats:
    """Rotation matrices (n, 3, 3) to quaternions: the eigenvector method of Bar-Itzhack (2000), free of special
    cases.
    """
    m = matrix
    k = np.zeros((len(m), 4, 4))
    k[:, 0, 0] = m[:, 0, 0] - m[:, 1, 1] - m[:, 2, 2]
    k[:, 1, 1] = m[:, 1, 1] - m[:, 0, 0] - m[:, 2, 2]
    k[:, 2, 2] = m[:, 2, 2] - m[:, 0, 0] - m[:, 1, 1]
    k[:, 3, 3] = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    k[:, 1, 0] = m[:, 1, 0] + m[:, 0, 1]
    k[:, 2, 0] = m[:, 2, 0] + m[:, 0, 2]
    k[:, 2, 1] = m[:, 2, 1] + m[:, 1, 2]
    k[:, 3, 0] = m[:, 2, 1] - m[:, 1, 2]
    k[:, 3, 1] = m[:, 0, 2] - m[:, 2, 0]
    k[:, 3, 2] = m[:, 1, 0] - m[:, 0, 1]
    vectors = np.linalg.eigh(k / 3)[1]  # reads the lower triangle; eigenvalues ascend
    quaternions: Floats = vectors[:, :, 3]
    return quaternions


def _continuous(quaternions: Floats) -> Floats:
    """The same rotations, each on the side of the one before; the first with w >= 0."""
    result = quaternions.copy()
    if result[0, 3] < 0:
        result[0] = -result[0]
    for index in range(1, len(result)):
        if np.dot(result[index], result[index - 1]) < 0:
            result[index] = -result[index]
    return result
