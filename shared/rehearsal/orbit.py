"""Where the simulated satellite is and how it points: mean elements under J2, yaw-steered nadir pointing, noise.

Elements refer to the mean equator and equinox of J2000.0. Over a datatake the Earth's flattening turns node, perigee
and mean anomaly at their secular rates (Kaula 1966, section 3.4); shorter effects, drag, Sun and Moon are left out: the
orbit is one that a satellite could have, not the one that any had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.geometry.frames import EARTH_RATE, EarthRotation, Floats, about_x, about_y, about_z, local_axes, to_geodetic
from shared.msi.earth import WGS84_A, geodetic_to_ecef

if TYPE_CHECKING:
    from shared.geometry.frames import EarthOrientation

MU_M3_S2: Final = 3.986004418e14
J2: Final = 1.082_626_68e-3
SEMI_MAJOR_AXIS_M: Final = 7_164_000.0
INCLINATION_DEG: Final = 98.62
ECCENTRICITY: Final = 0.001_17
PERIGEE_DEG: Final = 90.0
"""With that eccentricity the orbit is frozen, as Sentinel-2's is."""

_SECOND: Final = 1_000_000_000
# Pointing: a bias, and motions of some frequencies about each axis: microradians and hertz. A microradian is 0.8 m on
# ground. Sizes are of the order of what agile imaging platforms state, not any measured one's.
_BIAS_URAD: Final = 25.0
_MOTIONS: Final = ((12.0, 0.021), (3.0, 0.17), (0.8, 0.62), (0.2, 1.4))


@dataclass(frozen=True, slots=True)
class MeanElements:
    """An orbit at an epoch, GPS nanoseconds; angles in radians, ``axis`` in metres."""

    epoch_ns: int
    axis: float
    eccentricity: float
    inclination: float
    node: float
    perigee: float
    anomaly: float

    @classmethod
    def over(
        cls, lon_deg: float, lat_deg: float, time_ns: int, orientation: EarthOrientation, *, descending: bool = True
    ) -> MeanElements:
        """The orbit whose geocentric sub-satellite point is a place's, at a given instant.

        BadInputError where the place lies beyond the orbit's inclination.
        """
        rotation = EarthRotation(time_ns, (-60.0, 60.0), orientation)
        fixed = geodetic_to_ecef(np.asarray(lon_deg, dtype=np.float64), np.asarray(lat_deg, dtype=np.float64))
        place = rotation.matrices(np.array(0.0)).T @ fixed
        tilt = np.radians(INCLINATION_DEG)
        height = place[2] / np.linalg.norm(place) / np.sin(tilt)
        if not abs(height) <= 1:
            raise BadInputError(
                "place below the orbit", f"a latitude within {180 - INCLINATION_DEG:.1f} degrees", lat_deg
            )
        latitude = np.pi - np.arcsin(height) if descending else np.arcsin(height)
        from_node = np.arctan2(np.cos(tilt) * np.sin(latitude), np.cos(latitude))
        node = np.arctan2(place[1], place[0]) - from_node
        perigee = np.radians(PERIGEE_DEG)
        half = np.tan((latitude - perigee) / 2) * np.sqrt((1 - ECCENTRICITY) / (1 + ECCENTRICITY))
        eccentric = 2 * np.arctan(half)
        anomaly = eccentric - ECCENTRICITY * np.sin(eccentric)
        return cls(time_ns, SEMI_MAJOR_AXIS_M, ECCENTRICITY, tilt, float(node), float(perigee), float(anomaly))

    def state(self, times_ns: Floats) -> tuple[Floats, Floats]:
        """Position (m) and velocity (m/s), EME2000, at GPS nanoseconds of shape (n,), each of shape (n, 3)."""
        elapsed = (np.asarray(times_ns, dtype=np.float64) - self.epoch_ns) * 1e-9
        e, mean = self.eccentricity, np.sqrt(MU_M3_S2 / self.axis**3)
        flat = 1.5 * J2 * (WGS84_A / (self.axis * (1 - e * e))) ** 2 * mean
        cos = np.cos(self.inclination)
        node_rate, perigee_rate = -flat * cos, flat * (2 - 2.5 * (1 - cos * cos))
        anomaly_rate = mean + flat * np.sqrt(1 - e * e) * (1 - 1.5 * (1 - cos * cos))
        anomaly = self.anomaly + anomaly_rate * elapsed
        eccentric = anomaly
        for _ in range(8):
            eccentric = anomaly + e * np.sin(eccentric)
        root = np.sqrt(1 - e * e)
        x, y = self.axis * (np.cos(eccentric) - e), self.axis * root * np.sin(eccentric)
        pace = anomaly_rate / (1 - e * np.cos(eccentric))
        vx, vy = -self.axis * np.sin(eccentric) * pace, self.axis * root * np.cos(eccentric) * pace
        turn = about_z(self.node + node_rate * elapsed) @ about_x(np.array(self.inclination))
        turn = turn @ about_z(self.perigee + perigee_rate * elapsed)
        plane, moving = np.stack([x, y, 0 * x], -1), np.stack([vx, vy, 0 * x], -1)
        position = np.einsum("...ij,...j->...i", turn, plane)
        velocity = np.einsum("...ij,...j->...i", turn, moving) + _swept(turn, plane, node_rate, perigee_rate)
        return position, velocity


