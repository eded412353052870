"""The L1C classification mask: opaque clouds, cirrus, snow, on TOA reflectance at 60 m.

After the outline of the Level-1C algorithm in ESA's technical guide: blue, freed of Rayleigh scattering, against a
threshold for opaque clouds; B10 for cirrus that blue does not show; B11, and the snow index, to tell snow; each class
of cloud opened by an erosion and a dilation, so that single pixels fall away. The thresholds of the operational
processor stand in parameter files that are not public: those here are this service's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.safe.working import OFFSET, QUANTIFICATION

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Counts: TypeAlias = NDArray[np.uint16]
    Mask: TypeAlias = NDArray[np.bool_]

OPAQUE_BLUE: Final = 0.22
"""Blue reflectance without the Rayleigh path from which a pixel is opaque cloud or snow."""
OPAQUE_SWIR: Final = 0.15
"""B11 below which what is bright in blue is snow or ice, or bright water."""
CIRRUS: Final = 0.012
SNOW_INDEX: Final = 0.6
SNOW_GREEN: Final = 0.3
_SUN_ZENITH: Final = (0.0, 35.0, 50.0, 60.0, 70.0, 76.0)
_PATH_B01: Final = (0.0914, 0.0925, 0.0985, 0.1086, 0.1308, 0.1564)
"""Path reflectance in B01 by 6SV over black ground at sea level, aerosol thickness 0.01, by sun zenith in degrees."""
_ELEMENT: Final = np.ones((3, 3), np.uint8)


def rayleigh_path(sun_zenith_deg: float) -> float:
    """Reflectance in B01 of the air itself, next to free of aerosol."""
    return float(np.interp(sun_zenith_deg, _SUN_ZENITH, _PATH_B01))


def classify(blue: Counts, green: Counts, cirrus: Counts, swir: Counts, sun_zenith_deg: float) -> NDArray[np.uint8]:
    """Masks (3, rows, columns) of 0 and 1, of which no pixel has two: opaque cloud, cirrus, snow.

    Args:
        blue: counts of B01 at 60 m, 0 where there is no data.
        green: B03.
        cirrus: B10.
        swir: B11.
        sun_zenith_deg: mean over the tile.
    """
    valid = (blue > 0) & (green > 0) & (cirrus > 0) & (swir > 0)
    b01, b03, b10, b11 = (
        (counts.astype(np.float32) - OFFSET) / QUANTIFICATION for counts in (blue, green, cirrus, swir)
    )
    snow = valid & ((b03 - b11) > SNOW_INDEX * np.maximum(b03 + b11, 0.01)) & (b03 > SNOW_GREEN)
    bright = b01 - np.float32(rayleigh_path(sun_zenith_deg)) > OPAQUE_BLUE
    opaque = _opened(valid & bright & (b11 > OPAQUE_SWIR) & ~snow)
    thin = _opened(valid & (b10 > CIRRUS) & ~snow & ~opaque) & ~opaque
    return np.stack([opaque, thin & ~snow, snow & ~opaque]).astype(np.uint8)


def _opened(mask: Mask) -> Mask:
    """Without what is narrower than three pixels; the tile's edge hides as much as it shows."""
    found = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _ELEMENT, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.bool_)
