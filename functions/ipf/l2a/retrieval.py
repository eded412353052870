"""Water vapour and aerosol from a tile's own bands, on the 60 m grid.

Water vapour: ratio of B09 to B8A inverted through the 6S table (Gao and Kaufman, 1990), where the ground is bright
enough and clear, smoothed over 300 m; the tile's median elsewhere.

Aerosol: dark dense vegetation (Kaufman et al., 1997, doi 10.1109/36.628795), where the surface in the red is half of
that in the SWIR (B12), in the blue half of that in the red. Its answer is taken only where enough pixels give it and
blue and red agree; else the default, 0.10, an average of continental background. One value serves the whole tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from shared.msi.atmosphere import surface_from_toa, water_vapour_from_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats32: TypeAlias = NDArray[np.float32]
    Mask: TypeAlias = NDArray[np.bool_]

DEFAULT_AOT: Final = 0.10
DEFAULT_WATER_CM: Final = 1.5
_AOT_LIMITS: Final = (0.02, 0.6)
_DARK_SHARE: Final = 0.02
_AGREEMENT: Final = 0.05
_MIN_PIXELS: Final = 500


@dataclass(frozen=True, slots=True)
class Aerosol:
    """Optical thickness at 550 nm and how it was found: ``DDV`` or ``DEFAULT``, with the reason."""

    aot550: float
    method: str
    reason: str


def water_vapour(toa: Mapping[str, Floats32], clear: Mask, sun_zenith_deg: float) -> Floats32:
    """Precipitable water in cm, (rows, columns) of the 60 m block.

    Args:
        toa: reflectance of B8A and B09 at 60 m.
        clear: pixels that have data and no cloud, shadow or water.
        sun_zenith_deg: the tile's mean.
    """
    usable = clear & (toa["B8A"] > 0.08)
    if np.count_nonzero(usable) < _MIN_PIXELS:
        return np.full(clear.shape, DEFAULT_WATER_CM, np.float32)
    ratio = toa["B09"] / np.maximum(toa["B8A"], 1e-3)
    found = np.asarray(water_vapour_from_ratio(ratio, sun_zenith_deg), np.float32)
    middle = np.float32(np.median(found[usable]))
    weight = cv2.blur(usable.astype(np.float32), (5, 5))
    total = cv2.blur(np.where(usable, found, np.float32(0)), (5, 5))
    return np.where(weight > 0.2, total / np.maximum(weight, np.float32(1e-3)), middle).astype(np.float32)


def aerosol(toa: Mapping[str, Floats32], clear: Mask, sun_zenith_deg: float, water_cm: float) -> Aerosol:
    """Aerosol of the tile from B02, B04, B8A and B12 at 60 m."""
    swir = np.asarray(surface_from_toa(toa["B12"], "B12", sun_zenith_deg, DEFAULT_AOT, water_cm), np.float32)
    index = (toa["B8A"] - toa["B04"]) / np.maximum(toa["B8A"] + toa["B04"], 1e-3)
    dark = clear & (swir > 0.01) & (swir < 0.10) & (index > 0.6)
    count, valid = int(np.count_nonzero(dark)), int(np.count_nonzero(clear))
    if count < max(_MIN_PIXELS, _DARK_SHARE * valid):
        return Aerosol(DEFAULT_AOT, "DEFAULT", f"{count} pixels of dark vegetation are too few")
    red_wanted = 0.5 * float(swir[dark].mean())
    red = _solve(float(toa["B04"][dark].mean()), "B04", red_wanted, sun_zenith_deg, water_cm)
    blue = _solve(float(toa["B02"][dark].mean()), "B02", 0.5 * red_wanted, sun_zenith_deg, water_cm)
    if red is None or blue is None:
        return Aerosol(DEFAULT_AOT, "DEFAULT", "dark vegetation asks for an aerosol beyond the table")
    if abs(red - blue) > _AGREEMENT:
        return Aerosol(DEFAULT_AOT, "DEFAULT", f"dark vegetation disagrees: red {red:.2f}, blue {blue:.2f}")
    return Aerosol(round((red + blue) / 2, 4), "DDV", f"{count} pixels of dark vegetation")


def _solve(toa: float, band: str, wanted: float, sun_zenith_deg: float, water_cm: float) -> float | None:
    """The aerosol at which the surface comes out as wanted, by bisection; ``None`` beyond the limits."""

    def excess(aot: float) -> float:
        return float(surface_from_toa(toa, band, sun_zenith_deg, aot, water_cm)) - wanted

    return _root(excess, *_AOT_LIMITS)


def _root(function: Callable[[float], float], low: float, high: float) -> float | None:
    below, above = function(low), function(high)
    if below * above > 0:
        return None
    for _ in range(30):
        middle = (low + high) / 2
        if function(middle) * below > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
