"""The climatology of aerosol: places where the air is known, and how the table is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pytest

from functions.ipf.l2a.climatology import usual_aerosol
from functions.ipf.l2a.retrieval import forecast_aerosol


def at(month: int, day: int = 16) -> datetime:
    return datetime(2021, month, day, 10, 30, tzinfo=UTC)


def above(lon: float, lat: float, altitude_km: float, when: datetime | None) -> float:
    """Of ground at an altitude, as a tile has it."""
    usual = usual_aerosol(lon, lat, when)
    aot, own, ground = (np.full((1, 1), value, np.float32) for value in (usual.aot550, usual.ground_km, altitude_km))
    return float(forecast_aerosol(aot, own, ground)[0, 0])


class Seen(NamedTuple):
    """What sun photometers saw over years: place, degrees, km, months, aerosol brought to 550 nm by the exponent that
    the source states, or as it is where it states none. ``docs/processors.md`` names the sources.
    """

    place: str
    lon: float
    lat: float
    altitude_km: float
    months: tuple[int, ...]
    aot550: float


YEAR = tuple(range(1, 13))
SEEN = (
    Seen("Tamanrasset", 5.53, 22.79, 1.38, YEAR, 0.25),
    Seen("Ilorin", 4.57, 8.53, 0.35, YEAR, 0.73),
    Seen("Beijing", 116.38, 39.98, 0.09, (12, 1, 2), 0.34),
    Seen("Beijing", 116.38, 39.98, 0.09, (6, 7, 8), 0.69),
    Seen("Pune", 73.85, 18.53, 0.56, YEAR, 0.41),
    Seen("Dalanzadgad", 104.42, 43.58, 1.47, YEAR, 0.09),
    Seen("Tomsk", 85.05, 56.48, 0.15, (4,), 0.19),
    Seen("Tomsk", 85.05, 56.48, 0.15, (9, 10, 11), 0.12),
    Seen("Mongu", 23.15, -15.25, 1.11, (12, 1, 2, 3, 4, 5), 0.14),
    Seen("Mongu", 23.15, -15.25, 1.11, (6, 7, 8), 0.235),
    Seen("Mongu", 23.15, -15.25, 1.11, (9, 10, 11), 0.38),
    Seen("Skukuza", 31.58, -24.99, 0.15, (12, 1, 2, 3, 4, 5), 0.14),
    Seen("Skukuza", 31.58, -24.99, 0.15, (6, 7, 8), 0.235),
    Seen("Skukuza", 31.58, -24.99, 0.15, (9, 10, 11), 0.38),
    Seen("Cape Town", 18.6, -33.9, 0.05, YEAR, 0.075),
    Seen("Cape Grim", 144.69, -40.68, 0.09, YEAR, 0.04),
    Seen("Lanai", -156.92, 20.74, 0.02, YEAR, 0.07),
    Seen("Nauru", 166.92, -0.52, 0.01, YEAR, 0.07),
    Seen("Tahiti", -149.61, -17.58, 0.1, YEAR, 0.07),
    Seen("Andenes", 16.01, 69.28, 0.38, YEAR, 0.09),
    Seen("Hornsund", 15.56, 77.0, 0.01, YEAR, 0.09),
    Seen("Dome C", 123.38, -75.1, 3.2, (12, 1), 0.014),
)


def test_the_climatology_is_nearer_to_what_photometers_saw_than_one_value_everywhere() -> None:
    usual = np.array([np.mean([above(*s[1:4], at(month)) for month in s.months]) for s in SEEN])
    off = usual - [s.aot550 for s in SEEN]
    fixed = 0.1 - np.array([s.aot550 for s in SEEN])
    assert np.sqrt((off**2).mean()) < 0.7 * np.sqrt((fixed**2).mean())
    assert abs(off.mean()) < 0.7 * abs(fixed.mean())


def test_deserts_are_dusty_and_far_oceans_clean() -> None:
    assert above(0.0, 17.5, 0.3, at(6)) > 0.25
    assert above(46.4, 24.9, 0.6, at(5)) > 0.25
    assert above(-110.0, -35.0, 0.0, at(6)) < 0.10
    assert above(-30.0, 75.0, 2.5, at(7)) < 0.05


def test_forests_burn_in_september_not_in_march() -> None:
    assert above(-56.1, -9.9, 0.28, at(9)) > 2 * above(-56.1, -9.9, 0.28, at(3))


def test_mountains_stand_above_most_of_it() -> None:
    assert above(-155.58, 19.54, 3.4, at(6)) < 0.3 * above(-155.58, 19.54, 0.0, at(6))


@pytest.mark.parametrize("lat", [-90.0, -60.0, 12.3, 90.0])
@pytest.mark.parametrize("when", [at(3), None])
def test_there_is_no_step_at_the_date_line(lat: float, when: datetime | None) -> None:
    west, east = usual_aerosol(-180.0, lat, when), usual_aerosol(180.0, lat, when)
    assert (west.aot550, west.ground_km) == pytest.approx((east.aot550, east.ground_km))
    assert usual_aerosol(179.99, lat, when).aot550 == pytest.approx(usual_aerosol(-179.99, lat, when).aot550, abs=1e-3)


def test_a_pole_is_its_nearest_circle() -> None:
    assert usual_aerosol(15.0, 90.0, at(7)) == usual_aerosol(15.0, 87.5, at(7))
    assert usual_aerosol(15.0, -90.0, at(1)) == usual_aerosol(15.0, -87.5, at(1))


def test_there_is_no_step_at_the_turn_of_the_year_or_of_a_month() -> None:
    days = [usual_aerosol(5.0, 12.0, datetime(2020, 1, 1, tzinfo=UTC).replace(month=m, day=d)).aot550
            for m, d in ((12, 31), (1, 1), (1, 31), (2, 1), (6, 30), (7, 1))]  # fmt: skip
    for before, after in zip(days[::2], days[1::2], strict=True):
        assert after == pytest.approx(before, abs=0.01)
    january, february = usual_aerosol(5.0, 12.0, at(1)).aot550, usual_aerosol(5.0, 12.0, at(2, 15)).aot550
    assert min(january, february) < usual_aerosol(5.0, 12.0, at(1, 31)).aot550 < max(january, february)


def test_without_a_month_it_is_the_mean_of_the_year() -> None:
    months = [usual_aerosol(116.4, 40.0, at(month)).aot550 for month in YEAR]
    assert usual_aerosol(116.4, 40.0, None).aot550 == pytest.approx(float(np.mean(months)), abs=0.005)


def test_every_place_has_an_aerosol_that_the_atmosphere_s_table_takes() -> None:
    for lat in range(-90, 91, 9):
        for lon in range(-180, 181, 24):
            found = usual_aerosol(lon, lat, at(8))
            assert 0.01 <= found.aot550 <= 1.0
            assert 0.0 <= found.ground_km < 6.0
