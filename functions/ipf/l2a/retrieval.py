"""Water vapour and aerosol from a tile's own bands, on the 60 m grid.

Water vapour: B09 against the same ground in B8A, through the 6S table (the differential absorption of Gao and Kaufman,
1990; path reflectance taken away as in APDA, Schläpfer et al., 1998, doi 10.1016/S0034-4257(98)00044-3), where the
ground is bright enough and clear; smoothed over 300 m, and elsewhere from ever wider surroundings.

Aerosol: the forecast where there is one, thinned or thickened with the difference of altitude between its ground and
the real one (scale height 2 km, as in 6S). Else dark dense vegetation (Kaufman et al., 1997, doi 10.1109/36.628795),
where the surface in the red is half of that in the SWIR (B12), in the blue half of that in the red; its answer is taken
only where many pixels give it, all alike, and blue and red agree. Else what is usual at the place and the time of the
year (``climatology.py``), brought to the ground's altitude likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.l2a.air import STEP_ALTITUDE_KM, Sky, levels, node_table
from shared.ccsds._jit import jit
from shared.msi.atmosphere import Air, Sight, apply_inverse, coefficients_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]
    Mask: TypeAlias = NDArray[np.bool_]

DEFAULT_WATER_CM: Final = 1.5
AOT_LIMITS: Final = (0.01, 1.0)
SCALE_HEIGHT_KM: Final = 2.0
WATER_SCALE_KM: Final = 2.2
"""Over which the water vapour above the ground falls to 1/e, in the lowest 4 km of the US standard atmosphere."""
_WATERS: Final = np.linspace(np.sqrt(0.05), np.sqrt(6.5), 16) ** 2
_DDV_LIMITS: Final = (0.02, 0.5)
_DARK_SHARE: Final = 0.05
_AGREEMENT: Final = 0.03
_SPREAD: Final = 0.08
_MIN_PIXELS: Final = 500
_WIDER: Final = (5, 51, 301)
"""Sides of the squares, in pixels of 60 m, over which water vapour is averaged, the first that holds enough."""


@dataclass(frozen=True, slots=True)
class Aerosol:
    """Optical thickness at 550 nm and how it was found: ``CAMS``, ``DDV`` or ``CLIMATOLOGY``, with the reason."""

    aot550: float
    method: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bands60:
    """What the retrievals see: TOA reflectance at 60 m by band, and where it is clear."""

    toa: Mapping[str, Floats32]
    clear: Mask


def water_vapour(
    seen: Bands60, satellite: str, sky: Sky, altitude_km: Floats32, aot: float, first_guess: Floats32 | None
) -> Floats32:
    """Precipitable water above the ground in cm, of the shape of the bands.

    Args:
        seen: with B8A and B09.
        satellite: chooses the table.
        sky: directions over the block.
        altitude_km: of the ground.
        aot: aerosol of the block.
        first_guess: taken where the bands say nothing at all, in place of the default.
    """
    usable = seen.clear & (seen.toa["B8A"] > 0.08)
    guess = first_guess
    if guess is None:
        guess = np.asarray(DEFAULT_WATER_CM * np.exp(-altitude_km / np.float32(WATER_SCALE_KM)), np.float32)
    if np.count_nonzero(usable) < _MIN_PIXELS:
        return guess
    altitudes = levels(altitude_km, STEP_ALTITUDE_KM)
    wet, dry = (
        node_table(band, satellite, sky, (altitudes, np.array([aot]), _WATERS), 0.33)[:, :, :, 0]
        for band in ("B09", "B8A")
    )
    found = np.empty(usable.shape, np.float32)
    _solve_water(wet, dry, altitudes, altitude_km, seen.toa["B09"], seen.toa["B8A"], _WATERS, found)
    return _filled(found, usable, guess)


def _filled(found: Floats32, usable: Mask, guess: Floats32) -> Floats32:
    """Means over the usable pixels near, of the smallest square that holds a fifth of them."""
    result = guess.astype(np.float32)
    open_places = np.ones(usable.shape, bool)
    for side in _WIDER:
        weight = cv2.blur(usable.astype(np.float32), (side, side))
        total = cv2.blur(np.where(usable, found, np.float32(0)), (side, side))
        enough = open_places & (weight > 0.2)
        result = np.where(enough, total / np.maximum(weight, np.float32(1e-3)), result).astype(np.float32)
        open_places &= ~enough
    middle = np.float32(np.median(found[usable]))
    return np.where(open_places, middle, result).astype(np.float32)


@jit(
    "void(float32[:, :, :, :, :], float32[:, :, :, :, :], float64[::1], float32[:, ::1], float32[:, ::1],"
    " float32[:, ::1], float64[::1], float32[:, ::1])"
)
def _solve_water(
    wet: Floats32,
    dry: Floats32,
    altitudes: Floats,
    altitude: Floats32,
    toa9: Floats32,
    toa8a: Floats32,
    waters: Floats,
    found: Floats32,
) -> None:
    """For each pixel the water at which B09 over the ground that B8A shows comes out as seen, by the nearest node's
    angles.
    """
    rows, columns = altitude.shape
    last = len(altitudes) - 1
    for row in range(rows):
        i = int((row + 0.5) * (wet.shape[0] - 1) / rows + 0.5)
        for column in range(columns):
            j = int((column + 0.5) * (wet.shape[1] - 1) / columns + 0.5)
            k, f = 0, 0.0
            if last > 0:
                at = (altitude[row, column] - altitudes[0]) / (altitudes[last] - altitudes[0]) * last
                k = min(max(int(at), 0), last - 1)
                f = at - k
            before, water = 0.0, waters[-1]
            for w in range(len(waters)):
                low, high = dry[i, j, k, w], dry[i, j, min(k + 1, last), w]
                y = (toa8a[row, column] - (low[0] + f * (high[0] - low[0]))) / (low[1] + f * (high[1] - low[1]))
                rho = y / (1 + low[2] * y)
                low, high = wet[i, j, k, w], wet[i, j, min(k + 1, last), w]
                through = low[1] + f * (high[1] - low[1])
                excess = low[0] + f * (high[0] - low[0]) + through * rho / (1 - low[2] * rho) - toa9[row, column]
                if excess <= 0:
                    water = (
                        waters[0]
                        if w == 0
                        else waters[w - 1] + (waters[w] - waters[w - 1]) * before / (before - excess)
                    )
                    break
                before = excess
            found[row, column] = water


def forecast_aerosol(aot: Floats32, forecast_km: Floats32, altitude_km: Floats32) -> Floats32:
    """A forecast's or climatology's aerosol brought from its ground to the real one, within the table."""
    thinned = aot * np.exp((forecast_km - altitude_km) / np.float32(SCALE_HEIGHT_KM))
    return np.asarray(np.clip(thinned, *AOT_LIMITS), np.float32)


def dark_vegetation(seen: Bands60, satellite: str, sky: Sky, usual: Air) -> Aerosol:
    """Aerosol of the tile from B02, B04, B8A and B12, by the mean directions, or the usual one with the reason why.

    ``usual`` has single values: the climatology's aerosol, the water vapour and the altitude.
    """
    toa = seen.toa
    sight = {band: _mean_sight(sky, band) for band in ("B02", "B04", "B12")}
    fixed = coefficients_at("B12", sight["B12"], usual, satellite)
    swir = apply_inverse(toa["B12"].astype(np.float64), fixed)
    index = (toa["B8A"] - toa["B04"]) / np.maximum(toa["B8A"] + toa["B04"], 1e-3)
    dark = seen.clear & (swir > 0.01) & (swir < 0.10) & (index > 0.6)
    count, clear = int(np.count_nonzero(dark)), int(np.count_nonzero(seen.clear))
    if count < max(_MIN_PIXELS, _DARK_SHARE * clear):
        return _usual(usual, f"{count} pixels of dark vegetation are too few")
    aots = np.linspace(*_DDV_LIMITS, 25)
    air = replace(usual, aot550=aots)
    curves = {band: coefficients_at(band, sight[band], air, satellite) for band in ("B02", "B04")}
    third = np.quantile(swir[dark], (0.25, 0.5, 0.75))
    answers = []
    for low, high in ((-np.inf, third[0]), (third[0], third[2]), (third[2], np.inf)):
        part = dark & (swir > low) & (swir <= high)
        if not part.any():  # all as bright in the SWIR
            continue
        wanted = 0.5 * float(swir[part].mean())
        for band, share in (("B04", 1.0), ("B02", 0.5)):
            surface = apply_inverse(np.array(toa[band][part].mean(), np.float64), curves[band])
            answers.append(_crossing(aots, surface - share * wanted))
    if None in answers:
        return _usual(usual, "dark vegetation asks for an aerosol beyond 0.02 to 0.5")
    red, blue = (float(np.mean([a for a in answers[k::2] if a is not None])) for k in (0, 1))
    if abs(red - blue) > _AGREEMENT:
        return _usual(usual, f"dark vegetation disagrees: red {red:.2f}, blue {blue:.2f}")
    reds = [a for a in answers[::2] if a is not None]
    if max(reds) - min(reds) > _SPREAD:
        return _usual(usual, f"dark vegetation is uneven: {min(reds):.2f} to {max(reds):.2f}")
    return Aerosol(round((red + blue) / 2, 4), "DDV", f"{count} pixels of dark vegetation")


def _usual(air: Air, reason: str) -> Aerosol:
    return Aerosol(float(np.asarray(air.aot550)), "CLIMATOLOGY", reason)


def _mean_sight(sky: Sky, band: str) -> Sight:
    whole = sky.sight(band)
    turn = np.radians(np.asarray(whole.relative_azimuth))
    azimuth = float(np.degrees(np.arctan2(np.sin(turn).mean(), np.cos(turn).mean())))
    return Sight(float(sky.sun_zenith.mean()), float(sky.views[band][0].mean()), azimuth)


def _crossing(at: Floats, excess: Floats) -> float | None:
    """Where a falling curve crosses zero, None where it does not."""
    if excess[0] < 0 or excess[-1] > 0:
        return None
    return float(np.interp(0.0, -excess, at))
