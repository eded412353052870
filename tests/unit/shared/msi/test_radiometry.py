from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.msi.instrument import BANDS, MAX_DN, Band, band_named
from shared.msi.radiometry import (
    DARK_DN,
    column_pattern,
    dn_to_reflectance,
    quantisation_error,
    reflectance_to_dn,
)

BAND = st.sampled_from(BANDS)
DETECTOR = st.integers(1, 12)
ZENITH = st.floats(0, 75)


@given(BAND, DETECTOR, ZENITH, st.floats(0.96, 1.04), st.integers(0, 2**32))
def test_reflectance_comes_back_within_half_a_count(
    band: Band, detector: int, zenith: float, u: float, seed: int
) -> None:
    rho = np.random.default_rng(seed).uniform(0, 0.9, (2, band.width)).astype(np.float32)
    counts = reflectance_to_dn(rho, band, detector, zenith, u)
    back = dn_to_reflectance(counts, band, detector, zenith, u)
    unsaturated = counts < MAX_DN
    assert np.abs(back - rho)[unsaturated].max(initial=0) <= quantisation_error(band, zenith, u) * 1.001 + 1e-6


@given(BAND, DETECTOR, ZENITH)
def test_darkness_gives_the_dark_level(band: Band, detector: int, zenith: float) -> None:
    counts = reflectance_to_dn(np.zeros((1, band.width), np.float32), band, detector, zenith, 1.0)
    assert np.abs(counts.astype(float) - DARK_DN).max() <= 3


def test_counts_saturate_at_12_bits() -> None:
    band = band_named("B11")
    counts = reflectance_to_dn(np.full((1, band.width), 9, np.float32), band, 3, 10.0, 1.0)
    assert (counts == MAX_DN).all()


def test_white_ground_under_a_high_sun_does_not_saturate() -> None:
    for band in BANDS:
        if band.name == "B10":
            continue  # made for faint cirrus
        counts = reflectance_to_dn(np.ones((1, band.width), np.float32), band, 3, 25.0, 1.0)
        assert counts.min() > 0.25 * MAX_DN
        assert counts.max() < MAX_DN


def test_sun_zenith_may_vary_over_the_image() -> None:
    band = band_named("B01")
    zenith = np.linspace(20, 60, 4, dtype=np.float32)[:, None] * np.ones((1, band.width), np.float32)
    counts = reflectance_to_dn(np.full((4, band.width), 0.5, np.float32), band, 1, zenith, 1.0)
    one_by_one = [reflectance_to_dn(np.full((1, band.width), 0.5, np.float32), band, 1, z, 1.0) for z in zenith[:, 0]]
    assert np.abs(counts.astype(int) - np.concatenate(one_by_one)).max() <= 1


def test_noise_is_added_before_rounding() -> None:
    band = band_named("B09")
    rho = np.full((1, band.width), 0.3, np.float32)
    plain = reflectance_to_dn(rho, band, 1, 30.0, 1.0)
    moved = reflectance_to_dn(rho, band, 1, 30.0, 1.0, noise_dn=np.full((1, band.width), 7, np.float32))
    assert (moved.astype(int) - plain == 7).all()


def test_at_night_counts_are_the_dark_level_whatever_the_ground() -> None:
    band = band_named("B04")
    black, white = (
        reflectance_to_dn(np.full((1, band.width), rho, np.float32), band, 5, 112.0, 1.0) for rho in (0.0, 1.0)
    )
    assert np.array_equal(black, white)
    assert np.isfinite(dn_to_reflectance(white, band, 5, 112.0, 1.0)).all()


def test_every_detector_has_a_pattern_of_its_own_that_nobody_can_change() -> None:
    band = band_named("B02")
    one, other = column_pattern(band, 1), column_pattern(band, 2)
    assert not np.array_equal(one[1], other[1])
    assert np.array_equal(one[0], column_pattern(band, 1)[0])
    assert abs(one[1].mean() - 1) < 0.005
    with pytest.raises(ValueError, match="read-only"):
        one[0][0] = 0
