"""Parts of L0C by themselves: pointing against a real datastrip, quicklook grid, clouds, datation, orbit noise."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from functions.ipf.l0c.clouds import cloud_mask, percentage
from functions.ipf.l0c.facts import Datation, orbit_noise
from functions.ipf.l0c.geometry import (
    StripGeometry,
    granule_geometry,
    headers,
    mounting_angles,
    quicklook_footprint,
    strip_geometry,
)
from functions.ipf.l0c.quicklook import NAMES, REDUCTIONS, mosaic
from functions.ipf.l0c.unconsolidated import Telemetry
from shared.geometry.fields import Fields
from shared.geometry.frames import about_x, about_y, about_z
from shared.geometry.gipp import mounting
from shared.geometry.heights import HeightField, Relief
from shared.geometry.iers import default_orientation
from shared.geometry.instrument import Instrument
from shared.geometry.model import QUICKLOOK, SensorModel
from shared.msi.instrument import band_named
from shared.msi.packets import GpsPoint
from shared.msi.radiometry import DARK_DN, counts_per_reflectance
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import Datatake

U = 0.97


def _numbers(text: str, tag: str) -> list[float]:
    return [float(value) for value in re.findall(rf"<{tag}[^>]*>([^<]*)<", text)]


def test_headers_of_a_real_datastrip_are_esas(real_data: Path) -> None:
    path = next(real_data.glob("l0_datastrip/*/*MTD_L0__DS*.xml"))
    text = path.read_text()
    ours = headers(StripGeometry(SensorModel.from_files(path), 16, (), ET.Element("none")))
    theirs = {tag: _numbers(text, tag) for tag in ("LINE_INDEX", "ROLL", "PITCH", "YAW", "ORIENTATION", "ALONG_TRACK")}
    assert [header.line for header in ours] == theirs["LINE_INDEX"][: len(ours)]
    for n, header in enumerate(ours):
        # No header tells from which vertical roll and pitch count: the direction to the Earth's centre gives theirs.
        assert header.roll == pytest.approx(theirs["ROLL"][n], abs=2e-5)
        assert header.pitch == pytest.approx(theirs["PITCH"][n], abs=2e-5)
        assert header.yaw == pytest.approx(theirs["YAW"][n], abs=1e-4)
        for k, place in enumerate(header.places):
            assert place.orientation == pytest.approx(theirs["ORIENTATION"][3 * n + k], abs=0.02)
            assert place.along == pytest.approx(theirs["ALONG_TRACK"][3 * n + k], abs=0.005)


def test_the_quicklook_joins_detectors_where_a_real_one_does(real_data: Path) -> None:
    """Columns at which the next detector begins, by widths: ESA's are 75 or 76 columns apart, with overlaps as ours."""
    text = next(real_data.glob("l0_datastrip/*/*MTD_L0__DS*.xml")).read_text()
    theirs = np.diff(_numbers(text, "CONNECT_COL"))
    geometry = _geometry(Datatake(_START, scenes=1, detectors=tuple(range(1, 13))))
    ours = np.diff(geometry.connect)
    assert np.abs(ours - theirs).max() <= 2
    assert abs(geometry.columns - 906) <= 30


_START = datetime(2026, 6, 21, 10, 20, tzinfo=UTC)


def _geometry(datatake: Datatake, ground: Relief | float = 0.0) -> StripGeometry:
    flight = fly(datatake, "S2A")
    telemetry = Telemetry({}, flight.descriptor, flight.gps, flight.attitude)
    orientation = default_orientation(flight.descriptor.first_line_ns)
    return strip_geometry(telemetry, Instrument.nominal("S2A"), orientation, {}, ground)


class _Plateau(Relief):
    """2000 m everywhere; ``widest`` is the largest window that was asked for, degrees."""

    widest = 0.0

    def field(self, west: float, south: float, east: float, north: float) -> HeightField:
        self.widest = max(self.widest, east - west, north - south)
        rows, columns = (int(np.ceil((high - low) / 0.01)) + 2 for low, high in ((south, north), (west, east)))
        return HeightField(np.full((rows, columns), 2000.0, np.float32), west - 0.005, south - 0.005, 0.01, 0.01)


