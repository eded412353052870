"""Coarse clouds in the quicklook, by thresholds on reflectance at the top of the atmosphere.

Dense clouds are bright in the blue (B02) and, unlike snow, in the short-wave infrared (B11), and not much darker in the
one than in the other, unlike bare ground. Thin and high ones are seen where water vapour below hides the ground, at
1.38 um (B10). The thresholds are the service's own; those of the operational mask (GIP_CLOINV) are not public.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.msi.instrument import band_named
from shared.msi.radiometry import DARK_DN, LOWEST_SUN_DEG, counts_per_reflectance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from functions.ipf.l0c.quicklook import Counts

DENSE_BLUE: Final = 0.25
DENSE_INFRARED: Final = 0.12
DENSE_RATIO: Final = 0.6
CIRRUS: Final = 0.012
NEEDED: Final = ("B02", "B10", "B11")


def cloud_mask(
    images: Mapping[str, Counts], sun_zenith_deg: NDArray[np.float64], earth_sun_u: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels of the quicklook are cloudy, and which could be judged: not those without data, or at night.

    ``sun_zenith_deg`` is one value for each line.
    """
    rho = {name: _reflectance(images[name], name, sun_zenith_deg, earth_sun_u) for name in NEEDED}
    day = (sun_zenith_deg <= LOWEST_SUN_DEG)[:, None]
    judged = np.isfinite(rho["B02"]) & np.isfinite(rho["B10"]) & np.isfinite(rho["B11"]) & day
    with np.errstate(invalid="ignore"):
        bright = (rho["B02"] > DENSE_BLUE) & (rho["B11"] > DENSE_INFRARED)
        dense = bright & (rho["B02"] > DENSE_RATIO * rho["B11"])
        cloudy = dense | (rho["B10"] > CIRRUS)
    return cloudy & judged, judged


def _reflectance(image: Counts, name: str, sun_zenith_deg: NDArray[np.float64], earth_sun_u: float) -> Counts:
    """By the band's nominal gain and dark level, from which columns differ by some 2 %."""
    gain = counts_per_reflectance(band_named(name), np.minimum(sun_zenith_deg, LOWEST_SUN_DEG), earth_sun_u)
    return np.asarray((image - np.float32(DARK_DN)) / gain[:, None], dtype=np.float32)


def percentage(cloudy: NDArray[np.bool_], judged: NDArray[np.bool_]) -> float:
    """Percent of what could be judged, 0 where nothing could."""
    count = int(judged.sum())
    return 100.0 * int(cloudy.sum()) / count if count else 0.0
