"""Which tiles a planned datatake will meet: the repeating ground track of the mission, and how far it can be trusted.

A mission plan tells when the instrument looks, and on which relative orbit. All Sentinel-2 fly over the same 143
tracks, which repeat after 10 days (Sentinel-2 User Handbook, ESA 2015: 786 km, inclination 98.62 degrees, 10:30 at the
descending node). So a track's ascending node has a fixed longitude and, the orbit being synchronous with
the mean Sun, is passed at a fixed time of the day. Where the satellite is so long after its node is the motion of a
frozen orbit of mean elements; lines of the image stand across the motion over ground, as the platform steers its yaw.

How far it errs, seen in real telemetry and products, is told by ``LATE_S`` and ``ASIDE_KM``; what lies in between may
be met, and need not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.domain.expected import LEAST_SCENES, SCENE, TilesOwed
from shared.msi.covering import tiles_of_points

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from shared.domain.mission_plan import Segment

    Floats = NDArray[np.float64]

TRACKS: Final = 143
CYCLE_S: Final = 864_000.0
"""So many orbits take so long: 10 days."""

ORBIT_S: Final = CYCLE_S / TRACKS
FIRST_NODE_DEG: Final = 0.98
"""East longitude of the ascending node of relative orbit 1: the GPS positions of two datastrips, of S2A in August 2020
(relative orbit 23) and S2B in October 2022 (34), say 0.96 and 1.00 degrees, which are 4 km."""

NODE_S: Final = 81_007.0
"""Mean local time at the ascending node, seconds of the day: 22:30 and 7 s, the middle of what was seen."""

LATE_S: Final = 15.0
"""A satellite may be so much earlier or later than that, 100 km of its way. Seen: 8 s earlier and on time in the
telemetry of the two datastrips, 0 to 10 s earlier in the sensing times of twelve tiles from 2015 to 2025; by eleven
published orbits (2024 to 2026), less the 5 s that the node's longitude may add, 11 s earlier to 9 s later. The latest
is S2A, which has another phase since 2025."""

SWATH_KM: Final = 293.0
"""Width on the ground, along the sphere. ESA's reference grids of the S2A datastrip (31 degrees north) reach from 148.7
km to the right of the track as it is here to 144.2 km to the left."""

ASIDE_KM: Final = 10.0
"""Either edge of the swath may be so much nearer or farther: the track is kept within 2 km (handbook), its place here
is the mean of two that are 4 km apart, and the swath is wider by 6 km at high latitudes, where the satellite is higher.
"""

_INCLINATION: Final = np.radians(98.62)
_ECCENTRICITY: Final = 0.001_17
_RADIUS_KM: Final = 6371.0
_FLATTENED: Final = 0.993_305_62
"""Tangent of the geocentric latitude over that of the geodetic: 1 - e2 of WGS 84."""

_STEP_KM: Final = 10.0
_STEP_S: Final = 1.5
_DAY_S: Final = 86_400.0
_BEFORE_STOP, _AFTER_START, _SEEN = 1, 2, 4


def tiles_owed(segment: Segment) -> TilesOwed | None:
    """The tiles of Level 1C, and so of Level 2A, that a segment owes; None where its orbit and its time do not agree.

    Of so few scenes that they stay at Level 0 it is none. Levels lose the first and the last scene. A segment of more
    than an orbit is none.
    """
    since, scene = seconds_from_node(segment.relative_orbit, segment.start), SCENE.total_seconds()
    if since is None or segment.scenes * scene > ORBIT_S:
        return None
    if segment.scenes < LEAST_SCENES:
        return TilesOwed()
    return _met(segment.relative_orbit, since + scene, since + (segment.scenes - 1) * scene)


def seconds_from_node(relative_orbit: int, when: datetime) -> float | None:
    """Seconds since the satellite passed the ascending node of its orbit; None where it is not on that orbit then.

    The node of one and the same relative orbit is passed at one time of the day, so the time tells where on the orbit
    the satellite is, to ``LATE_S``.
    """
    if not 1 <= relative_orbit <= TRACKS:
        return None
    passed = NODE_S - node_longitude(relative_orbit) / 360.0 * _DAY_S
    since = (when.timestamp() - passed + LATE_S) % _DAY_S - LATE_S
    return since if since <= ORBIT_S + LATE_S else None


def node_longitude(relative_orbit: int) -> float:
    """East longitude of the ascending node, degrees. Each orbit is 10/143 of a turn west of the one before."""
    return FIRST_NODE_DEG - (relative_orbit - 1) * 360.0 * CYCLE_S / _DAY_S / TRACKS


def ground(relative_orbit: int, seconds: Floats, across_km: Floats) -> tuple[Floats, Floats]:
    """Longitudes and latitudes (degrees WGS 84) beside the track, each of shape (len(seconds), len(across_km)).

    Args:
        relative_orbit: 1 to 143.
        seconds: since the ascending node.
        across_km: to the left of the motion over ground.
    """
    place, along = _below(seconds), _below(seconds + 0.5) - _below(seconds - 0.5)
    left = np.cross(place, along)
    left /= np.linalg.norm(left, axis=-1, keepdims=True)
    angle = across_km[:, None] / _RADIUS_KM
    x, y, z = np.moveaxis(place[:, None] * np.cos(angle) + left[:, None] * np.sin(angle), -1, 0)
    lat = np.degrees(np.arctan2(z, _FLATTENED * np.hypot(x, y)))
    lon = np.degrees(np.arctan2(y, x)) + node_longitude(relative_orbit)
    return (lon + 180.0) % 360.0 - 180.0, lat


def _below(seconds: Floats) -> Floats:
    """Unit vectors to below the satellite, Earth-fixed, x through the ascending node, shape (n, 3)."""
    mean = 2 * np.pi * seconds / ORBIT_S
    # The perigee of the frozen orbit is its northernmost point.
    latitude = mean + 2 * _ECCENTRICITY * (1.0 - np.cos(mean))
    turned = np.arctan2(np.cos(_INCLINATION) * np.sin(latitude), np.cos(latitude)) - 2 * np.pi * seconds / _DAY_S
    height = np.sin(_INCLINATION) * np.sin(latitude)
    flat = np.sqrt(1.0 - height * height)
    return np.stack([flat * np.cos(turned), flat * np.sin(turned), height], axis=-1)


def _met(relative_orbit: int, start: float, stop: float) -> TilesOwed:
    """The tiles of the ground that is seen from ``start`` to ``stop``, seconds since the node."""
    seconds = _steps(start - LATE_S, stop + LATE_S, _STEP_S)
    half = SWATH_KM / 2
    within, beyond = half - ASIDE_KM, half + ASIDE_KM
    aside = np.unique(np.concatenate([_steps(-beyond, beyond, _STEP_KM), [-within, within]]))
    lon, lat = ground(relative_orbit, seconds, aside)
    # However late or early it is, a tile is met that begins before the earliest stop and ends after the latest start.
    surely = np.abs(aside) <= within
    before, after = seconds <= stop - LATE_S, seconds >= start + LATE_S
    flags = _SEEN + surely * (before[:, None] * _BEFORE_STOP + after[:, None] * _AFTER_START)
    found = tiles_of_points(lon, lat, flags)
    must = {name for name, seen in found.items() if seen == _SEEN | _BEFORE_STOP | _AFTER_START}
    return TilesOwed(tuple(sorted(must)), tuple(sorted(found.keys() - must)))


def _steps(first: float, last: float, step: float) -> Floats:
    return np.linspace(first, last, max(2, int(np.ceil((last - first) / step)) + 1))