def test_granules_and_quicklook_lie_on_the_ground_that_is_given() -> None:
    datatake, plateau = Datatake(_START, scenes=3, detectors=(1, 2)), _Plateau()
    flat, high = _geometry(datatake), _geometry(datatake, plateau)
    found = granule_geometry(high, 1, 2)
    assert found.heights == pytest.approx([2000.0] * 5, abs=1e-3)
    assert found.height == pytest.approx(2000.0, abs=1e-3)
    columns = high.model.sensor("B04", 1).columns
    there = high.model.direct("B04", 1, np.array([1.5 * 2304]), np.array([columns / 2]), 2000.0)
    assert found.centre == pytest.approx((float(there.lon[0]), float(there.lat[0])), abs=1e-7)
    assert found.centre != pytest.approx(granule_geometry(flat, 1, 2).centre, abs=1e-3)
    assert found.quicklook_centre == pytest.approx(granule_geometry(flat, 1, 2).quicklook_centre, abs=0.2)
    ring = np.array(quicklook_footprint(high))
    assert np.abs(ring - np.array(quicklook_footprint(flat))).max() == pytest.approx(0.004, abs=0.003)
    assert plateau.widest < 0.6  # of a strip of 0.7 degrees: long ones do not ask for all the ground around them


def test_granules_lie_in_the_quicklook_where_they_lie_on_the_ground() -> None:
    geometry = _geometry(Datatake(_START, scenes=2, detectors=(6, 7)))
    found = granule_geometry(geometry, 6, 2)
    rows, columns = np.array(found.quicklook).T
    assert rows.min() == pytest.approx(72, abs=1.0)
    assert rows.max() == pytest.approx(144, abs=1.0)
    assert columns.max() - columns.min() == pytest.approx(81, abs=0.5)
    for (line, column), (lon, lat) in zip(found.quicklook, found.footprint[:-1], strict=True):
        place = geometry.model.direct(QUICKLOOK, 0, np.array([line]), np.array([column]))
        assert float(place.lon[0]) == pytest.approx(lon, abs=1e-6)
        assert float(place.lat[0]) == pytest.approx(lat, abs=1e-6)


@pytest.mark.parametrize("hours", [-400_000, -1, 1, 400_000])
def test_telemetry_of_another_time_is_no_part_of_the_datastrip(hours: int) -> None:
    """Eleven years or an hour away: neither bridged, nor interpolated to."""
    datatake = Datatake(_START, scenes=1, detectors=(6,))
    flight = fly(datatake, "S2A")
    far = hours * 3_600_000_000_000
    strays = [replace(point, gps_ns=point.gps_ns + far) for point in flight.attitude[:5]]
    fixes = [replace(point, gps_ns=point.gps_ns + far) for point in flight.gps[:5]]
    telemetry = Telemetry({}, flight.descriptor, (*flight.gps, *fixes), (*flight.attitude, *strays))
    orientation = default_orientation(flight.descriptor.first_line_ns)
    found = strip_geometry(telemetry, Instrument.nominal("S2A"), orientation, {})
    assert granule_geometry(found, 6, 1) == granule_geometry(_geometry(datatake), 6, 1)


