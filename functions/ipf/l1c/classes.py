"""The L1C classification mask: opaque clouds, cirrus, snow, by thresholds on TOA reflectance at 60 m.

Thresholds are of the order of those in the Sentinel-2 L1C algorithm (blue for opaque clouds, B10 for cirrus, B11 to
tell snow): enough for a percentage, no substitute for the scene classification of L2A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from functions.ipf.safe.working import OFFSET, QUANTIFICATION

if TYPE_CHECKING:
    from numpy.typing import NDArray


def classify(
    blue: NDArray[np.uint16], green: NDArray[np.uint16], cirrus: NDArray[np.uint16], swir: NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """Masks (3, rows, columns) of 0 and 1: opaque cloud, cirrus, snow.

    Args:
        blue: counts of B02 at 60 m, 0 where there is no data.
        green: B03.
        cirrus: B10.
        swir: B11.
    """
    valid = (blue > 0) & (green > 0) & (cirrus > 0) & (swir > 0)
    b02, b03, b10, b11 = (
        (counts.astype(np.float32) - OFFSET) / QUANTIFICATION for counts in (blue, green, cirrus, swir)
    )
    index = (b03 - b11) / np.maximum(b03 + b11, 0.01)
    snow = (index > 0.6) & (b03 > 0.3)
    opaque = (b02 > 0.3) & (b11 > 0.2) & ~snow
    thin = (b10 > 0.012) & (b10 < 0.035) & ~opaque & ~snow
    return np.stack([opaque & valid, thin & valid, snow & valid]).astype(np.uint8)
