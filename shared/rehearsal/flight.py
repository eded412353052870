"""The platform during a datatake: orbit and attitude, aimed at a place or those of a real one, as it tells of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds.cuc import decode_cuc, encode_cuc
from shared.ccsds.spacepackets import SpacePacket
from shared.errors import BadInputError
from shared.geometry.datastrip import Datastrip
from shared.geometry.frames import EarthRotation, Floats
from shared.geometry.heights import unwrapped
from shared.geometry.iers import default_orientation, earth_orientation
from shared.geometry.instrument import Instrument
from shared.geometry.telemetry import telemetry_model
from shared.msi.earth import gps_ns_from_utc, utc_from_gps_ns
from shared.msi.instrument import BANDS, SCENE_NS, Band
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
from shared.rehearsal.orbit import MeanElements, pointing_noise, pointing_quaternions, to_earth_fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.geometry.frames import EarthOrientation
    from shared.geometry.model import SensorModel
    from shared.rehearsal.plan import Datatake

_SECOND: Final = 1_000_000_000
_EIGHTH: Final = _SECOND // 8
MARGIN_NS: Final = 10 * _SECOND
"""Ancillary data begin this long before the first line and end this long after the last."""

_AIMING_STEPS: Final = 4
_OUTLINE_POINTS: Final = 9


@dataclass(frozen=True, slots=True)
class Flight:
    """A datatake's ancillary points, and the sensor model that they make."""

    datatake: Datatake
    instrument: Instrument
    gps: tuple[GpsPoint, ...]
    attitude: tuple[AttitudePoint, ...]
    descriptor: DatatakeDescriptor
    descriptor_times: tuple[int, ...]
    model: SensorModel

    @property
    def first_line_ns(self) -> int:
        """GPS nanoseconds of the nominal line 0 of scene 1."""
        return self.descriptor.first_line_ns

    @property
    def epsg(self) -> int:
        """UTM zone of the place aimed at."""
        lon, lat = self.datatake.position
        return utm_epsg(zone_of(lon, lat), south=lat < 0)

    @property
    def sun_zenith_deg(self) -> float:
        """Sun zenith at the place aimed at, mid-datatake: the one under which a surface scene is lifted to TOA."""
        return float(self.model.sun_angles(*self.datatake.position)[0])

    def line_ns(self, band: Band, detector: int, line: float) -> int:
        """GPS nanoseconds at which a line position of a band's image is taken."""
        return self.model.strip.first_line_ns[band.name, detector] + round(line * band.line_period_ns)

    def outlines(self, height: float = 0.0) -> tuple[Floats, Floats]:
        """Longitudes and latitudes of what each detector images in any band, seen at a height: (detectors, points)."""
        rings = [
            np.concatenate([self.model.footprint(band.name, detector, height, _OUTLINE_POINTS) for band in BANDS], 1)
            for detector in self.datatake.detectors
        ]
        both = np.stack(rings)
        return unwrapped(both[:, 0]), both[:, 1]

    def outline(self, heights: Sequence[float] = (0.0,)) -> tuple[Floats, Floats]:
        """The same of all detectors, at some heights, as metres in ``epsg``: eastings and northings."""
        seen = [self.outlines(height) for height in heights]
        lon, lat = (np.concatenate([each[part].ravel() for each in seen]) for part in (0, 1))
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


def fly(datatake: Datatake, satellite: str, instrument: Instrument | None = None) -> Flight:
    """The flight whose imaged detectors have their centre at the datatake's position, or along a real datastrip.

    Args:
        datatake: what is acquired; where it names a datastrip, its ``start`` and ``position`` follow from that.
        satellite: ``S2A`` .. ``S2D``.
        instrument: the nominal one where it is not given.

    Raises:
        BadInputError: where the orbit does not come so far north or south, or the datastrip is another satellite's or
            too short.
    """
    flown = instrument or Instrument.nominal(satellite)
    if datatake.along is not None:
        return _along(datatake, satellite, flown, Datastrip.read(datatake.along))
    first_line = gps_ns_from_utc(datatake.start) // _EIGHTH * _EIGHTH
    centre = first_line + round(SCENE_NS * datatake.scenes / 2)
    orientation = _orientation(datatake, first_line)
    lon, lat = datatake.position
    aim_lon, aim_lat = lon, lat
    for _ in range(_AIMING_STEPS):
        orbit = MeanElements.over(aim_lon, aim_lat, centre, orientation)
        flight = _orbiting(datatake, satellite, flown, orbit, first_line, orientation)
        seen_lon, seen_lat = _centre(flight)
        aim_lon, aim_lat = aim_lon + _turn(seen_lon, lon), aim_lat + lat - seen_lat
    return flight


