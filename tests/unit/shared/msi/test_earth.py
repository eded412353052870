from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from defusedxml.ElementTree import parse
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from shared.msi import earth


@given(st.timedeltas(timedelta(0), timedelta(days=15_000)))
def test_gps_time_and_utc_are_inverse_to_the_microsecond(since: timedelta) -> None:
    utc = datetime(2017, 1, 2, tzinfo=UTC) + since
    assert earth.utc_from_gps_ns(earth.gps_ns_from_utc(utc)) == utc


def test_gps_time_is_ahead_of_utc_by_18_s() -> None:
    elapsed = datetime(2022, 10, 11, 6, 40, 17, tzinfo=UTC) - datetime(1980, 1, 6, tzinfo=UTC)
    utc = datetime(2022, 10, 11, 6, 39, 59, tzinfo=UTC)
    assert earth.gps_ns_from_utc(utc) == elapsed // timedelta(microseconds=1) * 1000


def test_sun_angles_agree_with_the_published_example() -> None:
    # Reda and Andreas, NREL/TP-560-34302, appendix A.5: Golden, Colorado; elevation before refraction 39.872046 deg.
    when = datetime(2003, 10, 17, 12, 30, 30, tzinfo=timezone(timedelta(hours=-7)))
    gps = earth.gps_ns_from_utc(when)
    zenith, azimuth = earth.sun_angles(np.array(-105.1786), np.array(39.742476), gps)
    assert zenith == pytest.approx(90 - 39.872046, abs=0.02)
    assert azimuth == pytest.approx(194.340241, abs=0.02)


def test_sun_angles_agree_with_a_real_product(real_data: Path) -> None:
    (metadata,) = (real_data / "l2a_safe").glob("*.SAFE/GRANULE/*/MTD_TL.xml")
    root = parse(metadata).getroot()
    assert root is not None
    zenith, azimuth = (float(root.findtext(f".//Mean_Sun_Angle/{name}_ANGLE", "")) for name in ("ZENITH", "AZIMUTH"))
    sensing = datetime.fromisoformat(root.findtext(".//SENSING_TIME", ""))
    to_lon_lat = Transformer.from_crs(32629, 4326, always_xy=True)
    lon, lat = to_lon_lat.transform(499_980 + 54_900, 5_900_040 - 54_900)
    ours = earth.sun_angles(np.array(lon), np.array(lat), earth.gps_ns_from_utc(sensing))
    assert ours[0] == pytest.approx(zenith, abs=0.05)
    assert ours[1] == pytest.approx(azimuth, abs=0.1)


@pytest.mark.parametrize(("month", "u"), [(1, 1.0341), (7, 0.9673)])
def test_the_sun_is_nearest_in_january(month: int, u: float) -> None:
    assert earth.earth_sun_u(earth.gps_ns_from_utc(datetime(2026, month, 4, tzinfo=UTC))) == pytest.approx(u, abs=5e-4)


@given(st.floats(-179, 179), st.floats(-85, 85))
def test_positions_on_the_ellipsoid_come_back(lon: float, lat: float) -> None:
    point = earth.geodetic_to_ecef(np.array(lon), np.array(lat))
    back = earth.surface_to_geodetic(point)
    assert [float(value) for value in back] == pytest.approx([lon, lat], abs=1e-9)
    away = Transformer.from_crs(4979, 4978, always_xy=True).transform(lon, lat, 0.0)
    assert point == pytest.approx(np.array(away), abs=1e-3)


@given(st.floats(-179, 179), st.floats(-85, 85), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_a_ray_meets_the_ellipsoid_on_it(lon: float, lat: float, a: float, b: float) -> None:
    origin = earth.geodetic_to_ecef(np.array(lon), np.array(lat), 786e3)
    east, north, up = earth.local_axes(np.array(lon), np.array(lat))
    met = earth.intersect_ellipsoid(origin, -up + a * east + b * north)
    scaled = met / np.array([earth.WGS84_A, earth.WGS84_A, earth.WGS84_B])
    assert np.dot(scaled, scaled) == pytest.approx(1, abs=1e-12)
    assert np.linalg.norm(met - origin) < 1.2e6


def test_a_ray_that_misses_the_earth_has_no_place() -> None:
    origin = earth.geodetic_to_ecef(np.array(0.0), np.array(0.0), 786e3)
    assert np.isnan(earth.intersect_ellipsoid(origin, np.array([0.0, 1.0, 0.0]))).all()
