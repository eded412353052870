"""The atmospheric table and its two directions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadInputError
from shared.msi.atmosphere import coefficients, surface_from_toa, toa_from_surface, water_vapour_from_ratio

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")

states = st.tuples(st.floats(0, 80), st.floats(0, 0.8), st.floats(0, 7))


@given(st.sampled_from(BANDS), st.floats(0, 1.2), states)
def test_surface_and_toa_are_inverse(band: str, rho: float, state: tuple[float, float, float]) -> None:
    there = toa_from_surface(rho, band, *state)
    assert surface_from_toa(there, band, *state) == pytest.approx(rho, abs=1e-9)


@given(st.sampled_from((*BANDS, "B10")), states)
def test_coefficients_are_physical(band: str, state: tuple[float, float, float]) -> None:
    at = coefficients(band, *state)
    assert 0 <= at.path < 0.5
    assert 0 < at.transmittance < 1
    assert 0 < at.albedo < 0.4


# Runs of 6SV 1.1 between the table's nodes: band, sun zenith, AOT, water vapour, path, transmittance, spherical albedo.
SIXS_RUNS = (
    ("B04", 45.0, 0.1, 1.5, 0.022725, 0.858190, 0.06328),
    ("B8A", 45.0, 0.1, 4.0, 0.009783, 0.941598, 0.03348),
    ("B12", 77.0, 0.6, 1.5, 0.010683, 0.623617, 0.0203),
)


@pytest.mark.parametrize(("band", "sun", "aot", "water", "path", "through", "albedo"), SIXS_RUNS)
def test_table_agrees_with_6s(
    band: str, sun: float, aot: float, water: float, path: float, through: float, albedo: float
) -> None:
    at = coefficients(band, sun, aot, water)
    assert at.path == pytest.approx(path, abs=0.001)
    assert at.transmittance == pytest.approx(through, rel=0.003)
    assert at.albedo == pytest.approx(albedo, abs=0.001)


def test_arrays_broadcast_as_numbers_do() -> None:
    aot = np.array([[0.05], [0.3]])
    water = np.array([0.5, 2.0, 5.0])
    whole = toa_from_surface(0.2, "B09", 40.0, aot, water)
    assert whole.shape == (2, 3)
    assert whole[1, 2] == toa_from_surface(0.2, "B09", 40.0, 0.3, 5.0)


@given(st.floats(0.2, 5.5), st.floats(10, 70))
def test_water_vapour_is_found_again_from_the_band_ratio(water: float, sun: float) -> None:
    ratio = toa_from_surface(0.3, "B09", sun, 0.1, water) / toa_from_surface(0.3, "B8A", sun, 0.1, water)
    assert water_vapour_from_ratio(ratio, sun) == pytest.approx(water, rel=0.01)


def test_unknown_band_is_refused_by_name() -> None:
    with pytest.raises(BadInputError, match="B13"):
        coefficients("B13", 30.0, 0.1, 1.5)
