"""A band of a tile as one, from the strips in which it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from functions.ipf.l1c.resample import Mosaic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from functions.ipf.safe.jp2 import Extent
    from functions.ipf.safe.working import Datastrip, WorkingFolder
    from shared.msi.tiling import Tile


@dataclass(frozen=True)
class Resampled:
    """The block at ``at``."""

    counts: NDArray[np.uint16]
    detectors: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    at: Extent


def resample(working: WorkingFolder, datastrip: Datastrip, band: str, tile: Tile) -> Resampled:
    """All strips of a band, one below the other."""
    mosaic = Mosaic(working, datastrip, band, tile)
    shape = mosaic.at.shape
    detectors, flags = np.zeros((2, *shape), np.uint8)
    found = Resampled(np.zeros(shape, np.uint16), detectors, flags, mosaic.at)
    for strip in mosaic.strips():
        rows = slice(strip.row, strip.row + len(strip.counts))
        found.counts[rows], found.detectors[rows], found.flags[rows] = strip.counts, strip.detectors, strip.flags
    return found
