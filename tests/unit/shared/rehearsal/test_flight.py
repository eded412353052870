"""The flight of the simulated satellite: orbit, pointing, what its detectors see, and that its packets tell of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyproj import Geod

from shared.errors import BadInputError
from shared.geometry.datastrip import Datastrip
from shared.geometry.frames import EarthRotation, Floats
from shared.geometry.iers import default_orientation
from shared.geometry.instrument import Instrument
from shared.geometry.model import SensorModel
from shared.geometry.sightline import Platform
from shared.geometry.telemetry import telemetry_model
from shared.msi.instrument import BANDS, Band, band_named
from shared.msi.packets import AttitudePoint, GpsPoint
from shared.rehearsal.flight import Flight, fly
from shared.rehearsal.orbit import MU_M3_S2, MeanElements, pointing_noise, pointing_quaternions, to_earth_fixed
from shared.rehearsal.plan import Datatake

GEOD = Geod(ellps="WGS84")
B02 = band_named("B02")
NOW = 1_466_000_000_000_000_000


@pytest.fixture(scope="module")
def flight() -> Flight:
    return fly(Datatake(scenes=2, detectors=tuple(range(1, 13)), position=(9.5, 45.0)), "S2A")


def distance(
    model: SensorModel, detector: int, band: Band, one: tuple[float, float], other: tuple[float, float]
) -> float:
    place = model.direct(band.name, detector, np.array([one[0], other[0]]), np.array([one[1], other[1]]))
    return float(GEOD.inv(place.lon[0], place.lat[0], place.lon[1], place.lat[1])[2])


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_samples_are_as_far_apart_as_the_resolution_says(flight: Flight, band: Band) -> None:
    line, column = 100.5, band.width / 2
    along = distance(flight.model, 6, band, (line, column), (line + 100, column)) / 100
    across = distance(flight.model, 6, band, (line, column), (line, column + 100)) / 100
    assert along == pytest.approx(band.resolution, rel=0.06)
    assert across == pytest.approx(band.resolution, rel=0.03)


def test_the_swath_is_290_km(flight: Flight) -> None:
    west, east = flight.model.direct("B02", 1, 1000.0, 0.0), flight.model.direct("B02", 12, 1000.0, 2592.0)
    assert GEOD.inv(west.lon, west.lat, east.lon, east.lat)[2] == pytest.approx(290e3, rel=0.03)


@pytest.mark.parametrize("detector", range(1, 12))
def test_neighbouring_detectors_overlap_by_one_to_three_kilometres(flight: Flight, detector: int) -> None:
    place = flight.model.direct("B02", detector, 2000.0, 2592.0)
    _, column = flight.model.inverse("B02", detector + 1, place.lon, place.lat)
    assert 100 < column < 300


@pytest.mark.parametrize("detector", [1, 6, 7, 12])
def test_granules_of_one_scene_cover_the_same_ground_in_all_bands(flight: Flight, detector: int) -> None:
    place = flight.model.direct("B02", detector, 1152.0, 1296.0)
    for band in BANDS:
        line, column = flight.model.inverse(band.name, detector, place.lon, place.lat)
        assert float(line) == pytest.approx(band.lines_per_scene / 2, abs=400 / band.resolution)
        assert float(column) == pytest.approx(band.width / 2, abs=300 / band.resolution)


def test_bands_of_one_detector_see_a_place_at_different_times_and_angles(flight: Flight) -> None:
    """Parallax: what stands a kilometre high is seen on other ground by B02 than by B01, 15 m apart."""
    place = flight.model.direct("B02", 6, 1152.0, 1296.0, 1000.0)
    ground = []
    for band in (B02, band_named("B01")):
        line, column = flight.model.inverse(band.name, 6, place.lon, place.lat, 1000.0)
        seen = flight.model.direct(band.name, 6, line, column, 0.0)
        ground.append((float(seen.lon), float(seen.lat)))
    assert 10 < GEOD.inv(*ground[0], *ground[1])[2] < 30


def test_the_centre_of_the_swath_is_where_the_pass_was_aimed() -> None:
    model = fly(Datatake(scenes=1, detectors=(3, 4), position=(-61.0, -9.0)), "S2B").model
    left, right = model.direct("B02", 3, 1152.0, 0.0), model.direct("B02", 4, 1152.0, 2592.0)
    assert (left.lon + right.lon) / 2 == pytest.approx(-61.0, abs=1e-4)
    assert (left.lat + right.lat) / 2 == pytest.approx(-9.0, abs=1e-4)


def test_a_descending_pass_goes_south_and_west_with_detector_1_in_the_west(flight: Flight) -> None:
    place = flight.model.direct("B02", 6, np.array([0.0, 4000.0]), 1000.0)
    assert place.lat[1] < place.lat[0]
    assert place.lon[1] < place.lon[0]
    assert flight.model.direct("B02", 1, 0.0, 0.0).lon < place.lon[0]


def test_view_angles_point_at_the_satellite(flight: Flight) -> None:
    zenith, azimuth = flight.model.view_angles("B02", 1, 0.5, 0.5)
    assert zenith == pytest.approx(11.8, abs=0.3)
    assert 95 < azimuth < 115  # from the west edge of a descending pass, the satellite stands in the east
    assert flight.model.view_angles("B02", 6, 0.5, 2592.0)[0] < 1


def test_the_packets_tell_what_was_flown(flight: Flight) -> None:
    """Dating is told within 30 ns, which is 0.2 mm of flight."""
    gps = [GpsPoint.decode(point.encode()) for point in reversed(flight.gps)]
    attitude = [AttitudePoint.decode(point.encode()) for point in flight.attitude]
    orientation = flight.model.strip.orientation
    again = telemetry_model(flight.descriptor, [*gps, gps[0]], attitude, orientation, flight.instrument)
    lines, columns = np.linspace(0, 4608, 40), np.linspace(0, 2592, 40)
    assert np.array_equal(again.direct("B02", 9, lines, columns), flight.model.direct("B02", 9, lines, columns))


def test_the_orbit_keeps_its_energy_and_its_plane_turns_with_the_sun() -> None:
    orbit = MeanElements.over(20.0, -33.0, NOW, default_orientation(NOW))
    day = 86_400e9
    position, velocity = orbit.state(NOW + np.array([0.0, 0.25, 1.0]) * day)
    radius, speed = np.linalg.norm(position, axis=1), np.linalg.norm(velocity, axis=1)
    assert -MU_M3_S2 / 2 / (speed**2 / 2 - MU_M3_S2 / radius) == pytest.approx(orbit.axis, rel=3e-3)
    normal = np.cross(position, velocity)
    turned = np.degrees(np.arctan2(normal[:, 1], normal[:, 0]))
    assert turned[2] - turned[0] == pytest.approx(360 / 365.24, rel=0.03)
    ahead = orbit.state(NOW + np.array([-0.5e9, 0.5e9]))[0]
    assert ahead[1] - ahead[0] == pytest.approx(velocity[0], abs=0.01)


def test_the_body_looks_down_the_normal_and_flies_forward_over_ground() -> None:
    orientation = default_orientation(NOW)
    orbit = MeanElements.over(20.0, -33.0, NOW, orientation)
    matrices = EarthRotation(NOW, (-60.0, 60.0), orientation).matrices(np.zeros(1))
    position, velocity = to_earth_fixed(*orbit.state(np.array([float(NOW)])), matrices)
    x, y, z, w = pointing_quaternions(position, velocity, matrices, np.zeros((1, 3)))[0]
    down = matrices[0] @ [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]
    forward = matrices[0] @ [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]
    assert np.dot(down, position[0]) / np.linalg.norm(position[0]) == pytest.approx(-1, abs=1e-5)
    assert np.dot(forward, velocity[0]) / np.linalg.norm(velocity[0]) == pytest.approx(1, abs=1e-4)


def test_attitude_samples_tell_the_pointing_noise_between_them() -> None:
    """Lines of sight half-way between samples 125 ms apart: even linearly they are told within 0.05 m on ground."""
    fine = pointing_noise(np.arange(0, 20e9, 62.5e6), 3)
    seconds = np.arange(0, 20, 0.0625)
    coarse = np.stack([np.interp(seconds, seconds[::2], part[::2]) for part in fine.T], -1)
    assert 5e-6 < np.ptp(fine, axis=0).max() < 1e-4
    assert np.abs(coarse - fine)[:-1].max() * 786e3 < 0.05
    assert not np.array_equal(fine, pointing_noise(np.arange(0, 20e9, 62.5e6), 4))


@pytest.mark.parametrize(("gps", "attitude"), [(7, 100), (30, 7)])
def test_too_few_ancillary_points_are_refused(flight: Flight, gps: int, attitude: int) -> None:
    with pytest.raises(BadInputError, match="at least 8 GPS points and 8 attitudes"):
        telemetry_model(
            flight.descriptor,
            flight.gps[:gps],
            flight.attitude[:attitude],
            flight.model.strip.orientation,
            flight.instrument,
        )


def test_a_quaternion_that_is_none_is_refused(flight: Flight) -> None:
    wrong = [replace(flight.attitude[0], quaternion=(0.0, 0.0, 0.0, 0.5)), *flight.attitude[1:]]
    orientation = flight.model.strip.orientation
    with pytest.raises(BadInputError, match="norm 1"):
        telemetry_model(flight.descriptor, flight.gps, wrong, orientation, flight.instrument)


def test_lost_attitudes_are_bridged_and_lost_ends_extrapolated(flight: Flight) -> None:
    """A gap of 1.3 seconds within 1 m; two seconds beyond the end within 40 m: the pointing's noise goes on its way."""
    times = [point.gps_ns - flight.first_line_ns for point in flight.attitude]
    kept = [p for p, t in zip(flight.attitude, times, strict=True) if not 2.0e9 < t < 3.3e9 and t < 5e9]
    orientation = flight.model.strip.orientation
    model = telemetry_model(flight.descriptor, flight.gps, kept, orientation, flight.instrument)
    assert model.platform.beyond_s == pytest.approx(2 * 3.608 - 5 + 3.6, abs=0.6)
    for second, limit in ((2.6, 1.0), (7.0, 40.0)):
        line = (second * 1e9 + flight.first_line_ns - flight.model.strip.first_line_ns["B02", 6]) / B02.line_period_ns
        one, other = (each.direct("B02", 6, line, 1000.0) for each in (flight.model, model))
        assert GEOD.inv(one.lon, one.lat, other.lon, other.lat)[2] < limit


