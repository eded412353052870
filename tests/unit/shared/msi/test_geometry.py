from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from defusedxml.ElementTree import parse
from pyproj import Geod

from shared.errors import BadInputError
from shared.msi.geometry import ViewingModel
from shared.msi.instrument import BANDS, Band, band_named
from shared.msi.orbit import CircularOrbit, pointing_quaternions
from shared.msi.packets import AttitudePoint, GpsPoint
from shared.rehearsal.flight import Flight, fly
from shared.rehearsal.plan import Datatake

GEOD = Geod(ellps="WGS84")
B02 = band_named("B02")


@pytest.fixture(scope="module")
def flight() -> Flight:
    return fly(Datatake(scenes=2, detectors=tuple(range(1, 13)), position=(9.5, 45.0)), "S2A")


def distance(
    model: ViewingModel, detector: int, band: Band, one: tuple[float, float], other: tuple[float, float]
) -> float:
    lines, columns = np.array([one[0], other[0]]), np.array([one[1], other[1]])
    lon, lat = model.locate(detector, band, lines, columns)
    return float(GEOD.inv(lon[0], lat[0], lon[1], lat[1])[2])


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_samples_are_as_far_apart_as_the_resolution_says(flight: Flight, band: Band) -> None:
    line, column = 100.5, band.width / 2
    along = distance(flight.model, 6, band, (line, column), (line + 100, column)) / 100
    across = distance(flight.model, 6, band, (line, column), (line, column + 100)) / 100
    assert along == pytest.approx(band.resolution, rel=0.06)
    assert across == pytest.approx(band.resolution, rel=0.03)


def test_the_swath_is_290_km(flight: Flight) -> None:
    west = flight.model.locate(1, B02, np.array(1000.0), np.array(0.0))
    east = flight.model.locate(12, B02, np.array(1000.0), np.array(2592.0))
    assert GEOD.inv(west[0], west[1], east[0], east[1])[2] == pytest.approx(290e3, rel=0.03)


@pytest.mark.parametrize("detector", range(1, 12))
def test_neighbouring_detectors_overlap_by_one_to_three_kilometres(flight: Flight, detector: int) -> None:
    lon, lat = flight.model.locate(detector, B02, np.array(2000.0), np.array(2592.0))
    _, column = flight.model.inverse(detector + 1, B02, lon, lat, scenes=2)
    assert 100 < column < 300


@pytest.mark.parametrize("detector", [1, 6, 7, 12])
def test_granules_of_one_scene_cover_the_same_ground_in_all_bands(flight: Flight, detector: int) -> None:
    lon, lat = flight.model.locate(detector, B02, np.array(1152.0), np.array(1296.0))
    for band in BANDS:
        line, column = flight.model.inverse(detector, band, lon, lat)
        assert float(line) == pytest.approx(band.lines_per_scene / 2, abs=300 / band.resolution)
        assert float(column) == pytest.approx(band.width / 2, abs=300 / band.resolution)


@pytest.mark.parametrize(("detector", "band"), [(1, "B02"), (6, "B12"), (7, "B09"), (12, "B05")])
def test_inverse_location_undoes_direct_location(flight: Flight, detector: int, band: str) -> None:
    of = band_named(band)
    random = np.random.default_rng(3)
    lines, columns = random.uniform(0, 2 * of.lines_per_scene, 200), random.uniform(0, of.width, 200)
    lon, lat = flight.model.locate(detector, of, lines, columns)
    line, column = flight.model.inverse(detector, of, lon, lat, scenes=2)
    assert np.abs(line - lines).max() < 1e-3
    assert np.abs(column - columns).max() < 1e-3


def test_a_grid_is_the_same_as_its_points(flight: Flight) -> None:
    lines, columns = np.linspace(0, 4608, 7), np.linspace(0, 2592, 5)
    grid = flight.model.locate(5, B02, lines[:, None], columns[None, :])
    points = flight.model.locate(5, B02, *(axis.ravel() for axis in np.meshgrid(lines, columns, indexing="ij")))
    assert np.array_equal(grid[0].ravel(), points[0])
    assert np.array_equal(grid[1].ravel(), points[1])


def test_the_centre_of_the_swath_is_where_the_pass_was_aimed() -> None:
    flight = fly(Datatake(scenes=1, detectors=(3, 4), position=(-61.0, -9.0)), "S2B")
    left = flight.model.locate(3, B02, np.array(1152.0), np.array(0.0))
    right = flight.model.locate(4, B02, np.array(1152.0), np.array(2592.0))
    assert (left[0] + right[0]) / 2 == pytest.approx(-61.0, abs=1e-4)
    assert (left[1] + right[1]) / 2 == pytest.approx(-9.0, abs=1e-4)


