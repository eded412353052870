"""What the simulated platform tells of itself, beside its GPS points and attitudes; and to the control centre.

The simulated receiver has no error: what it states of its errors is nominal, as are counts of satellites, modes and
temperatures. Orbit and orbit angle are those of the flight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds.spacepackets import SpacePacket
from shared.geometry.frames import EARTH_RATE, EarthOrientation, EarthRotation, Floats
from shared.msi.platform import (
    CELSIUS,
    CONTROL_APID,
    HOUSEKEEPING_APID,
    NAVIGATION_APID,
    OHM,
    SLOW,
    THERMAL_APID,
    TIME_APID,
    ControlState,
    NavigationSolution,
    Temperatures,
    TimeCorrelation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.msi.packets import GpsPoint

# On board, UT1 is taken for UTC and the pole for fixed: some 20 m in the inertial position.
_ON_BOARD: Final = EarthOrientation(0.0, 0.0, 0.0, 18)
_FIX: Final = ("KALMAN_FILTER", "GPS-A", 8, 6.0, (2.0, 2.0, 1.0), 9.0, (2.0, 3.5, 2.3), (0.017, 0.029, 0.019))
_FINE_POINTING: Final = (2, 3)
_USED_TRACKERS: Final = (True, True, False)
_COUNT_HZ: Final = 65_536
_NOMINAL_C: Final = {"FPA VNIR": 20.0, "FPA SWIR": -82.0, "FEE VNIR": 22.5, "FEE SWIR": 22.8}
_STRUCTURE_C: Final = 20.3
_WAVE_C: Final = 0.02
_ORBIT_S: Final = 6040.0
_NOMINAL_OHM: Final = 23


def housekeeping(fixes: Sequence[GpsPoint]) -> list[tuple[int, int, bytes]]:
    """(GPS nanoseconds, APID, user data) of the packets that come with GPS points."""
    control = _control(fixes)
    entries = [(fix.gps_ns, NAVIGATION_APID, NavigationSolution(fix.gps_ns, *_FIX).encode()) for fix in fixes]
    entries += [(state.gps_ns, CONTROL_APID, state.encode()) for state in control]
    for fix in fixes[::SLOW]:
        count = fix.gps_ns * _COUNT_HZ // 1_000_000_000
        entries.append((fix.gps_ns, TIME_APID, TimeCorrelation(fix.gps_ns, "KALMAN_FILTER", 77, 1.0, count).encode()))
        entries.append((fix.gps_ns, THERMAL_APID, _temperatures(fix.gps_ns).encode()))
    return entries


def reports(fixes: Sequence[GpsPoint], sequences: dict[int, int]) -> list[tuple[int, bytes]]:
    """(GPS nanoseconds, packet) for the control centre, one with each GPS point: attitude control and temperatures.

    ``sequences`` holds each APID's next count and is moved on.
    """
    packets = []
    for state in _control(fixes):
        count = sequences.get(HOUSEKEEPING_APID, 0)
        sequences[HOUSEKEEPING_APID] = count + 1
        told = state.encode() + _temperatures(state.gps_ns).encode()
        packets.append((state.gps_ns, SpacePacket(HOUSEKEEPING_APID, count, state.gps_ns, told).encode()))
    return packets


def _control(fixes: Sequence[GpsPoint]) -> list[ControlState]:
    reference = fixes[0].gps_ns
    seconds = np.array([(fix.gps_ns - reference) * 1e-9 for fix in fixes])
    span = (float(seconds[0]), max(float(seconds[-1]), 1.0))
    to_inertial = np.swapaxes(EarthRotation(reference, span, _ON_BOARD).matrices(seconds), -1, -2)
    fixed = np.array([fix.position for fix in fixes])
    moving = np.array([fix.velocity for fix in fixes]) + np.cross([0.0, 0.0, EARTH_RATE], fixed)
    position, velocity = (np.einsum("nij,nj->ni", to_inertial, vector) for vector in (fixed, moving))
    angles = orbit_angles(position, velocity)
    return [
        ControlState(fix.gps_ns, 0, *_FINE_POINTING, _USED_TRACKERS, True, _triple(r), _triple(v), float(angle))
        for fix, r, v, angle in zip(fixes, position, velocity, angles, strict=True)
    ]


def orbit_angles(position: Floats, velocity: Floats) -> Floats:
    """Angles from the ascending node along the orbit, radians 0 to 2 pi, of inertial states of shape (n, 3)."""
    momentum = np.cross(position, velocity)
    node = np.cross([0.0, 0.0, 1.0], momentum)
    ahead = np.cross(momentum, node) / np.linalg.norm(momentum, axis=-1, keepdims=True)
    along = [np.einsum("ni,ni->n", position, axis) for axis in (node, ahead)]
    angle: Floats = np.arctan2(along[1], along[0]) % (2 * np.pi)
    return angle


def _temperatures(gps_ns: int) -> Temperatures:
    """Nominal values with a slow wave of the orbit's period on those of the structure."""
    wave = _WAVE_C * float(np.sin(2 * np.pi * (gps_ns * 1e-9 % _ORBIT_S) / _ORBIT_S))
    celsius = tuple(_NOMINAL_C.get(place, _STRUCTURE_C + wave) for place in CELSIUS)
    return Temperatures(gps_ns, celsius, (_NOMINAL_OHM,) * len(OHM))


def _triple(values: Floats) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
