"""The atmospheric table and its two directions."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadInputError
from shared.msi.atmosphere import (
    Air,
    Sight,
    absorbed,
    apply_forward,
    apply_inverse,
    beams,
    coefficients,
    coefficients_at,
    surface_from_toa,
    toa_from_surface,
)

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")

states = st.tuples(st.floats(0, 85), st.floats(0, 1.2), st.floats(0, 7))


@settings(deadline=None)  # the first call reads the table
@given(st.sampled_from(BANDS), st.floats(0, 1.2), states)
def test_surface_and_toa_are_inverse(band: str, rho: float, state: tuple[float, float, float]) -> None:
    there = toa_from_surface(rho, band, *state)
    assert surface_from_toa(there, band, *state) == pytest.approx(rho, abs=1e-9)


@settings(deadline=None)
@given(
    st.sampled_from((*BANDS, "B10")),
    states,
    st.tuples(st.floats(0, 15), st.floats(-180, 360), st.floats(-0.4, 6), st.floats(0.2, 0.5)),
    st.sampled_from(("S2A", "S2B", "S2C", "S2D")),
)
def test_coefficients_are_physical(
    band: str,
    state: tuple[float, float, float],
    more: tuple[float, float, float, float],
    satellite: str,
) -> None:
    (sun, aot, water), (view, azimuth, altitude, ozone) = state, more
    at = coefficients_at(band, Sight(sun, view, azimuth), Air(aot, water, altitude, ozone), satellite)
    assert 0 <= at.path < 0.6
    assert 0 < at.transmittance < 1
    assert 0 < at.albedo < 0.45


RUNS = json.loads(Path(__file__).with_name("sixs_runs.json").read_text("utf-8"))
"""6SV 1.1 at random places between the nodes: satellite, band, Sun and view zenith, relative azimuth, AOT, altitude,
water vapour; of air without gases its reflectance, Rayleigh's alone, transmittance, spherical albedo. Aerosol up to 1,
altitude up to 4.5 km.
"""

GASES = json.loads(Path(__file__).with_name("lowtran_runs.json").read_text("utf-8"))
"""LOWTRAN 7 at random places between the nodes: satellite, band, air mass of both ways, altitude, water vapour above
the ground, transmittance of all gases but ozone.
"""


def differences(rows: list[list[float | str]]) -> np.ndarray:
    """Table less 6S: in path reflectance, and in the reflectance that ground of 0.25 shows above the atmosphere. The
    gases are the table's own on both sides.
    """
    found = []
    for row in rows:
        (satellite, band), (sun, view, azimuth, aot, altitude, water, both, rayleigh, scattered, albedo) = (
            map(str, row[:2]),
            map(float, row[2:]),
        )
        at = coefficients_at(band, Sight(sun, view, azimuth), Air(aot, water, altitude), satellite)
        mass = 1 / np.cos(np.radians(sun)) + 1 / np.cos(np.radians(view))
        dry, half, wet = (
            float(absorbed(band, mass, Air(aot, part * water, altitude), satellite)) for part in (0.0, 0.5, 1.0)
        )
        path = (both - rayleigh) * half + rayleigh * dry
        toa = path + wet * scattered * 0.25 / (1 - albedo * 0.25)
        found.append((float(at.path) - path, float(apply_forward(np.array(0.25), at)) - toa))
    return np.array(found)


@pytest.mark.parametrize("satellites", [("S2A", "S2B"), ("S2C",)])
def test_table_agrees_with_6s_between_the_nodes(satellites: tuple[str, ...]) -> None:
    runs = [row for row in RUNS if row[0] in satellites]
    assert len(runs) >= 130
    hazy = differences(runs)
    assert np.abs(hazy).max() < 0.0045
    assert np.sqrt((hazy**2).mean(axis=0)).max() < 0.001
    assert np.abs(hazy.mean(axis=0)).max() < 0.0002
    usual = differences([row for row in runs if row[5] < 0.3 and row[2] < 75])
    assert len(usual) > 30
    assert np.abs(usual).max() < 0.0015
    assert np.sqrt((usual**2).mean(axis=0)).max() < 0.0005


@pytest.mark.parametrize("satellites", [("S2A", "S2B"), ("S2C",)])
def test_table_agrees_with_lowtran_between_the_nodes(satellites: tuple[str, ...]) -> None:
    found = []
    for satellite, band, mass, altitude, water, through in GASES:
        if band != "B10" and satellite in satellites:
            without_ozone = absorbed(str(band), float(mass), Air(0.1, water, altitude, 0.0), str(satellite))
            found.append(float(without_ozone) / float(through) - 1)
    assert len(found) > 60
    assert np.abs(found).max() < 0.006
    assert np.std(found) < 0.0015


def test_each_satellite_sees_water_vapour_through_its_own_band() -> None:
    through = {name: float(absorbed("B09", 2.4, Air(water_cm=1.5), name)) for name in ("S2A", "S2B", "S2C")}
    assert through["S2B"] < through["S2A"] < through["S2C"]
    waters = np.linspace(0.5, 3.0, 251)
    taken_as_2a = waters[np.abs(absorbed("B09", 2.4, Air(water_cm=waters), "S2A") - through["S2C"]).argmin()]
    assert taken_as_2a / 1.5 == pytest.approx(0.90, abs=0.02)


def test_sentinel_2d_is_taken_as_2c() -> None:
    at = [coefficients_at("B12", Sight(40), Air(), name) for name in ("S2C", "S2D", "S2A")]
    assert (at[1].path, at[1].transmittance) == (at[0].path, at[0].transmittance)
    assert at[2].transmittance != at[0].transmittance


@pytest.mark.parametrize("satellite", ["S2E", "S2", ""])
def test_a_satellite_without_a_table_is_named(satellite: str) -> None:
    with pytest.raises(BadInputError, match="satellite: expected one of S2A, S2B, S2C, S2D"):
        coefficients_at("B02", Sight(40), Air(), satellite)


def test_one_more_satellite_leaves_the_others_figures_as_they_are() -> None:
    """The digest is that of the table as it was when it had Sentinel-2A and 2B alone."""
    digest = hashlib.sha256()
    with np.load(str(files("shared.msi").joinpath("tables/atmosphere.npz")), allow_pickle=False) as table:
        assert list(table["satellites"]) == ["S2A", "S2B", "S2C"]
        for name in sorted(set(table.files) - {"satellites"}):
            values = table[name][:2] if name in ("gas", "wavelength_nm") else table[name]
            digest.update(f"{name} {values.dtype} {values.shape} ".encode() + values.tobytes())
    assert digest.hexdigest() == "959e5b1c0a3b0cd4969673c9c707d9894225605440590827289719f36ffceb64"


def test_water_vapour_counts_from_the_ground() -> None:
    """Where the ground is high the same water absorbs a little less, for the pressure there is lower."""
    low, high = (coefficients_at("B09", Sight(40), Air(0.1, 1.0, altitude)).transmittance for altitude in (0.0, 3.0))
    assert 1.05 < high / low < 1.35


def test_thin_air_scatters_less_and_absorbs_less_where_the_ground_is_high() -> None:
    low, high = (coefficients_at("B02", Sight(40), Air(0.1, 1.0, altitude)) for altitude in (0.0, 4.0))
    assert high.path < 0.75 * low.path
    assert high.albedo < 0.75 * low.albedo
    assert high.transmittance > low.transmittance


def test_ozone_absorbs_where_it_does() -> None:
    thin, thick = (coefficients_at("B03", Sight(40), Air(ozone_cm_atm=ozone)) for ozone in (0.25, 0.45))
    assert thick.transmittance / thin.transmittance == pytest.approx(np.exp(-0.2 * 0.105 * 2.3), rel=0.01)
    thin, thick = (coefficients_at("B12", Sight(40), Air(ozone_cm_atm=ozone)) for ozone in (0.25, 0.45))
    assert thick.transmittance == pytest.approx(float(thin.transmittance), rel=1e-6)


def test_direct_light_gets_less_with_aerosol() -> None:
    clear, hazy = (beams("B02", 40.0, 5.0, Air(aot)) for aot in (0.05, 0.5))
    assert hazy.down < clear.down < 1
    assert hazy.up < clear.up < 1
    assert hazy.aerosol > clear.aerosol
    assert clear.sun < clear.down


def test_arrays_broadcast_as_numbers_do() -> None:
    aot = np.array([[0.05], [0.3]])
    water = np.array([0.5, 2.0, 5.0])
    whole = toa_from_surface(0.2, "B09", 40.0, aot, water)
    assert whole.shape == (2, 3)
    assert whole[1, 2] == pytest.approx(float(toa_from_surface(0.2, "B09", 40.0, 0.3, 5.0)), abs=1e-12)


def test_a_number_of_each_gives_a_number() -> None:
    at = coefficients("B04", 30.0, 0.1, 1.5)
    assert at.path.shape == ()
    assert apply_inverse(apply_forward(np.array(0.3), at), at) == pytest.approx(0.3)


def test_unknown_band_is_refused_by_name() -> None:
    with pytest.raises(BadInputError, match="B13"):
        coefficients("B13", 30.0, 0.1, 1.5)