def test_a_descending_pass_goes_south_and_west_with_detector_1_in_the_west(flight: Flight) -> None:
    lon, lat = flight.model.locate(6, B02, np.array([0.0, 4000.0]), np.array([1000.0, 1000.0]))
    assert lat[1] < lat[0]
    assert lon[1] < lon[0]
    assert flight.model.locate(1, B02, np.array(0.0), np.array(0.0))[0] < lon[0]


def test_view_angles_point_at_the_satellite(flight: Flight) -> None:
    zenith, azimuth = flight.model.view_angles(1, B02, np.array(0.5), np.array(0.5))
    assert zenith == pytest.approx(11.8, abs=0.3)
    assert 95 < azimuth < 115  # from the west edge of a descending pass, the satellite stands in the east
    near, _ = flight.model.view_angles(6, B02, np.array(0.5), np.array(2592.0))
    assert near < 1


def test_the_packets_rebuild_the_very_same_model(flight: Flight) -> None:
    gps = [GpsPoint.decode(point.encode()) for point in reversed(flight.gps)]
    attitude = [AttitudePoint.decode(point.encode()) for point in flight.attitude]
    model = ViewingModel([*gps, gps[0]], attitude, flight.descriptor.first_line_ns)
    lines, columns = np.linspace(0, 4608, 40), np.linspace(0, 2592, 40)
    assert np.array_equal(model.locate(9, B02, lines, columns), flight.model.locate(9, B02, lines, columns))


def test_interpolation_follows_the_orbit(flight: Flight) -> None:
    start = flight.model.first_line_time
    orbit = CircularOrbit.over(9.5, 45.0, start)
    fixes = (np.arange(-10, 20) * 1_000_000_000 + start).astype(np.float64)
    samples = (np.arange(-80, 160) * 125_000_000 + start).astype(np.float64)
    model = ViewingModel(
        [SimpleNamespace(gps_ns=int(t), position=p) for t, p in zip(fixes, orbit.state(fixes)[0], strict=True)],
        [
            SimpleNamespace(gps_ns=int(t), quaternion=-q if k % 2 else q)  # either sign is the same rotation
            for k, (t, q) in enumerate(zip(samples, pointing_quaternions(*orbit.state(samples)), strict=True))
        ],
        start,
    )
    seconds = np.linspace(-3, 11, 331)
    position, velocity = orbit.state(start + seconds * 1e9)
    assert np.abs(model.position(seconds) - position).max() < 2e-3
    alike = np.abs(np.einsum("ij,ij->i", model.attitude(seconds), pointing_quaternions(position, velocity)))
    assert alike.min() > 1 - 1e-12


def test_the_body_looks_down_the_normal_and_flies_forward() -> None:
    position, velocity = CircularOrbit.over(20.0, -33.0, 0).state(np.array([0.0]))
    x, y, z, w = pointing_quaternions(position, velocity)[0]
    down = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    forward = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
    assert np.dot(down, position[0]) / np.linalg.norm(position[0]) == pytest.approx(-1, abs=1e-5)
    assert np.dot(forward, velocity[0]) / np.linalg.norm(velocity[0]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("gps", "attitude"), [(7, 100), (30, 1)])
def test_too_few_ancillary_points_are_refused(flight: Flight, gps: int, attitude: int) -> None:
    with pytest.raises(BadInputError, match="8 GPS points and 2 attitudes"):
        ViewingModel(flight.gps[:gps], flight.attitude[:attitude], 0)


def test_lagrange_predicts_real_navigation_fixes_from_their_neighbours(real_data: Path) -> None:
    (metadata,) = (real_data / "geometry" / "l1b_datastrip").glob("*/S2A_OPER_MTD*.xml")
    root = parse(metadata).getroot()
    assert root is not None
    real = np.array(
        [[float(v) / 1000 for v in point.findtext("POSITION_VALUES", "").split()] for point in root.iter("GPS_Point")]
    )
    second = 1_000_000_000
    every = [SimpleNamespace(gps_ns=k * second, position=place) for k, place in enumerate(real)]
    still = [SimpleNamespace(gps_ns=k * second, quaternion=(0.0, 0.0, 0.0, 1.0)) for k in (0, len(real))]
    errors = []
    for left_out in range(6, len(real) - 6, 5):
        model = ViewingModel(every[:left_out] + every[left_out + 1 :], still, 0)
        errors.append(np.linalg.norm(model.position(np.array(float(left_out))) - real[left_out]))
    assert np.median(errors) < 1.0