def test_bands_are_laid_on_one_another() -> None:
    """Each cell is given the longitude that its centre sees: the mosaic then shows longitudes of its own pixels."""
    geometry = _geometry(Datatake(_START, scenes=1, detectors=(6, 7)))
    cells, first = {}, dict.fromkeys(NAMES, 0)
    for name in NAMES:
        band = band_named(name)
        how = REDUCTIONS[band.resolution]
        pitch = how.lines * (how.stride if how.lines == 16 else 1)
        for detector in (6, 7):
            lines = np.arange(how.rows(band, 1), dtype=np.float64) * pitch + how.lines / 2
            columns = (np.arange(band.width // how.columns, dtype=np.float64) + 0.5) * how.columns
            place = geometry.model.direct(name, detector, lines[:, None], columns[None, :])
            cells[detector, name] = np.asarray(place.lon, np.float32)
    images = mosaic(geometry, cells, first, threads=2)
    rows, columns = (np.arange(size, dtype=np.float64) + 0.5 for size in (72, geometry.columns))
    truth = geometry.model.direct(QUICKLOOK, 0, rows[:, None], columns[None, :]).lon
    step = abs(float(np.diff(truth, axis=1).mean()))
    for name, image in images.items():
        seen = np.isfinite(image)
        assert seen.mean() > 0.95, name
        assert np.abs(image - truth)[seen].max() < 0.85 * step, (
            name
        )  # half a column, and half a line of a slanted track
        assert abs(float((image - truth)[seen].mean())) < 0.1 * step, name


def test_mounting_angles_make_the_mounting_again() -> None:
    matrix = about_x(np.array(1.5e-4)) @ about_y(np.array(-7.8e-4)) @ about_z(np.array(-3e-4)) @ np.diag([1, 1, 1.001])
    assert mounting(Fields("test", mounting_angles(matrix))) == pytest.approx(matrix, abs=1e-11)


def _counts(name: str, reflectance: float, sun: float) -> np.ndarray[Any, Any]:
    gain = counts_per_reflectance(band_named(name), sun, U)
    return np.full((4, 5), DARK_DN + reflectance * float(gain), np.float32)


@pytest.mark.parametrize(
    ("blue", "cirrus", "infrared", "cloudy"),
    [
        (0.6, 0.02, 0.5, True),  # a thick cloud
        (0.1, 0.002, 0.2, False),  # land
        (0.7, 0.002, 0.05, False),  # snow
        (0.28, 0.002, 0.6, False),  # sand
        (0.1, 0.02, 0.2, True),  # thin and high, over land
        (0.04, 0.001, 0.01, False),  # water
    ],
    ids=["thick", "land", "snow", "sand", "cirrus", "water"],
)
@pytest.mark.parametrize("sun", [20.0, 60.0, 75.0])
def test_clouds_are_told_from_what_is_bright_as_they(
    blue: float, cirrus: float, infrared: float, cloudy: bool, sun: float
) -> None:
    images = {
        "B02": _counts("B02", blue, sun),
        "B10": _counts("B10", cirrus, sun),
        "B11": _counts("B11", infrared, sun),
    }
    found, judged = cloud_mask(images, np.full(4, sun), U)
    assert judged.all()
    assert percentage(found, judged) == (100.0 if cloudy else 0.0)


def test_clouds_are_not_judged_at_night_or_without_data() -> None:
    images = {name: _counts(name, 0.6, 60.0) for name in ("B02", "B10", "B11")}
    images["B11"][0, 0] = np.nan
    sun = np.array([60.0, 60.0, 60.0, 88.0])
    found, judged = cloud_mask(images, sun, U)
    assert judged.sum() == 3 * 5 - 1
    assert percentage(found, judged) == 100.0
    assert percentage(found[3:], judged[3:]) == 0.0


def test_datation_is_the_packets_median() -> None:
    found = Datation.of({("B02", 6): [1000, 1003, 999_000], ("B03", 6): [5000, 5000], ("B04", 6): []})
    assert found.first_line_ns == {("B02", 6): 1003, ("B03", 6): 5000}
    assert found.largest_us == pytest.approx(997.997)


def test_orbit_noise_is_that_of_the_points() -> None:
    rng = np.random.default_rng(3)

    def noise(spread: float) -> float:
        times = np.arange(40)
        angle = 1.04e-3 * times
        places = 7.16e6 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1) + spread * rng.normal(size=(40, 3))
        points = tuple(
            GpsPoint(int(t) * 10**9, (float(x), float(y), float(z)), (0.0, 0.0, 0.0))
            for t, (x, y, z) in zip(times, places, strict=True)
        )
        found: Any = SimpleNamespace(gps=points)
        return orbit_noise(found)

    assert noise(0.0) < 1e-3
    # The point's own noise and that of its eight neighbours, three axes: sqrt(3 (1 + sum of squared weights)).
    assert noise(1.0) == pytest.approx(np.sqrt(3 * 2.62), rel=0.3)