def _swept(turn: Floats, plane: Floats, node_rate: float, perigee_rate: float) -> Floats:
    """What the turning of node and perigee adds to the velocity."""
    pole, normal = np.array([0.0, 0.0, 1.0]), turn[..., :, 2]
    place = np.einsum("...ij,...j->...i", turn, plane)
    return np.asarray(node_rate * np.cross(pole, place) + perigee_rate * np.cross(normal, place))


def to_earth_fixed(position: Floats, velocity: Floats, matrices: Floats) -> tuple[Floats, Floats]:
    """EME2000 to Earth-fixed, by the Earth's rotation at each time, (n, 3, 3)."""
    fixed = np.einsum("nij,nj->ni", matrices, position)
    spin = np.cross([0.0, 0.0, EARTH_RATE], fixed)
    return fixed, np.einsum("nij,nj->ni", matrices, velocity) - spin


def pointing_quaternions(position: Floats, velocity: Floats, matrices: Floats, noise: Floats) -> Floats:
    """Body to EME2000 of yaw-steered nadir pointing, (x, y, z, w), shape (n, 4), signs continuous.

    z along the ellipsoid's normal to the ground, x along the motion over ground (that is yaw steering), y to the right.

    Args:
        position: Earth-fixed metres, (n, 3).
        velocity: Earth-fixed m/s, (n, 3).
        matrices: EME2000 to Earth-fixed, (n, 3, 3).
        noise: small turns about x, y and z of the body, radians, (n, 3).
    """
    lon, lat, _ = to_geodetic(position)
    down = -local_axes(lon, lat)[:, 2]
    across = np.cross(down, velocity)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    body = np.stack([np.cross(across, down), across, down], -1)
    shaken = about_x(noise[:, 0]) @ about_y(noise[:, 1]) @ about_z(noise[:, 2])
    return _continuous(_from_matrices(np.swapaxes(matrices, 1, 2) @ body @ shaken))


def pointing_noise(times_ns: Floats, seed: int) -> Floats:
    """How the pointing strays, radians about x, y and z, (n, 3): slow enough for attitudes 125 ms apart to tell."""
    random = np.random.default_rng((0x706F, seed))
    seconds = (np.asarray(times_ns, np.float64) - times_ns[0]) * 1e-9
    turns = np.tile(random.uniform(-_BIAS_URAD, _BIAS_URAD, 3), (len(seconds), 1))
    for size, frequency in _MOTIONS:
        phase = random.uniform(0, 2 * np.pi, 3)
        turns += size * np.sin(2 * np.pi * frequency * seconds[:, None] + phase)
    return np.asarray(turns * 1e-6)


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