def _orientation(datatake: Datatake, gps_ns: int) -> EarthOrientation:
    return default_orientation(gps_ns) if datatake.bulletin is None else earth_orientation(datatake.bulletin, gps_ns)


def _orbiting(
    datatake: Datatake,
    satellite: str,
    instrument: Instrument,
    orbit: MeanElements,
    first_line: int,
    orientation: EarthOrientation,
) -> Flight:
    begin = (first_line - MARGIN_NS) // _SECOND * _SECOND
    end = first_line + round(SCENE_NS * datatake.scenes) + MARGIN_NS
    fixes, samples = range(begin, end, _SECOND), range(begin, end, _EIGHTH)
    rotation = EarthRotation(begin, (0.0, (end - begin) * 1e-9), orientation)

    def fixed(times: range) -> tuple[Floats, Floats, Floats]:
        matrices = rotation.matrices((np.array(times) - begin) * 1e-9)
        return *to_earth_fixed(*orbit.state(np.array(times, np.float64)), matrices), matrices

    position, velocity, _ = fixed(fixes)
    gps = [
        GpsPoint(time, _triple(place), _triple(speed))
        for time, place, speed in zip(fixes, position, velocity, strict=True)
    ]
    noise = pointing_noise(np.array(samples, np.float64), datatake.absolute_orbit)
    quaternions = pointing_quaternions(*fixed(samples), noise)
    attitude = [AttitudePoint(time, _four(q)) for time, q in zip(samples, quaternions, strict=True)]
    return _flight(datatake, satellite, instrument, gps, attitude, first_line, orientation)


def _along(datatake: Datatake, satellite: str, instrument: Instrument, strip: Datastrip) -> Flight:
    """The flight that a datastrip's metadata tell: its GPS points and quaternions, its Earth, from its first line."""
    if strip.satellite != satellite:
        raise BadInputError(f"{strip.name}, SPACECRAFT_NAME", f"the session's {satellite}", strip.satellite)
    first_line = -(-strip.start_ns // _EIGHTH) * _EIGHTH
    last_line = first_line + round(SCENE_NS * datatake.scenes)
    begin, end = first_line - MARGIN_NS, last_line + MARGIN_NS
    gps = [
        GpsPoint(_coded(time), _triple(place), _triple(speed))
        for time, place, speed in zip(strip.positions_ns, strip.positions, strip.velocities, strict=True)
        if begin <= time <= end
    ]
    attitude = [
        AttitudePoint(_coded(time), _four(q))
        for time, q in zip(strip.attitudes_ns, strip.quaternions, strict=True)
        if begin <= time <= end
    ]
    flight = _flight(datatake, satellite, instrument, gps, attitude, first_line, strip.orientation)
    if flight.model.platform.beyond_s > 0:
        available = (strip.stop_ns - first_line) / SCENE_NS
        raise BadInputError(strip.name, f"orbit and attitude of {datatake.scenes} scenes", f"{available:.1f} scenes")
    seen = replace(datatake, start=utc_from_gps_ns(first_line), position=_centre(flight))
    return replace(flight, datatake=seen)


def _flight(
    datatake: Datatake,
    satellite: str,
    instrument: Instrument,
    gps: Sequence[GpsPoint],
    attitude: Sequence[AttitudePoint],
    first_line: int,
    orientation: EarthOrientation,
) -> Flight:
    times = tuple(point.gps_ns for point in gps)
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
        descriptor_packets=len(times),
    )
    model = telemetry_model(descriptor, gps, attitude, orientation, instrument)
    return Flight(datatake, instrument, tuple(gps), tuple(attitude), descriptor, times, model)


def _coded(gps_ns: int) -> int:
    """The time as packets tell it, within 30 ns."""
    return decode_cuc(encode_cuc(gps_ns))


def _triple(values: Floats) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _four(values: Floats) -> tuple[float, float, float, float]:
    return float(values[0]), float(values[1]), float(values[2]), float(values[3])


def _centre(flight: Flight) -> tuple[float, float]:
    """Where the middle of the imaged swath looks."""
    model, detectors = flight.model, flight.datatake.detectors
    line = model.strip.lines_10m / 2
    low = model.direct("B02", min(detectors), line, 0.0)
    high = model.direct("B02", max(detectors), line, float(model.sensor("B02", max(detectors)).columns))
    west = float(low.lon)
    return west + _turn(west, float(high.lon)) / 2, float(low.lat + high.lat) / 2


def _turn(begin: float, end: float) -> float:
    """Degrees from one longitude to another the short way, also across the antimeridian."""
    return (end - begin + 180.0) % 360.0 - 180.0
