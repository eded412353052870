"""Between top-of-atmosphere reflectance and the instrument's 12-bit counts.

L = rho * E0 * U * cos(sun zenith) / pi                     (PSD 14, definition of TOA reflectance), 0 at night
DN = dark(column) + gain * sensitivity(column) * L          rounded, 0..4095

E0 and gain are the band's; dark level and relative sensitivity are fixed, smooth-plus-random patterns of each
detector and band, made here by code: the real equalisation tables are not public.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.msi.instrument import MAX_DN, Band

Floats32 = NDArray[np.float32]

LOWEST_SUN_DEG: Final = 85.0
"""Zenith of the lowest Sun under which counts tell a reflectance; operational imaging ends before, at 82 degrees."""

DARK_DN: Final = 64.0
_DARK_SPREAD: Final = 2.0
_SENSITIVITY_WAVE: Final = 0.02
_SENSITIVITY_SPREAD: Final = 0.005
_PATTERN_SEED: Final = 0x5332


@cache
def column_pattern(band: Band, detector: int) -> tuple[Floats32, Floats32]:
    """Dark level (DN) and relative sensitivity (near 1) of each column, read-only, shape (band.width,)."""
    random = np.random.default_rng((_PATTERN_SEED, detector, band.index))
    at = np.linspace(0, 2 * np.pi, band.width)
    dark = DARK_DN + _DARK_SPREAD * random.uniform(-1, 1, band.width)
    wave = _SENSITIVITY_WAVE * np.cos(random.integers(1, 4) * at + random.uniform(0, 2 * np.pi))
    sensitivity = 1 + wave + _SENSITIVITY_SPREAD * random.uniform(-1, 1, band.width)
    pattern = dark.astype(np.float32), sensitivity.astype(np.float32)
    for values in pattern:
        values.setflags(write=False)
    return pattern


def counts_per_reflectance(band: Band, sun_zenith_deg: float | NDArray[np.floating], earth_sun_u: float) -> Floats32:
    """DN above dark of reflectance 1 at sensitivity 1; shape of the sun zenith."""
    light = np.maximum(np.cos(np.radians(sun_zenith_deg)), 0)
    radiance = band.solar_irradiance * earth_sun_u * light / np.pi
    return np.asarray(band.physical_gain * radiance, dtype=np.float32)


def reflectance_to_dn(
    rho: NDArray[np.floating],
    band: Band,
    detector: int,
    sun_zenith_deg: float | NDArray[np.floating],
    earth_sun_u: float,
    *,
    noise_dn: Floats32 | None = None,
) -> NDArray[np.uint16]:
    """Counts of TOA reflectances.

    Args:
        rho: shape (lines, band.width).
        band: sets gain and irradiance; with ``detector`` the pattern of the columns.
        detector: 1..12.
        sun_zenith_deg: one value, or values that broadcast against ``rho``.
        earth_sun_u: correction for the Earth-Sun distance, ``earth.earth_sun_u``.
        noise_dn: added before rounding, same shape as ``rho``.

    Returns:
        uint16, same shape, clipped to 0..4095.
    """
    dark, sensitivity = column_pattern(band, detector)
    scaled = np.asarray(rho, dtype=np.float32) * counts_per_reflectance(band, sun_zenith_deg, earth_sun_u)
    scaled *= sensitivity
    scaled += dark
    if noise_dn is not None:
        scaled += noise_dn
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, MAX_DN, out=scaled)
    return scaled.astype(np.uint16)


def dn_to_reflectance(
    counts: NDArray[np.integer],
    band: Band,
    detector: int,
    sun_zenith_deg: float | NDArray[np.floating],
    earth_sun_u: float,
) -> Floats32:
    """TOA reflectances of counts of shape (lines, band.width): the inverse but for rounding and saturation, float32.

    Under a Sun lower than ``LOWEST_SUN_DEG`` they are those of that Sun.
    """
    dark, sensitivity = column_pattern(band, detector)
    rho = counts.astype(np.float32)
    rho -= dark
    rho /= sensitivity
    rho /= counts_per_reflectance(band, np.minimum(sun_zenith_deg, LOWEST_SUN_DEG), earth_sun_u)
    return rho


def quantisation_error(band: Band, sun_zenith_deg: float, earth_sun_u: float) -> float:
    """The largest reflectance error that rounding to whole counts makes (half a count at the lowest sensitivity)."""
    lowest = 1 - _SENSITIVITY_WAVE - _SENSITIVITY_SPREAD
    return float(0.5 / (lowest * counts_per_reflectance(band, sun_zenith_deg, earth_sun_u)))