@pytest.mark.parametrize("position", [(180.0, -17.0), (-179.99, 65.0), (179.97, 0.0), (20.0, 81.3)])
def test_a_pass_is_aimed_at_its_place_wherever_that_is(position: tuple[float, float]) -> None:
    place = fly(Datatake(position=position), "S2A").model.direct("B02", 6, 2304.0, 2592.0)
    lon, lat = float(place.lon), float(place.lat)
    assert GEOD.inv(lon, lat, *position)[2] < 5_000


def test_a_place_that_the_orbit_does_not_reach_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"latitude within 81\.4 degrees, found -?83"):
        fly(Datatake(position=(20.0, 83.0)), "S2A")


@pytest.fixture
def real_strip(real_data: Path) -> Path:
    (file,) = (real_data / "geometry" / "l1b_datastrip").glob("*/S2A_OPER_MTD*.xml")
    return file


def test_a_real_datastrip_is_flown_as_its_metadata_tell(real_strip: Path) -> None:
    flight = fly(Datatake(scenes=2, detectors=(5, 6), along=real_strip), "S2A")
    strip = Datastrip.read(real_strip)
    assert flight.model.strip.orientation == strip.orientation
    true, flown = SensorModel(strip, refined=False).platform, flight.model.platform
    for after in (1.0, 4.0, 7.0):
        one, other = (
            state(platform, (flight.first_line_ns - platform.reference_ns) * 1e-9 + after) for platform in (true, flown)
        )
        assert one[:3] == pytest.approx(other[:3], abs=0.01)
        assert one[3:] == pytest.approx(other[3:], abs=1e-8)
    lon, lat = flight.datatake.position
    assert 30 < lat < 35  # around Madeira
    assert -20 < lon < -14


