"""The platform during a datatake: orbit and attitude aimed at a place, as the ancillary points that it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.ccsds.spacepackets import SpacePacket
from shared.msi.earth import Floats, gps_ns_from_utc
from shared.msi.geometry import ViewingModel
from shared.msi.instrument import SCENE_NS, band_named
from shared.msi.orbit import CircularOrbit, pointing_quaternions
from shared.msi.packets import (
    ATTITUDE_APID,
    DATATAKE_APID,
    GPS_APID,
    AttitudePoint,
    DatatakeDescriptor,
    GpsPoint,
)
from shared.msi.tiling import to_utm, utm_epsg, zone_of
from shared.rehearsal.housekeeping import housekeeping
from shared.rehearsal.plan import Datatake

_SECOND: Final = 1_000_000_000
_EIGHTH: Final = _SECOND // 8
MARGIN_NS: Final = 10 * _SECOND
"""Ancillary data begin this long before the first line and end this long after the last."""

_AIMING_STEPS: Final = 4


@dataclass(frozen=True, slots=True)
class Flight:
    """A datatake's ancillary points, and the viewing model that they make."""

    datatake: Datatake
    gps: tuple[GpsPoint, ...]
    attitude: tuple[AttitudePoint, ...]
    descriptor: DatatakeDescriptor
    descriptor_times: tuple[int, ...]
    model: ViewingModel

    @property
    def epsg(self) -> int:
        """UTM zone of the place aimed at."""
        lon, lat = self.datatake.position
        return utm_epsg(zone_of(lon, lat), south=lat < 0)

    @property
    def sun_zenith_deg(self) -> float:
        """Sun zenith at the place aimed at, mid-datatake: the one under which a surface scene is lifted to TOA."""
        lon, lat = self.datatake.position
        return float(
            self.model.sun_angles(np.array(lon), np.array(lat), self.model.centre_time(self.datatake.scenes))[0]
        )

    def outline(self) -> tuple[Floats, Floats]:
        """Outline of what is imaged in any band, metres in ``epsg``: eastings and northings."""
        rings = [
            self.model.footprint(self.datatake.detectors, band_named(name), self.datatake.scenes)
            for name in ("B01", "B02", "B09")  # the extremes of looking ahead and back
        ]
        lon, lat = (np.concatenate(parts) for parts in zip(*rings, strict=True))
        x, y = to_utm(self.epsg).transform(lon, lat)
        return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)

    def ancillary_packets(self, sequences: dict[int, int]) -> list[tuple[int, bytes]]:
        """(GPS nanoseconds, packet) in the order of time; ``sequences`` holds each APID's next count and is moved
        on.
        """
        entries = [(point.gps_ns, GPS_APID, point.encode()) for point in self.gps]
        entries += [(point.gps_ns, ATTITUDE_APID, point.encode()) for point in self.attitude]
        entries += [(time, DATATAKE_APID, self.descriptor.encode()) for time in self.descriptor_times]
        entries += housekeeping(self.gps)
        packets = []
        for time, apid, user_data in sorted(entries, key=lambda entry: entry[:2]):
            count = sequences.get(apid, 0)
            sequences[apid] = count + 1
            packets.append((time, SpacePacket(apid, count, time, user_data).encode()))
        return packets


def fly(datatake: Datatake, satellite: str) -> Flight:
    """The flight whose imaged detectors have their centre at the datatake's position.

    BadInputError where the orbit does not come so far north or south.
    """
    first_line = gps_ns_from_utc(datatake.start) // _EIGHTH * _EIGHTH
    centre = first_line + round(SCENE_NS * datatake.scenes / 2)
    lon, lat = datatake.position
    aim_lon, aim_lat = lon, lat
    for _ in range(_AIMING_STEPS):
        orbit = CircularOrbit.over(aim_lon, aim_lat, centre)
        flight = _points(datatake, satellite, orbit, first_line)
        seen_lon, seen_lat = _centre(flight.model, datatake)
        aim_lon, aim_lat = aim_lon + _turn(seen_lon, lon), aim_lat + lat - seen_lat
    return flight


def _points(datatake: Datatake, satellite: str, orbit: CircularOrbit, first_line: int) -> Flight:
    begin = (first_line - MARGIN_NS) // _SECOND * _SECOND
    end = first_line + round(SCENE_NS * datatake.scenes) + MARGIN_NS
    fixes, samples = range(begin, end, _SECOND), range(begin, end, _EIGHTH)
    position, velocity = orbit.state(np.array(fixes, dtype=np.float64))
    gps = tuple(
        GpsPoint(time, _triple(place), _triple(speed))
        for time, place, speed in zip(fixes, position, velocity, strict=True)
    )
    quaternions = pointing_quaternions(*orbit.state(np.array(samples, dtype=np.float64)))
    attitude = tuple(
        AttitudePoint(time, (float(q[0]), float(q[1]), float(q[2]), float(q[3])))
        for time, q in zip(samples, quaternions, strict=True)
    )
    descriptor = DatatakeDescriptor(
        satellite=satellite,
        absolute_orbit=datatake.absolute_orbit,
        relative_orbit=datatake.relative_orbit,
        datatake_start_ns=(first_line - MARGIN_NS // 2) // _SECOND * _SECOND,
        datatake_type=datatake.kind,
        detectors=datatake.detectors,
        scenes=datatake.scenes,
        first_line_ns=first_line,
        gps_packets=len(gps),
        attitude_packets=len(attitude),
        descriptor_packets=len(fixes),
    )
    return Flight(datatake, gps, attitude, descriptor, tuple(fixes), ViewingModel(gps, attitude, first_line))


def _triple(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _centre(model: ViewingModel, datatake: Datatake) -> tuple[float, float]:
    """Where the middle of the imaged swath looks."""
    band = band_named("B02")
    line = np.array(band.lines_per_scene * datatake.scenes / 2)
    low = model.locate(min(datatake.detectors), band, line, np.array(0.0))
    high = model.locate(max(datatake.detectors), band, line, np.array(float(band.width)))
    west, east = float(low[0]), float(high[0])
    return west + _turn(west, east) / 2, float(low[1] + high[1]) / 2


def _turn(begin: float, end: float) -> float:
    """Degrees from one longitude to another the short way, also across the antimeridian."""
    return (end - begin + 180.0) % 360.0 - 180.0