def state(platform: Platform, second: float) -> Floats:
    """Position and attitude at a time."""
    start, step, table = platform.states("VNIR", np.eye(3), np.eye(3))
    row = int((second - start) / step)
    part = (second - start) / step - row
    return np.asarray(table[row] * (1 - part) + table[row + 1] * part)


def test_a_datastrip_of_another_satellite_or_too_short_is_refused(real_strip: Path) -> None:
    with pytest.raises(BadInputError, match="SPACECRAFT_NAME"):
        fly(Datatake(along=real_strip), "S2B")
    with pytest.raises(BadInputError, match="orbit and attitude of 90 scenes"):
        fly(Datatake(scenes=90, along=real_strip), "S2A")


def test_parameter_files_of_the_real_instrument_are_flown(real_data: Path) -> None:
    folder = real_data / "geometry" / "gipp"
    instrument = Instrument.read(sorted(folder.glob("*GIP_VIEDIR*.xml")), next(folder.glob("*GIP_SPAMOD*.xml")))
    flight = fly(Datatake(detectors=(6, 7)), "S2A", instrument)
    assert {instrument.columns(band) for band in BANDS} == {2552, 1276, 425}
    assert instrument.useful(B02) == slice(20, 2572)
    for detector in (6, 7):
        place = flight.model.direct("B02", detector, 1152.0, 1276.0)
        for band in BANDS:
            line, column = flight.model.inverse(band.name, detector, place.lon, place.lat)
            assert float(line) == pytest.approx(band.lines_per_scene / 2, abs=600 / band.resolution)
            assert float(column) == pytest.approx(instrument.columns(band) / 2, abs=1000 / band.resolution)


def test_parameter_files_must_be_there_for_every_band(real_data: Path) -> None:
    folder = real_data / "geometry" / "gipp"
    with pytest.raises(BadInputError, match="13 bands"):
        Instrument.read(sorted(folder.glob("*GIP_VIEDIR*.xml"))[1:], next(folder.glob("*GIP_SPAMOD*.xml")))
